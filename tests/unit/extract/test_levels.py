"""Levels: known answers by hand and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from harness.dataset.parquet_schema import level_sizes
from harness.extract.levels import nested_levels
from harness.types import N_LEVELS


@pytest.mark.parametrize(
    ("n_kept", "n_bins", "sizes"),
    [
        (1, 128, [1, 2, 4, 8, 16, 32, 64, 128]),
        (2, 5, [2, 2, 3, 3, 3, 4, 4, 5]),
        (3, 24_001, [3, 11, 39, 141, 510, 1841, 6647, 24_001]),
        (7, 7, [7] * 8),
    ],
)
def test_sizes_are_spaced_evenly_in_log_from_the_minimal_signal_to_all_bins(n_kept, n_bins, sizes):
    assert level_sizes(n_kept, n_bins).tolist() == sizes


def test_the_mask_comes_first_and_then_what_is_responsible():
    mask = np.array([False, True, False, False, True])
    responsibility = np.array([0.0, 0.0, 1.0, 0.5, 0.0])
    energy = np.array([9.0, 1.0, 1.0, 1.0, 1.0])
    # sizes 2 2 3 3 3 4 4 5
    assert nested_levels(mask, responsibility, energy).tolist() == [7, 0, 2, 5, 0]


def test_of_equal_responsibility_the_louder_bin_comes_first_and_then_the_lower():
    mask = np.array([True, True, False, False, False])
    equal = np.ones(5)
    assert nested_levels(mask, equal, np.array([0.0, 0.0, 1.0, 3.0, 2.0])).tolist() == [0, 0, 7, 2, 5]
    assert nested_levels(mask, equal, np.zeros(5)).tolist() == [0, 0, 2, 5, 7]


def test_a_minimal_signal_of_all_bins_has_level_0_alone():
    assert nested_levels(np.ones(4, dtype=bool), np.zeros(4), np.zeros(4)).tolist() == [0] * 4


@given(st.data())
def test_levels_are_nested_of_their_sizes_and_in_order(data):
    n_bins = data.draw(st.integers(1, 300))
    mask = data.draw(arrays.arrays(bool, n_bins).filter(np.any))
    few = st.sampled_from([0.0, 0.25, 0.5, 1.0, 20.0])  # ties are common
    responsibility = data.draw(arrays.arrays(float, n_bins, elements=few))
    energy = data.draw(arrays.arrays(float, n_bins, elements=few))
    levels = nested_levels(mask, responsibility, energy)
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels == 0, mask)
    kept = levels <= np.arange(N_LEVELS)[:, None]
    assert (kept[:-1] <= kept[1:]).all()
    assert kept.sum(axis=1).tolist() == level_sizes(int(mask.sum()), n_bins).tolist()
    assert kept[-1].all()
    others = sorted(np.flatnonzero(~mask), key=lambda i: (-responsibility[i], -energy[i], i))
    assert (np.diff(levels[others].astype(int)) >= 0).all()


@given(st.integers(1, 250_000), st.integers(1, 250_000))
def test_sizes_never_fall_and_each_is_the_nearest_whole_number(one, other):
    n_kept, n_bins = sorted((one, other))
    sizes = level_sizes(n_kept, n_bins).tolist()
    assert (len(sizes), sizes[0], sizes[-1]) == (N_LEVELS, n_kept, n_bins)
    assert sizes == sorted(sizes)
    for j, size in enumerate(sizes):  # (2k - 1)^7 <= 2^7 n^(7 - j) N^j <= (2k + 1)^7, in whole numbers
        product = 2**7 * n_kept ** (7 - j) * n_bins**j
        assert (2 * size - 1) ** 7 <= product <= (2 * size + 1) ** 7
