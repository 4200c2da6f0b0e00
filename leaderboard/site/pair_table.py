"""Tables of pairs of a model's page: a row for each reference it judged, or for each judge of its signals.

Conventions: the tables are long, and made here as compact rows instead of by a template; every text in them
is escaped. Numbers are written as `columns` writes them, without their unit.

Public: Named, PairTable, pair_tables, judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from harness.types import ModelRef
from leaderboard import urls
from leaderboard.board.columns import RATES
from leaderboard.board.types import MatrixRow
from leaderboard.escaping import escaped
from leaderboard.formatting import TOO_FEW, UNKNOWN


@dataclass(frozen=True, eq=False)
class Named:
    """What models are called on a page, and where theirs are."""

    names: Mapping[ModelRef, str]
    """Short names."""
    links: Mapping[ModelRef, str]
    """Pages of those that have one."""


@dataclass(frozen=True)
class PairTable:
    """One table."""

    family: str
    """One of FAMILIES."""
    rows: Markup
    """Its body."""


def pair_tables(
    cells: Sequence[MatrixRow], place: str, named: Named, sounds: Mapping[ModelRef, str]
) -> list[PairTable]:
    """How a model judges the signals of each reference; the first table has the anchors of the pairs.

    Args:
        cells: by family, of its own scorecard.
        place: anchor of the task, or of a ranking that is not current.
        named: names and links.
        sounds: where signals of a reference can be heard.
    """
    return [_table(of, named, place if i == 0 else None, sounds) for i, of in enumerate(cells) if of.models]


def judges(cells: Sequence[MatrixRow], named: Named) -> list[PairTable]:
    """How a reference's own signals are judged.

    Args:
        cells: by family, of each judge.
        named: names and links.
    """
    return [_table(of, named, None, {}) for of in cells if of.models]


def _table(cells: MatrixRow, named: Named, place: str | None, sounds: Mapping[ModelRef, str]) -> PairTable:
    rows = []
    known = [not np.isnan(of_pair).any() for of_pair in cells.rates]
    every = zip(cells.models, cells.counts.tolist(), cells.rates.tolist(), known, strict=True)
    for model, (own, n_signals, n_degenerate, n_applicable), rates, whole in every:
        name = escaped(named.names[model])
        if model in named.links:
            name = f'<a href="{escaped(named.links[model])}">{name}</a>'
        if own:
            name += f' <span class="badge">{"own" if own == 1 else "near copy"}</span>'
        if model in sounds:
            name += f' <a class="hear" href="{escaped(sounds[model])}">listen</a>'
        id = "" if place is None else f' id="{urls.pair_anchor(place, model)}"'
        of_which = f", {n_degenerate} degenerate" if n_degenerate else ""
        rows.append(
            f'<tr{id}><th class="text" scope="row">{name}'
            f"<small>{n_applicable} of {n_signals} apply{of_which}</small></th>"
            f"{_numbers(rates) if whole else _each(rates)}</tr>"
        )
    return PairTable(cells.family, Markup("\n".join(rows)))  # noqa: S704 - escaped above


_BELOW = ("lift", "transfer")
"""Rates whose interval stands below them; the others show it when pointed at."""


def _cell_of(kind: str, *, below: bool) -> str:
    """A cell with room for value, low and high, or where nothing stands below for low, high and value."""
    number = "%+.1f" if kind == "difference" else "%.1f"
    if below:
        return f"<td>{number}<small>{number} to {number}</small></td>"
    return f'<td title="{number} to {number}">{number}</td>'


_CELLS = tuple(_cell_of(column.kind, below=column.key in _BELOW) for column in RATES)
_WHOLE_ROW = "".join(_CELLS)


def _numbers(rates: Sequence[Sequence[float]]) -> str:
    """The cells of a row, all at once: every number has its interval, which is the rule."""
    values: list[float] = []
    for column, (value, low, high) in zip(RATES, rates, strict=True):
        values += (value, low, high) if column.key in _BELOW else (low, high, value)
    return _plain(_WHOLE_ROW % tuple(values))


def _each(rates: Sequence[Sequence[float]]) -> str:
    """The cells of a row of which some numbers are unknown."""
    cells = []
    for column, cell, (value, low, high) in zip(RATES, _CELLS, rates, strict=True):
        if np.isnan(value):
            why = TOO_FEW if column.kind == "difference" else "nothing to count"
            cells.append(f'<td title="{why}">{UNKNOWN}</td>')
        elif np.isnan(low) or np.isnan(high):
            sign = "+" if column.kind == "difference" else ""
            cells.append(f"<td>{_plain(f'{value:{sign}.1f}')}</td>")
        else:
            cells.append(_plain(cell % ((value, low, high) if column.key in _BELOW else (low, high, value))))
    return "".join(cells)


def _plain(numbers: str) -> str:
    """No sign before a zero, and a minus for a hyphen."""
    return numbers.replace("-0.0", "0.0").replace("+0.0", "0.0").replace("-", "−")
