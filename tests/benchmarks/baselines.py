"""Two searches of the literature, under our contract, to compare ours with.

Conventions: those of `extract.search`. Neither is in SEARCHES; the engine takes signals of its own kinds of
families alone, and both pass for the one that has no levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.extract.search import Asking, Order, Searching, SearchResult, mask_of
from harness.families import RESPONSIBILITY
from harness.types import FloatArray


@dataclass(frozen=True)
class BackwardSelection:
    """Remove one band at a time while any can go, as SIS does.

    Carter, Mueller, Jain, Gifford, *What made you do this? Understanding black-box decisions with sufficient
    input subsets* (AISTATS 2019): `BackSelect` masks, in each round, the feature whose loss lowers the
    confidence least; `FindSIS` then takes the shortest end of that order that is confident enough.

    Departures: an oracle of booleans does not say which removal hurts least, so of the bands that can go the
    quietest goes; and below sufficiency, where every answer is no, an order would be arbitrary, so the rounds
    end there. What is left is FindSIS's answer for the order that was walked: every mask on the way was
    sufficient. A round asks about every band that is left: about n_bands^2 / 2 questions when little is
    needed, 8,256 for 128 bands and 32 million for the single bins of one second; hence log bands.
    """

    kind: ClassVar[str] = RESPONSIBILITY
    guarantee: ClassVar[str] = "one_minimal"

    resolution: str = "bands128"
    """The atoms it works on, by name."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`. Nothing here is random."""
        kept = np.argsort(energy, kind="stable")  # quietest first
        while True:
            masks = np.stack([mask_of(np.delete(kept, i), len(energy)) for i in range(len(kept))])
            answers = yield masks
            if not answers.any():
                return SearchResult(mask_of(kept, len(energy)), self.guarantee)
            kept = np.delete(kept, int(np.argmax(answers)))


@dataclass(frozen=True)
class QuickXplain:
    """Divide and conquer over the energy order.

    Junker, *QuickXplain: Preferred Explanations and Relaxations for Over-Constrained Problems* (AAAI 2004):
    if a background alone is sufficient nothing more is needed; else the candidates are halved, and what is
    needed of the quieter half given the louder is found before what is needed of the louder given that.

    No departure, but its promise of minimality needs acceptance to be monotone, which it is not: what it
    finds is sufficient in any case, and 1-minimal only in some.
    """

    kind: ClassVar[str] = RESPONSIBILITY
    guarantee: ClassVar[str] = "none"

    resolution: str = "bins"
    """The atoms it works on, by name."""

    def __call__(self, energy: FloatArray, rng: np.random.Generator) -> Searching:
        """See `search.Search`. Nothing here is random."""
        order = np.argsort(-energy, kind="stable")
        kept = yield from _explain(order[:0], order, len(energy), grown=False)
        return SearchResult(mask_of(kept, len(energy)), self.guarantee)


def _explain(background: Order, candidates: Order, n_bands: int, *, grown: bool) -> Asking[Order]:
    """What is needed of the candidates beside a background; both together are sufficient.

    Args:
        background: bands that are kept for now.
        candidates: others, most important first.
        n_bands: length of a mask.
        grown: the background has grown since it was last known to be insufficient.
    """
    if grown and (yield mask_of(background, n_bands)[None])[0]:
        return candidates[:0]
    if len(candidates) == 1:
        return candidates
    first, second = np.split(candidates, [(len(candidates) + 1) // 2])
    of_second = yield from _explain(np.concatenate([background, first]), second, n_bands, grown=True)
    of_first = yield from _explain(
        np.concatenate([background, of_second]), first, n_bands, grown=len(of_second) > 0
    )
    return np.concatenate([of_first, of_second])
