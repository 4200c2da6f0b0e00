"""Nested levels between a minimal signal and its whole clip (definitions: Levels).

The coefficients of the minimal mask come first, then all others by the responsibility of their atom. Level j
keeps the first k_j of them, k_j = `parquet_schema.level_sizes`. A level need not be sufficient.
"""

from __future__ import annotations

import numpy as np

from harness.dataset.parquet_schema import level_sizes
from harness.types import N_LEVELS, FloatArray, Levels, Mask


def nested_levels(mask: Mask, responsibility: FloatArray, energy: FloatArray) -> Levels:
    """The first level that keeps each bin.

    Args:
        mask: (N,) the minimal signal, not empty.
        responsibility: (N,) that of the atom of each coefficient.
        energy: (N,) of each coefficient; of equal responsibility the louder comes first, then the earlier.

    Returns:
        (N,) 0 for the bins of the mask, at most N_LEVELS - 1.
    """
    order = np.lexsort((-energy, -responsibility, ~mask))
    sizes = level_sizes(int(mask.sum()), len(mask))
    levels = np.empty(len(mask), dtype=np.uint8)
    levels[order] = np.repeat(np.arange(N_LEVELS), np.diff(sizes, prepend=0))
    return levels
