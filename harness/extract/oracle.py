"""The oracle: one merged batch of questions about many clips in, answers out.

Conventions: a question is "is this mask of this clip sufficient?", answered by the reference's logits on
`irfft(X * mask)` with a margin of MIN_MARGIN. Questions are counted per clip; one that was asked before is
answered from memory and not counted again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness import spectra
from harness.records import MIN_MARGIN, Bands, Clip, FloatArray, LabelMap, Mask, Waveform

Logits = NDArray[np.float32]

_SAMPLES_AT_ONCE = 1 << 22
"""Samples of masked signals held at a time: 16 MiB of float32."""


class Listener(Protocol):
    """What the oracle needs of a model; `models.Classifier` is one, a toy in a test another."""

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Logits:
        """(n_samples,) waveforms -> (n, n_classes)."""
        ...


class Case:
    """One clip under examination: its spectrum, the class to keep, and all answers so far."""

    def __init__(self, clip: Clip, is_expected: Mask, bands: Bands) -> None:
        """Prepare.

        Args:
            clip: the clip.
            is_expected: (n_classes,) which of the model's classes mean `expected`.
            bands: resolution of the masks that will be asked.
        """
        self.clip = clip
        self.is_expected = is_expected
        self.bands = bands
        self.spectrum = spectra.spectrum(clip.waveform)
        self.energy: FloatArray = spectra.pool(bands, spectra.bin_energy(self.spectrum, len(clip.waveform)))
        self.n_queries = 0
        self.smallest: Mask = np.ones(len(bands), dtype=bool)
        """Smallest sufficient mask met, over bands: what is left when the budget is spent."""
        self._known: dict[bytes, bool] = {}

    def waveforms(self, masks: Mask) -> Waveform:
        """Masks over bands, (m, n_bands) or (n_bands,), as signals (m, n_samples) or (n_samples,)."""
        if len(self.bands) < self.bands.n_bins:
            masks = spectra.expand(self.bands, masks)
        return spectra.keep(self.spectrum, masks, len(self.clip.waveform))

    def unknown(self, masks: Mask) -> Iterator[Mask]:
        """Those of the masks, each once, that were never asked."""
        seen = set(self._known)
        for mask in masks:
            key = _key(mask)
            if key not in seen:
                seen.add(key)
                yield mask

    def learn(self, mask: Mask, sufficient: bool) -> None:
        """Remember an answer."""
        self.n_queries += 1
        self._known[_key(mask)] = sufficient
        if sufficient and mask.sum() < self.smallest.sum():
            self.smallest = mask.copy()

    def answers(self, masks: Mask) -> Mask:
        """(m,) answers to masks that were all asked."""
        return np.array([self._known[_key(mask)] for mask in masks])


def ask(listener: Listener, questions: Sequence[tuple[Case, Mask]]) -> None:
    """Put one merged batch of masks to the model and let each case learn its answers.

    Args:
        listener: the model.
        questions: cases with their masks, (m, n_bands) each.
    """
    chunk: list[tuple[Case, Mask]] = []
    n_samples = 0
    for case, masks in questions:
        for mask in case.unknown(masks):
            chunk.append((case, mask))
            n_samples += len(case.clip.waveform)
            if n_samples >= _SAMPLES_AT_ONCE:
                _ask(listener, chunk)
                chunk, n_samples = [], 0
    if chunk:
        _ask(listener, chunk)


def _ask(listener: Listener, chunk: Sequence[tuple[Case, Mask]]) -> None:
    waveforms: list[Waveform] = []
    at = 0
    while at < len(chunk):
        case, end = chunk[at][0], at
        while end < len(chunk) and chunk[end][0] is case:
            end += 1
        waveforms.extend(case.waveforms(np.stack([mask for _, mask in chunk[at:end]])))
        at = end
    logits = listener.logits(waveforms, chunk[0][0].clip.sample_rate_hz)
    for (case, mask), row in zip(chunk, logits, strict=True):
        case.learn(mask, lead(row, case.is_expected) >= MIN_MARGIN)


def lead(logits: Logits, is_expected: Mask) -> float:
    """Best logit among the expected classes minus the best among the others."""
    return float(logits[is_expected].max()) - float(logits[~is_expected].max())


def probability(logits: Logits, is_expected: Mask) -> float:
    """Softmax probability of the expected classes together."""
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    return float(shifted[is_expected].sum() / shifted.sum())


def expected_classes(label_map: LabelMap, label: str) -> Mask:
    """(n_classes,) which of the model's classes mean this canonical label."""
    return np.array([canonical == label for canonical in label_map.canonical])


def _key(mask: Mask) -> bytes:
    return hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=16).digest()
