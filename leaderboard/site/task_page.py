"""The page of a task: every entry in a table that is sorted and filtered in the reader's browser, the matrix.

Conventions: the table is on the page twice: its first rows as markup, for readers without a script, and
all of them as one JSON text that a script shows page by page. Numbers there are tenths of a percent, as
`formatting.tenths` makes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_args

from markupsafe import Markup

from harness.dataset.suite_notes import joined
from harness.dataset.suites import Suite
from harness.families import in_order
from harness.schemas import FamilyScore
from harness.types import Estimate, ModelRef
from leaderboard import exports, formatting, render, urls
from leaderboard.board import activity, columns, remarks
from leaderboard.board.columns import Column
from leaderboard.board.model_traits import Mark
from leaderboard.board.ranking import MAX_CANDIDATES
from leaderboard.board.types import Anchor, Board, Ranking, Row
from leaderboard.formatting import tenth, tenths
from leaderboard.plots import heatmap, scatter
from leaderboard.site import audio_page

FIRST = 50
"""Rows that are on the page as markup, and that the script shows at a time."""


_FURTHER = (
    *("held_back", "kind", "parameters", "licence", "trained_on", "released"),
    *("speed", "device", "revision", "date", "status"),
)

COLUMNS: tuple[Column, ...] = (*columns.BOARD, *(c for c in columns.COLUMNS if c.key in _FURTHER))
"""The columns of the table."""

WIDE_SCREEN_COLUMNS = ("agreeing_transfer", "silence", "licence", "date")
"""Columns that a script hides at first where a screen is narrow."""

EXTRA_COLUMNS = (
    *("matched", "largest", "beyond_largest"),
    *("held_back", "kind", "trained_on", "released", "speed", "device", "revision"),
)
"""Columns that it hides at first."""

BOTH_FAMILIES = 2000
"""Rows up to which the table has the rates of every family; beyond, those of the headline alone."""


def context(
    board: Board,
    task: str,
    suite: Suite | None,
    links: Mapping[ModelRef, str],
    sounds: str | None,
    marks: Mapping[ModelRef, Mark] = MappingProxyType({}),
) -> dict[str, Any]:
    """The context of the page of a task.

    Without the suite, facts about the references are left out; `links` are pages of models as seen from this
    one, `sounds` is the path of the task's sounds; `marks` are badges of those in the current ranking that
    the test of flat-earthers flags.
    """
    ranking = board.current_of(task)
    anchor = urls.anchor(task)
    matrices = () if ranking is None else ranking.matrices
    references = () if suite is None or not suite.has_task(task) else suite.references(task)
    grid = heatmap.grid(matrices, anchor, links, () if ranking is None else ranking.all_rows)
    return {
        "task": task,
        "home": f"../{urls.INDEX}",
        "current": None if ranking is None else _board(ranking, f"board-{anchor}", links, marks),
        "suite_note": joined((task, r.suite_note) for r in board.rankings if r.task == task),
        "stale": [
            _board(old, f"board-{anchor}-{old.signals.sha256[:8]}-{old.protocol}", links)
            for old in board.stale(task)
        ],
        "columns": COLUMNS,
        "links": links,
        "scatters": [] if ranking is None else list(_scatters(ranking, links)),
        "n_drawn": scatter.MOST,
        "both_families": BOTH_FAMILIES,
        "headline_family": "" if ranking is None else ranking.signals.headline,
        "newest": None if ranking is None else activity.newest([ranking]),
        **HELPERS,
        "grid": None if grid is None else render.embed(grid),
        "n_candidates": MAX_CANDIDATES,
        "n_left_out": matrices[0].n_left_out if matrices else 0,
        "figure": f"../figures/{anchor}-transfer.svg",
        "figure_name": anchor,
        "data": f"../data/{anchor}",
        "references": references,
        "evidence": sounds,
        "why_silent": audio_page.why_silent(suite, task) if references and suite is not None else None,
    }


def note(row: Row) -> str:
    """Why an entry is not ranked or needs care; empty where there is no reason."""
    reason = remarks.unranked(row.entry)
    is_odd = row.status.name in ("failed", "invalidated", "stale")
    return row.status.note if is_odd and row.status.note not in reason else reason


def remark(row: Row) -> str:
    """Which references it counts as or was made from, in a few words; empty where there are none."""
    entry = row.entry
    copies = [f"counts as {name}" for name in remarks.copies_of(entry)]
    return "; ".join([*copies, *(f"made from {name}, by its card" for name in remarks.made_from(entry))])


def explanation(row: Row) -> str:
    """The same as `remark`, in sentences."""
    return " ".join(remarks.likenesses(row.entry))


HELPERS: Mapping[str, Any] = MappingProxyType(
    {"note": note, "remark": remark, "explained": explanation}
    | {"hub_page": urls.hub_page, "of_anchor": exports.of_anchor}
)
"""Functions for the template of a table."""


def table_view(
    rows: tuple[Row, ...],
    id: str,
    caption: str,
    links: Mapping[ModelRef, str],
    table_columns: tuple[Column, ...] = COLUMNS,
    by: str = "rank",
    marks: Mapping[ModelRef, Mark] = MappingProxyType({}),
    anchors: tuple[Anchor, ...] = (),
) -> dict[str, Any]:
    """All rows, in their initial order, as a table of a page; `links` are pages as seen from this one.

    It is sorted by the column with the key `by` at first; the first two columns are rank and model. The
    anchors stand below, for comparison.
    """
    return {
        "id": id,
        "caption": caption,
        "columns": table_columns,
        "by": by,
        "marks": marks,
        "rows": rows[:FIRST],
        "n_rows": len(rows),
        "axis": axis_of(rows, anchors),
        "anchors": anchors,
        "data": render.embed(table_data(rows, links, table_columns, by, marks, anchors)),
    }


def table_data(
    rows: tuple[Row, ...],
    links: Mapping[ModelRef, str],
    table_columns: tuple[Column, ...] = COLUMNS,
    by: str = "rank",
    marks: Mapping[ModelRef, Mark] = MappingProxyType({}),
    anchors: tuple[Anchor, ...] = (),
) -> dict[str, Any]:
    """All rows as the script reads them.

    A row is [page, is a reference, best place, worst place, tie, note, architecture, is on the Hub, mark,
    best and worst place without any one reference, remark, remark in sentences], then a value for each
    column: a number, a text, or [value, low, high, n] of an estimate. A mark is [words, evidence], or nothing
    where the test of flat-earthers does not single the model out. Each further family has a row for each of
    these, with values of the columns it names. An anchor is [name, meaning], then its values.
    """
    headline = rows[0].entry.signals.headline if rows else ""
    return {
        "first": FIRST,
        "by": by,
        "axis": [tenth(end) for end in axis_of(rows, anchors)],
        "columns": [
            [c.key, c.header, c.kind, 2 if c.key in EXTRA_COLUMNS else int(c.key in WIDE_SCREEN_COLUMNS)]
            for c in table_columns
        ],
        "rows": [_row(row, links, table_columns, marks.get(row.entry.model)) for row in rows],
        "anchors": [_anchor(anchor, table_columns) for anchor in anchors],
        "families": [
            {"family": headline, "at": [], "rows": []},
            *_others(rows, headline, table_columns),
        ],
    }


def axis_of(rows: Iterable[Row], anchors: Iterable[Anchor] = ()) -> tuple[float, float]:
    """The ends of an axis that holds every interval of the lift, and 0; in tenths."""
    scores = [*(row.entry.scorecard.headline for row in rows), *(anchor.score for anchor in anchors)]
    lifts = [score.rates.lift for score in scores if score is not None]
    ends = [min(max(end, -1.0), 1.0) for e in lifts for end in (e.low, e.high, e.value) if end is not None]
    low, high = math.floor(10 * min(ends, default=0.0)), math.ceil(10 * max(ends, default=0.0))
    return min(low, -1) / 10, max(high, 1) / 10


def _anchor(anchor: Anchor, table_columns: tuple[Column, ...]) -> list[Any]:
    values = (exports.of_anchor(anchor, column.key) for column in table_columns)
    return [anchor.name, anchor.meaning, *map(_numbers, values)]


def _row(
    row: Row, links: Mapping[ModelRef, str], table_columns: tuple[Column, ...], mark: Mark | None
) -> list[Any]:
    entry = row.entry
    rank_fields = (row.rank_low, row.rank_high, row.tie)
    head = [links.get(entry.model, ""), int(row.reference), *rank_fields, note(row)]
    on_hub = int(urls.hub_page(row.name) is not None)
    model_fields = (formatting.architecture(entry.facts.architecture), on_hub)
    remark_fields = (mark, row.panel_low, row.panel_high, remark(row), explanation(row))
    return [*head, *model_fields, *remark_fields, *(_value(c, row) for c in table_columns)]


def _others(rows: tuple[Row, ...], headline: str, table_columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """The rates of the families that are not the headline."""
    if len(rows) > BOTH_FAMILIES:
        return []
    keys = [column.key for column in columns.RATES if column in table_columns]
    families = []
    names = (score.family for row in rows for score in row.entry.scorecard.families)
    for family in [name for name in in_order(names, headline) if name != headline]:
        scores = [{score.family: score for score in row.entry.scorecard.families}.get(family) for row in rows]
        if any(scores):
            families.append({"family": family, "at": keys, "rows": [_rates(score, keys) for score in scores]})
    return families


def _rates(score: FamilyScore | None, keys: Iterable[str]) -> list[Any]:
    return [None if score is None else _numbers(getattr(score.rates, key)) for key in keys]


def _numbers(estimate: Estimate | None) -> list[int | None] | None:
    return None if estimate is None else [*tenths(estimate), estimate.n]


def _value(column: Column, row: Row) -> Any:
    value = column.read(row)
    if isinstance(value, Estimate):
        return _numbers(value)
    return value[:7] if column.key == "revision" and isinstance(value, str) else value


def _board(
    ranking: Ranking,
    id: str,
    links: Mapping[ModelRef, str],
    marks: Mapping[ModelRef, Mark] = MappingProxyType({}),
) -> tuple[Ranking, dict[str, Any]]:
    signals_text = "other signals" if ranking.stale else f"signals {ranking.signals.revision[:12]}"
    panel = remarks.panel(ranking.n_references)
    caption = f"Models on {ranking.task} by lift, {signals_text}, with 95 % intervals, {panel}"
    return ranking, table_view(ranking.all_rows, id, caption, links, marks=marks, anchors=ranking.anchors)


def _scatters(ranking: Ranking, links: Mapping[ModelRef, str]) -> Iterator[tuple[scatter.Kind, int, Markup]]:
    """The kind of the lower axis, how many models can be drawn, and the picture."""
    for kind in get_args(scatter.Kind):
        picture = scatter.draw(ranking.rows, kind, links)
        if picture is not None:
            n = len(scatter.points(ranking.rows, kind))
            yield kind, n, picture
