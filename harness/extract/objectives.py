"""What a set of atoms has to achieve (definitions: sufficient, necessary, complete).

A search sees masks and answers; what an answer means is said here. Any search finds a set of any objective,
because each keeps the promise of the contract: all atoms reach it, none do not.

    sufficient   the set alone gets the class
    necessary    the rest of the clip alone does not
    complete     both, and the set alone gets the confidence of the whole clip, give or take `TOLERANCE`

Source: Kelly & Chockler (FreqReX, arXiv 2601.16675). Departures: margins, and the tolerance, which are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.types import MIN_MARGIN, FloatArray, Mask

TOLERANCE = 0.01
"""Probability by which a complete set may miss that of the whole clip, either way."""

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Objective:
    """What the model gets to hear of a mask, and what it has to answer."""

    name: str
    """As in the records."""
    alone: bool
    """It hears the kept atoms, and has to give the class."""
    without: bool
    """It hears the others, and must not."""
    confidence: tuple[float, float] = (0.0, 1.0)
    """Range of the probability that the kept atoms alone have to get."""
    n_draws: int = 1
    """Draws of what stands in for the rest, with each of which it hears every signal."""
    robust: float = 1.0
    """Share of these in which it has to answer so, the first among them."""

    @property
    def n_signals(self) -> int:
        """Signals per mask: the queries that it costs."""
        return (self.alone + self.without) * self.n_draws

    def signal_masks(self, masks: Mask) -> Mask:
        """(m, N) masks as those of the signals, (m * n_signals, N): alone with each draw, then without."""
        parts = [masks] * (self.alone * self.n_draws) + [~masks] * (self.without * self.n_draws)
        return np.stack(parts, axis=1).reshape(-1, masks.shape[1])

    def are_met(self, logits: Logits, is_expected: Mask) -> Mask:
        """(m,) whether each of some masks reaches the objective.

        Args:
            logits: (m * n_signals, n_classes) logits of the signals of the masks, as by `signal_masks`.
            is_expected: (n_classes,) the classes that mean what the whole clip gets.
        """
        margins = _margins(logits, is_expected).reshape(-1, self.n_signals)
        is_given = margins[:, : self.alone * self.n_draws] >= MIN_MARGIN
        is_lost = margins[:, self.alone * self.n_draws :] <= -MIN_MARGIN
        low, high = self.confidence
        if (low, high) != (0.0, 1.0):
            rows = logits.reshape(len(margins), self.n_signals, -1)
            for mask, draw in np.argwhere(is_given):
                is_given[mask, draw] = low <= probability(rows[mask, draw], is_expected) <= high
        is_met = np.ones(len(margins), dtype=bool)
        for answers in (is_given, is_lost):
            if answers.shape[1]:  # the first draw is the one that is published
                is_met &= answers[:, 0] & (answers.sum(axis=1) >= self.robust * self.n_draws)
        return is_met


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


def _margins(logits: Logits, is_expected: Mask) -> FloatArray:
    """(n,) `margin` of each row of (n, n_classes)."""
    best, best_other = logits[:, is_expected].max(axis=1), logits[:, ~is_expected].max(axis=1)
    return np.asarray(best.astype(np.float64) - best_other)


def probability(logits: Logits, is_expected: Mask) -> float:
    """Softmax probability of the expected classes together."""
    exponentials = np.exp(logits.astype(np.float64) - float(logits.max()))
    return float(exponentials[is_expected].sum() / exponentials.sum())
