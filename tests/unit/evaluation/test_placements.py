"""Where a signal's runs are put: in another clip, and elsewhere in its own; known answers and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import placements
from harness.domains.masks import from_runs, runs
from harness.evaluation import stimuli

masks = st.lists(st.booleans(), min_size=2, max_size=60).map(np.array)


# --- carried: the same frequencies in a clip of another length


@pytest.mark.parametrize(
    ("kept", "n_bins", "carried"),
    [
        ([2, 3], 17, [4, 5, 6, 7]),  # twice the bins: a run is twice as wide
        ([2, 3], 5, [1]),  # half of them: 1.25 to 2.25
        ([1], 5, [1]),  # .75 to 1.25: one bin stays
        ([8], 17, [16]),
        ([8], 5, [4]),
        ([0], 33, [0, 1]),  # the half of bin 0 that lies above 0 Hz
        ([1, 3], 5, [1, 2]),
        (range(9), 3, [0, 1, 2]),  # everything stays everything
        (range(9), 33, range(33)),
        ([], 17, []),
        ([4], 9, [4]),
    ],
)
def test_a_mask_of_nine_bins_is_carried_by_frequency(kept, n_bins, carried):
    mask = np.zeros(9, dtype=bool)
    mask[list(kept)] = True
    found = stimuli.transfer_mask(mask, (1, len(mask)), (1, n_bins))
    assert len(found) == n_bins
    assert np.flatnonzero(found).tolist() == list(carried)


@given(masks, st.integers(1, 300))
def test_a_carried_run_keeps_its_ends_within_a_bin_and_is_never_empty(mask, n_bins):
    found = stimuli.transfer_mask(mask, (1, len(mask)), (1, n_bins))
    assert found.any() == mask.any()
    scale = (n_bins - 1) / max(len(mask) - 1, 1)
    rows = runs(mask)
    assert not mask.all() or found.all()
    for first, n in rows:
        end = min((first + n) * scale, n_bins)
        at = np.flatnonzero(found[max(0, round(first * scale) - 1) : int(end) + 2])
        assert len(at) > 0
    assert found.sum() <= sum(max(1, n * scale + 1) for _, n in rows)
    np.testing.assert_array_equal(stimuli.transfer_mask(mask, (1, len(mask)), (1, len(mask))), mask)


# --- occupied_band and elsewhere


@pytest.mark.parametrize(
    ("energy", "band"),
    [
        ([0, 0, 5, 0, 0], (2, 3)),
        ([0, 1, 1, 1, 0], (1, 4)),
        ([1, 300, 400, 300, 1], (1, 4)),  # 1 of 1,002 at either end is less than .5 %
        ([6, 300, 400, 300, 6], (0, 5)),  # 6 of 1,012 is more
        ([1, 0, 0, 0, 1], (0, 5)),
        ([7], (0, 1)),
    ],
)
def test_the_occupied_band_holds_all_but_half_a_percent_of_the_energy_at_either_end(energy, band):
    assert placements.occupied_band(np.array(energy, dtype=float)) == band


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80).filter(lambda e: sum(e) > 1e-3))
def test_what_lies_outside_the_occupied_band_is_at_most_a_hundredth(energy):
    first, end = placements.occupied_band(np.array(energy))
    assert 0 <= first < end <= len(energy)
    assert sum(energy[:first]) <= 0.005 * sum(energy) * (1 + 1e-9)
    assert sum(energy[end:]) <= 0.005 * sum(energy) * (1 + 1e-9)


def test_runs_of_one_and_two_bins_have_six_places_in_a_band_of_five():
    mask = np.zeros(12, dtype=bool)
    mask[[0, 2, 3]] = True
    drawn = placements.random_placements(mask, (4, 9), 2000, np.random.default_rng(0))
    places = {tuple(map(tuple, rows.tolist())) for rows in drawn}
    one_first = {((4, 1), (6, 2)), ((4, 1), (7, 2)), ((5, 1), (7, 2))}
    two_first = {((4, 2), (7, 1)), ((4, 2), (8, 1)), ((5, 2), (8, 1))}
    assert places == one_first | two_first


def test_runs_that_do_not_fit_have_no_place():
    mask = np.array([1, 0, 1, 1, 0, 0], dtype=bool)
    assert placements.random_placements(mask, (0, 3), 5, np.random.default_rng(0)) is None
    drawn = placements.random_placements(mask, (2, 6), 50, np.random.default_rng(0))
    assert {tuple(rows.ravel().tolist()) for rows in drawn} == {(2, 1, 4, 2), (2, 2, 5, 1)}


@given(masks.filter(np.any), st.integers(0, 1000), st.data())
def test_runs_elsewhere_keep_their_lengths_touch_nowhere_and_stay_in_the_band(mask, seed, data):
    first = data.draw(st.integers(0, len(mask) - 1))
    end = data.draw(st.integers(first + 1, len(mask)))
    drawn = placements.random_placements(mask, (first, end), 20, np.random.default_rng(seed))
    lengths = runs(mask)[:, 1]
    if drawn is None:
        assert lengths.sum() + len(lengths) - 1 > end - first
        return
    np.testing.assert_array_equal(
        drawn, placements.random_placements(mask, (first, end), 20, np.random.default_rng(seed))
    )
    for rows in drawn:
        found = from_runs(rows, len(mask))  # refuses what touches or overlaps
        assert sorted(rows[:, 1].tolist()) == sorted(lengths.tolist())
        assert not found[:first].any()
        assert not found[end:].any()
