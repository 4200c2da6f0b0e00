"""Classifiers whose evidence is known: the class depends on some atoms of one clip, and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.domains import Atoms, parse
from harness.extract.oracle import SearchState, ask
from harness.extract.search import Order, Search, begin
from harness.types import Clip, FloatArray, Mask, Waveform

CUES = {"one": (1, 1), "all of three": (3, 3), "two of three": (3, 2)}
"""Cues of a clip, and how many of them the class needs."""

RESOLUTIONS = (
    *("bins", "bands128", "bands32", "mel64", "erb64"),
    *("blocks10ms", "blocks50ms"),
    *("tiles2x4", "tiles8x16"),
)
"""At least two of every domain."""

N_SAMPLES, RATE_HZ = 4_000, 16_000
"""Of every clip."""


@dataclass(frozen=True, eq=False)
class PlantedEvidence:
    """It gives class 0 where enough of the cues are there, and class 1 to all else.

    A cue is what one atom holds of the clip; it is there when the sound has half of it or more, by the inner
    product of the two.
    """

    cues: FloatArray
    """(n_cues, n_samples), each divided by its inner product with the clip."""
    n_needed: int

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """See `oracle.Listener`."""
        share = np.stack(waveforms).astype(np.float64) @ self.cues.T
        nth = np.sort(share, axis=1)[:, -self.n_needed]
        return np.stack([nth - 0.5, np.zeros(len(nth))], axis=1).astype(np.float32)


def planted(atoms: Atoms, n_cues: int, n_needed: int, seed: int) -> tuple[Clip, PlantedEvidence, Order]:
    """A clip of noise, a classifier of `n_cues` of its atoms, drawn at random, and these atoms.

    Atoms at an end of the clip may hold next to nothing of it and are no cues.
    """
    rng = np.random.default_rng(seed)
    domain = atoms.domain
    waveform = rng.normal(0, 0.1, domain.n_samples).astype(np.float32)
    coefficients = domain.forward(waveform)
    energy = atoms.pool(domain.products(coefficients, coefficients))
    chosen = np.sort(rng.choice(np.flatnonzero(energy > np.median(energy) / 4), n_cues, replace=False))
    masks = atoms.expand(np.arange(len(atoms)) == chosen[:, None])
    cues = domain.keep(coefficients, masks).astype(np.float64)
    # Of the whole clip every share is 1, also where atoms are not orthogonal.
    cues /= (cues @ waveform.astype(np.float64))[:, None]
    clip = Clip(f"planted-{seed}", "toy", "yes", waveform, RATE_HZ)
    return clip, PlantedEvidence(cues, n_needed), chosen


@dataclass(frozen=True)
class Recovery:
    """How well what a search found agrees with what was planted."""

    precision: float
    """Share of the kept atoms that are cues; 0 where none is kept."""
    recall: float
    """Cues among them, as a share of those that are needed; at most 1."""
    n_queries: int


def recovery(mask: Mask, chosen: Order, n_needed: int, n_queries: int) -> Recovery:
    """Compare a mask over atoms with the atoms that are cues."""
    kept = np.flatnonzero(mask)
    n_right = len(np.intersect1d(kept, chosen))
    return Recovery(n_right / max(1, len(kept)), min(1.0, n_right / n_needed), n_queries)


def recovered(search: Search, resolution: str, cues: str, seed: int) -> Recovery:
    """Look for the evidence of one classifier in its clip."""
    atoms = parse(resolution).atoms(N_SAMPLES, RATE_HZ)
    clip, listener, chosen = planted(atoms, *CUES[cues], seed)
    state = SearchState(clip, np.array([True, False]), atoms)
    searching = begin(search, state.energy, np.random.default_rng(seed), state.grid)
    question = next(searching)
    while True:
        ask(listener, [(state, question)])
        try:
            question = searching.send(state.answers(question))
        except StopIteration as stop:
            return recovery(stop.value.mask, chosen, listener.n_needed, state.n_queries)
