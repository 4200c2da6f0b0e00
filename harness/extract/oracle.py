"""The oracle: one merged batch of questions about many clips in, answers out.

Conventions: a question is "does this mask of this clip reach the aim?", answered by the reference's logits on
`irfft(X * mask)`, which a model on a card makes there and one on the processor gets from scipy. A signal
heard is a query; queries are counted per clip; what was asked before is answered from memory and not counted
again. A slope takes a forward and a backward pass and counts as SLOPE_QUERIES.

Public: SearchState, ask, Listener, Sloping, Masking, Question, SLOPE_QUERIES.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from harness import spectra
from harness.extract.objectives import Aim, Logits, sufficient
from harness.extract.search import Order, Slope
from harness.types import Bands, Clip, FloatArray, Mask, Waveform

_SAMPLES_AT_ONCE = 1 << 22
"""Samples of masked signals held at a time: 16 MiB of float32."""

SLOPE_QUERIES = 3
"""What a slope counts as: a backward pass costs about two forward passes."""

Question = Mask | Slope
"""Masks (m, n_bands), or a slope."""


class Listener(Protocol):
    """What the oracle needs of a model; `classifiers.Classifier` is one, a toy in a test another."""

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Logits:
        """(n_samples,) waveforms -> (n, n_classes)."""
        ...


@runtime_checkable
class Sloping(Listener, Protocol):
    """A model that gives slopes, or None where it cannot."""

    def input_gradients(
        self, waveforms: Sequence[Waveform], sample_rate_hz: int, is_expected: Sequence[Mask]
    ) -> list[Waveform] | None:
        """(n_samples,) waveforms -> how the lead of the expected classes changes with each sample."""
        ...


@runtime_checkable
class Masking(Listener, Protocol):
    """A model that makes masked signals where it runs, or None where scipy is the better place."""

    def keep(self, X: spectra.Spectrum, masks: Mask, n_samples: int) -> Waveform | None:
        """As `spectra.keep`, for (m, N) masks."""
        ...


class SearchState:
    """One clip under examination: its spectrum, the class, the aim, and all answers so far."""

    def __init__(
        self,
        clip: Clip,
        is_expected: Mask,
        bands: Bands,
        aim: Aim | None = None,
        allowed: Order | None = None,
    ) -> None:
        """Prepare.

        Args:
            clip: the clip.
            is_expected: (n_classes,) which of the model's classes mean `expected`.
            bands: resolution of the masks that will be asked.
            aim: what a mask is to achieve; to be sufficient when None.
            allowed: the bands that masks are over; the others are never kept. All when None.
        """
        self.clip = clip
        self.is_expected = is_expected
        self.bands = bands
        self.aim = sufficient() if aim is None else aim
        self.allowed = np.arange(len(bands)) if allowed is None else allowed
        self.spectrum = spectra.spectrum(clip.waveform)
        per_bin = spectra.bin_energy(self.spectrum, len(clip.waveform))
        self.energy: FloatArray = spectra.pool(bands, per_bin)[self.allowed]
        self.n_queries = 0
        self.smallest: Mask = np.ones(len(self.allowed), dtype=bool)
        """Smallest mask met that reached the aim: what is left when the budget is spent."""
        self.slope: FloatArray | None = None
        """(n_bands,) the slope last asked; None where there is none."""
        self._known: dict[bytes, bool] = {}

    def bins(self, masks: Mask) -> Mask:
        """Masks over the allowed bands, (m, n) or (n,), as masks over bins."""
        if len(self.allowed) < len(self.bands):
            spread = np.zeros((*masks.shape[:-1], len(self.bands)), dtype=bool)
            spread[..., self.allowed] = masks
            masks = spread
        return spectra.expand(self.bands, masks) if len(self.bands) < self.bands.n_bins else masks

    def signals(self, masks: Mask, listener: Listener) -> Waveform:
        """(m, n) masks as the signals that are to be heard for them, (m * aim.n_heard, n_samples)."""
        heard = self.aim.heard(self.bins(masks))
        n_samples = len(self.clip.waveform)
        made = listener.keep(self.spectrum, heard, n_samples) if isinstance(listener, Masking) else None
        return spectra.keep(self.spectrum, heard, n_samples) if made is None else made

    def unknown(self, masks: Mask) -> Iterator[Mask]:
        """Those of the masks, each once, that were never asked."""
        seen = set(self._known)
        for mask in masks:
            key = _key(mask)
            if key not in seen:
                seen.add(key)
                yield mask

    def learn(self, mask: Mask, said: Logits) -> None:
        """Remember what the model said, (aim.n_heard, n_classes), of the signals of a mask."""
        reached = self.aim.reached(said, self.is_expected)
        self.n_queries += len(said)
        self._known[_key(mask)] = reached
        if reached and mask.sum() < self.smallest.sum():
            self.smallest = mask.copy()

    def answers(self, question: Question) -> Mask | FloatArray | None:
        """(m,) answers to masks that were all asked, or the slope that was."""
        if isinstance(question, Slope):
            return self.slope
        return np.array([self._known[_key(mask)] for mask in question])

    def learn_slope(self, of_samples: Waveform) -> None:
        """Keep the slope with the gain of each band: of `irfft(g X)`, by g, at gain 1."""
        by_bin = np.conj(spectra.spectrum(of_samples)) * self.spectrum
        gain = spectra.one_sided(by_bin.real, len(of_samples))
        self.n_queries += SLOPE_QUERIES
        self.slope = spectra.pool(self.bands, gain)[self.allowed]


def ask(listener: Listener, questions: Sequence[tuple[SearchState, Question]]) -> None:
    """Put one merged batch of questions to the model and let each case learn its answers.

    Args:
        listener: the model.
        questions: cases with what each asks.
    """
    chunk: list[tuple[SearchState, Mask]] = []
    n_samples = 0
    for case, question in questions:
        if isinstance(question, Slope):
            _ask_slope(listener, case, question)
            continue
        for mask in case.unknown(question):
            chunk.append((case, mask))
            n_samples += len(case.clip.waveform) * case.aim.n_heard
            if n_samples >= _SAMPLES_AT_ONCE:
                _ask(listener, chunk)
                chunk, n_samples = [], 0
    if chunk:
        _ask(listener, chunk)


def _ask(listener: Listener, chunk: Sequence[tuple[SearchState, Mask]]) -> None:
    waveforms: list[Waveform] = []
    at = 0
    while at < len(chunk):
        case, end = chunk[at][0], at
        while end < len(chunk) and chunk[end][0] is case:
            end += 1
        waveforms.extend(case.signals(np.stack([mask for _, mask in chunk[at:end]]), listener))
        at = end
    logits = listener.logits(waveforms, chunk[0][0].clip.sample_rate_hz)
    at = 0
    for case, mask in chunk:
        case.learn(mask, logits[at : at + case.aim.n_heard])
        at += case.aim.n_heard


def _ask_slope(listener: Listener, case: SearchState, question: Slope) -> None:
    """Slopes are those of the kept bands: of an aim that listens to the others, too, there is none."""
    case.slope = None
    if isinstance(listener, Sloping) and not case.aim.without:
        (waveform,) = case.signals(question.mask[None], listener)
        found = listener.input_gradients([waveform], case.clip.sample_rate_hz, [case.is_expected])
        if found is not None:
            case.learn_slope(found[0])


def _key(mask: Mask) -> bytes:
    return hashlib.blake2b(np.packbits(mask).tobytes(), digest_size=16).digest()
