"""Where else in its clip a signal could lie: the occupied part, and places for the runs or tiles of a mask.

The masks of `matched` controls are made here (definitions: Controls), for what asks a model about them and
for what compares where signals lie. Conventions as in `domains`: a mask is bool (N,), N coefficients of a
plane of rows and columns. In a single row or column its runs are moved one by one; on a plane of both all of
it moves together, and what leaves the occupied part at one side comes in at the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.domains.masks import from_runs, runs
from harness.seeds import generator
from harness.types import N_MATCHED, FloatArray, Mask

_DRAWS = 256
"""Places that are drawn for a `matched` control."""

_OVERLAP = 0.1
"""Share of the signal's bins that a `matched` control may hold."""

_TOO_MUCH = 0.5
"""Share from which on it is no control; up to there those that hold least are taken where all hold more."""

_RUNS_AT_ONCE = 1 << 20
"""Runs of shifted masks that are summed up at a time."""

INAUDIBLE = 1e-12
"""Share of a clip's energy below which some of its bins hold rounding, and no sound."""


def occupied_band(energy: FloatArray, outside: float = 0.01) -> tuple[int, int]:
    """First bin, and the bin after the last, between which all but a share of the energy lies.

    Args:
        energy: (N,) of each bin, some of it above 0.
        outside: the share that lies outside, half of it at either end.
    """
    cumulative = np.cumsum(energy)
    first, last = np.searchsorted(cumulative, cumulative[-1] * np.array([outside / 2, 1 - outside / 2]))
    return int(first), min(int(last), len(energy) - 1) + 1


def random_placements(
    mask: Mask, band: tuple[int, int], n: int, rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """The runs of a mask at random places of a band, in random order, none touching another.

    Args:
        mask: (N,) with at least one run.
        band: first bin of the band, and the bin after its last.
        n: draws.
        rng: where they come from.

    Returns:
        (n, r, 2) rows of [first bin, number of bins], from low to high; None where the runs do not fit.
    """
    lengths = runs(mask)[:, 1]
    r = len(lengths)
    free = band[1] - band[0] - int(lengths.sum()) - (r - 1)
    if free < 0:
        return None
    widths = lengths[np.argsort(rng.random((n, r)), axis=1, kind="stable")]
    offsets = np.sort(np.floor(rng.random((n, r)) * (free + 1)).astype(np.int64), axis=1)
    starts = np.cumsum(widths + 1, axis=1) - (widths + 1)
    return np.stack([band[0] + offsets + starts, widths], axis=2)


def matched(mask: Mask, energy: FloatArray, shape: tuple[int, int], signal_id: str) -> list[Mask]:
    """The masks of the `matched` controls of a signal, up to N_MATCHED, seeded by its id.

    Of _DRAWS places those that hold at most _OVERLAP of the mask, the nearest in energy first; where there
    are none, those that hold less than _TOO_MUCH of it, the least first.

    Args:
        mask: (N,) of the signal.
        energy: (N,) of each coefficient of its clip.
        shape: rows and columns of the plane, of N coefficients together.
        signal_id: the signal.
    """
    total, target_energy = float(energy.sum()), float(energy[mask].sum())
    if total <= 0 or not mask.any():
        return []
    rng = generator("matched", signal_id)
    if 1 not in shape:
        return _of_plane(mask.reshape(shape), energy.reshape(shape), rng)
    draws = random_placements(mask, occupied_band(energy), _DRAWS, rng)
    if draws is None:
        return []
    places = np.unique(draws, axis=0)
    overlap = _sum_over(mask.astype(np.float64), places) / mask.sum()
    order = _nearest(overlap, _sum_over(energy, places), target_energy, total)
    return [from_runs(places[i], len(mask)) for i in order[:N_MATCHED]]


def _of_plane(mask: Mask, energy: FloatArray, rng: np.random.Generator) -> list[Mask]:
    """The same on a plane, (n_rows, n_columns) each."""
    box = tuple(
        slice(min(first, int(kept[0])), max(end, int(kept[-1]) + 1))
        for axis in (0, 1)
        for first, end in [occupied_band(energy.sum(axis=1 - axis))]
        for kept in [np.flatnonzero(mask.any(axis=1 - axis))]
    )
    inside, energy_inside = mask[box], energy[box]
    n_rows, n_columns = inside.shape
    shifts = np.unique(rng.integers((n_rows, n_columns), size=(_DRAWS, 2)), axis=0)
    n_kept, place_energy = _sums_over_shifts((inside, energy_inside), inside, shifts)
    overlap = n_kept / inside.sum()
    masks: dict[bytes, Mask] = {}
    for i in _nearest(overlap, place_energy, float(energy[mask].sum()), float(energy.sum())):
        control = np.zeros_like(mask)
        control[box] = np.roll(inside, shifts[i], axis=(0, 1))
        # A pattern that repeats is the same at several places.
        masks.setdefault(control.tobytes(), control.ravel())
        if len(masks) == N_MATCHED:
            break
    return list(masks.values())


def _nearest(
    overlap: FloatArray, place_energy: FloatArray, target_energy: float, total: float
) -> NDArray[np.intp]:
    """Which places may be taken, the best first, by their share of the mask and their energy."""
    distance = np.abs(np.log(np.maximum(place_energy, 1e-300) / max(target_energy, 1e-300)))
    audible = place_energy > INAUDIBLE * total
    near = np.flatnonzero(audible & (overlap <= _OVERLAP))
    if len(near):
        order = near[np.argsort(distance[near], kind="stable")]
    else:
        candidates = np.flatnonzero(audible & (overlap < _TOO_MUCH))
        order = candidates[np.lexsort((distance[candidates], overlap[candidates]))]
    return np.asarray(order)


def _sums_over_shifts(
    quantities: Sequence[NDArray[Any]], mask: Mask, shifts: NDArray[np.int64]
) -> list[FloatArray]:
    """Of each quantity (n,) sums over a mask after each shift, (n, 2), on the torus; all (n_rows, n_columns).

    A run of a mask is the difference of two cumulative sums of its row, which is laid out twice: runs wrap.
    """
    n_rows, n_columns = mask.shape
    width = 2 * n_columns + 1
    cumulative = np.zeros((len(quantities), n_rows, width))
    for values, sums in zip(quantities, cumulative, strict=True):
        np.cumsum(np.concatenate([values, values], axis=1), axis=1, out=sums[:, 1:])
    # A column that is never kept lies between the rows, so that no run goes on in the next one.
    first, length = runs(np.pad(mask, ((0, 0), (0, 1))).ravel()).T
    row, column = np.divmod(first, n_columns + 1)
    step = max(1, _RUNS_AT_ONCE // len(first))
    parts = []
    for some in (shifts[at : at + step] for at in range(0, len(shifts), step)):
        start = _wrapped(row + some[:, :1], n_rows) * width + _wrapped(column + some[:, 1:], n_columns)
        end = start + length
        parts.append([(sums.take(end) - sums.take(start)).sum(axis=1) for sums in cumulative])
    return [np.concatenate(sums) for sums in zip(*parts, strict=True)]


def _wrapped(index: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Indices below 2 n on a circle of n: a remainder would take longer."""
    return np.where(index < n, index, index - n)


def _sum_over(per_bin: FloatArray, places: NDArray[np.int64]) -> FloatArray:
    """(n,) sum of a quantity over the bins of each placement, (n, r, 2)."""
    cumulative = np.concatenate([[0.0], np.cumsum(per_bin)])
    return np.asarray((cumulative[places.sum(axis=2)] - cumulative[places[:, :, 0]]).sum(axis=1))
