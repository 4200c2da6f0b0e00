"""What a rule added to a model buys: its verdicts are known, and what it would have heard is made again.

Conventions: rows are the sounds behind the lift, the signals of the headline family and their `swap`
controls. A rule that says OTHER of some sounds is an array of bool over rows, true where the model is still
believed. Tables are (n_clips, n_references), a row for each whole clip of the task in order of its id.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.dataset.clip_cache import spectrum_of
from harness.dataset.suites import Suite
from harness.domains import fft
from harness.evaluation import stimuli
from harness.evaluation.units import units_of
from harness.metrics.estimates import ClipWeights, clustered, mean_of_references, paired_difference
from harness.metrics.likeness import copies
from harness.metrics.scorecard import lift_by_clip, resampling_weights
from harness.schemas import Entry
from harness.types import Estimate, FloatArray, ModelRef, Waveform
from tests.helpers.families import FAMILIES

FEATURES = ("centroid", "energy", "n_bins", "flatness")
"""What a gate can look at: spectral centroid in Hz; energy; occupied bins; spectral flatness over these."""

_KEY = ["signal_id", "stimulus", "replicate"]
_SILENT = 1e-10
"""Share of a sound's loudest bin below which a bin is not occupied."""


@dataclass(frozen=True, eq=False)
class Sounds:
    """The sounds behind the lift on one task."""

    rows: pd.DataFrame
    """signal_id, stimulus, replicate, clip_id, reference, expected; FEATURES."""
    clip_ids: tuple[str, ...]
    """Whole clips, sorted."""

    def lift_table(self, accepted: FloatArray, references: Sequence[str]) -> FloatArray:
        """(n_clips, n_references) paired differences of a model.

        Args:
            accepted: (n_rows,) NaN where the model does not know the class.
            references: repo_ids.
        """
        frame = self.rows[["signal_id", "clip_id", "reference"]].assign(accepted=accepted)
        is_signal = (self.rows["stimulus"] == "signal").to_numpy()
        signal = frame[is_signal].set_index("signal_id")
        swap = frame[~is_signal].groupby("signal_id")["accepted"].mean()
        difference = signal.assign(lift=signal["accepted"] - swap.reindex(signal.index))
        table = difference.groupby(["clip_id", "reference"])["lift"].mean().unstack()
        return table.reindex(index=list(self.clip_ids), columns=list(references)).to_numpy(dtype=np.float64)


def sounds_of(
    suite: Suite,
    task: str,
    clip_ids: Collection[str] | None = None,
    *,
    only_first: bool = False,
    hear: Callable[[list[Waveform]], None] | None = None,
) -> Sounds:
    """Make the sounds behind the lift, of all clips or of some, and measure them.

    Args:
        suite: clips and signals.
        task: a task of it.
        clip_ids: whose signals; None for all.
        only_first: the first extraction of each clip alone.
        hear: given the waveforms of each signal and its controls, in order of the rows.
    """
    of_task = suite.task(task)
    rows = []
    for unit in units_of(suite, of_task):
        if unit.family != FAMILIES[0] or unit.signal_id is None or unit.clip_id is None:
            continue
        if (clip_ids is not None and unit.clip_id not in clip_ids) or (only_first and unit.draw != 1):
            continue
        signal, _ = suite.signal(task, unit.slug or "", unit.signal_id)
        others = [suite.clip(task, other) for other in unit.others]
        every = stimuli.of_signal(signal, suite.clip(task, unit.clip_id), others)
        some = [stimulus for stimulus in every if stimulus.name in ("signal", "swap")]
        if hear is not None:
            hear(stimuli.sounds(some))
        for stimulus in some:
            about = (unit.signal_id, stimulus.name, stimulus.replicate, unit.clip_id, unit.reference)
            rows.append((*about, unit.expected, *_features(stimulus, of_task.sample_rate_hz)))
    columns = [*_KEY, "clip_id", "reference", "expected", *FEATURES]
    frame = pd.DataFrame(rows, columns=columns).astype({"replicate": "Int32"})
    every_clip = tuple(sorted(line.clip_id for line in suite.clip_lines(task)))
    return Sounds(frame, every_clip)


def _features(stimulus: stimuli.Stimulus, sample_rate_hz: int) -> tuple[float, float, int, float]:
    n = len(stimulus.clip.waveform)
    power = fft.bin_energy(spectrum_of(stimulus.clip), n) * stimulus.mask * stimulus.gain**2
    total = float(power.sum())
    if total == 0:
        return 0.0, 0.0, 0, 0.0
    hz = np.arange(len(power)) * sample_rate_hz / n
    loud = power[power > _SILENT * power.max()]
    flatness = float(np.exp(np.log(loud).mean()) / loud.mean())
    return float((hz * power).sum() / total), total, len(loud), flatness


@dataclass(frozen=True, eq=False)
class Judge:
    """A model whose verdicts on the sounds are known."""

    entry: Entry
    """Who it is."""
    sounds: Sounds
    """What it judged."""
    references: tuple[str, ...]
    """Those that count in its lift."""
    accepted: FloatArray
    """(n_rows,) of the sounds; NaN where it does not know the class."""
    weights: ClipWeights
    """(draws, n_clips) of the task."""

    @property
    def table(self) -> FloatArray:
        """Its paired differences."""
        return self.sounds.lift_table(self.accepted, self.references)

    def believing(self, trust: NDArray[np.bool_]) -> FloatArray:
        """The table where it says OTHER of all sounds that are not believed."""
        gated = np.where(np.isnan(self.accepted), np.nan, np.where(trust, self.accepted, 0.0))
        return self.sounds.lift_table(gated, self.references)

    def rise(self, trust: NDArray[np.bool_]) -> Estimate:
        """What a rule adds to the lift, with the interval of the paired difference."""
        return paired_difference(self.believing(trust), self.table, self.weights)

    @property
    def shares(self) -> FloatArray:
        """(n_rows,) what acceptance of each sound adds to the lift, which is linear in it."""
        rows = self.sounds.rows.assign(known=~np.isnan(self.accepted))
        is_signal = (rows["stimulus"] == "signal").to_numpy()
        n_swaps = rows[~is_signal].groupby("signal_id").size().reindex(rows["signal_id"]).fillna(0).to_numpy()
        counts = rows["known"].to_numpy() & rows["reference"].isin(self.references).to_numpy() & (n_swaps > 0)
        of_signals = rows[is_signal & counts]
        n_draws = of_signals.groupby(["clip_id", "reference"]).size()
        n_clips = n_draws.groupby("reference").size()
        cells = pd.MultiIndex.from_frame(rows[["clip_id", "reference"]])
        per_signal = 1 / (n_draws.reindex(cells).to_numpy() * n_clips.reindex(rows["reference"]).to_numpy())
        per_sound = per_signal / len(n_clips) * np.where(is_signal, 1, -1 / np.maximum(n_swaps, 1))
        return np.where(counts, per_sound, 0.0)

    def best_gate(self, feature: str) -> tuple[str, float, Estimate]:
        """The gate that gains most on these very sounds, of all there are: direction, threshold, rise.

        A gate says OTHER where a feature is above its threshold, or below it.
        """
        values = self.sounds.rows[feature].to_numpy(dtype=np.float64)
        gains = self.shares * np.nan_to_num(self.accepted)
        best: tuple[float, str, float] = (-np.inf, ">", np.inf)
        for direction, sign in ((">", 1), ("<", -1)):
            order = np.argsort(sign * values, kind="stable")
            lifts = gains[order].cumsum()
            ends = np.flatnonzero(np.diff(values[order], append=np.inf * sign))
            top = ends[lifts[ends].argmax()]
            best = max(best, (float(lifts[top]), direction, float(values[order][top])))
        _, direction, threshold = best
        return direction, threshold, self.rise(gate(values, direction, threshold))


def gate(values: FloatArray, direction: str, threshold: float) -> NDArray[np.bool_]:
    """Where a gate still believes its model, which it does not above (`>`) or below (`<`) its threshold."""
    return values <= threshold if direction == ">" else values >= threshold


def rule_alone(sounds: Sounds, feature: str, above: str, below: str, weights: ClipWeights) -> Estimate:
    """Highest lift of a model that looks at one feature: a class above a threshold and one below it."""
    values = sounds.rows[feature].to_numpy(dtype=np.float64)
    expected = sounds.rows["expected"].to_numpy(dtype=object)
    references = sorted(set(sounds.rows["reference"]))
    tables = [
        sounds.lift_table(
            np.where(values > threshold, expected == above, expected == below).astype(np.float64), references
        )
        for threshold in np.unique(np.quantile(values, np.linspace(0.05, 0.95, 19)))
    ]
    return clustered(max(tables, key=lambda t: mean_of_references(t) or 0.0), weights, "difference")


def judge_of(entry: Entry, verdicts: pd.DataFrame, sounds: Sounds, task: str, suite: Suite) -> Judge:
    """A model by its entry and stored verdicts; the references that count are those of its scorecard."""
    covered = entry.label_map.covered
    known_copies = copies(entry.likeness)
    counting = lift_by_clip(verdicts, FAMILIES[0], entry.references, entry.model, covered, known_copies)
    of_family = (verdicts["family"] == FAMILIES[0]) & verdicts["stimulus"].isin(["signal", "swap"])
    theirs = verdicts.loc[of_family, [*_KEY, "predicted"]].astype({"replicate": "Int32"})
    rows = sounds.rows[_KEY].merge(theirs, on=_KEY, how="left", validate="1:1")
    said = rows["predicted"].to_numpy(dtype=object)
    if pd.isna(said).any():
        raise ValueError("there are sounds without a verdict")
    accepted = (said == sounds.rows["expected"].to_numpy(dtype=object)).astype(np.float64)
    accepted[~sounds.rows["expected"].isin(sorted(covered)).to_numpy()] = np.nan
    weights = resampling_weights(verdicts, suite.task(task))
    return Judge(entry, sounds, tuple(map(str, counting.columns)), accepted, weights)


def lift_of(table: FloatArray, weights: ClipWeights) -> Estimate:
    """A lift with its interval."""
    return clustered(table, weights, "difference")


def stranger(model: ModelRef) -> ModelRef:
    """A model that is no reference."""
    return dataclasses.replace(model, repo_id="local/stranger", weights_sha256="0" * 64)
