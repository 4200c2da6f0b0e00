"""Family `responsibility`: the shortest sufficient prefix, on a grid, of a causal-responsibility ranking.

As in FreqReX. Source: Chockler, Kelly, Kroening, Sun, *Causal Explanations for Image Classifiers* (ReX,
arXiv 2411.08875), the algorithm; Kelly & Chockler (FreqReX, arXiv 2601.16675), its use on the frequency axis.
An interval of bands is cut at random into four parts; all 14 proper unions of parts are tried; a part that is
needed together with k others in a smallest passing union has responsibility 1 / (1 + k); the parts of one
passing union are refined in turn, the others held. Repeated from fresh cuts and added up.

Departures: a ranked band is applied as that band (ReX 0.4.1 applies location i as the slice [0, i) on
one-dimensional data); parts held while another is refined stay in (ReX drops them); ties are broken by
energy; the prefix is searched on a geometric grid in batches, not linearly; the number of splits in a
repetition is bounded, breadth first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import ClassVar

import numpy as np

from harness.extract.reduction import shortest_prefix
from harness.extract.search import Asking, Searching, SearchResult, mask_of
from harness.types import DEFAULT_BANDS, FloatArray, Mask

Interval = tuple[int, int]


@dataclass(frozen=True)
class Responsibility:
    """Settings of the search."""

    family: ClassVar[str] = "responsibility"
    guarantee: ClassVar[str] = "prefix_minimal"

    repetitions: int = 20
    """Fresh random partitions."""
    splits: int = 5
    """Intervals cut in a repetition, 14 queries each."""
    n_bands: int | None = DEFAULT_BANDS
    """Resolution; None for single bins."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`."""
        n_bands = len(energy)
        shares = yield from _side_by_side(
            [_repetition(n_bands, self.splits, child) for child in rng.spawn(self.repetitions)]
        )
        responsibility = np.sum(shares, axis=0)
        order = np.lexsort((-energy, -responsibility))
        prefix = yield from shortest_prefix([order], n_bands)
        bands = order if prefix is None else prefix
        return SearchResult(mask_of(bands, n_bands), self.guarantee, responsibility)


def _repetition(n_bands: int, splits: int, rng: np.random.Generator) -> Asking[FloatArray]:
    """Responsibility of each band, (n_bands,), from one random recursive partition."""
    share = np.zeros(n_bands)
    queue: list[tuple[Interval, Mask]] = [((0, n_bands), np.zeros(n_bands, dtype=bool))]
    for _ in range(splits):
        if not queue:
            break
        interval, context = queue.pop(0)
        parts = _partition(interval, rng)
        unions = [u for size in range(1, len(parts)) for u in combinations(range(len(parts)), size)]
        answers = yield np.stack([context | _union(parts, u, n_bands) for u in unions])
        passing = [set(u) for u, passes in zip(unions, answers, strict=True) if passes]
        minimal = [u for u in passing if not any(other < u for other in passing)]
        for i, (first, end) in enumerate(parts):
            share[first:end] += max((1 / len(u) for u in minimal if i in u), default=0.0)
        if not minimal:
            continue
        smallest_unions = [u for u in minimal if len(u) == min(map(len, minimal))]
        union = sorted(smallest_unions[int(rng.integers(len(smallest_unions)))])
        for i in union:
            others = _union(parts, [j for j in union if j != i], n_bands)
            if parts[i][1] - parts[i][0] > 1:
                queue.append((parts[i], context | others))
    return share


def _partition(interval: Interval, rng: np.random.Generator) -> list[Interval]:
    """Up to four neighbouring parts, cut at random, none empty."""
    first, end = interval
    n_cuts = min(3, end - first - 1)
    cuts = np.sort(rng.choice(np.arange(first + 1, end), n_cuts, replace=False))
    edges = [first, *map(int, cuts), end]
    return list(pairwise(edges))


def _union(parts: Sequence[Interval], indices: Sequence[int], n_bands: int) -> Mask:
    mask = np.zeros(n_bands, dtype=bool)
    for i in indices:
        mask[slice(*parts[i])] = True
    return mask


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
