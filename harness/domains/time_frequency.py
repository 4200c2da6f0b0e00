"""Domain `time-frequency`: the coefficients of an orthonormal MDCT with a sine window.

Source: Princen & Bradley, *Analysis/Synthesis Filter Bank Design Based on Time Domain Aliasing Cancellation*
(IEEE TASSP 34(5), 1986). Frames of two hops overlap by one; every hop has as many coefficients as samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import scipy  # its fft is imported on first use

from harness.domains.atoms import Coefficients
from harness.types import FloatArray, Mask, Waveform

HOP_S = 0.016
"""From one frame to the next, when a clip is long enough for it."""

_COEFFICIENTS_AT_ONCE = 1 << 16
"""Coefficients of masked signals that are transformed at a time, so that they stay in the cache."""


@dataclass(frozen=True)
class TimeFrequency:
    """Frames in rows, coefficients of a frame in columns; the first frame begins a hop before the clip."""

    name: ClassVar[str] = "time-frequency"
    n_samples: int
    sample_rate_hz: int

    @property
    def hop(self) -> int:
        """Samples from one frame to the next, an even number."""
        return 2 * max(1, round(HOP_S * self.sample_rate_hz / 2))

    @property
    def shape(self) -> tuple[int, int]:
        """See `Domain`."""
        return -(-self.n_samples // self.hop) + 1, self.hop

    @property
    def row_edges_s(self) -> FloatArray:
        """See `Domain`; a frame reaches half a hop to either side of its middle, and fades beyond."""
        edges = (np.arange(self.shape[0] + 1) - 0.5) * self.hop
        return np.asarray(np.clip(edges, 0, self.n_samples) / self.sample_rate_hz)

    @property
    def column_edges_hz(self) -> FloatArray:
        """See `Domain`."""
        return np.linspace(0, self.sample_rate_hz / 2, self.hop + 1)

    def forward(self, waveform: Waveform) -> Coefficients:
        """See `Domain`; (n_rows, n_columns)."""
        n_frames, hop = self.shape
        padded = np.zeros((n_frames + 1) * hop)
        padded[hop : hop + self.n_samples] = waveform
        hops = padded.reshape(n_frames + 1, hop)
        rise = self._rise
        first, second = hops[:-1] * rise, hops[1:] * rise[::-1]
        half = hop // 2
        a, b = first[:, :half], first[:, half:]
        c, d = second[:, :half], second[:, half:]
        folded = np.concatenate([-c[:, ::-1] - d, a - b[:, ::-1]], axis=1)
        return np.asarray(scipy.fft.dct(folded, type=4, norm="ortho", axis=-1))

    def keep(self, coefficients: Coefficients, masks: Mask) -> Waveform:
        """See `Domain`."""
        signals = np.empty((len(masks), self.n_samples), dtype=np.float32)
        step = max(1, _COEFFICIENTS_AT_ONCE // coefficients.size)
        for at in range(0, len(masks), step):
            some = masks[at : at + step].reshape(-1, *self.shape)
            signals[at : at + step] = self._inverse(coefficients, some)
        signals += 0  # no -0.0, which a file is decoded to as 0.0
        return signals

    def products(self, a: Coefficients, b: Coefficients) -> FloatArray:
        """See `Domain`; the transform is orthonormal."""
        return np.asarray((a * b).ravel())

    def _inverse(self, coefficients: Coefficients, masks: Mask) -> FloatArray:
        """(n_rows, n_columns), (m, n_rows, n_columns) -> (m, n_samples); empty frames are not transformed."""
        n_masks, n_frames, hop = masks.shape
        of_mask, frame = np.nonzero(masks.any(axis=-1))
        kept = np.where(masks[of_mask, frame], coefficients[frame], 0)
        folded = scipy.fft.dct(kept, type=4, norm="ortho", axis=-1, overwrite_x=True)
        p, q = folded[:, : hop // 2], folded[:, hop // 2 :]
        rise = self._rise
        # The hop between two frames is the second half of one and the first half of the next.
        hops = np.zeros((n_masks, n_frames + 1, hop))
        hops[of_mask, frame] = np.concatenate([q, -q[:, ::-1]], axis=1) * rise
        hops[of_mask, frame + 1] += np.concatenate([-p[:, ::-1], -p], axis=1) * rise[::-1]
        return np.asarray(hops[:, 1:-1].reshape(n_masks, -1)[:, : self.n_samples])

    @cached_property
    def _rise(self) -> FloatArray:
        """(hop,) first half of the sine window."""
        return np.asarray(np.sin(np.pi * (np.arange(self.hop) + 0.5) / (2 * self.hop)))
