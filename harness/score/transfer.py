"""Transfer: one candidate judges units of a suite, and its answers become verdicts.

Units come clip by clip and are judged in batches of a bounded number of samples, so that memory does not grow
with the suite. What sounds the same on one clip is asked once. Degenerate signals are not judged.

Answers are float32 (n_stimuli, n_classes + 2): the logits, seconds seen, share of energy seen.

Public: judge, verdict_table, seen, Answers, Candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness import spectra
from harness.dataset import schema
from harness.dataset.signals import Suite
from harness.records import LabelMap, ModelFacts, Waveform
from harness.score import stimuli
from harness.score.units import Unit
from harness.tasks import Task

Answers = NDArray[np.float32]

_SAMPLES_AT_ONCE = 1 << 22
"""Samples of stimuli held at a time: 16 MiB of float32."""


class Candidate(Protocol):
    """What judging needs of a model; `models.Classifier` is one, a toy in a test another."""

    @property
    def facts(self) -> ModelFacts:
        """What it is."""
        ...

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """(n_samples,) waveforms -> (n, n_classes)."""
        ...


def judge(
    candidate: Candidate, suite: Suite, task: Task, blocks: Iterable[Sequence[Unit]]
) -> Iterator[list[tuple[Unit, Answers]]]:
    """Answers of one candidate, as they come.

    Args:
        candidate: the model.
        suite: clips and signals.
        task: the task.
        blocks: units that need judging; those of one clip in one block.

    Yields:
        Finished units with their answers.
    """
    batch = _Batch(candidate, task.sample_rate_hz)
    for block in blocks:
        batch.next_clip()
        for unit in block:
            _hear(batch, unit, suite, task)
            if batch.n_samples >= _SAMPLES_AT_ONCE:
                yield batch.answered()
    if batch.units:
        yield batch.answered()


def _hear(batch: _Batch, unit: Unit, suite: Suite, task: Task) -> None:
    """Put the sounds of a unit into the batch."""
    if unit.clip_id is None:
        batch.add(unit, [b"silence%d" % unit.n_samples], lambda new: [np.zeros(unit.n_samples, np.float32)])
        return
    clip = suite.clip(task.name, unit.clip_id)
    if unit.signal_id is None:
        batch.add(unit, [b"whole"], lambda new: [clip.waveform])
        return
    signal, published = suite.signal(task.name, unit.slug or "", unit.signal_id)
    made = stimuli.of_signal(signal, clip)

    def sounds(new: Sequence[int]) -> list[Waveform]:
        """The signal itself as it was published, the others as they are made."""
        others = iter(stimuli.sounds([made[i] for i in new if i], clip))
        return [next(others) if i else published for i in new]

    batch.add(unit, [stimulus.sound for stimulus in made], sounds)


class _Batch:
    """Sounds that are waiting to be heard, and what was heard on the clip at hand."""

    def __init__(self, candidate: Candidate, sample_rate_hz: int) -> None:
        self.candidate, self.sample_rate_hz = candidate, sample_rate_hz
        self.units: list[Unit] = []
        self.n_samples = 0
        self._waveforms: list[Waveform] = []
        self._slots: list[list[int | Answers]] = []
        """For each unit and stimulus the number of its sound, or the answer to it."""
        self._on_clip: dict[bytes, int | Answers] = {}

    def next_clip(self) -> None:
        self._on_clip = {}

    def add(self, unit: Unit, names: Sequence[bytes], sounds: _Sounds) -> None:
        """Take in a unit.

        Args:
            unit: the unit.
            names: of its stimuli; the same for what sounds the same.
            sounds: makes the waveforms of some of them, by index.
        """
        new = [i for i, name in enumerate(names) if name not in self._on_clip and name not in names[:i]]
        for i, waveform in zip(new, sounds(new), strict=True):
            self._on_clip[names[i]] = len(self._waveforms)
            self._waveforms.append(waveform)
            self.n_samples += len(waveform)
        self.units.append(unit)
        self._slots.append([self._on_clip[name] for name in names])

    def answered(self) -> list[tuple[Unit, Answers]]:
        """Hear everything that is waiting."""
        rows: list[Answers] = []
        if self._waveforms:
            logits = self.candidate.logits(self._waveforms, self.sample_rate_hz)
            facts = self.candidate.facts
            received = np.array(
                [seen(x, self.sample_rate_hz, facts) for x in self._waveforms], dtype=np.float32
            )
            rows = list(np.hstack([logits, received]).astype(np.float32))

        def of(slot: int | Answers) -> Answers:
            return rows[slot] if isinstance(slot, int) else slot

        found = [
            (unit, np.stack([of(slot) for slot in slots]))
            for unit, slots in zip(self.units, self._slots, strict=True)
        ]
        self._on_clip = {name: of(slot) for name, slot in self._on_clip.items()}
        self.units, self._slots, self._waveforms, self.n_samples = [], [], [], 0
        return found


class _Sounds(Protocol):
    def __call__(self, new: Sequence[int], /) -> list[Waveform]: ...


def verdict_table(
    units: Sequence[Unit], answers: Mapping[str, Answers], label_map: LabelMap, task: Task
) -> pa.Table:
    """Answers as verdicts: a table of `schema.VERDICTS`.

    Args:
        units: in the order in which their verdicts are to stand; each has an answer.
        answers: by content of the unit.
        label_map: how the model's classes are read.
        task: the task.
    """
    counts = [len(unit.stimuli) for unit in units]
    of_row = np.repeat(np.arange(len(units)), counts)

    def each(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        """A value of each unit, as often as it has rows."""
        return pa.array(values, kind).take(pa.array(of_row))

    said = np.concatenate([answers[unit.content] for unit in units])
    logits, received = said[:, :-2].astype(np.float64), said[:, -2:]
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p_raw = shifted / shifted.sum(axis=1, keepdims=True)
    means = np.array([[c == label for label in task.labels] for c in label_map.canonical], dtype=np.float64)
    p = (p_raw @ means).astype(np.float32)
    top = pa.array(logits.argmax(axis=1))
    index = {label: i for i, label in enumerate(task.labels)}
    expected = np.array([-1 if u.expected is None else index[u.expected] for u in units])[of_row]
    p_expected = pa.array(p[np.arange(len(p)), expected], mask=expected < 0)
    stimuli_ = [stimulus for unit in units for stimulus in unit.stimuli]
    text = pa.string()
    columns = {
        "task": pa.repeat(pa.scalar(task.name), len(p)),
        "reference": each([unit.reference for unit in units], text),
        "family": each([unit.family for unit in units], text),
        "level": pa.array([level for _, level in stimuli_], pa.int32()),
        "clip_id": each([unit.clip_id for unit in units], text),
        "signal_id": each([unit.signal_id for unit in units], text),
        "stimulus": pa.array([name for name, _ in stimuli_], text),
        "n_samples": each([unit.n_samples for unit in units], pa.int32()),
        "truth": each([unit.truth for unit in units], text),
        "expected": each([unit.expected for unit in units], text),
        "predicted_raw": pa.array(label_map.names, text).take(top),
        "predicted": pa.array(label_map.canonical, text).take(top),
        "p_expected": p_expected,
        "p": pa.ListArray.from_arrays(np.arange(len(p) + 1, dtype=np.int32) * p.shape[1], p.ravel()),
        "seconds_seen": received[:, 0],
        "energy_seen": received[:, 1],
    }
    return pa.table(columns, schema=schema.VERDICTS)


def seen(waveform: Waveform, sample_rate_hz: int, facts: ModelFacts) -> tuple[float, float]:
    """What of a stimulus reaches the model: "never heard it" is not "rejected it".

    Args:
        waveform: (n_samples,).
        sample_rate_hz: its rate.
        facts: window and rate of the model.

    Returns:
        seconds inside the window; share of the energy inside the window and below the model's Nyquist
        frequency, 1 for silence.
    """
    whole = len(waveform) / sample_rate_hz
    seconds = whole if facts.window_seconds is None else min(whole, facts.window_seconds)
    if seconds == whole and facts.sample_rate_hz >= sample_rate_hz:
        return seconds, 1.0
    total = float(np.square(waveform, dtype=np.float64).sum())
    waveform = waveform[: round(seconds * sample_rate_hz)]
    if total == 0:
        return seconds, 1.0
    if facts.sample_rate_hz >= sample_rate_hz:
        return seconds, float(np.square(waveform, dtype=np.float64).sum()) / total
    energy = spectra.bin_energy(spectra.spectrum(waveform), len(waveform))
    frequencies = np.arange(len(energy)) * sample_rate_hz / len(waveform)
    return seconds, min(1.0, float(energy[frequencies <= facts.sample_rate_hz / 2].sum()) / total)
