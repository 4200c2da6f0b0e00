"""Which verdicts accept, which are on level 0 or have no level, and means of what belongs together.

Every rate, table and picture takes them from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd


def accepted(verdicts: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) whether the model gave each stimulus the class that the reference gives its signal.

    The verdicts have the columns `predicted` and `expected` of `parquet_schema.VERDICTS`.
    """
    return (verdicts["predicted"] == verdicts["expected"]).to_numpy(dtype=bool)


def at_level_zero(verdicts: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) whether the `level` of each verdict is 0, which is the signal itself, or there are no levels."""
    level = verdicts["level"]
    return (level.isna() | (level == 0)).to_numpy(dtype=bool)


def means_at(positions: NDArray[np.int64], values: FloatArray, n: int) -> FloatArray:
    """(n,) mean of the values at each position, NaN where there is none; what is at -1 counts nowhere."""
    is_counted = positions >= 0
    positions, values = positions[is_counted], values[is_counted]
    return divide(np.bincount(positions, values, n), np.bincount(positions, minlength=n))


def divide(sums: NDArray[Any], counts: NDArray[Any]) -> FloatArray:
    """Sums divided by counts, arrays of one shape; NaN where a count is 0."""
    return np.asarray(np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0))
