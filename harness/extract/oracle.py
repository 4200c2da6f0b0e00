"""The oracle: one merged batch of questions about many clips in, answers out.

Conventions: a question is "does this mask of this clip reach the objective?", answered by the reference's
logits on the kept coefficients of the clip. In the domain `frequency` a model on a card makes the signals
there; all others are made on the processor. A signal heard is a query; queries are counted per clip; what was
asked before is answered from memory and not counted again. A slope takes a forward and a backward pass and
counts as SLOPE_QUERIES.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from harness.domains import Atoms, Grid, on_device
from harness.domains.atoms import Coefficients
from harness.extract.objectives import Logits, Objective, sufficient
from harness.extract.search import Order, Slope
from harness.types import Clip, FloatArray, Mask, Waveform

_SAMPLES_AT_ONCE = 1 << 22
"""Samples of masked signals held at a time: 16 MiB of float32."""

_WHOLE_BATCHES = 64
"""Signals of which a multiple is held, where that many fit: a model's batches are such powers of two."""

SLOPE_QUERIES = 3
"""What a slope counts as: a backward pass costs about two forward passes."""

Question = Mask | Slope
"""Masks (m, n_atoms), or a slope."""


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


class SearchState:
    """The state of a search on one clip: coefficients, class, objective, and all answers so far."""

    def __init__(
        self,
        clip: Clip,
        is_expected: Mask,
        atoms: Atoms,
        objective: Objective | None = None,
        free_atoms: Order | None = None,
        rests: Sequence[Waveform] = (),
    ) -> None:
        """Prepare for masks over `atoms`, of which the `free_atoms` may be kept: all when None.

        The others are never kept. `is_expected`, (n_classes,), says which of the model's classes mean
        `expected`; without an `objective` a mask is to be sufficient. Of `rests`, one for each draw of the
        objective, a signal has all that it does not keep; without them nothing.
        """
        self.clip = clip
        self.is_expected = is_expected
        self.atoms, self.domain = atoms, atoms.domain
        self.objective = sufficient() if objective is None else objective
        self.free_atoms = np.arange(len(atoms)) if free_atoms is None else free_atoms
        self.coefficients = self.domain.forward(clip.waveform)
        self.energy: FloatArray = self._pool(self.coefficients)
        """(n_atoms,) of the clip in each of the free atoms."""
        self.grid: Grid = atoms.grid(self.free_atoms)
        self.rests = [self.domain.forward(rest) for rest in rests]
        self.n_queries = 0
        self.smallest: Mask = np.ones(len(self.free_atoms), dtype=bool)
        """Smallest mask met that reached the objective: what is left when the budget is spent."""
        self.slope: FloatArray | None = None
        """(n_atoms,) the slope last asked; None where there is none."""
        self._answers: dict[bytes, bool] = {}

    def expand(self, masks: Mask) -> Mask:
        """Masks over the free atoms, (m, n) or (n,), as masks over coefficients."""
        if len(self.free_atoms) < len(self.atoms):
            all_masks = np.zeros((*masks.shape[:-1], len(self.atoms)), dtype=bool)
            all_masks[..., self.free_atoms] = masks
            masks = all_masks
        return self.atoms.expand(masks)

    def signals(self, masks: Mask, listener: Listener) -> Waveform:
        """(m, n) masks as the signals that are to be heard for them, (m * objective.n_signals, n_samples)."""
        signal_masks = self.objective.signal_masks(self.expand(masks))
        waveforms = on_device.keep(listener, self.domain, self.coefficients, signal_masks)
        for i, rest in enumerate(self.rests):
            of_draw = slice(i, None, len(self.rests))
            waveforms[of_draw] += on_device.keep(listener, self.domain, rest, ~signal_masks[of_draw])
        return waveforms

    def unknown(self, masks: Mask) -> Mask:
        """Those of the masks, each once, that were never asked."""
        first = {key: i for i, key in reversed(list(enumerate(_keys(masks)))) if key not in self._answers}
        return masks[sorted(first.values())]

    def learn(self, masks: Mask, logits: Logits) -> None:
        """Remember what the model said, (m * objective.n_signals, n_classes), of the signals of masks."""
        is_met = self.objective.are_met(logits, self.is_expected)
        self.n_queries += len(logits)
        self._answers.update(zip(_keys(masks), map(bool, is_met), strict=True))
        if is_met.any():
            met = masks[is_met]
            sizes = np.count_nonzero(met, axis=1)
            if sizes.min() < np.count_nonzero(self.smallest):
                self.smallest = met[int(np.argmin(sizes))].copy()

    def answers(self, question: Question) -> Mask | FloatArray | None:
        """(m,) answers to masks that were all asked, or the slope that was."""
        if isinstance(question, Slope):
            return self.slope
        return np.array([self._answers[key] for key in _keys(question)])

    def learn_slope(self, gradient: Waveform) -> None:
        """Keep the slope with the gain of each atom, at gain 1."""
        self.n_queries += SLOPE_QUERIES
        self.slope = self._pool(self.domain.forward(gradient))

    def _pool(self, coefficients: Coefficients) -> FloatArray:
        """(n_atoms,) inner product of the clip with a waveform, by its coefficients, in each free atom."""
        return self.atoms.pool(self.domain.products(coefficients, self.coefficients))[self.free_atoms]


def ask(listener: Listener, questions: Sequence[tuple[SearchState, Question]]) -> None:
    """Put one merged batch of questions to the model and let each search state learn its answers."""
    chunk: list[tuple[SearchState, Mask]] = []
    n_samples = 0
    for state, question in questions:
        if isinstance(question, Slope):
            _ask_slope(listener, state, question)
            continue
        masks = state.unknown(question)
        most = _samples_at_once(len(state.clip.waveform))
        of_mask = len(state.clip.waveform) * state.objective.n_signals
        while len(masks):
            some, masks = np.split(masks, [max(1, (most - n_samples) // of_mask)])
            chunk.append((state, some))
            n_samples += len(some) * of_mask
            if n_samples + of_mask > most:
                _ask(listener, chunk)
                chunk, n_samples = [], 0
    if chunk:
        _ask(listener, chunk)


def _samples_at_once(of_signal: int) -> int:
    """Samples held at a time, of signals of so many."""
    n_signals = _SAMPLES_AT_ONCE // of_signal
    return max(n_signals - n_signals % _WHOLE_BATCHES, min(n_signals, _WHOLE_BATCHES)) * of_signal


def _ask(listener: Listener, chunk: Sequence[tuple[SearchState, Mask]]) -> None:
    waveforms = [x for state, masks in chunk for x in state.signals(masks, listener)]
    logits = listener.logits(waveforms, chunk[0][0].clip.sample_rate_hz)
    at = 0
    for state, masks in chunk:
        n = len(masks) * state.objective.n_signals
        state.learn(masks, logits[at : at + n])
        at += n


def _ask_slope(listener: Listener, state: SearchState, question: Slope) -> None:
    """Slopes are those of the kept atoms: of an objective that listens to the others, too, there is none."""
    state.slope = None
    if isinstance(listener, Sloping) and not state.objective.without:
        waveform = state.signals(question.mask[None], listener)[0]
        gradients = listener.input_gradients([waveform], state.clip.sample_rate_hz, [state.is_expected])
        if gradients is not None:
            state.learn_slope(gradients[0])


def _keys(masks: Mask) -> list[bytes]:
    """A key of each mask, (m, n_atoms)."""
    rows = np.packbits(masks, axis=1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]
