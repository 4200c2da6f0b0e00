"""The matrix of a task as data for the grid of its page, as a picture, and as a small one for the overview.

Conventions: rows are references, or the classes of their signals; columns are the references in the same
order, then the best candidates. Numbers are tenths of a percent or of a percentage point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import Any

from markupsafe import Markup

from harness.seeds import seed_of
from harness.types import Estimate, ModelRef
from leaderboard import render, urls
from leaderboard.board import common_classes
from leaderboard.board.matrix import short_names
from leaderboard.board.types import Matrix, Row
from leaderboard.formatting import tenths
from leaderboard.plots import inline
from leaderboard.plots.inline import MEASURES as ALL

MEASURES = ("transfer", "lift", "placement", "swap", "agreement")
"""What the grid can show; the first is shown at first, and it alone is there by class."""
_CELL_W, _CELL_H, _GAP = 84, 50, 3
_APART = 18
"""Between the columns of the references and those of the candidates."""


def grid(
    matrices: Sequence[Matrix], task_anchor: str, links: Mapping[ModelRef, str], rows: Sequence[Row] = ()
) -> dict[str, Any] | None:
    """What the script of a task's page draws the heat map from.

    The matrices are by family, all with the same models; `links` are pages of those that have one; `rows` are
    the entries of these models, for their transfer by class of the signal.
    """
    if not matrices:
        return None
    first_matrix = matrices[0]
    by_class = {matrix.family: _by_class(matrix.family, rows) for matrix in matrices}
    models = first_matrix.models
    labels = common_classes.common(
        label for family in by_class.values() for m in models for label in family.get(m, ())
    )
    names = short_names([*dict.fromkeys((*first_matrix.references, *first_matrix.models))])
    prefix = _shared_prefix(list(names.values()))
    return {
        "measures": [{"key": key, "header": ALL[key].header, "kind": ALL[key].kind} for key in MEASURES],
        "rates": [inline.RATE_COLOURS, inline.DARK_RATE_COLOURS],
        "differences": [inline.DIFFERENCE_COLOURS, inline.DARK_DIFFERENCE_COLOURS],
        "shared": prefix,
        "rows": [[names[model], urls.pair_anchor(task_anchor, model)] for model in first_matrix.references],
        "columns": [[names[model], links.get(model, "")] for model in first_matrix.models],
        "n_references": first_matrix.n_references,
        "classes": [[label, urls.class_anchor(task_anchor)] for label in labels],
        "families": [
            {
                "family": matrix.family,
                "cells": [_cell(matrix, row, model) for row in first_matrix.references for model in models],
                "classes": [_estimate(of.get(model, {}).get(label)) for label in labels for model in models],
            }
            for matrix in matrices
            for of in (by_class[matrix.family],)
        ],
    }


def picture(matrix: Matrix, measure: str = "transfer") -> Markup:
    """The matrix as a standalone SVG: rows are references, columns are the models that judge their signals.

    The columns of the references come first, in the order of the rows, so that their own signals are on the
    diagonal, which is hatched; those of the candidates follow after a gap, in the order of the matrix.
    """
    names = short_names([*dict.fromkeys((*matrix.references, *matrix.models))])
    left = max(124, int(max(len(_cut(names[model])) for model in matrix.references) * 7.4) + 24)
    tallest = max(len(_cut(names[model])) for model in matrix.models)
    top = 74 + int(tallest * 4.9)
    groups = _groups(matrix, left)
    lefts = [start + i * _CELL_W for _, start, n in groups for i in range(n)]
    width_cells, height_cells = lefts[-1] + _CELL_W - left, len(matrix.references) * _CELL_H
    context = {
        "matrix": matrix,
        "column": ALL[measure],
        "names": names,
        "cut": _cut,
        "columns": [*zip(matrix.models, lefts, strict=True)],
        "groups": groups,
        "left": left,
        "top": top,
        "width": left + max(width_cells + max(40, int(tallest * 5.6) - 20), 320),
        "height": top + height_cells + 124,
        "hatch": f"gh-{seed_of(measure, matrix.family, *map(repr, names)):x}",
        "cell_w": _CELL_W,
        "cell_h": _CELL_H,
        "gap": _GAP,
    }
    return render.picture("heatmap.svg.j2", context)


def thumbnail(matrix: Matrix) -> Markup:
    """The transfer of the matrix as colours alone, an SVG for a card."""
    n_references, n_models = matrix.n_references, len(matrix.models)
    gap = 4 if 0 < n_references < n_models else 0
    context = {
        "matrix": matrix,
        "column": ALL["transfer"],
        "columns": [(model, 10 * i + gap * (i >= n_references)) for i, model in enumerate(matrix.models)],
        "width": 10 * n_models + gap,
        "height": 10 * len(matrix.references),
    }
    return render.picture("thumbnail.svg.j2", context)


def _groups(matrix: Matrix, left: int) -> list[tuple[str, int, int]]:
    """The groups of columns that are not empty: name, left end and number of columns."""
    n = matrix.n_references
    gap = _APART if 0 < n < len(matrix.models) else 0
    groups = (("references", left, n), ("candidates", left + n * _CELL_W + gap, len(matrix.models) - n))
    return [group for group in groups if group[2]]


def _cut(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:15]}…{name[-8:]}"


def _by_class(family: str, rows: Sequence[Row]) -> dict[ModelRef, dict[str, Estimate]]:
    return {
        row.entry.model: score.by_class
        for row in rows
        for score in row.entry.scorecard.families
        if score.family == family
    }


def _estimate(estimate: Estimate | None) -> list[Any] | int:
    """As `_cell`, for a class and its transfer alone; 0 where there is none."""
    return 0 if estimate is None else [0, estimate.n, *tenths(estimate)]


def _shared_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to a hyphen, an underscore or a slash; empty where that saves little."""
    prefix = commonprefix(names)  # noqa: RUF071 - characters are meant
    end = max(prefix.rfind(mark) for mark in "-_/") + 1
    return prefix[:end] if end >= 6 and len(names) > 1 else ""


def _cell(matrix: Matrix, reference: ModelRef, model: ModelRef) -> list[Any] | int:
    """[own or near copy, n applicable, value, low, high of each measure]; 0 where nothing was evaluated."""
    cell = matrix.cells.get((reference, model))
    if cell is None:
        return 0
    numbers = [x for key in MEASURES for x in tenths(getattr(cell.rates, key))]
    return [int(cell.own), cell.n_applicable, *numbers]
