"""The first page: what this is, a card for each task, what the numbers mean, how to join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.dataset.suites import Suite
from harness.types import ModelRef
from leaderboard import exports, urls
from leaderboard.board import activity
from leaderboard.board.types import Board, Ranking, Row
from leaderboard.plots import heatmap
from leaderboard.site import task_page

BEST = 5
"""Models of a card."""

NEWS = 6
"""Events that are shown."""


@dataclass(frozen=True)
class Card:
    """One task on the overview."""

    task: str
    """Its name."""
    page: str
    """Path of its page."""
    ranking: Ranking | None
    """The current one; None where nothing tells which that is."""
    why_none: str
    """Why there is no current one."""
    best: tuple[tuple[Row, str], ...]
    """The first rows of the ranking, each with the name of its model."""
    axis: tuple[float, float]
    """Ends of their bars."""
    thumbnail: Markup | None
    """The matrix in colours."""
    n_models: int
    """Models with an entry in the current ranking."""
    n_references: int
    """Models whose signals are judged: the panel."""
    n_clips: int | None
    """Clips they are from, where the suite is at hand."""
    n_stale: int
    """Entries on other signals."""
    evidence: str | None
    """Path of the page of sounds."""


def context(
    board: Board, suite: Suite | None, links: Mapping[ModelRef, str], evidence: Mapping[str, str]
) -> dict[str, Any]:
    """The context of the overview, with links to the pages of models, and by task to its sounds."""
    return {
        "synthetic": any(ranking.synthetic for ranking in board.rankings),
        "cards": [_card(board, task, suite, evidence.get(task)) for task in board.tasks],
        "links": links,
        "home": urls.INDEX,
        "newest": activity.newest(board.rankings),
        "news": activity.events(board.rankings, NEWS),
        "models_page": urls.DIRECTORY,
        "paper": exports.PAPER,
        "signals": [ranking.signals for ranking in board.current],
    }


def _card(board: Board, task: str, suite: Suite | None, evidence: str | None) -> Card:
    ranking, stale = board.current_of(task), board.stale(task)
    rows = () if ranking is None else ranking.rows[:BEST]
    matrices = () if ranking is None else ranking.matrices
    n_references = len(matrices[0].references) if matrices else 0
    n_clips = None
    if suite is not None and suite.has_task(task):
        references = suite.references(task)
        n_references = len(references)
        n_clips = max((reference.corpus.n_clips for reference in references), default=0)
    return Card(
        task=task,
        page=f"tasks/{urls.task_page(task)}",
        ranking=ranking,
        why_none=stale[0].note if ranking is None and stale else "",
        best=tuple((row, row.name.removeprefix("local/")) for row in rows),
        axis=task_page.axis_of(rows),
        thumbnail=heatmap.thumbnail(matrices[0]) if matrices else None,
        n_models=0 if ranking is None else len(ranking.all_rows),
        n_references=n_references,
        n_clips=n_clips,
        n_stale=sum(len(old.all_rows) for old in stale),
        evidence=evidence,
    )
