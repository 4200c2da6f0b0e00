"""Which verdicts accept, and which are on level 0 or have no level.

Every rate, table and picture takes both from here.

Public: accepted, at_level_zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


def accepted(verdicts: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) whether the model gave each stimulus the class that the reference gives its signal.

    Args:
        verdicts: with the columns `predicted` and `expected` of `parquet_schema.VERDICTS`.
    """
    return (verdicts["predicted"] == verdicts["expected"]).to_numpy(dtype=bool)


def at_level_zero(verdicts: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) whether each verdict is on a stimulus of level 0, which is the signal itself, or without levels.

    Args:
        verdicts: with the column `level` of `parquet_schema.VERDICTS`.
    """
    level = verdicts["level"]
    return (level.isna() | (level == 0)).to_numpy(dtype=bool)
