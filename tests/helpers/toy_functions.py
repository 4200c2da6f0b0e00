"""Functions for searches, with answers by hand."""

import numpy as np
from hypothesis import strategies as st

from harness.extract.search import Slope


def solve(search, sufficient, energy, seed=0, slope=lambda mask: None):
    """Run a search against a function of one mask; returns what it found and how many masks it asked."""
    searching = search(energy, np.random.default_rng(seed))
    known = {}
    question = next(searching)
    while True:
        if isinstance(question, Slope):
            assert sufficient(question.mask)
            answer = slope(question.mask)
        else:
            assert question.dtype == bool
            assert question.ndim == 2
            # A mask that was asked before is answered from memory, as the oracle does.
            known.update((m.tobytes(), sufficient(m)) for m in question if m.tobytes() not in known)
            answer = np.array([known[m.tobytes()] for m in question])
        try:
            question = searching.send(answer)
        except StopIteration as stop:
            return stop.value, len(known)


def removable(mask, sufficient):
    """Atoms that can go alone."""
    found = []
    for atom in np.flatnonzero(mask):
        without = mask.copy()
        without[atom] = False
        if sufficient(without):
            found.append(int(atom))
    return found


@st.composite
def monotone(draw):
    """Sufficient when one of a few sets of atoms is there."""
    n_atoms = draw(st.integers(2, 40))
    sets = draw(
        st.lists(st.sets(st.integers(0, n_atoms - 1), min_size=1, max_size=4), min_size=1, max_size=3)
    )
    wanted = [np.array(sorted(s)) for s in sets]
    return n_atoms, lambda mask: any(mask[w].all() for w in wanted)


@st.composite
def not_monotone(draw):
    """Accepts or rejects each mask by a hash of it; all atoms suffice, none does not."""
    n_atoms = draw(st.integers(2, 40))
    seed = draw(st.integers(0, 10_000))
    share = draw(st.floats(0.05, 0.95))

    def sufficient(mask):
        if mask.all() or not mask.any():
            return bool(mask.all())
        digest = np.packbits(mask).tobytes()
        return np.random.default_rng([seed, *digest]).random() < share

    return n_atoms, sufficient


toys = st.one_of(monotone(), not_monotone())
