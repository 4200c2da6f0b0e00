"""The search contract: an algorithm queries a function and knows no model.

A search is a generator. It yields a batch of masks over atoms, bool (m, n_atoms); is sent the answers, bool
(m,), True where the mask is sufficient; and returns what it found. It holds no model, device, batch size or
clock. It may rely on this and nothing more: keeping every atom is sufficient, keeping none is not, and
the same mask always gets the same answer. Acceptance need NOT be monotone.

A white-box search may yield a `Slope` instead, and is sent (n_atoms,) of them; or None, where the model gives
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
    """(n_atoms,) a sufficient mask."""
    guarantee: str
    """`one_minimal` or `prefix_minimal`."""
    ranking: FloatArray | None = None
    """(n_atoms,) responsibility of each atom, from a search that ranks them; None from all else."""


@dataclass(frozen=True, eq=False)
class Slope:
    """The question how the lead of the class changes with the gain of each atom."""

    mask: Mask
    """(n_atoms,) the signal at which it is asked."""


Asking = Generator[Mask, Mask, R]
"""A part of a search that returns something other than its result."""

Searching = Generator[Mask | Slope, Any, SearchResult]
"""A running search: yields masks, is sent answers, returns its SearchResult."""


class Search(Protocol):
    """A search with its settings. `repr` names it in every record."""

    @property
    def kind(self) -> str:
        """The kind of its families, one of `families.KINDS`."""
        ...

    @property
    def guarantee(self) -> str:
        """What it promises of a mask: `one_minimal` or `prefix_minimal`."""
        ...

    @property
    def resolution(self) -> str:
        """The atoms it works on, by name (`domains.parse`)."""
        ...

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """Begin a search.

        Args:
            energy: (n_atoms,) energy of the clip in each atom.
            rng: seeded for this clip, reference and search.
        """
        ...


@runtime_checkable
class GridSearch(Search, Protocol):
    """A search that asks which atoms are neighbours; called without a grid, they are so in their order."""

    def on_grid(self, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
        """Begin a search on atoms that lie on a grid."""
        ...


def begin(search: Search, energy: FloatArray, rng: np.random.Generator, grid: Grid) -> Searching:
    """Begin a search of either kind."""
    return search.on_grid(energy, rng, grid) if isinstance(search, GridSearch) else search(energy, rng)


def mask_of(atoms: Order, n_atoms: int) -> Mask:
    """Indices of kept atoms as a mask (n_atoms,)."""
    mask = np.zeros(n_atoms, dtype=bool)
    mask[atoms] = True
    return mask


def prefix_sizes(n_atoms: int, growth: float = 1.15) -> Order:
    """1 .. n_atoms on a geometric grid: each size is the next whole number or `growth` times the last."""

    def sizes() -> Iterator[int]:
        size = 1
        while size < n_atoms:
            yield size
            size = max(size + 1, int(size * growth))
        yield n_atoms

    return np.fromiter(sizes(), dtype=np.int64)
