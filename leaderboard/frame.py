"""The board as one table, through COLUMNS and nothing else.

Conventions: a row per entry, the current ranking of a task first; shares are fractions; an estimate has four
columns, `lift`, `lift_low`, `lift_high`, `lift_n`. Two rows are comparable when `task`, `signals_sha256` and
`protocol` are the same, and no others are. What is unknown is empty.

Public: frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.records import Estimate
from leaderboard import texts
from leaderboard.columns import COLUMNS, Column
from leaderboard.table import Board, Ranking, Row

if TYPE_CHECKING:
    import pandas as pd


def frame(board: Board, task: str | None = None) -> pd.DataFrame:
    """The rows of a board, declined ones among them.

    Args:
        board: the board.
        task: only that one.
    """
    import pandas as pd

    rows = [line for ranking in board.rankings if task in (None, ranking.task) for line in _ranking(ranking)]
    names = ["task", "signals_sha256", "current", *(name for column in COLUMNS for name in _names(column))]
    return pd.DataFrame(rows, columns=names)


def _ranking(ranking: Ranking) -> list[dict[str, Any]]:
    key = {
        "task": ranking.task,
        "signals_sha256": ranking.signals.sha256,
        "current": not ranking.stale,
        "protocol": _bounded(ranking.protocol),
    }
    lines = [{**_row(row), **key} for row in ranking.all_rows]
    for one in ranking.declined:
        said = {"model": one.repo_id, "revision": one.revision, "status": "declined", "date": one.date}
        lines.append({**said, "status_note": f"Declined by {one.author}: {one.reason}", **key})
    return lines


def _row(row: Row) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for column in COLUMNS:
        value = column.read(row)
        if isinstance(value, Estimate):
            parts = (value.value, value.low, value.high, min(value.n, 2**63 - 1))
            line |= dict(zip(_names(column), parts, strict=True))
        else:
            line[column.key] = _bounded(value)
    return line


def _bounded(value: Any) -> Any:
    """A count that no column of integers could hold, which only a stranger makes up, is unknown."""
    if isinstance(value, str):
        return texts.neutral(value)
    return None if isinstance(value, int) and abs(value) >= 2**63 else value


def _names(column: Column) -> tuple[str, ...]:
    if column.kind in ("rate", "difference"):
        return (column.key, f"{column.key}_low", f"{column.key}_high", f"{column.key}_n")
    return (column.key,)
