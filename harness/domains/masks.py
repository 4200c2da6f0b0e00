"""Masks as runs of kept coefficients, and of the loudest ones.

Conventions: a mask is bool (N,) over the coefficients of a domain, row by row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.types import FloatArray, Mask


def runs(mask: Mask) -> NDArray[np.int64]:
    """Kept coefficients as (r, 2) rows of [first, how many]."""
    padded = np.concatenate([[False], mask, [False]])
    borders = np.flatnonzero(padded[1:] != padded[:-1]).astype(np.int64)
    first, end = borders.reshape(-1, 2).T
    return np.stack([first, end - first], axis=1)


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
    # What is left out and what is kept take turns, beginning with what is left out.
    borders = np.concatenate([[0], np.stack([rows[:, 0], ends], axis=1).ravel(), [n]])
    return np.repeat(np.arange(len(borders) - 1) % 2 == 1, np.diff(borders))


def largest(energy: FloatArray, n_kept: int) -> Mask:
    """The `n_kept` coefficients of largest energy; ties go to the first."""
    if n_kept == 0:
        return np.zeros(len(energy), dtype=bool)
    threshold = np.partition(energy, len(energy) - n_kept)[len(energy) - n_kept]
    mask = energy > threshold
    mask[np.flatnonzero(energy == threshold)[: n_kept - int(mask.sum())]] = True
    return mask  # type: ignore[no-any-return]
