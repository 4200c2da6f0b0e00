"""The oracle: one merged batch of questions about many clips in, answers out.

Conventions: a question is "is this mask of this clip sufficient?", answered by the reference's logits on
`irfft(X * mask)` with a margin of MIN_MARGIN, and where `alpha` is set by its confidence, too. Questions are
counted per clip; one that was asked before is answered from memory and not counted again. A slope takes a
forward and a backward pass and counts as SLOPE_QUERIES.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness import spectra
from harness.extract.contract import Slope
from harness.records import MIN_MARGIN, Bands, Clip, FloatArray, LabelMap, Mask, Waveform

Logits = NDArray[np.float32]

_SAMPLES_AT_ONCE = 1 << 22
"""Samples of masked signals held at a time: 16 MiB of float32."""

SLOPE_QUERIES = 3
"""What a slope counts as: a backward pass costs about two forward passes."""

Question = Mask | Slope
"""Masks (m, n_bands), or a slope."""


class Listener(Protocol):
    """What the oracle needs of a model; `models.Classifier` is one, a toy in a test another."""

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Logits:
        """(n_samples,) waveforms -> (n, n_classes)."""
        ...


@runtime_checkable
class Sloping(Listener, Protocol):
    """A model that gives slopes, or None where it cannot."""

    def slopes(
        self, waveforms: Sequence[Waveform], sample_rate_hz: int, is_expected: Sequence[Mask]
    ) -> list[Waveform] | None:
        """(n_samples,) waveforms -> how the lead of the expected classes changes with each sample."""
        ...


class Case:
    """One clip under examination: its spectrum, the class to keep, and all answers so far."""

    def __init__(self, clip: Clip, is_expected: Mask, bands: Bands, min_confidence: float = 0.0) -> None:
        """Prepare.

        Args:
            clip: the clip.
            is_expected: (n_classes,) which of the model's classes mean `expected`.
            bands: resolution of the masks that will be asked.
            min_confidence: probability of the class below which a mask is not sufficient.
        """
        self.clip = clip
        self.is_expected = is_expected
        self.bands = bands
        self.min_confidence = min_confidence
        self.spectrum = spectra.spectrum(clip.waveform)
        self.energy: FloatArray = spectra.pool(bands, spectra.bin_energy(self.spectrum, len(clip.waveform)))
        self.n_queries = 0
        self.smallest: Mask = np.ones(len(bands), dtype=bool)
        """Smallest sufficient mask met, over bands: what is left when the budget is spent."""
        self.slope: FloatArray | None = None
        """(n_bands,) the slope last asked; None where there is none."""
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

    def learn(self, mask: Mask, logits: Logits) -> None:
        """Remember what the model said of a mask."""
        sufficient = lead(logits, self.is_expected) >= MIN_MARGIN
        if sufficient and self.min_confidence > 0:
            sufficient = probability(logits, self.is_expected) >= self.min_confidence
        self.n_queries += 1
        self._known[_key(mask)] = sufficient
        if sufficient and mask.sum() < self.smallest.sum():
            self.smallest = mask.copy()

    def answers(self, question: Question) -> Mask | FloatArray | None:
        """(m,) answers to masks that were all asked, or the slope that was."""
        if isinstance(question, Slope):
            return self.slope
        return np.array([self._known[_key(mask)] for mask in question])

    def learn_slope(self, of_samples: Waveform) -> None:
        """Keep the slope with the gain of each band: of `irfft(g X)`, by g, at gain 1."""
        by_bin = np.conj(spectra.spectrum(of_samples)) * self.spectrum
        # As much as a real spectrum holds: inner bins stand for themselves and their mirror image.
        gain = by_bin.real * (2.0 / len(of_samples))
        self.n_queries += SLOPE_QUERIES
        self.slope = spectra.pool(self.bands, gain)


def ask(listener: Listener, questions: Sequence[tuple[Case, Question]]) -> None:
    """Put one merged batch of questions to the model and let each case learn its answers.

    Args:
        listener: the model.
        questions: cases with what each asks.
    """
    _ask_slopes(listener, [(case, question) for case, question in questions if isinstance(question, Slope)])
    chunk: list[tuple[Case, Mask]] = []
    n_samples = 0
    for case, masks in questions:
        if isinstance(masks, Slope):
            continue
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
        case.learn(mask, row)


def _ask_slopes(listener: Listener, questions: Sequence[tuple[Case, Slope]]) -> None:
    for case, question in questions:
        found = None
        if isinstance(listener, Sloping):
            waveform = case.waveforms(question.mask)
            found = listener.slopes([waveform], case.clip.sample_rate_hz, [case.is_expected])
        case.slope = None
        if found is not None:
            case.learn_slope(found[0])


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
