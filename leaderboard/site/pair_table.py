"""Tables of pairs of a model's page: a row for each reference it judged, or for each judge of its signals.

Conventions: the tables are long, and made here as compact rows instead of by a template; every text in them
is escaped. Numbers are written as `columns` writes them, without their unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from markupsafe import Markup

from harness.types import ModelRef
from leaderboard import urls
from leaderboard.board.columns import RATES
from leaderboard.board.types import MatrixRow
from leaderboard.escaping import escape_html
from leaderboard.formatting import TOO_FEW, UNKNOWN


@dataclass(frozen=True, eq=False)
class ModelNames:
    """Names of models on a page, and links to their own pages."""

    names: Mapping[ModelRef, str]
    links: Mapping[ModelRef, str]


def pair_tables(
    cells: Sequence[MatrixRow],
    model_names: ModelNames,
    anchor: str | None = None,
    sounds: Mapping[ModelRef, str] = MappingProxyType({}),
) -> list[tuple[str, Markup]]:
    """Family and rows of a table for each family: how a model judges references, or is judged itself.

    A family without cells has no table. The anchor is that of the task, where the rows of the first table are
    to be anchors of the pairs; `sounds` is where signals of a reference can be heard.
    """
    return [
        (row.family, _rows(row, model_names, anchor if i == 0 else None, sounds))
        for i, row in enumerate(cells)
        if row.models
    ]


def _rows(
    cells: MatrixRow, model_names: ModelNames, anchor: str | None, sounds: Mapping[ModelRef, str]
) -> Markup:
    rows = []
    is_complete = [not np.isnan(pair_rates).any() for pair_rates in cells.rates]
    records = zip(cells.models, cells.counts.tolist(), cells.rates.tolist(), is_complete, strict=True)
    for model, (own_code, n_signals, n_degenerate, n_applicable), rates, complete in records:
        name = escape_html(model_names.names[model])
        if model in model_names.links:
            name = f'<a href="{escape_html(model_names.links[model])}">{name}</a>'
        if own_code:
            name += f' <span class="badge">{"own" if own_code == 1 else "near copy"}</span>'
        if model in sounds:
            name += f' <a class="hear" href="{escape_html(sounds[model])}">listen</a>'
        id_attribute = "" if anchor is None else f' id="{urls.pair_anchor(anchor, model)}"'
        degenerate_note = f", {n_degenerate} degenerate" if n_degenerate else ""
        rows.append(
            f'<tr{id_attribute}><th class="text" scope="row">{name}'
            f"<small>{n_applicable} of {n_signals} apply{degenerate_note}</small></th>"
            f"{_numbers(rates) if complete else _partial_numbers(rates)}</tr>"
        )
    return Markup("\n".join(rows))  # noqa: S704 - escaped above


_BELOW = ("lift", "transfer")
"""Rates whose interval is shown below them; the others have it in a tooltip."""


def _cell_of(kind: str, *, below: bool) -> str:
    """A format for value, low and high, or where the interval is not below for low, high and value."""
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


def _partial_numbers(rates: Sequence[Sequence[float]]) -> str:
    """The cells of a row of which some numbers are unknown."""
    cells = []
    for column, cell, (value, low, high) in zip(RATES, _CELLS, rates, strict=True):
        if np.isnan(value):
            reason = TOO_FEW if column.kind == "difference" else "nothing to count"
            cells.append(f'<td title="{reason}">{UNKNOWN}</td>')
        elif np.isnan(low) or np.isnan(high):
            sign = "+" if column.kind == "difference" else ""
            cells.append(f"<td>{_plain(f'{value:{sign}.1f}')}</td>")
        else:
            cells.append(_plain(cell % ((value, low, high) if column.key in _BELOW else (low, high, value))))
    return "".join(cells)


def _plain(numbers: str) -> str:
    """No sign before a zero, and a minus for a hyphen."""
    return numbers.replace("-0.0", "0.0").replace("+0.0", "0.0").replace("-", "−")
