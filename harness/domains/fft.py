"""The real FFT of a whole clip, and back.

Conventions: a clip has `n` samples and `N = n // 2 + 1` bins, in float64. A mask is bool (N,): kept bins keep
amplitude and phase, all others are zero; the masked signal is `irfft(X * mask, n)` in float64, then cast to
float32. No window, no rescaling.
"""

from __future__ import annotations

import numpy as np
import scipy  # its fft is imported on first use
from numpy.typing import NDArray

from harness.types import FloatArray, Mask, Waveform

Spectrum = NDArray[np.complex128]

_SAMPLES_IN_CACHE = 1 << 16
"""Samples of masked signals that are made at a time: twice as fast as all of them through main memory."""
_AT_LEAST = 2
"""Signals that are made at a time, however long: transforms share the lanes of a processor."""


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
    step = max(_AT_LEAST, _SAMPLES_IN_CACHE // n_samples)
    kept = np.empty((min(step, len(rows)), len(X)), dtype=np.complex128)
    for at in range(0, len(rows), step):
        some = rows[at : at + step]
        block = kept[: len(some)]
        block[...] = 0
        np.copyto(block, X, where=some)
        signals[at : at + step] = scipy.fft.irfft(block, n_samples, axis=-1, overwrite_x=True)
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
