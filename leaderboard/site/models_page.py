"""The page of all models: every entry of every task in one table, by name.

Conventions: places are those within the task and its signals; nothing is ranked across tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.dataset.suite_notes import joined
from harness.types import ModelRef
from leaderboard import urls
from leaderboard.board import columns
from leaderboard.board.columns import Column
from leaderboard.board.types import Board
from leaderboard.site import task_page

_KEYS = (
    *("rank", "model", "lift", "placement", "transfer", "swap", "status"),
    *("kind", "parameters", "licence", "date"),
)
_TASK = Column("task", "Task", lambda row: row.entry.task, "text", "What was judged.")
_RANK, _MODEL, *_OTHERS = (column for column in columns.COLUMNS if column.key in _KEYS)

COLUMNS: tuple[Column, ...] = (_RANK, _MODEL, _TASK, *_OTHERS)
"""The columns of the table."""


def context(board: Board, links: Mapping[ModelRef, str]) -> dict[str, Any]:
    """The context of the page, with links to the pages of models."""
    # A shade tells who is tied within a ranking; here several of them are mixed.
    rows = tuple(replace(row, tie=None) for ranking in board.rankings for row in ranking.all_rows)
    sorted_rows = tuple(sorted(rows, key=lambda row: (row.rank is None, row.name.lower(), row.entry.path)))
    return {
        "home": urls.INDEX,
        "tasks": [(task, f"tasks/{urls.task_page(task)}") for task in board.tasks],
        "n_models": len({row.entry.model for row in rows}),
        "links": links,
        "suite_note": joined((ranking.task, ranking.suite_note) for ranking in board.rankings),
        "shown": task_page.table_view(
            sorted_rows, "all-models", "All entries by name", links, COLUMNS, by="model"
        ),
        **task_page.HELPERS,
    }
