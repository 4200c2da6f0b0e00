"""The transfer curve over the nested levels, and the price of agreement (definitions: Levels).

A signal of k bins grows over the levels to the whole clip. The curve says how many a judge accepts at each
level; the price of one signal is log2(k_g / k) bits, k_g being the bins of the smallest level that the judge
accepts: 0 where it accepts the signal itself, one bit more for each doubling. Never accepted counts as
+infinity in the median, and the share of those is told beside it.

Public: Curve, curve_of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.records import Estimate, FloatArray
from harness.score.estimates import LEVEL, clustered, wilson

MEDIAN = "clip bootstrap, percentile of the median"


@dataclass(frozen=True)
class Curve:
    """One reference's minimal signals, and how one judge takes to them."""

    transfer: tuple[Estimate, ...]
    """Acceptance at each level."""
    price_bits: Estimate
    """Median price of agreement; None where half of the signals or more are never accepted. An upper end of
    None is +infinity."""
    censored: Estimate
    """Share of the signals that are never accepted, not even as the whole clip."""


def curve_of(
    accepted: FloatArray, sizes: NDArray[np.int64], weights: FloatArray, seed_names: tuple[str, ...]
) -> Curve:
    """Curve and price of one pair.

    Args:
        accepted: (n_signals, n_levels) 1 accepted, 0 not.
        sizes: (n_signals, n_levels) bins of each level.
        weights: (draws, n_signals) how often the clip of each stands in each bootstrap sample.
        seed_names: what the numbers are about.
    """
    n, n_levels = accepted.shape
    transfer = tuple(clustered(accepted[:, [j]], (*seed_names, "level", str(j))) for j in range(n_levels))
    ever = accepted.any(axis=1)
    first = accepted.argmax(axis=1)
    rows = np.arange(n)
    price = np.where(ever, np.log2(sizes[rows, first] / np.maximum(sizes[:, 0], 1)), np.inf)
    return Curve(transfer, _median(price, weights), wilson(float((~ever).sum()), n))


def _median(price: FloatArray, weights: FloatArray) -> Estimate:
    n = len(price)
    if n == 0:
        return Estimate(None, None, None, LEVEL, MEDIAN, 0)
    order = np.argsort(price, kind="stable")
    cumulative = np.cumsum(weights[:, order], axis=1)
    half = cumulative[:, -1:] / 2
    medians = np.sort(price[order][(cumulative >= half).argmax(axis=1)])
    tail = (1 - LEVEL) / 2
    low, high = (medians[round(q * (len(medians) - 1))] for q in (tail, 1 - tail))
    value = np.sort(price)[(n - 1) // 2]

    def finite(x: float) -> float | None:
        return float(x) if np.isfinite(x) else None

    return Estimate(finite(value), finite(min(low, value)), finite(max(high, value)), LEVEL, MEDIAN, n)
