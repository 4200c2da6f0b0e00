"""A listener whose answers are known by hand: it hears the energy of a few frequencies."""

import numpy as np
import pytest

from harness.journal import Journal
from harness.types import LabelMap
from tests.helpers.tone_models import clip_of


@pytest.fixture
def label_map():
    return LabelMap("toy", ("LOW", "MID", "HIGH"), ("low", "mid", "high"), "names")


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    made = [
        clip_of(f"c{i}", rng.permutation([0.8, 0.4, 0.3]), int(rng.choice([800, 801])), i) for i in range(14)
    ]
    return [*made, clip_of("mid", [0.1, 0.9, 0.1])]


@pytest.fixture
def journals(tmp_path):
    """A maker of new journals."""
    made = []

    def make():
        made.append(Journal(tmp_path / f"journal-{len(made)}", {"work": 1}, ""))
        return made[-1]

    yield make
    for journal in made:
        journal.close()


@pytest.fixture
def journal(journals):
    return journals()
