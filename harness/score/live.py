"""Estimates while answers come in: the numbers that the scorecard would give if no more came.

Public: Live, Now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.documents import ReferenceCounts
from harness.records import FAMILIES, Estimate, FloatArray, LabelMap, ModelRef
from harness.score.estimates import clustered
from harness.score.scorecard import METRICS
from harness.score.transfer import Answers
from harness.score.units import Unit


@dataclass(frozen=True)
class Now:
    """Estimates of the headline family, over the references that are not the candidate."""

    transfer: Estimate
    floor: Estimate
    lift: Estimate
    n_clips: int
    """Clips heard so far."""


class Live:
    """What has been accepted so far, (n_clips, n_references) per stimulus of the headline family."""

    def __init__(
        self,
        units: Sequence[Unit],
        references: Sequence[ReferenceCounts],
        candidate: ModelRef,
        label_map: LabelMap,
    ) -> None:
        """Begin with nothing heard.

        Args:
            units: all that may be heard.
            references: whose signals they are.
            candidate: who answers.
            label_map: how its classes are read.
        """
        others = [
            r.model.repo_id
            for r in references
            if r.family == FAMILIES[0] and r.model.weights_sha256 != candidate.weights_sha256
        ]
        self._column = {name: j for j, name in enumerate(others)}
        clip_ids = sorted({u.clip_id for u in units if u.family == FAMILIES[0] and u.clip_id})
        self._row = {clip_id: i for i, clip_id in enumerate(clip_ids)}
        self._canonical = np.array(label_map.canonical, dtype=object)
        self._covered = label_map.covered
        self._task = label_map.task
        shape = (len(clip_ids), len(others))
        self._accepted = {name: np.full(shape, np.nan) for name in ("signal", "permuted")}

    def learn(self, unit: Unit, said: Answers) -> None:
        """Take in the answers to a unit."""
        if unit.family != FAMILIES[0] or unit.reference not in self._column:
            return
        if unit.expected not in self._covered:
            return
        predicted = self._canonical[said[:, :-2].argmax(axis=1)]
        for (name, _), label in zip(unit.stimuli, predicted, strict=True):
            if name in self._accepted:
                at = self._row[unit.clip_id or ""], self._column[unit.reference]
                self._accepted[name][at] = label == unit.expected

    @property
    def n_clips(self) -> int:
        """Clips with a signal that was heard."""
        return int((~np.isnan(self._accepted["signal"])).any(axis=1).sum())

    def now(self) -> Now:
        """The estimates as they stand."""
        signal, permuted = self._accepted["signal"], self._accepted["permuted"]
        enough = (~np.isnan(signal)).sum(axis=0) >= METRICS["lift"].min_signals

        def estimate(name: str, values: FloatArray) -> Estimate:
            return clustered(values, (self._task, FAMILIES[0], name), METRICS[name].kind)

        return Now(
            transfer=estimate("transfer", signal),
            floor=estimate("floor", permuted),
            lift=estimate("lift", (signal - permuted)[:, enough]),
            n_clips=self.n_clips,
        )
