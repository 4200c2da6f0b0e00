"""Two judges over the references that both are judged on: which accepts more of the same signals.

A reference counts where both judges have MIN_SIGNALS clips of it, neither counts as it, and both know the
classes; only signals that both judged count. The intervals resample clips, the same for both (paired). Each
holds by itself: of many comparisons one in twenty is expected to miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from harness.metrics.acceptance import divide
from harness.metrics.estimates import ClipWeights, from_draws, mean_of_references, resampled_sums
from harness.metrics.panel_acceptance import PanelAcceptance
from harness.types import MIN_SIGNALS, Estimate, FloatArray, ModelRef


@dataclass(frozen=True)
class Compared:
    """Two judges on the same signals, those of neither."""

    first: ModelRef
    second: ModelRef
    n_references: int
    """References that both are judged on."""
    transfer: Estimate
    """Transfer of the first minus that of the second, in [-1, 1]; n counts signals."""
    lift: Estimate
    """The same of the lift, in [-2, 2]; None where there are too few `swap` controls."""


def compare_judges(
    panel: PanelAcceptance, values: Mapping[str, FloatArray], weights: ClipWeights
) -> tuple[Compared, ...]:
    """Every two judges of a panel that have a reference in common.

    Takes `transfer` and `lift`, (n, n_models) each with NaN where not applicable; weights (draws, n_clips).
    """
    tables = {name: _Table(panel, array, weights) for name, array in values.items()}
    pairs: list[Compared] = []
    for a, b in combinations(range(len(panel.models)), 2):
        transfer, n_references = tables["transfer"].difference(a, b, (-1.0, 1.0))
        if n_references:
            lift, _ = tables["lift"].difference(a, b, (-2.0, 2.0))
            pairs.append(Compared(panel.models[a], panel.models[b], n_references, transfer, lift))
    return tuple(pairs)


class _Table:
    """Values of each model by clip and reference, and their means in each sample of clips."""

    def __init__(self, panel: PanelAcceptance, values: FloatArray, weights: ClipWeights) -> None:
        """Spread (n, n_models) values over clips and references."""
        self._weights = weights
        self._values = panel.by_clip(values)
        self._has_value = ~np.isnan(self._values)
        draws = [_means(table, weights).T for table in self._values]
        self._draws = np.ascontiguousarray(draws)  # (n_models, n_references, draws)

    def difference(self, a: int, b: int, possible: tuple[float, float]) -> tuple[Estimate, int]:
        """Mean over the common references of one judge minus that of another, and how many there are."""
        has_value = self._has_value[[a, b]]
        has_both = has_value[0] & has_value[1]
        columns = has_both.sum(axis=0) >= MIN_SIGNALS
        has_both = has_both[:, columns]
        n = int(has_both.sum())
        if n == 0:
            return from_draws(None, np.empty(0), 0, 0, possible), 0
        difference = np.where(has_both, self._values[a][:, columns] - self._values[b][:, columns], np.nan)
        if np.array_equal(has_value[:, :, columns], np.stack([has_both] * 2)):
            samples = _over_references(self._draws[a, columns] - self._draws[b, columns], axis=0)
        else:  # they know other classes: the samples are those of the signals that both judged
            samples = _over_references(_means(difference, self._weights), axis=1)
        n_clips = int(has_both.any(axis=1).sum())
        return from_draws(mean_of_references(difference), samples, n_clips, n, possible), int(columns.sum())


def _means(values: FloatArray, weights: ClipWeights) -> FloatArray:
    """(draws, n_references) mean over clips in each sample; NaN where nothing is seen in it."""
    has_value = ~np.isnan(values)
    filled = np.where(has_value, values, 0.0)
    return divide(*resampled_sums(weights, filled, has_value.astype(np.float64)))


def _over_references(draws: FloatArray, axis: int) -> FloatArray:
    """(draws,) mean along the axis of the references, of those that are not NaN; NaN where all are."""
    sums = draws.sum(axis=axis)
    if not np.isnan(sums).any():
        return np.asarray(sums / draws.shape[axis])
    has_draw = ~np.isnan(draws)
    sums = np.where(has_draw, draws, 0.0).sum(axis=axis) / np.maximum(has_draw.sum(axis=axis), 1)
    return np.where(has_draw.any(axis=axis), sums, np.nan)
