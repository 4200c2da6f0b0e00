"""What a set of bands has to achieve (definitions: sufficient, necessary, complete).

A search sees masks and answers; what an answer means is said here. Any search finds a set of any objective,
because each keeps the promise of the contract: all bands reach it, none do not.

    sufficient   the set alone gets the class
    necessary    the rest of the clip alone does not
    complete     both, and the set alone gets the confidence of the whole clip, give or take `TOLERANCE`

Source: Kelly & Chockler (FreqReX, arXiv 2601.16675). Departures: margins, and the tolerance, which are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.types import MIN_MARGIN, Mask

TOLERANCE = 0.01
"""Probability by which a complete set may miss that of the whole clip, either way."""

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Objective:
    """What the model gets to hear of a mask, and what it has to answer."""

    name: str
    """As in the records."""
    alone: bool
    """It hears the kept bands, and has to give the class."""
    without: bool
    """It hears the others, and must not."""
    confidence: tuple[float, float] = (0.0, 1.0)
    """Range of the probability that the kept bands alone have to get."""

    @property
    def n_signals(self) -> int:
        """Signals per mask: the queries that it costs."""
        return self.alone + self.without

    def signal_masks(self, masks: Mask) -> Mask:
        """(m, n_bands) masks as masks of the signals, (m * n_signals, n_bands): alone, then without."""
        parts = [*([masks] if self.alone else []), *([~masks] if self.without else [])]
        return np.stack(parts, axis=1).reshape(-1, masks.shape[1])

    def is_met(self, logits: Logits, is_expected: Mask) -> bool:
        """Whether a mask reaches the objective.

        Args:
            logits: (n_signals, n_classes) logits of the signals of the mask.
            is_expected: (n_classes,) the classes that mean what the whole clip gets.
        """
        if self.without and margin(logits[-1], is_expected) > -MIN_MARGIN:
            return False
        if not self.alone:
            return True
        low, high = self.confidence
        if margin(logits[0], is_expected) < MIN_MARGIN:
            return False
        return (low, high) == (0.0, 1.0) or low <= probability(logits[0], is_expected) <= high


def sufficient(least: float = 0.0) -> Objective:
    """The class, with at least so much probability."""
    return Objective("sufficient", alone=True, without=False, confidence=(least, 1.0))


def necessary() -> Objective:
    """Without it, another class."""
    return Objective("necessary", alone=False, without=True)


def complete(p_whole: float) -> Objective:
    """Sufficient and necessary, with the confidence of the whole clip."""
    return Objective(
        "complete", alone=True, without=True, confidence=(p_whole - TOLERANCE, p_whole + TOLERANCE)
    )


def margin(logits: Logits, is_expected: Mask) -> float:
    """Best logit among the expected classes minus the best among the others."""
    return float(logits[is_expected].max()) - float(logits[~is_expected].max())


def probability(logits: Logits, is_expected: Mask) -> float:
    """Softmax probability of the expected classes together."""
    exponentials = np.exp(logits.astype(np.float64) - float(logits.max()))
    return float(exponentials[is_expected].sum() / exponentials.sum())
