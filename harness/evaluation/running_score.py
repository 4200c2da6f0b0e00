"""Estimates while answers come in: the numbers that the scorecard would give if no more came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.evaluation.predict import Answers
from harness.evaluation.units import Unit
from harness.metrics.estimates import clip_weights, clustered
from harness.metrics.panels import METRICS
from harness.schemas import ReferenceCounts
from harness.types import Estimate, FloatArray, LabelMap, ModelRef


@dataclass(frozen=True)
class Snapshot:
    """Estimates of the headline family, over the references that are not the candidate."""

    transfer: Estimate
    swap: Estimate
    lift: Estimate
    n_clips: int
    """Clips heard so far."""


class RunningScore:
    """What has been accepted so far of the headline family, (n_clips, n_references) per stimulus."""

    def __init__(
        self,
        units: Sequence[Unit],
        references: Sequence[ReferenceCounts],
        candidate: ModelRef,
        label_map: LabelMap,
        headline: str,
    ) -> None:
        """Begin with nothing heard, of units whose signals are of these references."""
        self._headline = headline
        others = [
            r.model.repo_id
            for r in references
            if r.family == headline and r.model.weights_sha256 != candidate.weights_sha256
        ]
        self._column = {name: j for j, name in enumerate(others)}
        clip_ids = sorted({unit.clip_id for unit in units if unit.clip_id is not None})
        self._row = {clip_id: i for i, clip_id in enumerate(clip_ids)}
        self._canonical = np.array(label_map.canonical, dtype=object)
        self._covered = label_map.covered
        shape = (len(clip_ids), len(others))
        self._sums = {name: np.zeros(shape) for name in ("signal", "swap")}
        self._counts = {name: np.zeros(shape, dtype=np.int64) for name in ("signal", "swap")}
        self._is_heard = np.zeros(len(clip_ids), dtype=bool)
        self._task = label_map.task

    def learn(self, unit: Unit, answers: Answers) -> None:
        """Take in the answers to a unit."""
        if unit.signal_id is None and unit.clip_id is not None:
            self._is_heard[self._row[unit.clip_id]] = True
        if unit.family != self._headline or unit.reference not in self._column:
            return
        if unit.expected not in self._covered:
            return
        at = self._row[unit.clip_id or ""], self._column[unit.reference]
        labels = self._canonical[answers.logits.argmax(axis=1)]
        for (name, _, _), label in zip(answers.stimuli, labels, strict=True):
            if name in self._sums:
                self._sums[name][at] += label == unit.expected
                self._counts[name][at] += 1

    @property
    def n_clips(self) -> int:
        """Clips with a signal that was heard."""
        return int((self._counts["signal"] > 0).any(axis=1).sum())

    def now(self) -> Snapshot:
        """The current estimates; clips that were not heard are resampled with the others, to no effect."""
        signal, swap = self._rates()
        weights = clip_weights(len(self._row), (self._task,))

        def estimate(name: str, values: FloatArray) -> Estimate:
            return clustered(values, weights, METRICS[name].kind)

        return Snapshot(
            transfer=estimate("transfer", signal),
            swap=estimate("swap", swap),
            lift=estimate("lift", _counting(signal - swap)),
            n_clips=self.n_clips,
        )

    def lift_of_heard(self) -> Estimate:
        """The lift as a scorecard would state it now: of the clips that were heard alone.

        It takes a set of resampled clips of its own, and is not for every look at the progress.
        """
        signal, swap = self._rates()
        weights = clip_weights(int(self._is_heard.sum()), (self._task,))
        return clustered(_counting(signal - swap)[self._is_heard], weights, METRICS["lift"].kind)

    def _rates(self) -> tuple[FloatArray, FloatArray]:
        """Acceptance of signals and of `swap` controls, (n_clips, n_references); NaN where there is none."""
        with np.errstate(invalid="ignore"):
            signal, swap = (self._sums[name] / self._counts[name] for name in ("signal", "swap"))
        return signal, swap


def _counting(lift: FloatArray) -> FloatArray:
    """The columns of the references with enough signals."""
    columns = (~np.isnan(lift)).sum(axis=0) >= METRICS["lift"].min_signals
    return np.asarray(lift[:, columns])
