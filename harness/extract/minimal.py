"""Family `minimal`: a certified 1-minimal signal, down to single bins, black box or white.

From coarse to fine. Where a short prefix of any of some rankings is sufficient, it is taken. Where none is,
the kept part of the spectrum is cut into pieces, pieces are left out until none can go, and the rankings are
tried again on what is left (Misherghi & Su, *HDD: Hierarchical Delta Debugging*, ICSE 2006). Of a short set,
single atoms are left out until none can go: the certificate.

No ranking is short for all models: one that hears through a logarithm wants the loudest atom of every region,
one that brings its input to unit variance may take any single atom, however quiet. The white-box search ranks
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
from harness.families import DEFAULT_RESOLUTIONS, MINIMAL
from harness.types import FloatArray

_SHORT = 64
"""Atoms of a prefix that is taken."""

_PIECES = 128
"""Pieces that a longer set is cut into: at first the regions of its grid, then of equally many atoms."""

_REGIONS = 64
"""Regions of the grid whose loudest atoms a ranking puts first."""

_ONE_BY_ONE = 4
"""Needed atoms found one by one before others are left out in chunks."""

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Minimal:
    """Settings of the black-box search."""

    kind: ClassVar[str] = MINIMAL
    guarantee: ClassVar[str] = "one_minimal"

    resolution: str = DEFAULT_RESOLUTIONS["minimal"]
    """The atoms, by a name that `domains.parse` reads."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`. Only one of the rankings is random."""
        return self.on_grid(energy, rng, one_row(len(energy)))

    def on_grid(self, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
        """See `search.GridSearch`."""
        return _searching(energy, rng, grid, white_box=False)


@dataclass(frozen=True)
class Gradient:
    """Settings of the white-box search; a model that gives no slopes is searched as by `Minimal`."""

    kind: ClassVar[str] = MINIMAL
    guarantee: ClassVar[str] = "one_minimal"

    resolution: str = DEFAULT_RESOLUTIONS["minimal"]
    """The atoms, by a name that `domains.parse` reads."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`. Only one of the rankings is random."""
        return self.on_grid(energy, rng, one_row(len(energy)))

    def on_grid(self, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
        """See `search.GridSearch`."""
        return _searching(energy, rng, grid, white_box=True)


def _searching(energy: FloatArray, rng: np.random.Generator, grid: Grid, *, white_box: bool) -> Searching:
    n_atoms = len(energy)
    atoms, n_pieces, is_single = np.arange(n_atoms), _PIECES, False
    shuffled = rng.permutation(n_atoms)
    orders = _rankings(energy, shuffled, grid, _SHORT + 1)
    while not is_single:
        slope_rankings: list[Order] = []
        if white_box:
            slope = yield Slope(mask_of(atoms, n_atoms))
            white_box = slope is not None
            slope_rankings = _steepest(slope, energy, atoms) if slope is not None else []
        rankings = [*slope_rankings, *(_within(order, atoms) for order in orders)]
        prefix = yield from shortest_prefix(
            rankings, n_atoms, growth=2.0, at_once=1 if slope_rankings else 2, most=_SHORT
        )
        if prefix is not None:
            atoms = prefix
            break
        if len(atoms) == n_atoms:
            orders = _rankings(energy, shuffled, grid, n_atoms)
        piece = _pieces(atoms, grid, n_pieces)
        loudest = np.argsort(-np.bincount(piece[atoms], energy[atoms]), kind="stable")
        is_single = len(loudest) == len(atoms)
        pieces = yield from in_pieces(_reduce_pieces(loudest), piece)
        if len(pieces) > len(loudest) / 2:
            n_pieces *= 4  # few could go: smaller ones may
        atoms = np.flatnonzero(np.isin(piece, pieces))
    else:
        atoms = _within(orders[0], atoms)
    atoms = yield from _reduce(atoms, n_atoms)
    return SearchResult(mask_of(atoms, n_atoms), Minimal.guarantee)


def _pieces(atoms: Order, grid: Grid, n_pieces: int) -> Order:
    """(n_atoms,) the piece of each kept atom, from low to high, and -1 for all others."""
    n_atoms = len(grid.rows)
    if len(atoms) == n_atoms:
        numbers = grid.regions(n_pieces)
    else:
        numbers = np.arange(len(atoms)) * min(n_pieces, len(atoms)) // len(atoms)
    piece = np.full(n_atoms, -1)
    piece[atoms] = numbers
    return piece


def _reduce_pieces(pieces: Order) -> Asking[Order]:
    """Fewer pieces, not certified: the next set is cut out of them in any case."""
    return delta_debug(pieces, len(pieces), size=len(pieces) // 8, certify=False)


def _reduce(atoms: Order, n_atoms: int) -> Asking[Order]:
    """A 1-minimal part of a sufficient mask whose atoms are `atoms`, most important first."""
    essential, others = yield from progression(atoms, n_atoms, _ONE_BY_ONE)
    ordered_atoms = np.concatenate([essential, others])
    return (yield from delta_debug(ordered_atoms, n_atoms, size=len(others) // 8))


def _within(order: Order, atoms: Order) -> Order:
    """Those of a ranking that are among the atoms."""
    return order if len(atoms) > len(order) else order[np.isin(order, atoms)]


# ---- rankings: most important first ----------------------------------------------------------------


def _rankings(energy: FloatArray, shuffled: Order, grid: Grid, most: int) -> list[Order]:
    """The first atoms, at most so many, of those that ask no model.

    By energy; by energy against that of the region around, half and in full; the loudest of every region,
    then the second of every region, and so on; at random.
    """
    region = grid.regions(_REGIONS)
    sizes = np.bincount(region)
    region_energy = np.maximum(np.bincount(region, energy) / sizes, _TINY)[region]
    loudest = np.argsort(-energy, kind="stable")
    # Of whole numbers of 16 bits a stable sort is linear: none of energies but the first.
    by_region = np.argsort(region[loudest].astype(np.uint16), kind="stable")
    rank_in_region = np.empty(len(energy), dtype=np.uint16 if len(energy) < 1 << 16 else np.int64)
    rank_in_region[by_region] = np.arange(len(energy)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return [
        loudest[:most],
        _highest(energy / np.sqrt(region_energy), most),
        _highest(energy / region_energy, most),
        loudest[np.argsort(rank_in_region, kind="stable")[:most]],
        shuffled[:most],
    ]


def _highest(score: FloatArray, most: int) -> Order:
    """The atoms of the highest scores, at most so many; of equal ones the first comes first."""
    least = np.partition(score, max(0, len(score) - most))[max(0, len(score) - most)]
    atoms = np.flatnonzero(score >= least)
    return atoms[np.argsort(-score[atoms], kind="stable")][:most]


def _steepest(slope: FloatArray, energy: FloatArray, atoms: Order) -> list[Order]:
    """Rankings of kept atoms by slope: of an atom as it is, its rise alone, and of a unit of it."""
    gain = slope[atoms]
    per_unit = np.abs(gain) / np.maximum(np.sqrt(energy[atoms]), _TINY)
    return [atoms[np.argsort(-score, kind="stable")] for score in (np.abs(gain), gain, per_unit)]
