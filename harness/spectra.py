"""Waveform <-> spectrum, masks, bands and the controls made of a clip's own spectrum.

Conventions: a clip has `n` samples and `N = n // 2 + 1` bins, those of the real FFT of the WHOLE clip in
float64. A mask is bool (N,): kept bins keep amplitude and phase, all others are zero; the masked signal is
`irfft(X * mask, n)` in float64, then cast to float32. No window, no rescaling.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from harness.types import Bands, FloatArray, Mask, Waveform

Spectrum = NDArray[np.complex128]

_SAMPLES_IN_CACHE = 1 << 16
"""Samples of masked signals that are made at a time: twice as fast as all of them through main memory."""


def spectrum(waveform: Waveform) -> Spectrum:
    """(n,) float32 -> (n // 2 + 1,) complex128."""
    return np.asarray(scipy.fft.rfft(waveform.astype(np.float64)))


def keep(X: Spectrum, masks: Mask, n_samples: int) -> Waveform:
    """The masked signals x|M.

    Args:
        X: (N,) spectrum of the clip.
        masks: (N,) or (m, N) kept bins.
        n_samples: length of the clip.

    Returns:
        (n,) or (m, n) float32.
    """
    rows = np.atleast_2d(masks)
    signals = np.empty((len(rows), n_samples), dtype=np.float32)
    step = max(1, _SAMPLES_IN_CACHE // n_samples)
    for at in range(0, len(rows), step):
        block = np.where(rows[at : at + step], X, 0)
        signals[at : at + step] = scipy.fft.irfft(block, n_samples, axis=-1)
    return signals.reshape(*masks.shape[:-1], n_samples)


def bin_energy(X: Spectrum, n_samples: int) -> FloatArray:
    """(N,) energy of each bin; they sum to the energy of the clip (Parseval: inner bins count twice)."""
    return one_sided(np.abs(X) ** 2, n_samples)


def one_sided(products: FloatArray, n_samples: int) -> FloatArray:
    """(N,) products of two spectra as those of the samples: inner bins count for their mirror image, too."""
    shares = products * (2.0 / n_samples)
    shares[0] /= 2
    if n_samples % 2 == 0:
        shares[-1] /= 2
    return np.asarray(shares)


def single_bins(n_samples: int, sample_rate_hz: int) -> Bands:
    """Every bin is a band: the finest resolution."""
    return Bands(n_samples, sample_rate_hz, np.arange(n_samples // 2 + 2, dtype=np.int64))


def log_bands(n_samples: int, sample_rate_hz: int, n_bands: int) -> Bands:
    """At most `n_bands` bands, evenly spaced in log frequency, none narrower than one bin."""
    n_bins = n_samples // 2 + 1
    if n_bands >= n_bins:
        return single_bins(n_samples, sample_rate_hz)
    edges = np.round(np.geomspace(1, n_bins, n_bands + 1)).astype(np.int64)
    edges[0] = 0
    # Low bands would be narrower than a bin: push the edges up until each holds one.
    for i in range(1, n_bands + 1):
        edges[i] = max(edges[i], edges[i - 1] + 1)
    edges[-1] = n_bins
    return Bands(n_samples, sample_rate_hz, edges)


def expand(bands: Bands, masks: Mask) -> Mask:
    """Masks over bands, (..., n_bands), as masks over bins, (..., N)."""
    return np.repeat(masks, np.diff(bands.edges), axis=-1)


def runs(mask: Mask) -> NDArray[np.int64]:
    """Kept bins as (r, 2) rows of [first bin, number of bins]."""
    steps = np.diff(mask.astype(np.int8), prepend=0, append=0)
    first, last = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return np.stack([first, last - first], axis=1).astype(np.int64)


def from_runs(rows: NDArray[np.int64], n_bins: int) -> Mask:
    """Inverse of `runs`.

    Raises:
        ValueError: rows that overlap, touch, run backwards or leave 0 .. n_bins.
    """
    rows = np.asarray(rows, dtype=np.int64).reshape(-1, 2)
    ends = rows[:, 0] + rows[:, 1]
    if (
        (rows[:, 1] < 1).any()
        or (rows[:, 0] < 0).any()
        or (ends > n_bins).any()
        or (rows[1:, 0] <= ends[:-1]).any()
    ):
        raise ValueError(f"runs must rise, not touch and stay within {n_bins} bins")
    steps = np.zeros(n_bins + 1, dtype=np.int8)
    steps[rows[:, 0]] = 1
    steps[ends] = -1
    return np.asarray(np.cumsum(steps[:-1]) > 0)


def largest(energy: FloatArray, n_kept: int) -> Mask:
    """The `n_kept` bins of largest energy; ties go to the lower bin."""
    if n_kept == 0:
        return np.zeros(len(energy), dtype=bool)
    threshold = np.partition(energy, len(energy) - n_kept)[len(energy) - n_kept]
    mask = energy > threshold
    mask[np.flatnonzero(energy == threshold)[: n_kept - int(mask.sum())]] = True
    return mask  # type: ignore[no-any-return]
