"""The FFT of a clip, and masks: answers by hand, and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domains import Atoms, fft, parse
from harness.domains.frequency import Frequency
from harness.domains.masks import from_runs, largest, runs

masks = st.lists(st.booleans(), min_size=2, max_size=60).map(np.array)


def noise(n_samples, seed=0):
    return np.random.default_rng(seed).normal(size=n_samples).astype(np.float32)


@pytest.mark.parametrize("n_samples", [15, 16])
def test_keeping_every_bin_gives_the_clip_back(n_samples):
    x = noise(n_samples)
    everything = np.ones(n_samples // 2 + 1, dtype=bool)
    np.testing.assert_allclose(fft.keep(fft.spectrum(x), everything, n_samples), x, atol=1e-6)


def test_keeping_one_bin_of_two_tones_gives_that_tone():
    t = np.arange(64) / 64
    low, high = np.cos(2 * np.pi * 3 * t), 0.5 * np.sin(2 * np.pi * 11 * t)
    mask = np.zeros(33, dtype=bool)
    mask[11] = True
    X = fft.spectrum((low + high).astype(np.float32))
    np.testing.assert_allclose(fft.keep(X, mask, 64), high, atol=1e-6)


def test_masks_are_applied_row_by_row():
    x = noise(40)
    X = fft.spectrum(x)
    some = np.random.default_rng(1).random((3, 21)) < 0.5
    together = fft.keep(X, some, 40)
    assert together.shape == (3, 40)
    assert together.dtype == np.float32
    for row, mask in zip(together, some, strict=True):
        np.testing.assert_array_equal(row, fft.keep(X, mask, 40))


@pytest.mark.parametrize("n_samples", [31, 32])
def test_bin_energies_sum_to_the_energy_of_the_clip(n_samples):
    x = noise(n_samples)
    energy = fft.bin_energy(fft.spectrum(x), n_samples)
    assert energy.sum() == pytest.approx(np.square(x, dtype=float).sum(), rel=1e-6)


@given(masks)
def test_runs_and_back_is_the_same_mask(mask):
    rows = runs(mask)
    assert rows[:, 1].sum() == mask.sum()
    np.testing.assert_array_equal(from_runs(rows, len(mask)), mask)


@pytest.mark.parametrize("rows", [[[0, 0]], [[-1, 2]], [[3, 3]], [[0, 2], [1, 1]], [[0, 2], [2, 1]]])
def test_runs_that_make_no_mask_are_refused(rows):
    with pytest.raises(ValueError, match="runs"):
        from_runs(np.array(rows), 5)


def test_largest_takes_the_loudest_bins_and_the_lower_one_of_a_tie():
    np.testing.assert_array_equal(
        largest(np.array([1.0, 5.0, 3.0, 5.0, 3.0]), 3), [False, True, True, True, False]
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data())
def test_largest_is_the_head_of_a_stable_sort(energy, data):
    n_kept = data.draw(st.integers(0, len(energy)))
    loudest = np.argsort(-np.array(energy, dtype=float), kind="stable")[:n_kept]
    kept = largest(np.array(energy, dtype=float), n_kept)
    assert np.array_equal(np.flatnonzero(kept), np.sort(loudest))


@given(st.integers(4, 5000), st.integers(2, 300))
def test_log_bands_cover_every_bin_once(n_samples, n_bands):
    bands = parse(f"bands{n_bands}").atoms(n_samples, 16_000)
    n_bins = n_samples // 2 + 1
    assert bands.column_edges[0] == 0
    assert bands.column_edges[-1] == n_bins
    assert (np.diff(bands.column_edges) >= 1).all()
    assert len(bands) == min(n_bands, n_bins)


def test_band_masks_expand_to_the_bins_of_the_band():
    bands = Atoms(Frequency(10, 16_000), np.array([0, 1]), np.array([0, 1, 4, 6]))
    np.testing.assert_array_equal(
        bands.expand(np.array([True, False, True])), [True, False, False, False, True, True]
    )
