"""Which model accepts the signals of which reference: the matrix of entries, and short names for its axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.schemas import Cell, Entry
from harness.types import ModelRef
from leaderboard.board.types import Matrix, reference_index


def matrix_of(entries: Sequence[Entry], family: str) -> Matrix:
    """The matrix of entries with one key, models in the order given but references first."""
    references: dict[ModelRef, None] = {}
    cells: dict[tuple[ModelRef, ModelRef], Cell] = {}
    for entry in entries:
        for score in entry.scorecard.families:
            if score.family == family:
                for cell in score.cells:
                    references.setdefault(cell.reference)
                    cells[cell.reference, entry.model] = cell
    rows = tuple(sorted(references, key=lambda model: (model.repo_id, model.revision)))
    columns = dict.fromkeys(entry.model for entry in entries)
    return Matrix(family, rows, tuple(sorted(columns, key=lambda model: reference_index(model, rows))), cells)


def short_names(models: Sequence[ModelRef]) -> dict[ModelRef, str]:
    """The shortest name that tells each from the others: `model`, `org/model` or `org/model@revision`."""
    n_by_name = Counter(m.repo_id.split("/")[-1] for m in models)
    n_by_repo_id = Counter(m.repo_id for m in models)
    names = {}
    for model in models:
        name = model.repo_id.split("/")[-1]
        if n_by_repo_id[model.repo_id] > 1:
            name = f"{model.repo_id}@{model.revision[:7]}"
        elif n_by_name[name] > 1:
            name = model.repo_id
        names[model] = name
    return names
