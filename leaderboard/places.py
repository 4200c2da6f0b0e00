"""Places and how sure they are: all candidates are scored again on the same resampled clips.

Conventions: as in `score.estimates`, whose numbers these are. Counts of clips are whole numbers far below
2^24, so sums of them are exact in float32, in which they are made: twice as fast, and not a bit different.

Public: Place, places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.records import FloatArray
from harness.score import estimates
from leaderboard.reading import ABSENT, Lifts


@dataclass(frozen=True)
class Place:
    """Where one of them stands."""

    rank: int
    """By lift, from 1, equal values sharing the better one."""
    low: int
    """Best place within the 95 % interval."""
    high: int
    """Worst place within the 95 % interval."""
    tie: int
    """Group of models the data do not tell from its best one, from 1 in order of rank."""


def places(lifts: Sequence[Lifts], values: FloatArray, seed_names: tuple[str, ...]) -> list[Place]:
    """The place of each candidate.

    Args:
        lifts: the paired differences of each.
        values: (n_candidates,) the ranking number of each.
        seed_names: what is ranked; seeds the resampling.
    """
    if not lifts:
        return []
    draws = _draws(lifts, seed_names)
    ranks = 1 + np.searchsorted(np.sort(-values), -values - 1e-12, side="left")
    intervals = estimates.rank_intervals(draws)
    ties = estimates.tie_groups(draws, values)
    return [
        Place(rank, min(low, rank), max(high, rank), tie)
        for rank, (low, high), tie in zip(ranks.tolist(), intervals, ties, strict=True)
    ]


def _draws(lifts: Sequence[Lifts], seed_names: tuple[str, ...]) -> FloatArray:
    """(n_candidates, draws) the ranking number of each on the same resampled clips."""
    asked = {lift.clip_ids: None for lift in lifts}
    clips = sorted(set().union(*asked))
    at = {clip: i for i, clip in enumerate(clips)}
    rows = {clip_ids: np.array([at[clip] for clip in clip_ids], dtype=np.intp) for clip_ids in asked}
    weights = estimates.clip_weights(len(clips), seed_names).astype(np.float32)
    counted: dict[tuple[tuple[int, ...], bytes], Any] = {}
    draws = np.empty((len(lifts), len(weights)))
    for i, lift in enumerate(lifts):
        wide = np.full((len(clips), lift.values.shape[1]), ABSENT, dtype=np.int8)
        wide[rows[lift.clip_ids]] = lift.values
        seen = wide != ABSENT
        key = (seen.shape, np.packbits(seen).tobytes())
        if key not in counted:
            counted = counted if len(counted) < 50 else {}
            counted[key] = (weights @ seen.astype(np.float32)).astype(np.float64)
        draws[i] = _means(counted[key], weights @ np.where(seen, wide, 0).astype(np.float32))
    return draws


def _means(counts: FloatArray, sums: Any) -> FloatArray:
    """(draws,) mean over references of their means over clips, as `estimates.draws_of` makes it."""
    means = np.divide(sums.astype(np.float64), counts, out=np.zeros_like(counts), where=counts > 0)
    columns = (counts > 0).sum(axis=1)
    out = np.full(len(means), np.nan)
    return np.asarray(np.divide(means.sum(axis=1), columns, out=out, where=columns > 0))
