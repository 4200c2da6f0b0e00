"""Family `minimal`: a certified 1-minimal signal, down to single bins.

Three steps: the shortest sufficient prefix of the energy ranking; probabilistic delta debugging (Wang,
Shen, Chen, Xiong, Zhang, *Probabilistic Delta Debugging*, ESEC/FSE 2021) inside it; leave-one-out sweeps
until nothing can go. Only the last is the certificate: acceptance is not monotone, so no earlier answer about
a larger mask says anything about a smaller one.

Departure: ProbDD starts from equal probabilities; here they fall with the energy rank, because loud bins are
needed more often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.extract.contract import (
    Asking,
    Found,
    Order,
    Searching,
    mask_of,
    shortest_prefix,
)
from harness.records import FloatArray, Mask

_AT_ONCE = 64
"""Masks in a batch of the sweep."""


@dataclass(frozen=True)
class Minimal:
    """Settings of the search."""

    family: ClassVar[str] = "minimal"
    guarantee: ClassVar[str] = "one_minimal"

    n_bands: int | None = None
    """Resolution; None for single bins."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `contract.Search`. Nothing here is random."""
        n_bands = len(energy)
        kept = yield from shortest_prefix(np.argsort(-energy, kind="stable"))
        kept = yield from _delta_debug(kept, n_bands)
        kept = yield from _sweep(kept, n_bands)
        return Found(mask_of(kept, n_bands), self.guarantee)


def _delta_debug(kept: Order, n_bands: int) -> Asking[Order]:
    """Remove the set of bands with the greatest expected gain, learning from failures which are needed.

    Args:
        kept: bands of a sufficient mask, most important first.
        n_bands: length of a mask.

    Returns:
        The bands that are left, in the same order.
    """
    needed = np.minimum(0.5, 1.2 / np.arange(1, len(kept) + 1))  # probability that a band is needed
    left = np.ones(len(kept), dtype=bool)
    while len(candidates := np.flatnonzero(left & (needed < 1))):
        candidates = candidates[np.lexsort((-candidates, needed[candidates]))]
        succeeds = np.cumprod(1 - needed[candidates])
        size = int(np.argmax(np.arange(1, len(candidates) + 1) * succeeds)) + 1
        removed = candidates[:size]
        trial = left.copy()
        trial[removed] = False
        if (yield mask_of(kept[trial], n_bands)[None])[0]:
            left = trial
        elif size == 1:
            needed[removed] = 1
        else:
            needed[removed] = np.minimum(needed[removed] / (1 - succeeds[size - 1]), 1)
    return kept[left]


def _sweep(kept: Order, n_bands: int) -> Asking[Order]:
    """Leave each band out once, the least important first, until none of them can go."""
    kept = kept[::-1]
    n_needed = 0  # leading bands of `kept` that were left out, in vain, since the last removal
    while n_needed < len(kept):
        tried = kept[n_needed : n_needed + _AT_ONCE]
        answers = yield np.stack([_without(kept, [band], n_bands) for band in tried])
        removable = tried[answers]
        if not len(removable):
            n_needed += len(tried)
            continue
        sizes = [len(removable) >> i for i in range(len(removable).bit_length())]
        answers = yield np.stack([_without(kept, removable[:size], n_bands) for size in sizes])
        # Removing one alone is known to work, so the last of the sizes always passes.
        removed = removable[: sizes[int(np.argmax(answers))]]
        in_vain = kept[:n_needed]
        kept = np.concatenate([kept[n_needed:], in_vain])
        kept = kept[~np.isin(kept, removed)]
        n_needed = 0
    return kept[::-1]


def _without(kept: Order, removed: Order | list[int], n_bands: int) -> Mask:
    mask = mask_of(kept, n_bands)
    mask[removed] = False
    return mask
