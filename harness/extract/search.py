"""The search contract: an algorithm queries a function and knows no model.

A search is a generator. It yields a batch of masks over bands, bool (m, n_bands); is sent the answers, bool
(m,), True where the mask is sufficient; and returns what it found. It holds no model, device, batch size or
clock. It may rely on this and nothing more: keeping every band is sufficient, keeping none is not, and
the same mask always gets the same answer. Acceptance need NOT be monotone.

A white-box search may yield a `Slope` instead, and is sent (n_bands,) of them; or None, where the model gives
no slopes, and has to do without.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.domains import Grid
from harness.types import FloatArray, Mask

Order = NDArray[np.int64]
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The result of a search."""

    mask: Mask
    """(n_bands,) a sufficient mask."""
    guarantee: str
    """`one_minimal` or `prefix_minimal`."""
    ranking: FloatArray | None = None
    """(n_bands,) responsibility of each band, from a search that ranks them; None from all else."""


@dataclass(frozen=True, eq=False)
class Slope:
    """The question how the lead of the class changes with the gain of each band."""

    mask: Mask
    """(n_bands,) the signal at which it is asked."""


Asking = Generator[Mask, Mask, R]
"""A part of a search that returns something other than its result."""

Searching = Generator[Mask | Slope, Any, SearchResult]
"""A running search: yields masks, is sent answers, returns its SearchResult."""


class Search(Protocol):
    """A search with its settings. `repr` names it in every record."""

    @property
    def family(self) -> str:
        """The family its signals belong to."""
        ...

    @property
    def guarantee(self) -> str:
        """What it promises of a mask: `one_minimal` or `prefix_minimal`."""
        ...

    @property
    def n_bands(self) -> int | None:
        """Bands it works on, evenly spaced in log frequency; None for single bins."""
        ...

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """Begin a search.

        Args:
            energy: (n_bands,) energy of the clip in each band.
            rng: seeded for this clip, reference and search.
        """
        ...


@runtime_checkable
class GridSearch(Search, Protocol):
    """A search that asks which bands are neighbours; called without a grid, they are so in their order."""

    def on_grid(self, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
        """Begin a search on bands that lie on a grid."""
        ...


def begin(search: Search, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
    """Begin a search of either kind."""
    return search.on_grid(energy, rng, grid) if isinstance(search, GridSearch) else search(energy, rng)


def mask_of(bands: Order, n_bands: int) -> Mask:
    """Indices of kept bands as a mask (n_bands,)."""
    mask = np.zeros(n_bands, dtype=bool)
    mask[bands] = True
    return mask


def prefix_sizes(n_bands: int, growth: float = 1.15) -> Order:
    """1 .. n_bands on a geometric grid: each size is the next whole number or `growth` times the last."""

    def sizes() -> Iterator[int]:
        size = 1
        while size < n_bands:
            yield size
            size = max(size + 1, int(size * growth))
        yield n_bands

    return np.fromiter(sizes(), dtype=np.int64)
