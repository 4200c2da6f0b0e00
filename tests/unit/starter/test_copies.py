"""Copies of speech: the same words at the same times, level and average spectrum, from a machine."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from harness.errors import BadInput
from harness.starter.build import copies
from harness.starter.build.copies import FAMILIES, copied
from tests.helpers.telephone_prompts import RATE, band_power


@pytest.fixture
def installed():
    pytest.importorskip("av")
    pytest.importorskip("pyworld")


@pytest.fixture
def voice():
    """Two seconds of a vowel at 120 Hz: pulses through three resonances, with a pause at its end."""
    t = np.arange(2 * RATE) / RATE
    harmonics = np.arange(1, 60)
    gains = sum(np.exp(-0.5 * ((120 * harmonics - f) / 150) ** 2) for f in (500, 1500, 2500)) + 0.01
    x = np.sin(2 * np.pi * 120 * np.outer(t, harmonics)) @ gains
    x += 1e-3 * np.random.default_rng(0).normal(size=len(x))
    x[24_000:] *= 0.01
    return 0.1 * x / np.sqrt(np.mean(x**2))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_is_another_sound_of_the_same_length_level_and_average_spectrum(voice, installed, family):
    y = copied(np.random.default_rng(1), voice, family)
    assert y.shape == voice.shape
    assert y.dtype == np.float64
    assert np.mean(y**2) == pytest.approx(np.mean(voice**2))
    assert np.sqrt(np.mean((y - voice) ** 2)) > 0.01
    bands = [(low, low + 400) for low in range(100, 3_000, 400)]
    apart_db = [10 * np.log10(band_power(y, *band) / band_power(voice, *band)) for band in bands]
    assert np.mean(np.abs(apart_db)) < 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_says_when_the_speech_said_it(voice, installed, family):
    y = copied(np.random.default_rng(2), voice, family)
    assert np.mean(y[28_000:] ** 2) < 0.05 * np.mean(y[:22_000] ** 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_copy_is_drawn_from_its_generator_alone(voice, installed, family):
    first, again = (copied(np.random.default_rng(3), voice, family) for _ in range(2))
    assert np.array_equal(first, again)
    others = [copied(np.random.default_rng(seed), voice, family) for seed in range(4, 10)]
    assert not all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("family", FAMILIES)
def test_silence_stays_finite_whatever_is_done_to_it(installed, family):
    faint = 1e-9 * np.random.default_rng(0).normal(size=32_000)
    assert np.isfinite(copied(np.random.default_rng(5), faint, family)).all()


@pytest.mark.parametrize("family", [name for name in FAMILIES if FAMILIES[name].limit_hz < 8_000])
def test_a_family_leaves_little_above_the_limit_it_states(voice, installed, family):
    loud = voice + 0.05 * np.random.default_rng(1).normal(size=len(voice))
    y = FAMILIES[family].copy(np.random.default_rng(6), loud)
    limit = FAMILIES[family].limit_hz + 400
    assert band_power(y, limit, 8_001) < 0.01 * band_power(loud, limit, 8_001)


def test_a_mirror_of_a_tone_lies_at_the_rate_it_was_made_at_less_its_frequency():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    spectrum = np.abs(np.fft.rfft(copies.upsampled(np.random.default_rng(0), tone)[2000:14_000]))
    peaks = np.flatnonzero(spectrum > 0.02 * spectrum.max()) * RATE / 12_000
    made_at = [6000, 6400, 8000, 9600, 10_000]
    assert np.abs(peaks - 1000).min() < 2
    assert any(np.abs(peaks - (rate - 1000)).min() < 2 for rate in made_at)


def test_a_missing_vocoder_is_said_with_what_to_install(voice, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(BadInput, match=r"pip install 'goodenough\[starter\]'"):
        copied(np.random.default_rng(0), voice, "world")
