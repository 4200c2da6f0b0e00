"""How far two answers may lie apart that differ in the order of sums alone: in batches, threads, processors.

A sum of n products in float32 is off by up to n times 6e-8 of its size, and the layers of a network multiply
that by 10 to 100: what one processor makes of it says nothing of another. `PROOF_TOLERANCE` is what the
benchmark promises of a logit; the other bounds follow from it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from harness.extract import objectives
from harness.types import MIN_MARGIN, PROOF_TOLERANCE

LOGIT = PROOF_TOLERANCE["float32"]
"""Of a logit."""

MARGIN = 2 * LOGIT
"""Of a difference of two logits."""

PROBABILITY = LOGIT
"""Of a probability: the slope of a softmax is at most 1/4 in each logit, and at most 1/2 in all together."""

STORED_PROBABILITY = PROBABILITY + 2.0**-13
"""Of a probability as a verdict holds it, to twelve bits: two that hardly differ may be rounded apart."""


@contextlib.contextmanager
def leads() -> Iterator[list[float]]:
    """How near to the margin any lead comes while masks are searched for.

    Nearer than `MARGIN`, another batch, thread count or processor may decide otherwise and find another mask.
    """
    seen: list[float] = []

    def margins(logits: Any, is_expected: Any) -> Any:
        values = honest(logits, is_expected)
        seen.extend(abs(value - MIN_MARGIN) for value in values.tolist())
        return values

    honest = objectives._margins
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectives, "_margins", margins)
        yield seen
