"""Masks as runs of kept coefficients, and of the loudest ones.

Conventions: a mask is bool (N,) over the coefficients of a domain, row by row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.types import FloatArray, Mask


def runs(mask: Mask) -> NDArray[np.int64]:
    """Kept coefficients as (r, 2) rows of [first, how many]."""
    steps = np.diff(mask.astype(np.int8), prepend=0, append=0)
    first, last = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return np.stack([first, last - first], axis=1).astype(np.int64)


def from_runs(rows: NDArray[np.int64], n: int) -> Mask:
    """Inverse of `runs`.

    Raises:
        ValueError: rows that overlap, touch, run backwards or leave 0 .. n.
    """
    rows = np.asarray(rows, dtype=np.int64).reshape(-1, 2)
    ends = rows[:, 0] + rows[:, 1]
    if (
        (rows[:, 1] < 1).any()
        or (rows[:, 0] < 0).any()
        or (ends > n).any()
        or (rows[1:, 0] <= ends[:-1]).any()
    ):
        raise ValueError(f"runs must rise, not touch and stay within {n} coefficients")
    steps = np.zeros(n + 1, dtype=np.int8)
    steps[rows[:, 0]] = 1
    steps[ends] = -1
    return np.asarray(np.cumsum(steps[:-1]) > 0)


def largest(energy: FloatArray, n_kept: int) -> Mask:
    """The `n_kept` coefficients of largest energy; ties go to the first."""
    if n_kept == 0:
        return np.zeros(len(energy), dtype=bool)
    threshold = np.partition(energy, len(energy) - n_kept)[len(energy) - n_kept]
    mask = energy > threshold
    mask[np.flatnonzero(energy == threshold)[: n_kept - int(mask.sum())]] = True
    return mask  # type: ignore[no-any-return]
