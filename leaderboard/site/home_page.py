"""The first page: what this is, a card for each task, what the numbers mean, how to join."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.dataset.suite_notes import joined
from harness.dataset.suites import Suite
from harness.types import ModelRef
from leaderboard import exports, urls
from leaderboard.board import activity
from leaderboard.board.types import Board
from leaderboard.plots import heatmap
from leaderboard.site import task_page

BEST = 5
"""Models of a card."""

NEWS = 6
"""Events that are shown."""


def context(
    board: Board, suite: Suite | None, links: Mapping[ModelRef, str], evidence: Mapping[str, str]
) -> dict[str, Any]:
    """The context of the overview, with links to the pages of models, and by task to its sounds."""
    return {
        "suite_note": joined((ranking.task, ranking.suite_note) for ranking in board.rankings),
        "cards": [_card(board, task, suite, evidence.get(task)) for task in board.tasks],
        "links": links,
        "home": urls.INDEX,
        "newest": activity.newest(board.rankings),
        "news": activity.events(board.rankings, NEWS),
        "models_page": urls.DIRECTORY,
        "paper": exports.PAPER,
        "signals": [ranking.signals for ranking in board.current],
    }


def _card(board: Board, task: str, suite: Suite | None, evidence: str | None) -> dict[str, Any]:
    """One task on the overview, with its current ranking; there is none where nothing tells which it is."""
    ranking, stale = board.current_of(task), board.stale(task)
    rows = () if ranking is None else ranking.rows[:BEST]
    matrices = () if ranking is None else ranking.matrices
    n_references = len(matrices[0].references) if matrices else 0
    n_clips = None
    if suite is not None and suite.has_task(task):
        references = suite.references(task)
        n_references = len(references)
        n_clips = max((reference.corpus.n_clips for reference in references), default=0)
    return {
        "task": task,
        "page": f"tasks/{urls.task_page(task)}",
        "why_none": stale[0].note if ranking is None and stale else "",
        "best": [(row, row.name.removeprefix("local/")) for row in rows],
        "axis": task_page.axis_of(rows),
        "thumbnail": heatmap.thumbnail(matrices[0]) if matrices else None,
        "n_judges": len(matrices[0].models) if matrices else 0,
        "n_models": 0 if ranking is None else len(ranking.all_rows),
        "n_references": n_references,
        "n_clips": n_clips,
        "n_stale": sum(len(old.all_rows) for old in stale),
        "evidence": evidence,
    }
