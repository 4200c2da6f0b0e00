"""Collects the problems in rows of verdicts, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def texts(column: pd.Series) -> NDArray[np.object_]:
    """(n,) the texts of a categorical column, each of them made once; None for no text."""
    return np.array([*column.cat.categories, None], dtype=object)[column.cat.codes]


def mapped(column: pd.Series, values: Mapping[Any, float], missing: float) -> NDArray[Any]:
    """(n,) what a mapping has for the texts of a categorical column; `missing` where it has nothing.

    `Series.map` gives numbers or, where all texts of the column are in the mapping once, categories.
    """
    of_texts = [values.get(text, missing) for text in column.cat.categories]
    return np.array([*of_texts, missing])[column.cat.codes]


def known(column: pd.Series) -> set[Any]:
    """The different values of a column."""
    return set(column.dropna().unique())


def distinct(rows: pd.DataFrame, names: list[str]) -> tuple[NDArray[np.intp], list[tuple[Any, ...]]]:
    """The combinations of values that columns have: the number of each row's, and all of them by number."""
    number = np.zeros(len(rows), dtype=np.intp)
    for name in names:
        codes = pd.factorize(rows[name])[0]
        number = pd.factorize(number * (len(rows) + 1) + codes)[0]
    first_rows = np.empty(number.max(initial=-1) + 1, dtype=np.intp)
    first_rows[number[::-1]] = np.arange(len(rows))[::-1]
    first = rows[names].iloc[first_rows]
    is_text = first.dtypes == "category"
    columns = [texts(first[name]) if is_text[name] else first[name].tolist() for name in names]
    return number, list(zip(*columns, strict=True))


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
