"""Collects the problems in rows of verdicts, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.entries.untrusted_text import excerpt
from harness.types import STIMULI

SIGNAL_STIMULI = tuple(s for s in STIMULI if s not in ("whole", "silence"))
"""The stimuli that are made of a signal."""


class Checks:
    """Rows of verdicts and their problems."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows
        self.problems: list[str] = []
        self.is_signal: NDArray[np.bool_] = rows["stimulus"].isin(SIGNAL_STIMULI).to_numpy(dtype=bool)
        """(n,) whether each row is about a signal; `whole` and `silence` are not."""

    def require(self, holds: Any, column: str, expected: str) -> None:
        """Report the rows where a column is not what it must be, as one problem."""
        indices = np.flatnonzero(~np.asarray(holds, dtype=bool))
        if len(indices):
            value = excerpt(self.rows[column].iloc[indices[0]])
            self.problems.append(f"{row_location(indices)}: {column} is {value}, expected {expected}")

    def require_only_of_signals(self, column: str, holds: Any, expected: str) -> None:
        """The same for a column that is empty for `whole` and `silence`."""
        empty = self.rows[column].isna().to_numpy(dtype=bool)
        self.require(~self.is_signal | np.asarray(holds, dtype=bool), column, expected)
        self.require(self.is_signal | empty, column, "nothing for whole clips and silence")


def row_location(indices: NDArray[np.intp]) -> str:
    """Which rows, counted from 0, by the first of (n,) indices, n at least 1, and how many more."""
    more = f" and {len(indices) - 1} more" if len(indices) > 1 else ""
    return f"verdicts.parquet: row {indices[0]}{more}"


def name_problems(names: Sequence[Any], problem: str) -> list[str]:
    """A problem with signals, clips or lengths: the first and how many more; empty when there are none."""
    if not len(names):
        return []
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [f"verdicts.parquet: {excerpt(names[0])}{more} {problem}"]
