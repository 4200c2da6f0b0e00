"""Family `minimal`: a certified 1-minimal signal, down to single bins, black box or white.

A short sufficient set is looked for where it is cheap to find, in turn:

1. the first atoms, at most _SHORT, of some rankings;
2. neighbouring atoms around one of the peaks of the spectrum, or around several: a run of bins keeps the
   envelope of its band, which single bins do not;
3. both in what is left when the clip is cut into pieces and pieces are left out until none can go, for cuts
   into few pieces first (Misherghi & Su, *HDD: Hierarchical Delta Debugging*, ICSE 2006);
4. more atoms of the rankings; at last, smaller pieces of the smallest set so far.

Of the set, the needed atoms are found by progression, and each is left out once more: the certificate.

No ranking is short for all models: one that hears through a logarithm wants the loudest atom of every region,
one that brings its input to unit variance may take any single atom, however quiet. The white-box search ranks
by slope besides, anew for each set that is kept, because what matters to a part of a spectrum is not what
mattered to the whole.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from harness.domains import Grid, one_row
from harness.extract.reduction import certify, first_sufficient, in_pieces, progression, shortest_prefix
from harness.extract.search import Order, R, Searching, SearchResult, Slope, mask_of
from harness.families import DEFAULT_RESOLUTIONS, MINIMAL
from harness.types import FloatArray, Mask

_SHORT = 64
"""Atoms of a prefix that is taken at once."""

_SPARSE = 1024
"""Atoms of a prefix that is taken where no cut led to a short one."""

_CUTS = (16, 32, 64)
"""Pieces that a clip is cut into: the regions of its grid, then as many of equally many atoms."""

_PIECES = 128
"""Pieces that the smallest set is cut into in the end."""

_REACH = 16
"""Atoms between two peaks, at least, and those on either side that a run around one has."""

_PEAKS = 12
"""Peaks of a clip around which a run is tried; of what is left of it, half as many."""

_REGIONS = 64
"""Regions of the grid whose loudest atoms a ranking puts first."""

_Part = Generator[Mask | Slope, Any, R]
"""A part of the search, which asks for slopes, too."""

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


@dataclass(eq=False)
class _Context:
    """What the parts of a search have in common."""

    energy: FloatArray
    """(n_atoms,)"""
    grid: Grid
    shuffled: Order
    """Its atoms at random."""
    white_box: bool
    """The model is asked for slopes; not again once it gave none."""

    def short_prefix(
        self, atoms: Order, rankings: list[Order], growth: float, least: int = 1
    ) -> _Part[Order | None]:
        """A short sufficient prefix of one of some rankings of kept atoms, or of those by slope, if any."""
        if self.white_box:
            slope = yield Slope(mask_of(atoms, len(self.energy)))
            self.white_box = slope is not None
            rankings = rankings if slope is None else [*_steepest(slope, self.energy, atoms), *rankings]
        return (
            yield from shortest_prefix(
                rankings, len(self.energy), growth=growth, at_once=1, least=least, most=_SHORT
            )
        )


def _searching(energy: FloatArray, rng: np.random.Generator, grid: Grid, *, white_box: bool) -> Searching:
    context = _Context(energy, grid, rng.permutation(len(energy)), white_box)
    atoms = yield from context.short_prefix(
        np.arange(len(energy)), _rankings(energy, context.shuffled, grid, _SHORT + 1), growth=2.0
    )
    if atoms is None:
        everything = np.arange(len(energy))
        peaks = _peaks(energy, everything, 16)
        runs = [_around(peak, energy, everything, _REACH) for peak in peaks[:_PEAKS]]
        runs += [_around(peaks[:n], energy, everything, _REACH // 2) for n in (4, 8, 16)]
        atoms = yield from first_sufficient(runs, len(energy))
    if atoms is None:
        atoms = yield from _from_pieces(context)
    atoms = yield from progression(atoms, len(energy))
    atoms = yield from certify(atoms, len(energy))
    return SearchResult(mask_of(atoms, len(energy)), Minimal.guarantee)


def _from_pieces(context: _Context) -> _Part[Order]:
    """A short set from which pieces of the clip were left out, by one of several cuts; else the smallest."""
    n_atoms = len(context.energy)
    orders = _rankings(context.energy, context.shuffled, context.grid, n_atoms)
    smallest = np.arange(n_atoms)
    for n_pieces in _CUTS:
        atoms, most_went = np.arange(n_atoms), True
        while most_went:
            atoms, short, most_went = yield from _without_pieces(context, atoms, orders, n_pieces)
            if short is not None:
                return short
        smallest = min(smallest, atoms, key=len)
        if len(smallest) > n_atoms / 2:  # what matters is everywhere: what is asked again costs nothing
            sparse = yield from shortest_prefix(
                orders, n_atoms, growth=2.0, at_once=1, least=2 * _SHORT, most=min(_SPARSE, n_atoms - 1)
            )
            if sparse is not None:
                return sparse
    n_pieces = _PIECES
    while n_pieces < len(smallest):
        smallest, short, most_went = yield from _without_pieces(context, smallest, orders, n_pieces)
        if short is not None:
            return short
        if not most_went:
            n_pieces *= 4  # few could go: smaller ones may
    return _within(orders[0], smallest)


def _without_pieces(
    context: _Context, atoms: Order, orders: Sequence[Order], n_pieces: int
) -> _Part[tuple[Order, Order | None, bool]]:
    """Leave out those pieces of some atoms that can go.

    Returns:
        The atoms that are left; a short sufficient part of them, if any; whether at least half of the pieces
        went.
    """
    piece = _pieces(atoms, context.grid, n_pieces)
    loudest = np.argsort(-np.bincount(piece[atoms], context.energy[atoms]), kind="stable")
    pieces = yield from in_pieces(progression(loudest, len(loudest), max(1, len(loudest) // 4)), piece)
    atoms = np.flatnonzero(np.isin(piece, pieces))
    short = yield from context.short_prefix(
        atoms, [_within(order, atoms) for order in orders], growth=4.0, least=_SHORT // 4
    )
    if short is None:
        peaks = _peaks(context.energy, atoms, _PEAKS // 2)
        runs = [_around(peak, context.energy, atoms, _REACH) for peak in peaks]
        short = yield from first_sufficient(runs, len(context.energy))
    return atoms, short, len(pieces) <= len(loudest) / 2


def _peaks(energy: FloatArray, atoms: Order, most: int) -> Order:
    """The loudest of some atoms, at most so many, each at least _REACH away from those before."""
    loudest = atoms[np.argsort(-energy[atoms], kind="stable")]
    peaks: list[int] = []
    while len(loudest) and len(peaks) < most:
        peaks.append(int(loudest[0]))
        loudest = loudest[np.abs(loudest - loudest[0]) >= _REACH]
    return np.array(peaks, dtype=np.int64)


def _around(peaks: Order | np.int64, energy: FloatArray, atoms: Order, reach: int) -> Order:
    """Those of some atoms that are so near to one of the peaks, the loudest first."""
    distance: Order = np.abs(atoms[:, None] - peaks).min(axis=1)
    near = atoms[distance <= reach]
    return near[np.argsort(-energy[near], kind="stable")]


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
