"""The rank that a model would have: its lift among those of others, by comparing intervals.

A board ranks otherwise: it scores all models on the same resampled clips, which tells more of them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.dataset.suites import Suite
from harness.schemas import Entry
from harness.types import Estimate
from leaderboard.board import entries
from leaderboard.board.types import Row


@dataclass(frozen=True)
class ProvisionalRank:
    """The provisional rank of a lift among others, by comparing intervals."""

    rank: int
    """By the lift alone, from 1."""
    best: int
    """Behind those alone whose intervals lie above its own."""
    worst: int
    """Ahead of those alone whose intervals lie below its own."""
    n: int
    """Lifts it is compared with, and itself."""
    same_model: Row | None = None
    """The row of a board with the same weights, which is left out of the comparison."""


def rank_among(
    lift: Estimate, others: Iterable[Estimate | None], same_model: Row | None = None
) -> ProvisionalRank | None:
    """The provisional rank of a lift; None where it has no interval.

    Args:
        lift: of the model.
        others: of those it is compared with; one without a value does not count.
        same_model: see `ProvisionalRank`.
    """
    if lift.value is None or lift.low is None or lift.high is None:
        return None
    lifts = [other for other in others if other is not None and other.value is not None]
    return ProvisionalRank(
        rank=1 + sum(other.value > lift.value for other in lifts if other.value is not None),
        best=1 + sum(_end(other.low, other) > lift.high for other in lifts),
        worst=1 + sum(_end(other.high, other) >= lift.low for other in lifts),
        n=1 + len(lifts),
        same_model=same_model,
    )


def sentence(entry: Entry, suite: Suite) -> str | None:
    """The rank of an entry with the references of its suite, and whether its lift differs from 0.

    Returns:
        A sentence; None for an entry that is not complete, is not ranked, or has no interval. The rank is
        left out where the suite has no verdicts of other references.

    Raises:
        BadInput: the entry of a reference cannot be read.
    """
    lift = entry.scorecard.lift
    if not (entry.complete and entry.scorecard.ranked) or lift is None:
        return None
    others = [
        reference.scorecard.lift
        for _, reference in entries.references_of(suite, entry.task)
        if reference.scorecard.ranked and reference.model.weights_sha256 != entry.model.weights_sha256
    ]
    rank = rank_among(lift, others)
    if rank is None or lift.low is None or lift.high is None:
        return None
    if lift.low > 0 or lift.high < 0:
        effect = f"its lift is {'above' if lift.low > 0 else 'below'} 0"
    else:
        effect = "the interval of its lift includes 0"
    if rank.n == 1:
        return f"{effect[0].upper()}{effect[1:]}."
    span = f", anywhere from {rank.best} to {rank.worst} by intervals" if rank.best < rank.worst else ""
    return f"Ranks {rank.rank} of {rank.n} by lift with the references of the suite{span}; {effect}."


def _end(end: float | None, estimate: Estimate) -> float:
    """An end of an interval; the value where it has none."""
    return float(estimate.value or 0.0) if end is None else end
