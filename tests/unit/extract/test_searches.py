"""Searches against functions: no model, no sound, answers by hand and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.extract.minimal import Gradient, Minimal
from harness.extract.reduction import certify, first_sufficient, progression, shortest_prefix
from harness.extract.responsibility import Responsibility
from harness.extract.search import mask_of, prefix_sizes
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

    found, _ = answered(search, sufficient)
    assert found.tolist() == [0, 1, 2, 3, 4]


def answered(part, sufficient):
    """What a part of a search returns, and how many masks it asked."""
    masks, n_asked = next(part), 0
    while True:
        n_asked += len(masks)
        try:
            masks = part.send(np.array([sufficient(mask) for mask in masks]))
        except StopIteration as stop:
            return stop.value, n_asked


@pytest.mark.parametrize("size", [None, 1, 100])
@given(st.sets(st.integers(0, 99), min_size=1, max_size=8))
@settings(deadline=None)
def test_progression_finds_exactly_the_needed_atoms(size, wanted):
    found, n_asked = answered(progression(np.arange(100), 100, size), lambda mask: mask[list(wanted)].all())
    assert found.tolist() == sorted(wanted, reverse=True)
    assert n_asked <= 15 * (len(wanted) + 1)


def test_progression_ends_as_soon_as_the_needed_atoms_are_enough():
    found, n_asked = answered(progression(np.arange(64), 64), lambda mask: mask[0])
    assert found.tolist() == [0]
    assert n_asked == 7  # 32, 48 and so on to 63 of them, and all


def test_the_certificate_asks_again_what_failed_before_an_atom_went():
    def sufficient(mask):  # the first can only go once the second is gone
        return mask[2] and (mask[0] or not mask[1])

    found, n_asked = answered(certify(np.array([1, 0, 2]), 3), sufficient)
    assert found.tolist() == [2]
    assert n_asked == 6  # 2 fails, 0 fails, 1 goes; 2 fails, 0 goes; 2, alone, fails once more


def test_the_first_sufficient_set_wins_and_later_batches_are_not_asked():
    sets = [np.array([i]) for i in range(9)]
    found, n_asked = answered(first_sufficient(sets, 9, at_once=4), lambda mask: mask[5] or mask[6])
    assert (found.tolist(), n_asked) == ([5], 8)
    assert answered(first_sufficient(sets, 9), lambda mask: False) == (None, 9)


def test_minimal_finds_a_run_of_bins_around_a_peak():
    """Twenty neighbours are needed together, around the fifth loudest of 4,000 atoms: no ranking is short."""
    energy = np.random.default_rng(3).random(4000)
    energy[[500, 1200, 2000, 2800, 3300]] = [50, 40, 30, 20, 10]
    wanted = mask_of(np.arange(3290, 3310), 4000)
    found, asked = solve(Minimal(), lambda mask: bool(mask[wanted].all()), energy)
    np.testing.assert_array_equal(found.mask, wanted)
    assert asked < 150
