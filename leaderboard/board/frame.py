"""The board as one table, from COLUMNS alone.

Conventions: a row per entry, the current ranking of a task first; shares are fractions; an estimate has four
columns, `lift`, `lift_low`, `lift_high`, `lift_n`, and so has the headline family's transfer for each class
of signals: `transfer[dog]`, `transfer[dog]_low`. Two rows are comparable when `task`, `signals_sha256` and
`protocol` are the same, and no others are. What is unknown is empty. Anchors, which are no entries, are at
the end of a ranking with the role `anchor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.types import Estimate
from leaderboard import escaping
from leaderboard.board import common_classes
from leaderboard.board.columns import COLUMNS, RATES
from leaderboard.board.types import Anchor, Board, Ranking, Row

if TYPE_CHECKING:
    import pandas as pd


def frame(board: Board, task: str | None = None) -> pd.DataFrame:
    """The rows of a board, or of one task of it, opt-outs among them."""
    import pandas as pd

    rankings = [ranking for ranking in board.rankings if task in (None, ranking.task)]
    rows = [line for ranking in rankings for line in _ranking(ranking)]
    names = ["task", "signals_sha256", "current", "suite_note"]
    for column in COLUMNS:
        is_estimate = column.kind in ("rate", "difference")
        names += _estimate_names(column.key) if is_estimate else (column.key,)
    names += (name for label in _classes(rankings) for name in _estimate_names(_class_column(label)))
    return pd.DataFrame(rows, columns=names)


def _classes(rankings: Sequence[Ranking]) -> list[str]:
    """The classes of all tasks, by name."""
    labels_by_task: dict[str, list[str]] = {}
    for ranking in rankings:
        labels = labels_by_task.setdefault(ranking.task, [])
        labels += (label for row in ranking.all_rows for label in _by_class(row))
    return sorted({label for labels in labels_by_task.values() for label in common_classes.common(labels)})


def _by_class(row: Row) -> dict[str, Estimate]:
    headline = row.entry.scorecard.headline
    by_class = {} if headline is None else headline.by_class
    return {escaping.neutral(label): value for label, value in by_class.items()}


def _ranking(ranking: Ranking) -> list[dict[str, Any]]:
    key = {
        "task": ranking.task,
        "signals_sha256": ranking.signals.sha256,
        "current": not ranking.stale,
        "suite_note": ranking.suite_note or "",
        "protocol": _bounded(ranking.protocol),
    }
    lines = [{**_row(row), **key} for row in ranking.all_rows]
    for notice in ranking.opted_out:
        record = {"model": notice.repo_id, "revision": notice.revision, "date": notice.date}
        note = f"Opted out by {notice.author}: {notice.reason}"
        lines.append({**record, "status": "declined", "status_note": note, **key})
    return [*lines, *({**_anchor(anchor), **key} for anchor in ranking.anchors)]


def _anchor(anchor: Anchor) -> dict[str, Any]:
    line: dict[str, Any] = {"model": anchor.name, "role": "anchor", "status_note": anchor.meaning}
    for column in RATES:
        line |= _estimate_fields(column.key, getattr(anchor.score.rates, column.key))
    if anchor.accuracy is not None:
        line |= _estimate_fields("accuracy", anchor.accuracy)
    return line


def _row(row: Row) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for column in COLUMNS:
        value = column.read(row)
        if isinstance(value, Estimate):
            line |= _estimate_fields(column.key, value)
        else:
            line[column.key] = _bounded(value)
    for label, value in _by_class(row).items():
        line |= _estimate_fields(_class_column(label), value)
    return line


def _estimate_fields(name: str, estimate: Estimate) -> dict[str, Any]:
    parts = (estimate.value, estimate.low, estimate.high, min(estimate.n, 2**53))  # a float holds it, too
    return dict(zip(_estimate_names(name), parts, strict=True))


def _bounded(value: Any) -> Any:
    """The value, or None for a count that no column of integers could hold."""
    if isinstance(value, str):
        return escaping.neutral(value)
    return None if isinstance(value, int) and abs(value) >= 2**63 else value


def _class_column(label: str) -> str:
    # The brackets distinguish a class called `low` from the end of an interval.
    return f"transfer[{label}]"


def _estimate_names(name: str) -> tuple[str, ...]:
    return (name, f"{name}_low", f"{name}_high", f"{name}_n")
