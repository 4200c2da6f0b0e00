"""The transfer curve over the nested levels, and the price of agreement (definitions: Levels).

A signal of k bins grows over the levels to the whole clip. The curve says how many a judge accepts at each
level. The price of a signal is log2(k_g / k) bits, k_g being the bins of its stable level: the smallest from
which on the judge accepts all levels. It is 0 where all are accepted, and one bit more for each doubling. A
judge that gives the whole clip, the last level, another class has no such level; those clips are counted and
have no price.

Draws of a clip are averaged, or share its weight, and count once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.acceptance import means_at
from harness.metrics.estimates import LEVEL, ClipWeights, clustered
from harness.types import Estimate, FloatArray

MEDIAN = "clip bootstrap, percentile of the median"

MIN_CLIPS = 6
"""Clips below which a median has no interval: not even the outermost two hold it with 95 % confidence."""

_SAME = 1e-9  # differences of cumulative weights below this are rounding


@dataclass(frozen=True)
class Curve:
    """One reference's minimal signals, and at which level one judge accepts them."""

    transfer: tuple[Estimate, ...]
    """Acceptance at each level, over all signals."""
    price_bits: Estimate
    """Median price of agreement over the clips on which both agree; its n counts these clips."""
    disagreeing: Estimate
    """Share of the clips that the judge gives another class as a whole."""
    n_disagreeing: int
    """How many these are; they have no price."""


def curve_of(
    acceptance: FloatArray, sizes: NDArray[np.int64], weights: ClipWeights, clip: NDArray[np.int64]
) -> Curve:
    """Curve and price of one pair.

    Takes (n_signals, n_levels) acceptance, 1 or 0, and bins of each level, weights (draws, n_clips) of the
    task, and (n_signals,) the clip of each, an index into those of the weights.
    """
    n_levels = acceptance.shape[1]
    stable = stable_level(acceptance)
    agrees = stable < n_levels
    rows = np.flatnonzero(agrees)
    price = np.log2(sizes[rows, stable[rows]] / np.maximum(sizes[rows, 0], 1))

    def by_clip(values: FloatArray) -> FloatArray:
        """(n_clips, 1) of (n_signals,)."""
        return means_at(clip, values, weights.shape[1])[:, None]

    disagreement = by_clip((~agrees).astype(np.float64))
    return Curve(
        transfer=tuple(clustered(by_clip(values), weights) for values in acceptance.T),
        price_bits=median_over_clips(price, clip[rows], weights),
        disagreeing=clustered(disagreement, weights),
        n_disagreeing=int((disagreement > 0).sum()),
    )


def stable_level(acceptance: FloatArray) -> NDArray[np.int64]:
    """(n_signals,) the smallest level from which on all are accepted; n_levels where the last is not.

    Takes (n_signals, n_levels) 1 accepted, 0 not.
    """
    accepts_onward = np.logical_and.accumulate((acceptance == 1)[:, ::-1], axis=1)
    return np.asarray(acceptance.shape[1] - accepts_onward.sum(axis=1), dtype=np.int64)


def median_over_clips(values: FloatArray, clip: NDArray[np.int64], weights: ClipWeights) -> Estimate:
    """Lower median of (n,) finite values, with its interval over clips; those of one clip share its weight.

    Takes the index of the clip of each, and the weights (draws, n_clips); the n of the estimate counts clips.
    """
    if len(values) == 0:
        return Estimate(None, None, None, LEVEL, MEDIAN, 0)
    share = 1 / np.bincount(clip)[clip]
    order = np.argsort(values, kind="stable")
    sorted_values, share, of_clip = values[order], share[order], clip[order]
    value = float(_medians(sorted_values, share[None])[0])
    n = len(np.unique(clip))
    if n < MIN_CLIPS:
        return Estimate(value, None, None, LEVEL, MEDIAN, n)
    sample_weights = weights[:, of_clip] * share
    medians = _medians(sorted_values, sample_weights[sample_weights.any(axis=1)])
    tail = (1 - LEVEL) / 2
    low = float(np.quantile(medians, tail, method="lower"))
    high = float(np.quantile(medians, 1 - tail, method="higher"))
    return Estimate(value, min(low, value), max(high, value), LEVEL, MEDIAN, n)


def _medians(sorted_values: FloatArray, weights: FloatArray) -> FloatArray:
    """(rows,) the first of the rising values up to which half of the weight lies."""
    cumulative = np.cumsum(weights, axis=1)
    return np.asarray(sorted_values[(cumulative >= cumulative[:, -1:] / 2 - _SAME).argmax(axis=1)])
