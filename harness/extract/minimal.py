"""Family `minimal`: a certified 1-minimal signal, down to single bins.

The shortest sufficient prefix of the energy ranking, or of the ranking that takes the loudest bin of every
region of the spectrum first, if that is shorter; then what `shrink` does with it. The sweeps that leave every
band out once are the certificate.

Public: Minimal, reduced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.extract.contract import Asking, Found, Order, Searching, mask_of
from harness.extract.shrink import delta_debug, progression, shortest_prefix
from harness.records import FloatArray

_REGIONS = 64
"""Regions of the spectrum, evenly spaced in log frequency."""

_ONE_BY_ONE = 32
"""Needed bands found one by one before the others are taken away in chunks."""

_FIRST_CHUNKS = 8
"""Chunks that are left out first."""


@dataclass(frozen=True)
class Minimal:
    """Settings of the search."""

    family: ClassVar[str] = "minimal"
    guarantee: ClassVar[str] = "one_minimal"

    n_bands: int | None = None
    """Resolution; None for single bins."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `contract.Search`. Nothing here is random."""
        orders = [np.argsort(-energy, kind="stable"), _by_region(energy)]
        kept = yield from shortest_prefix(orders, len(energy), growth=2.0, at_once=4)
        kept = yield from reduced(kept, len(energy))
        return Found(mask_of(kept, len(energy)), self.guarantee)


def reduced(kept: Order, n_bands: int) -> Asking[Order]:
    """A 1-minimal part of a sufficient mask.

    Args:
        kept: its bands, most important first.
        n_bands: length of a mask.
    """
    needed, others = yield from progression(kept, n_bands, _ONE_BY_ONE)
    left = np.concatenate([needed, others])
    return (yield from delta_debug(left, n_bands, len(others) // _FIRST_CHUNKS))


def _by_region(energy: FloatArray) -> Order:
    """The loudest band of every region, loudest region first; then the second of every region, and so on."""
    n_bands = len(energy)
    edges = np.unique(np.geomspace(1, n_bands, _REGIONS + 1).astype(np.int64))
    region = np.searchsorted(edges[1:-1], np.arange(n_bands), side="right")
    by_region = np.lexsort((-energy, region))
    sizes = np.bincount(region)
    place = np.empty(n_bands, dtype=np.int64)
    place[by_region] = np.arange(n_bands) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.lexsort((-energy, place))
