"""Transfer: one candidate judges every stimulus of a suite.

A unit of work is a whole clip, a silence of one length, or a signal with its controls. Units are judged in
batches and handed over as they come, so that a run that was cut off continues with those that are missing.
Stimuli are made here and nowhere else: the signal as published, its controls and its further levels from the
clip's own spectrum, the controls seeded by the signal's id. Degenerate signals are not judged.

Public: judge, n_units, controls, further_levels, Unit, Stimulus, Candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from harness import spectra
from harness.dataset.signals import Suite, spectrum_of
from harness.records import N_LEVELS, Clip, LabelMap, ModelFacts, SufficientSignal, Verdict, Waveform
from harness.seeds import generator
from harness.tasks import Task

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


class Stimulus(NamedTuple):
    """A sound to judge."""

    name: str
    """One of STIMULI."""
    waveform: Waveform
    level: int | None = None
    """As in `records.Verdict`."""


@dataclass(frozen=True, eq=False)
class Unit:
    """What is judged together and finished together."""

    key: str
    """`whole:<clip_id>`, `silence:<n_samples>` or `signal:<signal_id>`."""
    stimuli: tuple[Stimulus, ...] = field(repr=False)
    clip: Clip | None = None
    signal: SufficientSignal | None = None


def n_units(suite: Suite, task: Task) -> int:
    """Number of units of a task: what a progress bar counts to."""
    clips = suite.clips(task.name).values()
    signals = sum(c.n_signals - c.n_degenerate for c in suite.counts(task.name))
    return len(clips) + len({len(c.waveform) for c in clips}) + signals


def judge(
    candidate: Candidate,
    label_map: LabelMap,
    suite: Suite,
    task: Task,
    *,
    done: Collection[str] = (),
    sees: Callable[[int], None] = lambda n: None,
) -> Iterator[list[tuple[str, list[Verdict]]]]:
    """Verdicts of one candidate on one task, as they come.

    Args:
        candidate: the model.
        label_map: how its classes are read.
        suite: clips and signals.
        task: the task.
        done: keys of units that need no judging any more.
        sees: told the number of units after each batch.

    Yields:
        Finished units as (key, verdicts).
    """
    batch: list[Unit] = []
    n_samples = 0
    for unit in _units(suite, task, done):
        batch.append(unit)
        n_samples += sum(len(stimulus.waveform) for stimulus in unit.stimuli)
        if n_samples >= _SAMPLES_AT_ONCE:
            yield _judged(candidate, label_map, task, batch)
            sees(len(batch))
            batch, n_samples = [], 0
    if batch:
        yield _judged(candidate, label_map, task, batch)
        sees(len(batch))


def _units(suite: Suite, task: Task, done: Collection[str]) -> Iterator[Unit]:
    clips = suite.clips(task.name)
    for clip in clips.values():
        if (key := f"whole:{clip.clip_id}") not in done:
            yield Unit(key, (Stimulus("whole", clip.waveform),), clip)
    for length in sorted({len(c.waveform) for c in clips.values()}):
        if (key := f"silence:{length}") not in done:
            yield Unit(key, (Stimulus("silence", np.zeros(length, dtype=np.float32)),))
    for reference in suite.references(task.name):
        for signal, waveform in suite.signals(task.name, reference.model.slug):
            key = f"signal:{signal.signal_id}"
            if not signal.degenerate and key not in done:
                clip = clips[signal.clip_id]
                yield Unit(key, tuple(_stimuli(signal, waveform, clip)), clip, signal)


def _stimuli(signal: SufficientSignal, waveform: Waveform, clip: Clip) -> Iterator[Stimulus]:
    yield Stimulus("signal", waveform, 0 if signal.family == "minimal" else None)
    for name, made in controls(signal, clip):
        yield Stimulus(name, made)
    for level, made in further_levels(signal, clip):
        yield Stimulus("signal", made, level)


def controls(signal: SufficientSignal, clip: Clip) -> Iterator[tuple[str, Waveform]]:
    """The controls of a signal (definitions: Controls), all but silence, which needs no signal."""
    X = spectrum_of(clip)
    energy = spectra.bin_energy(X, signal.n_samples)
    permuted = spectra.permuted(signal.mask, generator("permuted", signal.signal_id))
    masks = np.stack([permuted, spectra.largest(energy, signal.n_kept), ~signal.mask])
    kept = spectra.keep(X, masks, signal.n_samples)
    yield "permuted", kept[0]
    yield "largest", kept[1]
    gain = spectra.equal_energy_gain(energy, signal.mask, permuted)
    yield "permuted_equal_energy", (kept[0] * gain).astype(np.float32)
    yield "complement", kept[2]


def further_levels(signal: SufficientSignal, clip: Clip) -> Iterator[tuple[int, Waveform]]:
    """Levels 1 and above of a signal (definitions: Levels); none where it has no levels."""
    if signal.levels is None:
        return
    steps = np.arange(1, N_LEVELS)
    kept = spectra.keep(spectrum_of(clip), signal.levels <= steps[:, None], signal.n_samples)
    yield from zip(steps.tolist(), kept, strict=True)


def _judged(
    candidate: Candidate, label_map: LabelMap, task: Task, units: Sequence[Unit]
) -> list[tuple[str, list[Verdict]]]:
    waveforms = [stimulus.waveform for unit in units for stimulus in unit.stimuli]
    rows = iter(candidate.logits(waveforms, task.sample_rate_hz))
    return [
        (unit.key, [_verdict(candidate.facts, label_map, task, unit, s, next(rows)) for s in unit.stimuli])
        for unit in units
    ]


def _verdict(
    facts: ModelFacts,
    label_map: LabelMap,
    task: Task,
    unit: Unit,
    stimulus: Stimulus,
    logits: NDArray[np.float32],
) -> Verdict:
    signal, clip = unit.signal, unit.clip
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    p_raw = shifted / shifted.sum()
    canonical = np.array(label_map.canonical)
    p = {label: float(p_raw[canonical == label].sum()) for label in task.labels}
    top = int(np.argmax(logits))
    seconds, energy = seen(stimulus.waveform, task.sample_rate_hz, facts)
    return Verdict(
        task=task.name,
        reference=signal.reference if signal else None,
        family=signal.family if signal else None,
        level=stimulus.level,
        clip_id=clip.clip_id if clip else None,
        signal_id=signal.signal_id if signal else None,
        stimulus=stimulus.name,
        n_samples=len(stimulus.waveform),
        truth=clip.label if clip else None,
        expected=signal.expected if signal else None,
        predicted_raw=label_map.names[top],
        predicted=label_map.canonical[top],
        p_expected=p[signal.expected] if signal else None,
        p=tuple(p.values()),
        seconds_seen=seconds,
        energy_seen=energy,
    )


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
