"""Transfer: one candidate judges units of a suite, and its answers become verdicts.

Units come clip by clip and are judged in batches of a bounded number of samples, so that memory does not grow
with the suite. What sounds the same on one clip is asked once. Degenerate signals are not judged.

Public: judge, verdict_table, seen, Answers, Candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model answered to the stimuli of a unit."""

    stimuli: tuple[stimuli.Key, ...]
    """Each stimulus, in the order in which its verdict is to stand."""
    logits: NDArray[np.float32]
    """(n_stimuli, n_classes)."""
    seen: NDArray[np.float32]
    """(n_stimuli, 2) seconds inside the model's window; share of the energy inside it and below the model's
    Nyquist frequency."""


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
        silence = np.zeros(unit.n_samples, np.float32)
        batch.add(unit, [("silence", None, None)], [b"silence%d" % unit.n_samples], lambda new: [silence])
        return
    clip = suite.clip(task.name, unit.clip_id)
    if unit.signal_id is None:
        batch.add(unit, [("whole", None, None)], [b"whole"], lambda new: [clip.waveform])
        return
    signal, published = suite.signal(task.name, unit.slug or "", unit.signal_id)
    made = stimuli.of_signal(signal, clip, [suite.clip(task.name, other) for other in unit.others])

    def sounds(new: Sequence[int]) -> list[Waveform]:
        """The signal itself as it was published, the others as they are made."""
        others = iter(stimuli.sounds([made[i] for i in new if i]))
        return [next(others) if i else published for i in new]

    batch.add(unit, [stimulus.key for stimulus in made], [stimulus.sound for stimulus in made], sounds)


class _Batch:
    """Sounds that are waiting to be heard, and what was heard on the clip at hand."""

    def __init__(self, candidate: Candidate, sample_rate_hz: int) -> None:
        self.candidate, self.sample_rate_hz = candidate, sample_rate_hz
        self.units: list[Unit] = []
        self.n_samples = 0
        self._waveforms: list[Waveform] = []
        self._keys: list[Sequence[stimuli.Key]] = []
        self._slots: list[list[int | _Row]] = []
        """For each unit and stimulus the number of its sound, or the answer to it."""
        self._on_clip: dict[bytes, int | _Row] = {}

    def next_clip(self) -> None:
        self._on_clip = {}

    def add(self, unit: Unit, keys: Sequence[stimuli.Key], names: Sequence[bytes], sounds: _Sounds) -> None:
        """Take in a unit.

        Args:
            unit: the unit.
            keys: of its stimuli.
            names: of its stimuli; the same for what sounds the same.
            sounds: makes the waveforms of some of them, by index.
        """
        new = [i for i, name in enumerate(names) if name not in self._on_clip and name not in names[:i]]
        for i, waveform in zip(new, sounds(new), strict=True):
            self._on_clip[names[i]] = len(self._waveforms)
            self._waveforms.append(waveform)
            self.n_samples += len(waveform)
        self.units.append(unit)
        self._keys.append(keys)
        self._slots.append([self._on_clip[name] for name in names])

    def answered(self) -> list[tuple[Unit, Answers]]:
        """Hear everything that is waiting."""
        rows: list[_Row] = []
        if self._waveforms:
            logits = self.candidate.logits(self._waveforms, self.sample_rate_hz)
            facts = self.candidate.facts
            received = np.array(
                [seen(x, self.sample_rate_hz, facts) for x in self._waveforms], dtype=np.float32
            )
            rows = list(zip(logits.astype(np.float32), received, strict=True))

        def of(slot: int | _Row) -> _Row:
            return rows[slot] if isinstance(slot, int) else slot

        def answers(keys: Sequence[stimuli.Key], slots: Sequence[int | _Row]) -> Answers:
            logits, received = zip(*map(of, slots), strict=True)
            return Answers(tuple(keys), np.stack(logits), np.stack(received))

        answered = [
            (unit, answers(keys, slots))
            for unit, keys, slots in zip(self.units, self._keys, self._slots, strict=True)
        ]
        self._on_clip = {name: of(slot) for name, slot in self._on_clip.items()}
        self.units, self._keys, self._slots, self._waveforms, self.n_samples = [], [], [], [], 0
        return answered


_Row = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits of one sound, and what was seen of it."""


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
    of_units = [answers[unit.content] for unit in units]
    of_row = np.repeat(np.arange(len(units)), [len(of_unit.stimuli) for of_unit in of_units])
    unit_of = [units[i] for i in of_row.tolist()]

    def each(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        """A value of each unit, as often as it has rows."""
        return pa.array(values, kind).take(pa.array(of_row))

    logits = np.concatenate([of_unit.logits for of_unit in of_units]).astype(np.float64)
    received = np.concatenate([of_unit.seen for of_unit in of_units])
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    p_raw = shifted / shifted.sum(axis=1, keepdims=True)
    means = np.array([[c == label for label in task.labels] for c in label_map.canonical], dtype=np.float64)
    p = _rounded((p_raw @ means).astype(np.float32))
    top = pa.array(logits.argmax(axis=1))
    index = {label: i for i, label in enumerate(task.labels)}
    expected = np.array([-1 if u.expected is None else index[u.expected] for u in units])[of_row]
    p_expected = pa.array(p[np.arange(len(p)), expected], mask=expected < 0)
    names, levels, replicates = zip(*(key for of_unit in of_units for key in of_unit.stimuli), strict=True)
    swapped = [
        (unit.others[k or 0], unit.other_n_samples[k or 0]) if name == "swap" else None
        for unit, name, k in zip(unit_of, names, replicates, strict=True)
    ]
    others = [None if swap is None else swap[0] for swap in swapped]
    n_samples = [unit.n_samples if s is None else s[1] for unit, s in zip(unit_of, swapped, strict=True)]
    text = pa.string()
    columns = {
        "task": pa.repeat(pa.scalar(task.name), len(p)),
        "reference": each([unit.reference for unit in units], text),
        "family": each([unit.family for unit in units], text),
        "draw": each([unit.draw for unit in units], pa.int32()),
        "level": pa.array(levels, pa.int32()),
        "clip_id": each([unit.clip_id for unit in units], text),
        "signal_id": each([unit.signal_id for unit in units], text),
        "stimulus": pa.array(names, text),
        "replicate": pa.array(replicates, pa.int32()),
        "other_clip": pa.array(others, text),
        "n_samples": pa.array(n_samples, pa.int32()),
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


def _rounded(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities to twelve bits after the leading one: further ones are a machine's own."""
    bits = p.view(np.uint32)
    rounded = (bits + np.uint32(1 << 10)) & np.uint32(0xFFFFF800)
    return np.asarray(rounded.view(np.float32))


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
