"""Domain `time`: blocks of 10 ms with raised-cosine edges that add up to one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.domains.atoms import Coefficients
from harness.types import FloatArray, Mask, Waveform

BLOCK_S, FADE_S = 0.010, 0.004
"""Length of a block, and of the crossfade around the border of two."""


@dataclass(frozen=True)
class Time:
    """Blocks in a single column. Its coefficients are the samples: a block is these times its window."""

    name: ClassVar[str] = "time"
    n_samples: int
    sample_rate_hz: int

    @property
    def block(self) -> int:
        """Samples of a block; the last one may be shorter."""
        return max(1, round(BLOCK_S * self.sample_rate_hz))

    @property
    def shape(self) -> tuple[int, int]:
        """See `Domain`."""
        return -(-self.n_samples // self.block), 1

    @property
    def row_edges_s(self) -> FloatArray:
        """See `Domain`; at the middle of each crossfade."""
        borders = np.arange(self.shape[0] + 1) * self.block
        return np.minimum(borders, self.n_samples) / self.sample_rate_hz

    @property
    def column_edges_hz(self) -> FloatArray:
        """See `Domain`."""
        return np.array([0, self.sample_rate_hz / 2])

    def forward(self, waveform: Waveform) -> Coefficients:
        """See `Domain`."""
        return waveform.astype(np.float64)

    def keep(self, coefficients: Coefficients, masks: Mask) -> Waveform:
        """See `Domain`."""
        left, right, share = self._windows
        kept = masks.astype(np.float64)
        # In this form a sample between two kept blocks has a gain of exactly 1.
        gain = kept[:, left] + (kept[:, right] - kept[:, left]) * share
        signals = (coefficients * gain).astype(np.float32)
        signals += 0  # no -0.0, which a file is decoded to as 0.0
        return np.asarray(signals)

    def products(self, a: Coefficients, b: Coefficients) -> FloatArray:
        """See `Domain`."""
        left, right, share = self._windows
        n_blocks = self.shape[0]
        return np.asarray(
            np.bincount(left, a * b * (1 - share), n_blocks) + np.bincount(right, a * b * share, n_blocks)
        )

    @cached_property
    def _windows(self) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
        """The two blocks that each sample belongs to, (n_samples,), and its share in the second one."""
        fade = max(1, round(FADE_S * self.sample_rate_hz))
        at = np.arange(self.n_samples)
        border = np.round(at / self.block).astype(np.int64)
        # Position in the crossfade around the nearest border, from 0 before it to 1 after it.
        position = np.clip((at - border * self.block + 0.5) / fade + 0.5, 0, 1)
        last = self.shape[0] - 1
        left, right = np.clip(border - 1, 0, last), np.clip(border, 0, last)
        return left, right, 0.5 - 0.5 * np.cos(np.pi * position)
