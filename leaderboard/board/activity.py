"""The latest events of a board: which models were evaluated, verified, invalidated or opted out, and when.

Conventions: dates are those that entries and notices state, never the clock's, so that the same entries give
the same page; `validate` refuses an entry whose date lies in the future.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.types import ModelRef
from leaderboard.board.types import Ranking

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Event:
    """One thing that happened to one model on one task."""

    date: str
    """YYYY-MM-DD."""
    what: str
    """`evaluated`, `opted out`, or the status that it got."""
    task: str
    name: str
    model: ModelRef | None
    """The model, where it has a page."""


def events(rankings: Iterable[Ranking], n: int) -> list[Event]:
    """The n newest events at most, the newest first."""
    all_events = (event for ranking in rankings for event in _events(ranking))
    return heapq.nlargest(n, all_events, key=lambda event: (event.date, event.task, event.name, event.what))


def newest(rankings: Iterable[Ranking]) -> str | None:
    """The date of the latest event; None where there is none."""
    return max((event.date for ranking in rankings for event in _events(ranking)), default=None)


def _events(ranking: Ranking) -> Iterator[Event]:
    for row in ranking.all_rows:
        evaluated = (row.entry.run.created[:10], "evaluated")
        for date, what in (evaluated, (row.status.date, row.status.name)):
            if date is not None and _DATE.fullmatch(date):
                yield Event(date, what, ranking.task, row.name, row.entry.model)
    for notice in ranking.opted_out:
        if _DATE.fullmatch(notice.date):
            yield Event(notice.date, "opted out", ranking.task, notice.repo_id, None)
