"""Family `responsibility`: the shortest sufficient prefix, on a grid, of a causal-responsibility ranking.

As in FreqReX. Source: Chockler, Kelly, Kroening, Sun, *Causal Explanations for Image Classifiers* (ReX,
arXiv 2411.08875), the algorithm; Kelly & Chockler (FreqReX, arXiv 2601.16675), its use on the frequency axis.
A region of atoms is cut at random into four parts; all 14 proper unions of parts are tried; a part that is
needed together with k others in a smallest passing union has responsibility 1 / (1 + k); the parts of one
passing union are refined in turn, the others held. Repeated from fresh cuts and added up.

Departures: a ranked atom is applied as that atom (ReX 0.4.1 applies location i as the slice [0, i) on
one-dimensional data); parts held while another is refined stay in (ReX drops them); ties are broken by
energy; the prefix is searched on a geometric grid in batches, not linearly; the number of splits in a
repetition is bounded, breadth first. A region is an interval of a row or a column, or a rectangle of a plane,
which is cut once in time and once in frequency, as ReX cuts images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import ClassVar

import numpy as np

from harness.domains import Grid, one_row
from harness.extract.reduction import shortest_prefix
from harness.extract.search import Asking, Searching, SearchResult, mask_of
from harness.families import DEFAULT_RESOLUTIONS, RESPONSIBILITY
from harness.types import FloatArray, Mask

Interval = tuple[int, int]
Region = tuple[Interval, Interval]
"""First row and the one after the last; the same of columns."""


@dataclass(frozen=True)
class Responsibility:
    """Settings of the search."""

    kind: ClassVar[str] = RESPONSIBILITY
    guarantee: ClassVar[str] = "prefix_minimal"

    repetitions: int = 10
    """Fresh random partitions."""
    splits: int = 10
    """Regions cut in a repetition, 14 queries each."""
    resolution: str = DEFAULT_RESOLUTIONS["responsibility"]
    """The atoms, by a name that `domains.parse` reads."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`."""
        return self.on_grid(energy, rng, one_row(len(energy)))

    def on_grid(self, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
        """See `search.GridSearch`."""
        n_atoms = len(energy)
        shares = yield from _side_by_side(
            [_repetition(grid, self.splits, child) for child in rng.spawn(self.repetitions)]
        )
        responsibility = np.sum(shares, axis=0)
        order = np.lexsort((-energy, -responsibility))
        prefix = yield from shortest_prefix([order], n_atoms)
        atoms = order if prefix is None else prefix
        return SearchResult(mask_of(atoms, n_atoms), self.guarantee, responsibility)


def _repetition(grid: Grid, splits: int, rng: np.random.Generator) -> Asking[FloatArray]:
    """Responsibility of each atom, (n_atoms,), from one random recursive partition."""
    n_atoms, (n_rows, n_columns) = len(grid.rows), grid.shape
    share = np.zeros(n_atoms)
    queue: list[tuple[Region, Mask]] = [(((0, n_rows), (0, n_columns)), np.zeros(n_atoms, dtype=bool))]
    for _ in range(splits):
        if not queue:
            break
        region, context = queue.pop(0)
        atoms_of = {part: _inside(grid, part) for part in _partition(region, rng)}
        regions = [part for part, atoms in atoms_of.items() if atoms.any()]
        parts = [atoms_of[part] for part in regions]
        unions = [u for size in range(1, len(parts)) for u in combinations(range(len(parts)), size)]
        if not unions:  # all of its atoms are in one part, which is cut in the next turn
            queue.append((regions[0], context))
            continue
        answers = yield _unions(context, parts, unions)
        passing = [set(u) for u, passes in zip(unions, answers, strict=True) if passes]
        minimal = [u for u in passing if not any(other < u for other in passing)]
        for i, part in enumerate(parts):
            share[part] += max((1 / len(u) for u in minimal if i in u), default=0.0)
        if not minimal:
            continue
        smallest_unions = [u for u in minimal if len(u) == min(map(len, minimal))]
        union = sorted(smallest_unions[int(rng.integers(len(smallest_unions)))])
        for i in union:
            (others,) = _unions(context, parts, [[j for j in union if j != i]])
            if np.count_nonzero(parts[i]) > 1:
                queue.append((regions[i], others))
    return share


def _partition(region: Region, rng: np.random.Generator) -> list[Region]:
    """Up to four neighbouring parts, cut at random, of at least a row and a column each."""
    rows, columns = region
    if rows[1] - rows[0] == 1:
        return [(rows, part) for part in _cut(columns, 3, rng)]
    if columns[1] - columns[0] == 1:
        return [(part, columns) for part in _cut(rows, 3, rng)]
    return list(product(_cut(rows, 1, rng), _cut(columns, 1, rng)))


def _cut(interval: Interval, n_cuts: int, rng: np.random.Generator) -> list[Interval]:
    """Up to `n_cuts + 1` neighbouring parts, cut at random, none empty."""
    first, end = interval
    cuts = np.sort(rng.choice(np.arange(first + 1, end), min(n_cuts, end - first - 1), replace=False))
    return list(pairwise([first, *map(int, cuts), end]))


def _inside(grid: Grid, region: Region) -> Mask:
    """(n_atoms,) the atoms of a region."""
    rows, columns = region
    inside = (grid.rows >= rows[0]) & (grid.rows < rows[1])
    return inside & (grid.columns >= columns[0]) & (grid.columns < columns[1])


def _unions(context: Mask, parts: Sequence[Mask], unions: Sequence[Sequence[int]]) -> Mask:
    """(m, n_atoms) what is held, (n_atoms,), and each of some unions of parts by index."""
    masks = np.repeat(context[None], len(unions), axis=0)
    for mask, union in zip(masks, unions, strict=True):
        for i in union:
            mask |= parts[i]
    return masks


def _side_by_side(searches: Sequence[Asking[FloatArray]]) -> Asking[list[FloatArray]]:
    """Advance independent searches side by side, their batches merged into one."""
    results: dict[int, FloatArray] = {}
    batches = {i: next(search) for i, search in enumerate(searches)}
    while batches:
        answers = yield np.concatenate(list(batches.values()))
        previous, batches, at = batches, {}, 0
        for i, batch in previous.items():
            try:
                batches[i] = searches[i].send(answers[at : at + len(batch)])
            except StopIteration as stop:
                results[i] = stop.value
            at += len(batch)
    return [results[i] for i in range(len(searches))]
