"""The matrix of a task as data for the grid of its page, and as a small picture for the overview.

Conventions: rows are references, or the classes of their signals; columns are the references in the same
order, then the best candidates. Numbers are tenths of a percent or of a percentage point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import Any

from harness.plurals import plural
from harness.types import Estimate, ModelRef
from leaderboard import urls
from leaderboard.board import common_classes
from leaderboard.board.matrix import short_names
from leaderboard.board.types import Matrix, Row
from leaderboard.formatting import tenths
from leaderboard.plots import inline
from leaderboard.plots.inline import MEASURES as ALL

MEASURES = ("transfer", "lift", "placement", "swap", "agreement")
"""What the grid can show; the first is shown at first, and it alone is there by class."""


def grid(
    matrices: Sequence[Matrix], task_anchor: str, links: Mapping[ModelRef, str], rows: Sequence[Row] = ()
) -> dict[str, Any] | None:
    """What the script of a task's page draws the heat map from.

    Args:
        matrices: by family; all with the same models.
        task_anchor: anchor of the task.
        links: page of a model, where it has one.
        rows: entries of these models, for their transfer by class of the signal.
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
        "rates": inline.RATE_COLOURS,
        "differences": inline.DIFFERENCE_COLOURS,
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


def thumbnail(matrix: Matrix) -> str:
    """The transfer of the matrix as colours alone, an SVG for a card."""
    column, side, gap = ALL["transfer"], 10, 1
    n_references = matrix.n_references
    group_gap = 4 if 0 < n_references < len(matrix.models) else 0
    squares = []
    for j, reference in enumerate(matrix.references):
        for i, model in enumerate(matrix.models):
            cell = matrix.cells.get((reference, model))
            value = None if cell is None else cell.rates.transfer.value
            x = i * side + (group_gap if i >= n_references else 0)
            style = 'class="th-none"'
            if cell is not None and cell.own:
                style = 'class="th-own"'
            elif value is not None:
                style = f'fill="{inline.colour(value, column.kind)}"'
            size = f'width="{side - gap}" height="{side - gap}"'
            squares.append(f'<rect x="{x}" y="{j * side}" {size} {style}/>')
    width, height = len(matrix.models) * side + group_gap, len(matrix.references) * side
    panel = plural(len(matrix.references), "reference")
    title = f"{panel} judged by {plural(len(matrix.models), 'model')}: {column.header}"
    return (
        f'<svg class="th" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'preserveAspectRatio="xMinYMid meet" role="img" aria-label="{title}">{"".join(squares)}</svg>'
    )


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
