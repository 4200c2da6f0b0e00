"""The records of a board: rows, matrices, rankings, and what is read of an entry for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.entries.held_back import HeldBack
from harness.entries.notices import OptOut
from harness.metrics.counted_lift import LiftByClip
from harness.schemas import Cell, Entry, FamilyScore
from harness.types import DatasetRef, Estimate, ModelRef
from leaderboard.board.verification_status import SELF_REPORTED, Status


@dataclass(frozen=True, eq=False)
class MatrixRow:
    """Cells of one family that share a model: how it judges references, or how judges judge it."""

    family: str
    models: tuple[ModelRef, ...]
    """The other model of each cell."""
    counts: NDArray[np.int32]
    """(n_cells, 4) own (0 no, 1 by its weights, 2 as a near copy), signals, degenerate, applicable ones."""
    rates: NDArray[np.float32]
    """(n_cells, len(RATES), 3) value, low, high in percent with one decimal; NaN where unknown."""

    def of(self, models: Sequence[ModelRef]) -> MatrixRow:
        """The cells of these other models, in this order; models without a cell are left out."""
        index = {model: i for i, model in enumerate(self.models)}
        present = [model for model in models if model in index]
        rows = [index[model] for model in present]
        return MatrixRow(self.family, tuple(present), self.counts[rows], self.rates[rows])


@dataclass(frozen=True, eq=False)
class LoadedEntry:
    """One entry as a board needs it."""

    entry: Entry
    """Without the cells of its scorecard, and of its likeness to references only the near copies."""
    cells: tuple[MatrixRow, ...]
    lifts: LiftByClip | None
    """None where it is not ranked, or its verdicts cannot be read."""
    sha256: str
    """Of its entry.json."""
    problem: str | None = None
    """Why its verdicts cannot be read though it is ranked; None where they can."""
    key: str | None = None
    """Of both of its files, the same for the same content; None where they changed while they were read."""


@dataclass(frozen=True)
class Row:
    """One entry and its place."""

    entry: Entry
    """The record, as in `LoadedEntry`; every number is read from it."""
    reference: bool
    """Its own signals are among those judged, known by its weights; its scorecard leaves them out."""
    rank: int | None = None
    """Place by lift, from 1, equal values sharing the better one; None when not ranked."""
    rank_low: int | None = None
    """Best place within the 95 % interval, which holds for all models of the ranking at once."""
    rank_high: int | None = None
    tie: int | None = None
    """Group of models the data do not tell from its best one, from 1 in order of rank."""
    folder: Path | None = None
    status: Status = SELF_REPORTED
    cells: tuple[MatrixRow, ...] = ()
    """By family: how it judges the signals of each reference; empty for an excluded entry."""
    sha256: str | None = None
    """Of its entry.json; None where it has no folder."""
    overlap: tuple[str, ...] = ()
    """Of the datasets its card names: those that the clips of its task come from."""
    panel_low: int | None = None
    """Best place when any one reference is left out; None where that was not counted."""
    panel_high: int | None = None
    held_back: HeldBack | None = None
    """Its lift on signals that are not published; None where nobody measured it."""

    @property
    def name(self) -> str:
        """Hub id of the model."""
        return self.entry.model.repo_id


@dataclass(frozen=True)
class Anchor:
    """One row that is not an entry of the board."""

    name: str
    meaning: str
    """What it is and what it is for, in sentences."""
    score: FamilyScore
    """Its rates, headline family."""
    accuracy: Estimate | None
    """On whole clips of known truth; None where it is not known."""


@dataclass(frozen=True)
class Matrix:
    """Every reference's signals (rows) judged by every model (columns), for one family."""

    family: str
    references: tuple[ModelRef, ...]
    """Rows, by name."""
    models: tuple[ModelRef, ...]
    """Columns: the references in the same order, then the candidates as ranked."""
    cells: dict[tuple[ModelRef, ModelRef], Cell]
    """By reference and model, for each pair that was evaluated."""
    n_left_out: int = 0
    """Further candidates, which are not among the columns."""

    @property
    def n_references(self) -> int:
        """How many of the columns are references: the first ones."""
        return sum(reference_index(model, self.references) < len(self.references) for model in self.models)


@dataclass(frozen=True)
class Ranking:
    """The entries of one task that are comparable with each other."""

    task: str
    signals: DatasetRef
    """The signals that the models answered."""
    protocol: int
    stale: bool
    """Not the current key of the task."""
    rows: tuple[Row, ...]
    """Ranked, best first."""
    unranked: tuple[Row, ...]
    """Not ranked, by name; the scorecard says why."""
    matrices: tuple[Matrix, ...]
    """One per family of which there are cells, headline first."""
    note: str = ""
    """What decided that it is current, or not; empty where the suite did, or there was nothing to decide."""
    opted_out: tuple[OptOut, ...] = ()
    """Models whose authors opted out of the task; on its current ranking alone."""
    anchors: tuple[Anchor, ...] = ()
    """Rows for comparison; on the current ranking of a task of the suite alone."""
    suite_note: str | None = None
    """What is said first of its signals (`suite_notes`); None where there is nothing to say."""

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """Ranked, then unranked."""
        return self.rows + self.unranked

    @property
    def n_references(self) -> int:
        """References whose signals of the headline family are judged: the panel."""
        headline_references = {
            reference.model
            for row in self.all_rows
            for reference in row.entry.references
            if reference.family == self.signals.headline
        }
        n_in_matrix = len(self.matrices[0].references) if self.matrices else 0
        return n_in_matrix or len(headline_references)


@dataclass(frozen=True)
class Board:
    """Everything the leaderboard shows."""

    rankings: tuple[Ranking, ...]
    """By task; the current one of each task first, then the stale ones, those of most models first."""
    messages: tuple[str, ...] = ()
    """A line for each entry that cannot be read."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(dict.fromkeys(r.task for r in self.rankings))

    @property
    def current(self) -> tuple[Ranking, ...]:
        """At most one per task."""
        return tuple(r for r in self.rankings if not r.stale)

    def current_of(self, task: str) -> Ranking | None:
        """The current ranking of a task; None where it cannot be told which it is."""
        return next((r for r in self.current if r.task == task), None)

    def stale(self, task: str) -> tuple[Ranking, ...]:
        """Those of other signals or protocols."""
        return tuple(r for r in self.rankings if r.stale and r.task == task)


def reference_index(model: ModelRef, references: tuple[ModelRef, ...]) -> int:
    """Index among the references, by its weights; the number of references for any other model."""
    weights = [reference.weights_sha256 for reference in references]
    return weights.index(model.weights_sha256) if model.weights_sha256 in weights else len(weights)
