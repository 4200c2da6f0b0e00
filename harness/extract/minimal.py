"""Family `minimal`: a certified 1-minimal signal, down to single bins, black box or white.

From coarse to fine. Where a short prefix of any of some rankings is sufficient, it is taken. Where none is,
the kept part of the spectrum is cut into pieces, pieces are left out until none can go, and the rankings are
tried again on what is left (Misherghi & Su, *HDD: Hierarchical Delta Debugging*, ICSE 2006). Of a short set,
single bands are left out until none can go: the certificate.

No ranking is short for all models: one that hears through a logarithm wants the loudest band of every region,
one that brings its input to unit variance may take any single band, however quiet. The white-box search ranks
by slope besides, anew for each set that is kept, because what matters to a part of a spectrum is not what
mattered to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.domains import Grid, one_row
from harness.extract.reduction import delta_debug, in_pieces, progression, shortest_prefix
from harness.extract.search import Asking, Order, Searching, SearchResult, Slope, mask_of
from harness.types import FloatArray

_SHORT = 64
"""Bands of a prefix that is taken."""

_PIECES = 128
"""Pieces that a longer set is cut into: at first the regions of its grid, then of equally many bands."""

_REGIONS = 64
"""Regions of the grid whose loudest bands a ranking puts first."""

_ONE_BY_ONE = 4
"""Needed bands found one by one before others are left out in chunks."""

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Minimal:
    """Settings of the black-box search."""

    family: ClassVar[str] = "minimal"
    guarantee: ClassVar[str] = "one_minimal"

    n_bands: int | None = None
    """Resolution; None for single bins."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`. Only one of the rankings is random."""
        return self.on_grid(energy, rng, one_row(len(energy)))

    def on_grid(self, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
        """See `search.GridSearch`."""
        return _searching(energy, rng, grid, white_box=False)


@dataclass(frozen=True)
class Gradient:
    """Settings of the white-box search; a model that gives no slopes is searched as by `Minimal`."""

    family: ClassVar[str] = "minimal"
    guarantee: ClassVar[str] = "one_minimal"

    n_bands: int | None = None
    """Resolution; None for single bins."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`. Only one of the rankings is random."""
        return self.on_grid(energy, rng, one_row(len(energy)))

    def on_grid(self, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
        """See `search.GridSearch`."""
        return _searching(energy, rng, grid, white_box=True)


def _searching(energy: FloatArray, rng: np.random.Generator, grid: Grid, *, white_box: bool) -> Searching:
    n_bands = len(energy)
    bands, n_pieces, is_single = np.arange(n_bands), _PIECES, False
    orders = _rankings(energy, rng, grid)
    while not is_single:
        slope_rankings: list[Order] = []
        if white_box:
            slope = yield Slope(mask_of(bands, n_bands))
            white_box = slope is not None
            slope_rankings = _steepest(slope, energy, bands) if slope is not None else []
        rankings = [*slope_rankings, *(order[np.isin(order, bands)] for order in orders)]
        prefix = yield from shortest_prefix(
            rankings, n_bands, growth=2.0, at_once=1 if slope_rankings else 2, most=_SHORT
        )
        if prefix is not None:
            bands = prefix
            break
        piece = _pieces(bands, grid, n_pieces)
        loudest = np.argsort(-np.bincount(piece[bands], energy[bands]), kind="stable")
        is_single = len(loudest) == len(bands)
        pieces = yield from in_pieces(_reduce_pieces(loudest), piece)
        if len(pieces) > len(loudest) / 2:
            n_pieces *= 4  # few could go: smaller ones may
        bands = np.flatnonzero(np.isin(piece, pieces))
    else:
        bands = orders[0][np.isin(orders[0], bands)]
    bands = yield from _reduce(bands, n_bands)
    return SearchResult(mask_of(bands, n_bands), Minimal.guarantee)


def _pieces(bands: Order, grid: Grid, n_pieces: int) -> Order:
    """(n_bands,) the piece of each kept band, from low to high, and -1 for all others."""
    n_bands = len(grid.rows)
    if len(bands) == n_bands:
        numbers = grid.regions(n_pieces)
    else:
        numbers = np.arange(len(bands)) * min(n_pieces, len(bands)) // len(bands)
    piece = np.full(n_bands, -1)
    piece[bands] = numbers
    return piece


def _reduce_pieces(pieces: Order) -> Asking[Order]:
    """Fewer pieces, not certified: the next set is cut out of them in any case."""
    return delta_debug(pieces, len(pieces), size=len(pieces) // 8, certify=False)


def _reduce(bands: Order, n_bands: int) -> Asking[Order]:
    """A 1-minimal part of a sufficient mask whose bands are `bands`, most important first."""
    essential, others = yield from progression(bands, n_bands, _ONE_BY_ONE)
    ordered_bands = np.concatenate([essential, others])
    return (yield from delta_debug(ordered_bands, n_bands, size=len(others) // 8))


# ---- rankings: all bands, most important first -----------------------------------------------------


def _rankings(energy: FloatArray, rng: np.random.Generator, grid: Grid) -> list[Order]:
    """Those that ask no model.

    By energy; by energy against that of the region around, half and in full; the loudest of every region,
    then the second of every region, and so on; at random.
    """
    n_bands = len(energy)
    region = grid.regions(_REGIONS)
    sizes = np.bincount(region)
    region_energy = np.maximum(np.bincount(region, energy) / sizes, _TINY)[region]
    rank_in_region = np.empty(n_bands, dtype=np.int64)
    rank_in_region[np.lexsort((-energy, region))] = np.arange(n_bands) - np.repeat(
        np.cumsum(sizes) - sizes, sizes
    )
    return [
        np.argsort(-energy, kind="stable"),
        np.argsort(-energy / np.sqrt(region_energy), kind="stable"),
        np.argsort(-energy / region_energy, kind="stable"),
        np.lexsort((-energy, rank_in_region)),
        rng.permutation(n_bands),
    ]


def _steepest(slope: FloatArray, energy: FloatArray, bands: Order) -> list[Order]:
    """Rankings of kept bands by slope: of a band as it is, its rise alone, and of a unit of it."""
    gain = slope[bands]
    per_unit = np.abs(gain) / np.maximum(np.sqrt(energy[bands]), _TINY)
    return [bands[np.argsort(-score, kind="stable")] for score in (np.abs(gain), gain, per_unit)]
