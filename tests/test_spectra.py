"""Spectra, masks and controls: answers by hand, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import spectra

masks = st.lists(st.booleans(), min_size=2, max_size=60).map(np.array)


def noise(n_samples, seed=0):
    return np.random.default_rng(seed).normal(size=n_samples).astype(np.float32)


@pytest.mark.parametrize("n_samples", [15, 16])
def test_keeping_every_bin_gives_the_clip_back(n_samples):
    x = noise(n_samples)
    everything = np.ones(n_samples // 2 + 1, dtype=bool)
    np.testing.assert_allclose(spectra.keep(spectra.spectrum(x), everything, n_samples), x, atol=1e-6)


def test_keeping_one_bin_of_two_tones_gives_that_tone():
    t = np.arange(64) / 64
    low, high = np.cos(2 * np.pi * 3 * t), 0.5 * np.sin(2 * np.pi * 11 * t)
    mask = np.zeros(33, dtype=bool)
    mask[11] = True
    X = spectra.spectrum((low + high).astype(np.float32))
    np.testing.assert_allclose(spectra.keep(X, mask, 64), high, atol=1e-6)


def test_masks_are_applied_row_by_row():
    x = noise(40)
    X = spectra.spectrum(x)
    some = np.random.default_rng(1).random((3, 21)) < 0.5
    together = spectra.keep(X, some, 40)
    assert together.shape == (3, 40)
    assert together.dtype == np.float32
    for row, mask in zip(together, some, strict=True):
        np.testing.assert_array_equal(row, spectra.keep(X, mask, 40))


@pytest.mark.parametrize("n_samples", [31, 32])
def test_bin_energies_sum_to_the_energy_of_the_clip(n_samples):
    x = noise(n_samples)
    energy = spectra.bin_energy(spectra.spectrum(x), n_samples)
    assert energy.sum() == pytest.approx(np.square(x, dtype=float).sum(), rel=1e-6)


@given(masks)
def test_runs_and_back_is_the_same_mask(mask):
    rows = spectra.runs(mask)
    assert rows[:, 1].sum() == mask.sum()
    np.testing.assert_array_equal(spectra.from_runs(rows, len(mask)), mask)


@pytest.mark.parametrize("rows", [[[0, 0]], [[-1, 2]], [[3, 3]], [[0, 2], [1, 1]], [[0, 2], [2, 1]]])
def test_runs_that_make_no_mask_are_refused(rows):
    with pytest.raises(ValueError, match="runs"):
        spectra.from_runs(np.array(rows), 5)


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
    found = spectra.carried(mask, n_bins)
    assert len(found) == n_bins
    assert np.flatnonzero(found).tolist() == list(carried)


@given(masks, st.integers(1, 300))
def test_a_carried_run_keeps_its_ends_within_a_bin_and_is_never_empty(mask, n_bins):
    found = spectra.carried(mask, n_bins)
    assert found.any() == mask.any()
    scale = (n_bins - 1) / max(len(mask) - 1, 1)
    rows = spectra.runs(mask)
    assert not mask.all() or found.all()
    for first, n in rows:
        end = min((first + n) * scale, n_bins)
        at = np.flatnonzero(found[max(0, round(first * scale) - 1) : int(end) + 2])
        assert len(at) > 0
    assert found.sum() <= sum(max(1, n * scale + 1) for _, n in rows)
    np.testing.assert_array_equal(spectra.carried(mask, len(mask)), mask)


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
    assert spectra.occupied_band(np.array(energy, dtype=float)) == band


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=80).filter(lambda e: sum(e) > 1e-3))
def test_what_lies_outside_the_occupied_band_is_at_most_a_hundredth(energy):
    first, end = spectra.occupied_band(np.array(energy))
    assert 0 <= first < end <= len(energy)
    assert sum(energy[:first]) <= 0.005 * sum(energy) * (1 + 1e-9)
    assert sum(energy[end:]) <= 0.005 * sum(energy) * (1 + 1e-9)


def test_runs_of_one_and_two_bins_have_six_places_in_a_band_of_five():
    mask = np.zeros(12, dtype=bool)
    mask[[0, 2, 3]] = True
    drawn = spectra.elsewhere(mask, (4, 9), 2000, np.random.default_rng(0))
    places = {tuple(map(tuple, rows.tolist())) for rows in drawn}
    one_first = {((4, 1), (6, 2)), ((4, 1), (7, 2)), ((5, 1), (7, 2))}
    two_first = {((4, 2), (7, 1)), ((4, 2), (8, 1)), ((5, 2), (8, 1))}
    assert places == one_first | two_first


def test_runs_that_do_not_fit_have_no_place():
    mask = np.array([1, 0, 1, 1, 0, 0], dtype=bool)
    assert spectra.elsewhere(mask, (0, 3), 5, np.random.default_rng(0)) is None
    drawn = spectra.elsewhere(mask, (2, 6), 50, np.random.default_rng(0))
    assert {tuple(rows.ravel().tolist()) for rows in drawn} == {(2, 1, 4, 2), (2, 2, 5, 1)}


@given(masks.filter(np.any), st.integers(0, 1000), st.data())
def test_runs_elsewhere_keep_their_lengths_touch_nowhere_and_stay_in_the_band(mask, seed, data):
    first = data.draw(st.integers(0, len(mask) - 1))
    end = data.draw(st.integers(first + 1, len(mask)))
    drawn = spectra.elsewhere(mask, (first, end), 20, np.random.default_rng(seed))
    lengths = spectra.runs(mask)[:, 1]
    if drawn is None:
        assert lengths.sum() + len(lengths) - 1 > end - first
        return
    np.testing.assert_array_equal(
        drawn, spectra.elsewhere(mask, (first, end), 20, np.random.default_rng(seed))
    )
    for rows in drawn:
        found = spectra.from_runs(rows, len(mask))  # refuses what touches or overlaps
        assert sorted(rows[:, 1].tolist()) == sorted(lengths.tolist())
        assert not found[:first].any()
        assert not found[end:].any()


def test_largest_takes_the_loudest_bins_and_the_lower_one_of_a_tie():
    np.testing.assert_array_equal(
        spectra.largest(np.array([1.0, 5.0, 3.0, 5.0, 3.0]), 3), [False, True, True, True, False]
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_largest_is_the_head_of_a_stable_sort(energy, data):
    n_kept = data.draw(st.integers(0, len(energy)))
    loudest = np.argsort(-np.array(energy, dtype=float), kind="stable")[:n_kept]
    kept = spectra.largest(np.array(energy, dtype=float), n_kept)
    assert np.array_equal(np.flatnonzero(kept), np.sort(loudest))


def test_a_gain_brings_a_sound_to_the_energy_wanted():
    assert spectra.gain_to(9.0, 4.0) == 1.5
    assert spectra.gain_to(0.0, 4.0) == 0.0


@given(st.integers(4, 5000), st.integers(1, 300))
def test_log_bands_cover_every_bin_once(n_samples, n_bands):
    bands = spectra.log_bands(n_samples, 16_000, n_bands)
    widths = np.diff(bands.edges)
    assert bands.edges[0] == 0
    assert bands.edges[-1] == bands.n_bins
    assert (widths >= 1).all()
    assert len(bands) == min(n_bands, bands.n_bins)


def test_band_masks_expand_to_the_bins_of_the_band_and_energies_pool():
    bands = spectra.Bands(10, 16_000, np.array([0, 1, 4, 6]))
    np.testing.assert_array_equal(
        spectra.expand(bands, np.array([True, False, True])), [True, False, False, False, True, True]
    )
    np.testing.assert_array_equal(spectra.pool(bands, np.arange(6.0)), [0.0, 6.0, 9.0])
