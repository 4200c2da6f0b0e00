"""Measures of a signal: how much of its clip it keeps, how rich it is, where in the spectrum it lies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset.clip_cache import energy_of, parts_of
from harness.domains import DOMAINS, Domain, fft
from harness.domains.frequency import Frequency
from harness.metrics.information import entropy
from harness.types import Clip, FloatArray, Mask

N_MEL = 40
"""Bands of `mel_use`, evenly spaced in mel from 0 Hz to the Nyquist frequency."""

OCCUPIED = 0.99
"""Share of the power inside the occupied bandwidth (ITU-R SM.328)."""

_POINTS = 4096
"""Frequencies at which a block of time is counted."""


@dataclass(frozen=True)
class OfSignal:
    """Measures of one signal."""

    size: float
    """Kept coefficients over all, k / N."""
    energy: float
    """Share of the clip's energy that it keeps."""
    entropy_bits: float
    """Spectral entropy of its normalised power spectrum."""
    entropy_lost_bits: float
    """That of the clip minus that of the signal."""
    mask_bits_per_bin: float
    """Description length of the mask, see `mask_bits`, over N coefficients."""
    bandwidth_hz: float
    """Between the frequencies that leave out (1 - OCCUPIED) / 2 of the power at either end."""
    centroid_hz: float
    """Mean frequency by power."""


def of_signal(clip: Clip, domain: str, mask: Mask) -> OfSignal:
    """Measure a signal of a clip: kept coefficients of a domain, (N,), some of them with energy."""
    return of_signals(clip, [(domain, mask)])[0]


def of_signals(clip: Clip, signals: Iterable[tuple[str, Mask]]) -> list[OfSignal]:
    """Measure signals of one clip, each as `of_signal`: domain and mask of each."""
    n_samples = len(clip.waveform)
    power = energy_of(clip, Frequency.name)
    hz = np.arange(len(power)) * clip.sample_rate_hz / n_samples
    clip_entropy, tail = entropy(power / power.sum()), (1 - OCCUPIED) / 2
    share = np.empty(len(power))  # one array for all, as taking memory for each costs more than what fills it
    measures = []
    for domain, mask in signals:
        energy = energy_of(clip, domain)
        if domain == Frequency.name:
            bins: Any = np.flatnonzero(mask)
            share.fill(0)
            share[bins] = power[bins]
        else:
            bins = slice(None)
            (signal,) = parts_of(clip, domain, mask[np.newaxis])
            share[:] = fft.bin_energy(fft.spectrum(signal), n_samples)
        share /= share.sum()
        # Bins without power add nothing to sums from low to high.
        kept_share, kept_hz = share[bins], np.append(hz[bins], hz[-1])
        low, high = kept_hz[np.searchsorted(np.cumsum(kept_share), [tail, 1 - tail])]
        signal_entropy = entropy(kept_share)
        share *= hz
        measures.append(
            OfSignal(
                size=np.count_nonzero(mask) / len(mask),
                energy=float(energy[mask].sum() / energy.sum()),
                entropy_bits=signal_entropy,
                entropy_lost_bits=clip_entropy - signal_entropy,
                mask_bits_per_bin=mask_bits(mask) / len(mask),
                bandwidth_hz=float(high - low),
                centroid_hz=float(share.sum()),
            )
        )
    return measures


def mask_bits(mask: Mask) -> int:
    """Description length: one bit for the first bin, then the length of each run and gap.

    In Elias's gamma code (1975, IEEE Trans. Inf. Theory 21), 2 floor(log2 n) + 1 bits for a length n.
    """
    edges = np.flatnonzero(mask[1:] != mask[:-1])
    lengths = np.diff(np.concatenate([[-1], edges, [len(mask) - 1]]))
    return int(1 + (2 * np.floor(np.log2(lengths)) + 1).sum())


def mel_use(mask: Mask, domain: Domain) -> FloatArray:
    """(N_MEL,) distribution of the kept coefficients, (N,), not none, over mel bands; sums to 1.

    A block of time has all frequencies alike.
    """
    bands = _mel_bands(domain.name, domain.n_samples, domain.sample_rate_hz)
    n_columns = domain.shape[1]
    kept = bands if n_columns == 1 else bands[np.flatnonzero(mask) % n_columns]
    return np.asarray(np.bincount(kept, minlength=N_MEL) / len(kept))


@lru_cache(maxsize=64)
def _mel_bands(name: str, n_samples: int, sample_rate_hz: int) -> NDArray[np.int64]:
    """(n_columns,) mel band of each column of a domain; of a single column those of _POINTS frequencies."""
    domain = DOMAINS[name](n_samples, sample_rate_hz)
    edges_hz, n_columns = domain.column_edges_hz, domain.shape[1]
    if n_columns == 1:
        hz = np.linspace(edges_hz[0], edges_hz[1], _POINTS)
    elif name == Frequency.name:
        hz = np.arange(n_columns) * sample_rate_hz / n_samples
    else:
        hz = (edges_hz[:-1] + edges_hz[1:]) / 2
    mel, highest = _mel(hz), _mel(np.array([hz[-1]]))[0]
    return np.asarray(np.minimum((mel / highest * N_MEL).astype(np.int64), N_MEL - 1))


def _mel(hz: FloatArray) -> FloatArray:
    return np.asarray(2595 * np.log10(1 + hz / 700))
