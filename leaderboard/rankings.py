"""The page of a task: every entry in a table that is sorted and filtered in the reader's browser, the matrix.

Conventions: the table stands on the page twice: its first rows as markup, for readers without a script, and
all of them as one JSON text that a script shows page by page. Numbers there are tenths of a percent, as
`heat.tenths` makes them.

Public: COLUMNS, SHY, FIRST, BOTH_FAMILIES, Shown, context, table_data, note.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.dataset.signals import Suite
from harness.documents import FamilyScore
from harness.records import FAMILIES, Estimate, ModelRef
from leaderboard import columns, evidence, heat, pages, paths
from leaderboard.columns import Column
from leaderboard.table import SHOWN, Board, Ranking, Row

FIRST = 50
"""Rows that stand on the page as markup, and that the script shows at a time."""


COLUMNS: tuple[Column, ...] = (
    *(c for c in columns.BOARD if c.key != "largest"),
    *(c for c in columns.COLUMNS if c.key in ("parameters", "licence", "revision", "date", "status")),
)
"""The columns of the table."""

SHY = ("silence", "licence", "revision", "date")
"""Columns that a script hides at first where a screen is narrow."""

BOTH_FAMILIES = 2000
"""Rows up to which the table has the rates of every family; beyond, those of the headline alone."""


@dataclass(frozen=True)
class Shown:
    """A ranking as it stands on the page."""

    ranking: Ranking
    """What it is."""
    id: str
    """Of its table."""
    rows: tuple[Row, ...]
    """The first ones."""
    axis: tuple[float, float]
    """Ends of the bars of the lift."""
    data: Markup
    """All rows, for the script."""


def context(
    board: Board,
    task: str,
    suite: Suite | None,
    links: Mapping[ModelRef, str],
    sounds: str | None,
) -> dict[str, Any]:
    """What the page of a task speaks of.

    Args:
        board: the board.
        task: name of the task.
        suite: whose signals, for what is told of the references; None leaves that out.
        links: page of each model as seen from this page.
        sounds: path of the page of the task's sounds, where there is one.
    """
    ranking = board.current_of(task)
    place = paths.anchor(task)
    matrices = () if ranking is None else ranking.matrices
    references = () if suite is None or task not in _tasks(suite) else suite.references(task)
    grid = heat.grid(matrices, place, links)
    return {
        "task": task,
        "home": "../index.html",
        "current": None if ranking is None else _shown(ranking, f"board-{place}", links),
        "stale": [
            _shown(r, f"board-{place}-{r.signals.sha256[:8]}-{r.protocol}", links) for r in board.stale(task)
        ],
        "columns": COLUMNS,
        "links": links,
        "note": note,
        "hub_page": paths.hub_page,
        "grid": None if grid is None else pages.embed(grid),
        "n_candidates": SHOWN,
        "n_left_out": matrices[0].n_left_out if matrices else 0,
        "figure": f"../figures/{place}-transfer.svg",
        "data": f"../data/{place}",
        "references": references,
        "evidence": sounds,
        "why_silent": evidence.why_silent(suite, task) if references and suite is not None else None,
    }


def note(row: Row) -> str:
    """Why an entry is not ranked, or is to be looked at twice; empty where neither is so."""
    told = row.entry.scorecard.unranked_because or ""
    odd = row.status.name in ("failed", "invalidated", "stale")
    return row.status.note if odd and row.status.note not in told else told


def table_data(rows: tuple[Row, ...], links: Mapping[ModelRef, str]) -> dict[str, Any]:
    """All rows as the script reads them.

    A row is [page, is a reference, best place, worst place, tie, note, architecture, is on the Hub], then a
    value for each column: a number, a text, or [value, low, high, n] of an estimate. Each further family has
    a row for each of these, with values of the columns it names.
    """
    return {
        "first": FIRST,
        "axis": [round(1000 * end) for end in axis_of(rows)],
        "columns": [[c.key, c.header, c.kind, int(c.key in SHY)] for c in COLUMNS],
        "rows": [_row(row, links) for row in rows],
        "families": [{"family": FAMILIES[0], "at": [], "rows": []}, *_others(rows)],
    }


def axis_of(rows: Iterable[Row]) -> tuple[float, float]:
    """The ends of an axis that holds every interval of the lift, and 0; in tenths."""
    found = [row.entry.scorecard.headline for row in rows]
    lifts = [score.rates.lift for score in found if score is not None]
    ends = [min(max(end, -1.0), 1.0) for e in lifts for end in (e.low, e.high, e.value) if end is not None]
    return min(math.floor(10 * min(ends, default=0.0)), -1) / 10, max(
        math.ceil(10 * max(ends, default=0.0)), 1
    ) / 10


def _row(row: Row, links: Mapping[ModelRef, str]) -> list[Any]:
    entry = row.entry
    places = (row.rank_low, row.rank_high, row.tie)
    head = [links.get(entry.model, ""), int(row.reference), *places, note(row)]
    on_hub = int(paths.hub_page(row.name) is not None)
    of_model = (columns.architecture(entry.facts.architecture), on_hub)
    return [*head, *of_model, *(_value(c, row) for c in COLUMNS)]


def _others(rows: tuple[Row, ...]) -> list[dict[str, Any]]:
    """The rates of the families that are not the headline."""
    if len(rows) > BOTH_FAMILIES:
        return []
    keys = [c.key for c in columns.RATES if c in COLUMNS]
    found = []
    for family in FAMILIES[1:]:
        scores = [{f.family: f for f in row.entry.scorecard.families}.get(family) for row in rows]
        if any(scores):
            found.append({"family": family, "at": keys, "rows": [_rates(score, keys) for score in scores]})
    return found


def _rates(score: FamilyScore | None, keys: Iterable[str]) -> list[Any]:
    estimates = [None if score is None else getattr(score.rates, key) for key in keys]
    return [None if e is None else [*heat.tenths(e), e.n] for e in estimates]


def _value(column: Column, row: Row) -> Any:
    value = column.read(row)
    if isinstance(value, Estimate):
        return [*heat.tenths(value), value.n]
    return value[:7] if column.key == "revision" and isinstance(value, str) else value


def _shown(ranking: Ranking, id: str, links: Mapping[ModelRef, str]) -> Shown:
    rows = ranking.all_rows
    return Shown(ranking, id, rows[:FIRST], axis_of(rows), pages.embed(table_data(rows, links)))


def _tasks(suite: Suite) -> set[str]:
    return {task.name for task in suite.tasks}
