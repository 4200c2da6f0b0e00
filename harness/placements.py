"""Where else in its clip a signal could lie: the occupied band, and places for the runs of a mask.

The masks of `matched` controls are made here (definitions: Controls), for what asks a model about them and
for what compares where signals lie. Conventions as in `spectra`: N bins, a mask is bool (N,).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness import spectra
from harness.seeds import generator
from harness.types import N_MATCHED, FloatArray, Mask

_DRAWS = 256
"""Places that are drawn for a `matched` control."""

_OVERLAP = 0.1
"""Share of the signal's bins that a `matched` control may hold."""

_TOO_MUCH = 0.5
"""Share from which on it is no control; up to there those that hold least are taken where all hold more."""

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
    lengths = spectra.runs(mask)[:, 1]
    r = len(lengths)
    free = band[1] - band[0] - int(lengths.sum()) - (r - 1)
    if free < 0:
        return None
    widths = lengths[np.argsort(rng.random((n, r)), axis=1, kind="stable")]
    offsets = np.sort(np.floor(rng.random((n, r)) * (free + 1)).astype(np.int64), axis=1)
    starts = np.cumsum(widths + 1, axis=1) - (widths + 1)
    return np.stack([band[0] + offsets + starts, widths], axis=2)


def matched(mask: Mask, energy: FloatArray, signal_id: str) -> list[Mask]:
    """The masks of the `matched` controls of a signal, up to N_MATCHED, seeded by its id.

    Of _DRAWS places of the runs those that hold at most _OVERLAP of the mask, the nearest in energy first;
    where there are none, those that hold less than _TOO_MUCH of it, the least first.

    Args:
        mask: (N,) of the signal.
        energy: (N,) of each bin of its clip.
        signal_id: the signal.
    """
    total, target_energy = float(energy.sum()), float(energy[mask].sum())
    if total <= 0 or not mask.any():
        return []
    draws = random_placements(mask, occupied_band(energy), _DRAWS, generator("matched", signal_id))
    if draws is None:
        return []
    places = np.unique(draws, axis=0)
    overlap = _sum_over(mask.astype(np.float64), places) / mask.sum()
    bins_energy = _sum_over(energy, places)
    distance = np.abs(np.log(np.maximum(bins_energy, 1e-300) / max(target_energy, 1e-300)))
    audible = bins_energy > INAUDIBLE * total
    near = np.flatnonzero(audible & (overlap <= _OVERLAP))
    if len(near):
        order = near[np.argsort(distance[near], kind="stable")]
    else:
        candidates = np.flatnonzero(audible & (overlap < _TOO_MUCH))
        order = candidates[np.lexsort((distance[candidates], overlap[candidates]))]
    return [spectra.from_runs(places[i], len(mask)) for i in order[:N_MATCHED]]


def _sum_over(per_bin: FloatArray, places: NDArray[np.int64]) -> FloatArray:
    """(n,) sum of a quantity over the bins of each placement, (n, r, 2)."""
    cumulative = np.concatenate([[0.0], np.cumsum(per_bin)])
    return np.asarray((cumulative[places.sum(axis=2)] - cumulative[places[:, :, 0]]).sum(axis=1))
