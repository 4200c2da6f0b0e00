"""Ranks and their intervals: all candidates compared on the same resampled clips.

Conventions: as in `metrics.ranks`, whose intervals these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics import estimates, ranks
from harness.metrics.counted_lift import LiftByClip
from harness.types import FloatArray


@dataclass(frozen=True)
class ModelRank:
    """The rank of one candidate."""

    rank: int
    """By lift, from 1, equal values sharing the better one."""
    low: int
    """Best place within the 95 % interval, which holds for all models at once."""
    high: int
    """Worst place within it."""
    tie: int
    """Group of models the data do not tell from its best one, from 1 in order of rank."""
    without: tuple[int, int] | None
    """Best and worst place when any one reference is left out of the means of all; None where the
    panel has only one reference."""


def ranks_with_intervals(
    lifts: Sequence[LiftByClip], values: FloatArray, seed_names: tuple[str, ...]
) -> list[ModelRank]:
    """The rank of each candidate, with its interval.

    Takes the paired differences and the ranking number, (n_candidates,), of each; `seed_names` are those of
    the set of resampled clips: that of the task, as its estimates have it.
    """
    if not lifts:
        return []
    tables, n_clips = _align(lifts)
    references = [lift.references for lift in lifts]
    comparison = ranks.compare(tables, references, estimates.clip_weights(n_clips, seed_names))
    ordinals = ranks.ranks(values).tolist()
    intervals = ranks.rank_intervals(comparison)
    ties = ranks.tie_groups(comparison, values)
    without = ranks.ranks_without(tables, references)
    return [
        # Compared over shared references, a reference can differ from one whose own mean is next to its own.
        ModelRank(rank, min(low, rank), max(high, rank), tie, panel_range)
        for rank, (low, high), tie, panel_range in zip(ordinals, intervals, ties, without, strict=True)
    ]


def _align(lifts: Sequence[LiftByClip]) -> tuple[list[NDArray[Any]], int]:
    """The tables with the same clips in the same order, and the number of clips."""
    clip_sets = {lift.clip_ids: None for lift in lifts}
    clips = sorted(set().union(*clip_sets))
    index = {clip: i for i, clip in enumerate(clips)}
    rows = {clip_ids: np.array([index[clip] for clip in clip_ids], dtype=np.intp) for clip_ids in clip_sets}
    tables: list[NDArray[Any]] = []
    for lift in lifts:
        table = lift.values
        if len(lift.clip_ids) < len(clips):
            table = np.full((len(clips), table.shape[1]), np.nan, dtype=table.dtype)
            table[rows[lift.clip_ids]] = lift.values
        tables.append(table)
    return tables, len(clips)
