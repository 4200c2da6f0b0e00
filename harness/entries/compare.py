"""Compares verdicts of an entry with the same verdicts of a rerun, row by row.

Two machines agree on a class, on probabilities to a tolerance, and exactly on what was asked. Where the two
most probable labels are as good as equal on both, another class is a tie: the same, and counted apart. So is
another class of the model's own that is read as the same label: no number depends on it. A tie between a
label and one class of several that were merged into another is not seen as one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.entries.verification import LOG_TOLERANCE, MAX_MISMATCHES, TOLERANCE, Mismatch
from harness.metrics.acceptance import accepted
from harness.metrics.likeness import LEAST
from harness.tasks import Task

_KEY = ("stimulus", "signal_id", "draw", "clip_id", "level", "replicate", "n_samples")
"""What identifies a verdict of an entry."""

_QUESTION_COLUMNS = ("task", "reference", "family", "other_clip", "truth", "expected", "robust")
"""Columns that say what was asked, besides the key; they must be equal."""

_INPUT_COLUMNS = ("seconds_seen", "energy_seen")
_INPUT_TOLERANCE = 1e-4
"""Of seconds and shares of energy, which are computed and not said by the model."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The result of comparing some verdicts; the fields are those of a `Verification`."""

    n_asked: int
    n_same: int
    n_ties: int
    max_difference: float
    mismatches: tuple[Mismatch, ...]
    n_ties_for: int
    n_ties_against: int


def compare(
    verdicts: pd.DataFrame, rerun: pd.DataFrame, task: Task, dtype: str, headline: str, *, whole: bool
) -> Comparison:
    """Compare the valid verdicts of an entry, all of them, with those of another run of its model.

    `dtype` is the arithmetic of both, which settles the tolerance of probabilities; `headline` the family
    that ranks; `whole`: everything was asked again, so that a row that is only in `verdicts` is one too many.
    """
    entry_index = {key: i for i, key in enumerate(_keys(verdicts))}
    rerun_keys = _keys(rerun)
    rerun_indices = np.array([i for i, key in enumerate(rerun_keys) if key in entry_index], dtype=np.intp)
    entry_indices = np.array([entry_index[rerun_keys[i]] for i in rerun_indices], dtype=np.intp)
    missing = rerun[~np.isin(np.arange(len(rerun)), rerun_indices)]
    surplus = verdicts[~np.isin(np.arange(len(verdicts)), entry_indices)] if whole else verdicts[:0]
    pairs = _Pairs(
        verdicts.iloc[entry_indices].reset_index(drop=True), rerun.iloc[rerun_indices].reset_index(drop=True)
    )
    tolerance = TOLERANCE[dtype]
    ties = pairs.ties(tolerance)
    differences = pairs.first_differences(ties, tolerance, LOG_TOLERANCE[dtype])
    gains = pairs.gains(headline)[ties & (differences == "")]
    n_asked = len(rerun) + len(surplus)
    indices = np.flatnonzero(differences != "")[:MAX_MISMATCHES]
    mismatches = [
        *(pairs.mismatch(i, task, str(differences[i])) for i in indices),
        *_missing_rows(missing, "expected"),
        *_missing_rows(surplus, "found"),
    ]
    return Comparison(
        n_asked=n_asked,
        n_same=int((differences == "").sum()),
        n_ties=int((ties & (differences == "")).sum()),
        max_difference=float(pairs.p_differences.max(initial=0.0)),
        mismatches=tuple(mismatches[:MAX_MISMATCHES]),
        n_ties_for=int((gains > 0).sum()),
        n_ties_against=int((gains < 0).sum()),
    )


class _Pairs:
    """Rows of two frames with the same keys."""

    def __init__(self, entry: pd.DataFrame, rerun: pd.DataFrame) -> None:
        self.entry, self.rerun = entry, rerun
        self.p_entry, self.p_rerun = (_with_rest(rows["p"]) for rows in (entry, rerun))
        self.p_differences = np.abs(self.p_entry - self.p_rerun).max(axis=1, initial=0.0)
        """(n,) largest difference of a probability."""
        logs = (np.log(np.maximum(p[:, :-1], LEAST)) for p in (self.p_entry, self.p_rerun))
        self.log_differences = (
            np.abs(np.subtract(*logs)) * (self.rerun["stimulus"] == "whole").to_numpy()[:, None]
        )
        """(n, n_labels) differences of log-probabilities, on whole clips; 0 for all else."""

    def ties(self, tolerance: float) -> NDArray[np.bool_]:
        """(n,) whether the classes differ and count as the same."""
        differs = self._differ("predicted_raw") | self._differ("predicted")
        close = np.ones(len(differs), dtype=bool)
        for p in (self.p_entry, self.p_rerun):
            best = np.sort(p, axis=1)
            close &= best[:, -1] - best[:, -2] <= tolerance
        return differs & (close | ~self._differ("predicted"))

    def gains(self, headline: str) -> NDArray[np.int64]:
        """(n,) 1 where the entry's answer raises the lift above that of the other, -1 where it lowers it."""
        entry_accepts, rerun_accepts = (accepted(rows).astype(np.int64) for rows in (self.entry, self.rerun))
        sign = self.rerun["stimulus"].map({"signal": 1, "swap": -1}).fillna(0).to_numpy(dtype=np.int64)
        return np.asarray(
            (entry_accepts - rerun_accepts) * sign * (self.rerun["family"] == headline).to_numpy()
        )

    def first_differences(
        self, ties: NDArray[np.bool_], tolerance: float, log_tolerance: float
    ) -> NDArray[Any]:
        """(n,) the first column that differs, as text; empty where the verdicts are the same."""
        differences = np.full(len(self.entry), "", dtype=object)
        for column in _INPUT_COLUMNS:
            values = (rows[column].to_numpy(dtype=float) for rows in (self.entry, self.rerun))
            differences[np.abs(np.subtract(*values)) > _INPUT_TOLERANCE] = column
        for column in _QUESTION_COLUMNS:
            differences[self._differ(column)] = column
        largest_logs = self.log_differences.max(axis=1, initial=0.0)
        differences[(self.p_differences > tolerance) | (largest_logs > log_tolerance)] = "p"
        for column in ("predicted_raw", "predicted"):
            differences[self._differ(column) & ~ties] = column
        return differences

    def mismatch(self, i: int, task: Task, column: str) -> Mismatch:
        """What differs in a row, as text."""
        texts: list[str | None]
        if column == "p":
            logs = self.log_differences[i]
            label = int(logs.argmax() if logs.any() else np.abs(self.p_entry[i] - self.p_rerun[i]).argmax())
            name = (*task.labels, "other")[label]
            texts = [f"{name} {p[i, label]:.4g}" for p in (self.p_entry, self.p_rerun)]
        else:
            values = [rows[column].iloc[i] for rows in (self.entry, self.rerun)]
            texts = [None if pd.isna(value) else str(value) for value in values]
        return _mismatch(self.rerun.iloc[i], column, *texts)

    def _differ(self, column: str) -> NDArray[np.bool_]:
        pairs = zip(*(_objects(rows[column]) for rows in (self.entry, self.rerun)), strict=True)
        return np.array([a != b for a, b in pairs], dtype=bool)


def _objects(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column with None for all that is missing."""
    return column.astype(object).where(column.notna(), None)


def _with_rest(column: pd.Series[Any]) -> NDArray[np.float64]:
    """(n, n_labels + 1) probabilities; the last column is what is missing to 1."""
    p = np.stack([np.asarray(row, dtype=np.float64) for row in column]) if len(column) else np.zeros((0, 2))
    return np.column_stack([p, 1 - p.sum(axis=1)])


def _keys(rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(zip(*(_objects(rows[name]) for name in _KEY), strict=True))


def _missing_rows(rows: pd.DataFrame, only: str) -> Iterator[Mismatch]:
    """Mismatches of rows that only one of the two has."""
    for i in range(min(len(rows), MAX_MISMATCHES)):
        label = str(rows["predicted_raw"].iloc[i])
        found, expected = (None, label) if only == "expected" else (label, None)
        yield _mismatch(rows.iloc[i], "row", found, expected)


def _mismatch(row: pd.Series[Any], column: str, found: str | None, expected: str | None) -> Mismatch:
    def text(name: str) -> str | None:
        return row[name] if isinstance(row[name], str) else None

    def number(name: str) -> int | None:
        return None if pd.isna(row[name]) else int(row[name])

    ids = (str(row["stimulus"]), text("signal_id"), text("clip_id"), number("level"), int(row["n_samples"]))
    return Mismatch(*ids, column, found, expected, number("replicate"))
