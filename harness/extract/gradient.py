"""Family `minimal`, white box: the same certificate as `minimal`, from rankings by slope.

Bands are ranked by how much the lead of the class changes with their gain, at the whole clip and again at
each shorter prefix, because what matters to a part of a spectrum is not what mattered to the whole. A model
that gives no slopes is searched as `minimal` does.

Public: Gradient.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.extract.contract import Found, Order, Searching, Slope, mask_of
from harness.extract.minimal import Minimal, reduced
from harness.extract.shrink import shortest_prefix
from harness.records import FloatArray

_ENOUGH = 16
"""Bands of a prefix that is not worth ranking again."""


@dataclass(frozen=True)
class Gradient:
    """Settings of the search."""

    family: ClassVar[str] = "minimal"
    guarantee: ClassVar[str] = "one_minimal"

    n_bands: int | None = None
    """Resolution; None for single bins."""
    rankings: int = 3
    """Slopes that are asked at most."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `contract.Search`. Nothing here is random."""
        n_bands = len(energy)
        kept = np.argsort(-energy, kind="stable")
        for _ in range(self.rankings):
            order = yield from _ranked(kept, n_bands)
            if order is None:
                return (yield from Minimal(self.n_bands)(energy, rng))
            shorter = yield from shortest_prefix([order], n_bands, growth=2.0, at_once=4)
            if len(shorter) == len(kept):
                break
            kept = shorter
            if len(kept) <= _ENOUGH:
                break
        kept = yield from reduced(kept, n_bands)
        return Found(mask_of(kept, n_bands), self.guarantee)


def _ranked(kept: Order, n_bands: int) -> Generator[Slope, FloatArray | None, Order | None]:
    """The bands of a mask by the size of their slopes there, steepest first; None without slopes."""
    slope = yield Slope(mask_of(kept, n_bands))
    return None if slope is None else kept[np.argsort(-np.abs(slope[kept]), kind="stable")]
