"""Transfer: one candidate judges units of a suite, and its answers become verdicts.

Units come clip by clip and are judged in batches of a bounded number of samples, so that memory does not grow
with the suite; the sounds of a batch are made while the model answers the one before. What sounds the same on
one clip is asked once. Degenerate signals are not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.dataset import completed, parquet_schema
from harness.dataset.suites import Suite
from harness.domains import fft
from harness.evaluation import stimuli
from harness.evaluation.units import Unit
from harness.model_facts import ModelFacts, window_start
from harness.tasks import Task
from harness.types import LabelMap, Waveform


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


@lru_cache(maxsize=1024)
def share_keys(keys: tuple[stimuli.Key, ...]) -> tuple[stimuli.Key, ...]:
    """The same keys, in one tuple for all units that have them: there are few kinds of units."""
    return keys


_SAMPLES_AT_ONCE = 1 << 22
"""Samples of stimuli held at a time: 16 MiB of float32."""


class Candidate(Protocol):
    """What judging needs of a model; `classifiers.Classifier` is one, a toy in a test another."""

    @property
    def facts(self) -> ModelFacts:
        """What it is."""
        ...

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """(n_samples,) waveforms -> (n, n_classes)."""
        ...


Choice = Callable[[Unit, Sequence[stimuli.Key]], Sequence[int]]
"""Which stimuli of a unit are judged, by index; a unit of which none are is left out."""


def _all(unit: Unit, keys: Sequence[stimuli.Key]) -> Sequence[int]:
    return range(len(keys))


def judge(
    candidate: Candidate, suite: Suite, task: Task, blocks: Iterable[Sequence[Unit]], choice: Choice = _all
) -> Iterator[list[tuple[Unit, Answers]]]:
    """Finished units with their answers, as they come.

    The blocks hold units that need judging, those of one clip in one block.
    """
    rows: dict[int, _Row] = {}
    for batch in _prefetch(_batches(candidate, suite, task, blocks, choice)):
        rows = {number: row for number, row in rows.items() if number >= batch.oldest}
        rows |= _ask(candidate, batch.waveforms, task.sample_rate_hz, batch.first)
        yield batch.answers(rows)


def _batches(
    candidate: Candidate, suite: Suite, task: Task, blocks: Iterable[Sequence[Unit]], choice: Choice
) -> Iterator[_Batch]:
    """The sounds of all units, a bounded number of samples at a time; made where the candidate runs."""
    batch = _Batch(0, {})
    for block in blocks:
        batch.next_clip()
        for unit in block:
            _add(batch, unit, candidate, suite, task, choice)
            if batch.n_samples >= _SAMPLES_AT_ONCE:
                yield batch
                batch = batch.next_batch()
    if batch.units:
        yield batch


def _prefetch(batches: Iterator[_Batch]) -> Iterator[_Batch]:
    """The same batches; while one is in use, the next is made in a thread."""
    with ThreadPoolExecutor(1, "sounds") as thread:
        future = thread.submit(next, batches, None)
        while batch := future.result():
            future = thread.submit(next, batches, None)
            yield batch


def _ask(
    candidate: Candidate, waveforms: Sequence[Waveform], sample_rate_hz: int, first: int
) -> dict[int, _Row]:
    """A model's answers to sounds, by number, counted from `first`."""
    if not waveforms:
        return {}
    logits = candidate.logits(waveforms, sample_rate_hz).astype(np.float32)
    facts = candidate.facts
    visible = np.array([visible_part(x, sample_rate_hz, facts) for x in waveforms], dtype=np.float32)
    return dict(enumerate(zip(logits, visible, strict=True), first))


def _add(batch: _Batch, unit: Unit, candidate: Candidate, suite: Suite, task: Task, choice: Choice) -> None:

    def add(keys: Sequence[stimuli.Key], names: Sequence[bytes], sounds: _Sounds) -> None:
        indices = choice(unit, keys)
        if indices:
            sound_names = [names[i] for i in indices]
            batch.add(
                unit, [keys[i] for i in indices], sound_names, lambda new: sounds([indices[i] for i in new])
            )

    if unit.clip_id is None:
        silence = np.zeros(unit.n_samples, np.float32)
        add([("silence", None, None)], [b"silence%d" % unit.n_samples], lambda new: [silence] * len(new))
        return
    clip = suite.clip(task.name, unit.clip_id)
    if unit.signal_id is None:
        add([("whole", None, None)], [b"whole"], lambda new: [clip.waveform] * len(new))
        return
    signal, signal_waveform = suite.signal(task.name, unit.slug or "", unit.signal_id)
    clip_of = partial(suite.clip, task.name)
    rest = completed.rest_of(signal, clip, clip_of)
    signal_stimuli = stimuli.of_signal(signal, clip, [clip_of(other) for other in unit.others], rest)

    def sounds(new: Sequence[int]) -> list[Waveform]:
        """The signal itself as it was published, the others as they are made."""
        listener = candidate if rest is None else None
        others = iter(stimuli.sounds([signal_stimuli[i] for i in new if i], listener))
        return [next(others) if i else signal_waveform for i in new]

    add(
        [stimulus.key for stimulus in signal_stimuli], [stimulus.sound for stimulus in signal_stimuli], sounds
    )


class _Batch:
    """Sounds to be asked together, numbered through all batches, and the units that they belong to."""

    def __init__(self, first: int, on_clip: dict[bytes, int]) -> None:
        """Start empty.

        Args:
            first: number of its first sound.
            on_clip: numbers of the sounds of the clip at hand that earlier batches hold.
        """
        self.first = first
        self.oldest = min(on_clip.values(), default=first)
        """The lowest number whose answer a unit of this batch or of a later one may need."""
        self.units: list[Unit] = []
        self.waveforms: list[Waveform] = []
        self.n_samples = 0
        self._keys: list[Sequence[stimuli.Key]] = []
        self._numbers: list[list[int]] = []
        self._on_clip = on_clip

    def next_batch(self) -> _Batch:
        """An empty batch that goes on where this one ends."""
        return _Batch(self.first + len(self.waveforms), self._on_clip.copy())

    def next_clip(self) -> None:
        self._on_clip = {}

    def add(self, unit: Unit, keys: Sequence[stimuli.Key], names: Sequence[bytes], sounds: _Sounds) -> None:
        """Take in a unit with keys and names of its stimuli; the name is the same for what sounds the same.

        `sounds` makes the waveforms of some of them, by index.
        """
        new = [i for i, name in enumerate(names) if name not in self._on_clip and name not in names[:i]]
        for i, waveform in zip(new, sounds(new), strict=True):
            self._on_clip[names[i]] = self.first + len(self.waveforms)
            self.waveforms.append(waveform)
            self.n_samples += len(waveform)
        self.units.append(unit)
        self._keys.append(keys)
        self._numbers.append([self._on_clip[name] for name in names])

    def answers(self, rows: Mapping[int, _Row]) -> list[tuple[Unit, Answers]]:
        """The units with their answers, given the answer to each sound by its number."""

        def of(keys: Sequence[stimuli.Key], numbers: Sequence[int]) -> Answers:
            logits, visible = zip(*(rows[number] for number in numbers), strict=True)
            return Answers(share_keys(tuple(keys)), np.stack(logits), np.stack(visible))

        return [
            (unit, of(keys, numbers))
            for unit, keys, numbers in zip(self.units, self._keys, self._numbers, strict=True)
        ]


_Row = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits of one sound, and what was seen of it."""


class _Sounds(Protocol):
    def __call__(self, new: Sequence[int], /) -> list[Waveform]: ...


def verdict_table(
    units: Sequence[Unit], answers: Mapping[str, Answers], label_map: LabelMap, task: Task
) -> pa.Table:
    """Answers, by content of the unit, as verdicts: a table of `parquet_schema.VERDICTS`.

    The units are in the order in which their verdicts are to stand; each has an answer.
    """
    unit_answers = [answers[unit.content] for unit in units]
    unit_index = np.repeat(np.arange(len(units)), [len(item.stimuli) for item in unit_answers])
    keys: dict[stimuli.Key, int] = {}
    key_index = np.fromiter(
        (keys.setdefault(key, len(keys)) for item in unit_answers for key in item.stimuli), np.int64
    )
    names, levels, replicates = zip(*keys, strict=True)

    def per_row(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        """A value of each unit, as often as it has rows."""
        return pa.array(values, kind).take(pa.array(unit_index))

    def per_key(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
        """A value of each kind of stimulus, at each row."""
        return pa.array(values, kind).take(pa.array(key_index))

    logits = np.concatenate([item.logits for item in unit_answers]).astype(np.float64)
    visible = np.concatenate([item.seen for item in unit_answers])
    top = pa.array(logits.argmax(axis=1))
    logits -= logits.max(axis=1, keepdims=True)  # in place: they are of a whole suite
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    class_is_label = np.array(
        [[c == label for label in task.labels] for c in label_map.canonical], dtype=np.float64
    )
    p = _round((logits @ class_is_label).astype(np.float32))
    index = {label: i for i, label in enumerate(task.labels)}
    expected = np.array([-1 if u.expected is None else index[u.expected] for u in units])[unit_index]
    p_expected = pa.array(p[np.arange(len(p)), expected], mask=expected < 0)
    # Of a `swap` the clip that it was made of, by its place among those of all units.
    is_swap = np.array([name == "swap" for name in names])[key_index]
    first = np.cumsum([0, *(len(unit.others) for unit in units)])[unit_index]
    other = first + np.array([k or 0 for k in replicates])[key_index]
    other_n_samples = np.array([*(n for unit in units for n in unit.other_n_samples), 0])
    n_samples = np.array([unit.n_samples for unit in units])[unit_index]
    n_samples[is_swap] = other_n_samples[other[is_swap]]
    other_clips = pa.array([*(clip_id for unit in units for clip_id in unit.others), None], pa.string())
    text = pa.string()
    columns = {
        "task": pa.repeat(pa.scalar(task.name), len(p)),
        "reference": per_row([unit.reference for unit in units], text),
        "family": per_row([unit.family for unit in units], text),
        "draw": per_row([unit.draw for unit in units], pa.int32()),
        "level": per_key(levels, pa.int32()),
        "clip_id": per_row([unit.clip_id for unit in units], text),
        "signal_id": per_row([unit.signal_id for unit in units], text),
        "stimulus": per_key(names, text),
        "replicate": per_key(replicates, pa.int32()),
        "other_clip": other_clips.take(pa.array(other, mask=~is_swap)),
        "n_samples": pa.array(n_samples, pa.int32()),
        "truth": per_row([unit.truth for unit in units], text),
        "expected": per_row([unit.expected for unit in units], text),
        "predicted_raw": pa.array(label_map.names, text).take(top),
        "predicted": pa.array(label_map.canonical, text).take(top),
        "p_expected": p_expected,
        "p": pa.ListArray.from_arrays(np.arange(len(p) + 1, dtype=np.int32) * p.shape[1], p.ravel()),
        "seconds_seen": visible[:, 0],
        "energy_seen": visible[:, 1],
        "robust": per_row([unit.robust for unit in units], pa.bool_()),
    }
    return pa.table(columns, schema=parquet_schema.VERDICTS)


def _round(p: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities to twelve bits after the leading one: further ones are a machine's own."""
    bits = p.view(np.uint32)
    result = (bits + np.uint32(1 << 10)) & np.uint32(0xFFFFF800)
    return np.asarray(result.view(np.float32))


def visible_part(waveform: Any, sample_rate_hz: int, facts: ModelFacts) -> tuple[float, float]:
    """How much of a stimulus, (n_samples,), reaches the model.

    Returns:
        seconds inside the window; share of the energy inside the window and below the model's Nyquist
        frequency, 1 for silence.
    """
    length = len(waveform) / sample_rate_hz
    seconds = length if facts.window_seconds is None else min(length, facts.window_seconds)
    if seconds == length and facts.sample_rate_hz >= sample_rate_hz:
        return seconds, 1.0
    if not isinstance(waveform, np.ndarray):  # made where the model runs
        waveform = waveform.cpu().numpy()
    total = float(np.square(waveform, dtype=np.float64).sum())
    n_inside = round(seconds * sample_rate_hz)
    start = window_start(len(waveform), n_inside, facts.window_at)
    waveform = waveform[start : start + n_inside]
    if total == 0:
        return seconds, 1.0
    if facts.sample_rate_hz >= sample_rate_hz:
        return seconds, float(np.square(waveform, dtype=np.float64).sum()) / total
    energy = fft.bin_energy(fft.spectrum(waveform), len(waveform))
    frequencies = np.arange(len(energy)) * sample_rate_hz / len(waveform)
    return seconds, min(1.0, float(energy[frequencies <= facts.sample_rate_hz / 2].sum()) / total)
