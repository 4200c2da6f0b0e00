"""Verdicts of an entry against the same verdicts asked for again, row by row.

Two machines agree on a class, on probabilities to a tolerance, and exactly on what was asked. Where the two
most probable labels are as good as equal on both, another class is a tie: the same, and counted apart. So is
another class of the model's own that is read as the same label: no number depends on it. A tie between a
label and one class of several that were merged into another is not seen as one.

Public: Compared, compare.
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
from harness.types import FAMILIES

_KEY = ("stimulus", "signal_id", "draw", "clip_id", "level", "replicate", "n_samples")
"""What identifies a verdict of an entry."""

_ASKED = ("task", "reference", "family", "other_clip", "truth", "expected")
"""What was asked, beside the key: equal, letter by letter."""

_SEEN = ("seconds_seen", "energy_seen")
_SEEN_TOLERANCE = 1e-4
"""Of seconds and shares of energy, which are computed and not said by the model."""


@dataclasses.dataclass(frozen=True)
class Compared:
    """What the comparison of some verdicts came to; the fields are those of a `Verification`."""

    n_asked: int
    n_same: int
    n_ties: int
    max_difference: float
    mismatches: tuple[Mismatch, ...]
    n_ties_for: int
    n_ties_against: int


def compare(found: pd.DataFrame, again: pd.DataFrame, task: Task, dtype: str, *, whole: bool) -> Compared:
    """Hold verdicts against those of another run.

    Args:
        found: of an entry: valid, and all of them.
        again: what the model said when it was asked again.
        task: of both.
        dtype: arithmetic of both, which settles the tolerance of probabilities.
        whole: everything was asked again, so that a row that is only in `found` is one too many.
    """
    place = {key: i for i, key in enumerate(_keys(found))}
    keys = _keys(again)
    ours = np.array([i for i, key in enumerate(keys) if key in place], dtype=np.intp)
    theirs = np.array([place[keys[i]] for i in ours], dtype=np.intp)
    absent = again[~np.isin(np.arange(len(again)), ours)]
    surplus = found[~np.isin(np.arange(len(found)), theirs)] if whole else found[:0]
    pairs = _Pairs(found.iloc[theirs].reset_index(drop=True), again.iloc[ours].reset_index(drop=True))
    tolerance = TOLERANCE[dtype]
    ties = pairs.ties(tolerance)
    wrong = pairs.wrong(ties, tolerance, LOG_TOLERANCE[dtype])
    gains = pairs.gains()[ties & (wrong == "")]
    n_asked = len(again) + len(surplus)
    mismatches = [
        *(pairs.mismatch(i, task, str(wrong[i])) for i in np.flatnonzero(wrong != "")[:MAX_MISMATCHES]),
        *_alone(absent, "expected"),
        *_alone(surplus, "found"),
    ]
    return Compared(
        n_asked=n_asked,
        n_same=int((wrong == "").sum()),
        n_ties=int((ties & (wrong == "")).sum()),
        max_difference=float(pairs.apart.max(initial=0.0)),
        mismatches=tuple(mismatches[:MAX_MISMATCHES]),
        n_ties_for=int((gains > 0).sum()),
        n_ties_against=int((gains < 0).sum()),
    )


class _Pairs:
    """Rows of two frames that are about the same, side by side."""

    def __init__(self, found: pd.DataFrame, again: pd.DataFrame) -> None:
        self.found, self.again = found, again
        self.p_found, self.p_again = (_with_rest(rows["p"]) for rows in (found, again))
        self.apart = np.abs(self.p_found - self.p_again).max(axis=1, initial=0.0)
        """(n,) largest difference of a probability."""
        logs = (np.log(np.maximum(p[:, :-1], LEAST)) for p in (self.p_found, self.p_again))
        self.logs_apart = np.abs(np.subtract(*logs)) * (self.again["stimulus"] == "whole").to_numpy()[:, None]
        """(n, n_labels) differences of log-probabilities, on whole clips; 0 for all else."""

    def ties(self, tolerance: float) -> NDArray[np.bool_]:
        """(n,) rows of another class that is as good as the same."""
        other = self._differ("predicted_raw") | self._differ("predicted")
        close = np.ones(len(other), dtype=bool)
        for p in (self.p_found, self.p_again):
            best = np.sort(p, axis=1)
            close &= best[:, -1] - best[:, -2] <= tolerance
        return other & (close | ~self._differ("predicted"))

    def gains(self) -> NDArray[np.int64]:
        """(n,) 1 where the entry's answer raises the lift above that of the other, -1 where it lowers it."""
        one, other = (accepted(rows).astype(np.int64) for rows in (self.found, self.again))
        sign = self.again["stimulus"].map({"signal": 1, "swap": -1}).fillna(0).to_numpy(dtype=np.int64)
        return np.asarray((one - other) * sign * (self.again["family"] == FAMILIES[0]).to_numpy())

    def wrong(self, ties: NDArray[np.bool_], tolerance: float, log_tolerance: float) -> NDArray[Any]:
        """(n,) the first column that differs, as text; empty where the verdicts are the same."""
        wrong = np.full(len(self.found), "", dtype=object)
        for column in _SEEN:
            seen = (rows[column].to_numpy(dtype=float) for rows in (self.found, self.again))
            wrong[np.abs(np.subtract(*seen)) > _SEEN_TOLERANCE] = column
        for column in _ASKED:
            wrong[self._differ(column)] = column
        wrong[(self.apart > tolerance) | (self.logs_apart.max(axis=1, initial=0.0) > log_tolerance)] = "p"
        for column in ("predicted_raw", "predicted"):
            wrong[self._differ(column) & ~ties] = column
        return wrong

    def mismatch(self, i: int, task: Task, column: str) -> Mismatch:
        """What differs in a row, as text."""
        texts: list[str | None]
        if column == "p":
            logs = self.logs_apart[i]
            label = int(logs.argmax() if logs.any() else np.abs(self.p_found[i] - self.p_again[i]).argmax())
            name = (*task.labels, "other")[label]
            texts = [f"{name} {p[i, label]:.4g}" for p in (self.p_found, self.p_again)]
        else:
            values = [rows[column].iloc[i] for rows in (self.found, self.again)]
            texts = [None if pd.isna(value) else str(value) for value in values]
        return _mismatch(self.again.iloc[i], column, *texts)

    def _differ(self, column: str) -> NDArray[np.bool_]:
        one, other = (
            rows[column].astype(object).where(rows[column].notna(), None) for rows in (self.found, self.again)
        )
        return np.array([a != b for a, b in zip(one, other, strict=True)], dtype=bool)


def _with_rest(column: pd.Series[Any]) -> NDArray[np.float64]:
    """(n, n_labels + 1) probabilities, what is missing to 1 at the end."""
    p = np.stack([np.asarray(row, dtype=np.float64) for row in column]) if len(column) else np.zeros((0, 2))
    return np.column_stack([p, 1 - p.sum(axis=1)])


def _keys(rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    columns = [rows[name].astype(object).where(rows[name].notna(), None) for name in _KEY]
    return list(zip(*columns, strict=True))


def _alone(rows: pd.DataFrame, only: str) -> Iterator[Mismatch]:
    """Rows that one of the two has, and not the other."""
    for i in range(min(len(rows), MAX_MISMATCHES)):
        said = str(rows["predicted_raw"].iloc[i])
        found, expected = (None, said) if only == "expected" else (said, None)
        yield _mismatch(rows.iloc[i], "row", found, expected)


def _mismatch(row: pd.Series[Any], column: str, found: str | None, expected: str | None) -> Mismatch:
    def text(name: str) -> str | None:
        return row[name] if isinstance(row[name], str) else None

    def number(name: str) -> int | None:
        return None if pd.isna(row[name]) else int(row[name])

    return Mismatch(
        str(row["stimulus"]),
        text("signal_id"),
        text("clip_id"),
        number("level"),
        int(row["n_samples"]),
        column,
        found,
        expected,
        number("replicate"),
    )
