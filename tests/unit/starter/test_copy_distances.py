"""How far a copy is from its recording, in dB: sounds whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.dataset.suites import Suite
from harness.starter import paths
from harness.starter.build import copy_distances
from harness.starter.build.copies import FAMILIES
from harness.starter.build.copy_distances import distances
from harness.starter.build.deepfake import UNSEEN_FAMILY


@pytest.fixture
def noise():
    return 0.1 * np.random.default_rng(0).normal(size=32_000)


def test_a_sound_is_at_no_distance_from_itself_and_twice_as_loud_at_six_decibels(noise) -> None:
    assert distances(noise, noise) == (0, 0)
    assert distances(noise, 2 * noise) == pytest.approx((20 * np.log10(2), 20 * np.log10(2)), abs=1e-3)


def test_another_draw_of_the_same_noise_differs_from_moment_to_moment_alone(noise) -> None:
    """Two independent exponential powers are 7.9 dB apart: sqrt(2) times the 5.57 dB of one in dB."""
    in_time, on_average = distances(noise, 0.1 * np.random.default_rng(1).normal(size=32_000))
    assert in_time == pytest.approx(np.sqrt(2) * 5.57, abs=0.2)
    assert on_average < 1


def test_what_is_added_in_a_pause_or_above_the_band_counts_nothing(noise) -> None:
    spoken = np.where(np.arange(32_000) < 16_000, noise, 0)
    filled = np.where(np.arange(32_000) < 16_000, noise, 1e-4 * noise)
    assert distances(spoken, filled)[0] < 0.2
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(32_000, 1 / 16_000) > 4_000] = 0
    assert max(distances(noise, np.fft.irfft(spectrum))) < 0.1


def test_the_table_has_every_family_of_the_test_clips_with_n_and_interval() -> None:
    rows = copy_distances.table(Suite(paths.embedded(), "embedded/starter"), "deepfake").splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [f for f in FAMILIES if f != UNSEEN_FAMILY]
    counts = [int(row.rsplit("(n = ", 1)[1].split(")")[0]) for row in rows]
    assert sum(counts) == 76
    assert max(counts) - min(counts) <= 1
