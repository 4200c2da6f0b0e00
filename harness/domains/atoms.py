"""What every domain has in common: a transform of a clip, and atoms that group its coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.types import FloatArray, Mask, Waveform

Edges = NDArray[np.int64]
Coefficients = NDArray[Any]
Scalar = TypeVar("Scalar", bound=np.generic)


class Domain(Protocol):
    """A linear transform of clips of one length, which they are rebuilt from."""

    name: ClassVar[str]

    @property
    def n_samples(self) -> int:
        """Samples of a clip."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Their rate."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows in time and columns in frequency."""
        ...

    @property
    def row_edges_s(self) -> FloatArray:
        """(n_rows + 1,) times between which the coefficients of a row lie, in s."""
        ...

    @property
    def column_edges_hz(self) -> FloatArray:
        """(n_columns + 1,) frequencies between which those of a column lie, in Hz."""
        ...

    def forward(self, waveform: Waveform) -> Coefficients:
        """(n_samples,) -> the coefficients of a clip, in float64 or complex128."""
        ...

    def keep(self, coefficients: Coefficients, masks: Mask) -> Waveform:
        """The signals that keep some of the coefficients, and nothing of the others.

        Args:
            coefficients: as from `forward`.
            masks: (m, n_rows * n_columns).

        Returns:
            (m, n_samples) float32.
        """
        ...

    def products(self, a: Coefficients, b: Coefficients) -> FloatArray:
        """(n_rows * n_columns,) what each coefficient adds to the inner product of two waveforms.

        Of a clip with itself it is the energy of each coefficient; of a clip with the gradient of a function
        of the samples it is the slope of that function with the gain of each coefficient, at gain 1.
        """
        ...


class Extent(NamedTuple):
    """Where an atom lies."""

    low_hz: float
    high_hz: float
    start_s: float
    end_s: float

    def __str__(self) -> str:
        return f"{self.low_hz:.0f} to {self.high_hz:.0f} Hz, {self.start_s:.3f} to {self.end_s:.3f} s"


@dataclass(frozen=True, eq=False)
class Atoms:
    """A partition of the plane of a domain into rectangles of neighbouring coefficients."""

    domain: Domain
    row_edges: Edges
    """(R + 1,) rising from 0 to n_rows."""
    column_edges: Edges
    """(C + 1,) rising from 0 to n_columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """Atoms in time and atoms in frequency."""
        return len(self.row_edges) - 1, len(self.column_edges) - 1

    def __len__(self) -> int:
        n_rows, n_columns = self.shape
        return n_rows * n_columns

    def expand(self, masks: Mask) -> Mask:
        """Masks over atoms, (..., n_atoms), as masks over coefficients, (..., n_rows * n_columns)."""
        return self.spread(masks)

    def spread(self, per_atom: NDArray[Scalar]) -> NDArray[Scalar]:
        """A value of each atom, (..., n_atoms), at each coefficient, (..., n_rows * n_columns)."""
        plane = per_atom.reshape(*per_atom.shape[:-1], *self.shape)
        for axis, edges in ((-2, self.row_edges), (-1, self.column_edges)):
            if len(edges) - 1 < edges[-1]:
                plane = np.repeat(plane, np.diff(edges), axis=axis)
        return plane.reshape(*per_atom.shape[:-1], -1)

    def pool(self, per_coefficient: FloatArray) -> FloatArray:
        """(n_atoms,) sum of a quantity of each coefficient, (n_rows * n_columns,), in each atom."""
        plane = per_coefficient.reshape(self.domain.shape)
        for axis, edges in enumerate((self.row_edges, self.column_edges)):
            plane = np.add.reduceat(plane, edges[:-1], axis=axis)
        return plane.ravel()

    def grid(self, allowed: Edges) -> Grid:
        """Where some atoms, by index, lie when rows and columns without any of them are left out."""
        rows, columns = np.divmod(allowed, self.shape[1])
        return Grid(*(np.unique(axis, return_inverse=True)[1].astype(np.int64) for axis in (rows, columns)))

    def extent(self, atom: int) -> Extent:
        """Where an atom lies in the clip."""
        row, column = divmod(atom, self.shape[1])
        hertz, seconds = self.domain.column_edges_hz, self.domain.row_edges_s
        return Extent(
            float(hertz[self.column_edges[column]]),
            float(hertz[self.column_edges[column + 1]]),
            float(seconds[self.row_edges[row]]),
            float(seconds[self.row_edges[row + 1]]),
        )


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the atoms that a search may keep lie, in rows and columns without gaps."""

    rows: Edges
    """(n,) row of each, in time, from 0."""
    columns: Edges
    """(n,) column of each, in frequency, from 0."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that hold an atom."""
        return int(self.rows.max()) + 1, int(self.columns.max()) + 1

    def regions(self, n: int) -> Edges:
        """(n_atoms,) which of about `n` regions of neighbours each atom is in, from 0 without gaps.

        They are even in time and in the logarithm of the column. A row or a column is cut into `n`; a plane
        into as many rows of regions as columns, where it has so many.
        """
        n_rows, n_columns = self.shape
        across = min(n_columns, n if n_rows == 1 else max(n // n_rows, round(n**0.5)))
        along = min(n_rows, max(1, n // across))
        row = self.rows * along // n_rows
        edges = np.unique(np.geomspace(1, n_columns, across + 1).astype(np.int64))
        column = np.searchsorted(edges[1:-1], self.columns, side="right")
        return np.unique(row * across + column, return_inverse=True)[1].astype(np.int64)


def one_row(n: int) -> Grid:
    """`n` atoms in one row."""
    return Grid(np.zeros(n, dtype=np.int64), np.arange(n, dtype=np.int64))


def every(n: int, size: int) -> Edges:
    """Edges of groups of `size` neighbours among `n`; the last one may be smaller."""
    return np.append(np.arange(0, n, size, dtype=np.int64), n)
