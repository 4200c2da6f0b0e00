"""Every search, in every domain, finds the only atoms that a classifier looks at."""

from __future__ import annotations

import numpy as np
import pytest

from harness.extract.minimal import Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search import Search
from tests.helpers.planted_evidence import CUES, RESOLUTIONS, recovered

COARSE = ("bands128", "bands32", "mel64", "erb64", "blocks10ms", "blocks50ms", "tiles8x16")
"""A ranking of single bins or small tiles needs more cuts than this search makes."""


def means(search: Search, resolution: str, cues: str) -> tuple[float, float]:
    """Precision and recall, over ten clips."""
    recoveries = [recovered(search, resolution, cues, seed) for seed in range(10)]
    precision, recall = np.mean([(each.precision, each.recall) for each in recoveries], axis=0)
    return float(precision), float(recall)


@pytest.mark.parametrize("cues", CUES)
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_a_minimal_search_finds_the_evidence_and_nothing_else(resolution: str, cues: str) -> None:
    assert means(Minimal(), resolution, cues) == (1, 1)


@pytest.mark.parametrize("cues", CUES)
@pytest.mark.parametrize("resolution", COARSE)
def test_responsibility_finds_the_evidence_and_little_else(resolution: str, cues: str) -> None:
    precision, recall = means(Responsibility(repetitions=20, splits=10), resolution, cues)
    assert recall >= 0.95
    assert precision >= 0.9
