"""Domain `frequency`: the real FFT of the whole clip, as in FreqReX (arXiv 2601.16675); scales of bands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, cast

import numpy as np

from harness.domains import fft
from harness.domains.atoms import Coefficients, Edges, every
from harness.types import FloatArray, Mask, Waveform


@dataclass(frozen=True)
class Frequency:
    """N = n_samples // 2 + 1 bins in a single row: kept ones keep amplitude and phase. No window."""

    name: ClassVar[str] = "frequency"
    n_samples: int
    sample_rate_hz: int

    @property
    def shape(self) -> tuple[int, int]:
        """See `Domain`."""
        return 1, self.n_samples // 2 + 1

    @property
    def row_edges_s(self) -> FloatArray:
        """See `Domain`."""
        return np.array([0, self.n_samples / self.sample_rate_hz])

    @property
    def column_edges_hz(self) -> FloatArray:
        """See `Domain`; a bin reaches half of the way to its neighbours."""
        centres = np.arange(self.shape[1] + 1) - 0.5
        return np.clip(centres * self.sample_rate_hz / self.n_samples, 0, self.sample_rate_hz / 2)

    def forward(self, waveform: Waveform) -> Coefficients:
        """See `Domain`."""
        return fft.spectrum(waveform)

    def keep(self, coefficients: Coefficients, masks: Mask) -> Waveform:
        """See `Domain`."""
        return fft.keep(coefficients, masks, self.n_samples)

    def products(self, a: Coefficients, b: Coefficients) -> FloatArray:
        """See `Domain`; an inner bin counts for its mirror image, too (Parseval)."""
        return fft.one_sided((np.conj(a) * b).real, self.n_samples)


def log_edges(domain: Frequency, n_bands: int) -> Edges:
    """Edges of at most `n_bands` bands, evenly spaced in log frequency from the first bin above 0 Hz."""
    n_bins = domain.shape[1]
    if n_bands >= n_bins:
        return every(n_bins, 1)
    edges = np.round(np.geomspace(1, n_bins, n_bands + 1)).astype(np.int64)
    edges[0] = 0
    # Low bands would be narrower than a bin: push the edges up until each holds one.
    for i in range(1, n_bands + 1):
        edges[i] = max(edges[i], edges[i - 1] + 1)
    edges[-1] = n_bins
    return edges


def mel_edges(domain: Frequency, n_bands: int) -> Edges:
    """The same on the mel scale from 0 Hz on (O'Shaughnessy, *Speech Communication*, 1987)."""
    return _even(domain, n_bands, lambda hertz: np.log1p(hertz / 700))


def erb_edges(domain: Frequency, n_bands: int) -> Edges:
    """The same on the ERB-rate scale (Glasberg & Moore, *Hearing Research* 47, 1990)."""
    return _even(domain, n_bands, lambda hertz: np.log1p(0.00437 * hertz))


SCALES = MappingProxyType({"bands": log_edges, "mel": mel_edges, "erb": erb_edges})
"""Edges of bands, by the name of the scale on which they are evenly spaced."""


def _even(domain: Frequency, n_bands: int, scale: Callable[[FloatArray], FloatArray]) -> Edges:
    """Bins that lie evenly on a rising scale, grouped; none of at most `n_bands` bands is empty."""
    n_bins = domain.shape[1]
    on_scale = scale(np.arange(n_bins) * domain.sample_rate_hz / domain.n_samples)
    targets = np.linspace(on_scale[0], on_scale[-1], min(n_bands, n_bins) + 1)
    edges = np.searchsorted(on_scale, targets).astype(np.int64)
    edges[0] = 0
    # Low bands would be narrower than a bin: push the edges up until each holds one, and never past the end.
    for i in range(1, len(edges)):
        edges[i] = max(edges[i], edges[i - 1] + 1)
    room = n_bins - np.arange(len(edges))[::-1]
    return cast(Edges, np.minimum(np.append(edges[:-1], n_bins), room))
