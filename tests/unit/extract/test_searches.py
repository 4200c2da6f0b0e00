"""Searches against functions: no model, no sound, answers by hand and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.extract.minimal import Gradient, Minimal
from harness.extract.reduction import shortest_prefix
from harness.extract.responsibility import Responsibility
from harness.extract.search import prefix_sizes
from tests.helpers.toy_functions import removable, solve, toys

SEARCHES = [Minimal(), Gradient(), Responsibility(repetitions=3, splits=3)]


@pytest.mark.parametrize("steep", [None, "random", "none"])
@pytest.mark.parametrize("search", [Minimal(), Gradient()], ids=repr)
@given(toys, st.integers(0, 100))
@settings(deadline=None)
def test_a_minimal_search_finds_a_sufficient_set_that_nothing_can_leave(search, steep, toy, seed):
    n_atoms, sufficient = toy
    rng = np.random.default_rng(seed)
    energy, slopes = (
        rng.random(n_atoms),
        {None: None, "random": rng.normal(size=n_atoms), "none": np.zeros(n_atoms)},
    )
    found, asked = solve(search, sufficient, energy, slope=lambda mask: slopes[steep])
    assert found.guarantee == "one_minimal"
    assert sufficient(found.mask)
    assert removable(found.mask, sufficient) == []
    assert asked <= most_queries(n_atoms)


@pytest.mark.parametrize("search", [Minimal(), Gradient()], ids=repr)
@given(st.integers(200, 1500), st.floats(0.02, 0.9), st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_a_minimal_search_ends_where_much_is_needed_everywhere(search, n_atoms, share, seed):
    rng = np.random.default_rng(seed)
    wanted = rng.random(n_atoms) < share
    wanted[0] = True
    found, asked = solve(search, lambda mask: bool(mask[wanted].all()), rng.random(n_atoms))
    np.testing.assert_array_equal(found.mask, wanted)
    assert asked <= most_queries(n_atoms)


def test_what_can_only_be_taken_from_small_pieces_is_taken():
    """Every second of 1,000 atoms: no piece of several neighbours can go."""
    found, asked = solve(Minimal(), lambda mask: bool(mask[::2].all()), np.ones(1000))
    assert np.flatnonzero(found.mask).tolist() == list(range(0, 1000, 2))
    assert asked <= 4 * 1000


def most_queries(n_atoms):
    """Two prefix grids and three of slopes; a progression; every sweep takes at least one atom away."""
    grid = np.ceil(np.log2(n_atoms)) + 1
    return 5 * grid + n_atoms * (2 * grid + 1) + n_atoms * (n_atoms + 1) / 2 + n_atoms * grid + 100


@given(toys, st.integers(0, 100))
@settings(deadline=None)
def test_responsibility_finds_a_sufficient_set_with_a_bounded_number_of_questions(toy, seed):
    n_atoms, sufficient = toy
    search = Responsibility(repetitions=3, splits=3)
    found, asked = solve(search, sufficient, np.random.default_rng(seed).random(n_atoms), seed)
    assert found.guarantee == "prefix_minimal"
    assert sufficient(found.mask)
    assert asked <= 3 * 3 * 14 + len(prefix_sizes(n_atoms))


@pytest.mark.parametrize("search", SEARCHES, ids=repr)
def test_the_same_seed_finds_the_same_set(search):
    energy = np.random.default_rng(1).random(200)

    def sufficient(mask):
        return mask[3] and mask[150:].sum() > 10

    one, other = (solve(search, sufficient, energy, seed=5)[0].mask for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_minimal_finds_the_two_needed_bands_by_hand():
    energy = np.linspace(1, 0, 1000)
    found, asked = solve(Minimal(), lambda mask: mask[7] and mask[420], energy)
    assert np.flatnonzero(found.mask).tolist() == [7, 420]
    assert asked < 250


def test_responsibility_ranks_the_band_that_matters_first():
    energy = np.linspace(1, 0, 400)
    found, _ = solve(Responsibility(), lambda mask: mask[300], energy)
    assert found.mask[300]
    assert found.mask.sum() <= 40, "a needed quiet band must rise far above its energy rank (300th)"


def test_only_a_search_that_ranks_returns_a_ranking():
    energy = np.linspace(1, 0, 60)
    ranked, _ = solve(Responsibility(repetitions=8), lambda mask: mask[40], energy)
    assert ranked.ranking.shape == (60,)
    assert ranked.ranking.argmax() == 40
    assert (ranked.ranking >= 0).all()
    assert solve(Minimal(), lambda mask: mask[40], energy)[0].ranking is None


def test_the_prefix_grid_grows_by_its_factor_and_ends_with_everything():
    sizes = prefix_sizes(8001)
    assert sizes[0] == 1
    assert sizes[-1] == 8001
    assert (np.diff(sizes) >= 1).all()
    assert (sizes[1:] / sizes[:-1])[20:-1].max() <= 1.1501
    assert prefix_sizes(1).tolist() == [1]


def test_the_shortest_prefix_is_not_fooled_by_an_island_of_failure():
    order = np.arange(100)
    search = shortest_prefix([order], 100, at_once=4)

    def sufficient(mask):
        return mask.sum() in (5, 6) or mask.sum() > 50

    masks, found = next(search), None
    while found is None:
        try:
            masks = search.send(np.array([sufficient(m) for m in masks]))
        except StopIteration as stop:
            found = stop.value.tolist()
    assert found == [0, 1, 2, 3, 4]
