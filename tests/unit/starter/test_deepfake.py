"""The sounds of the task deepfake: what a machine does to a voice, and what it leaves alone."""

import importlib
import sys

import numpy as np
import pytest

from harness import audio
from harness.errors import BadInput
from harness.starter.build import deepfake, spoofs
from harness.starter.build.spoofs import SPOOFS, spoofed

RATE = 16_000


@pytest.fixture
def voice():
    """A second of a vowel at 120 Hz: pulses through three resonances, with a pause at its end."""
    t = np.arange(RATE) / RATE
    harmonics = np.arange(1, 60)
    gains = sum(np.exp(-0.5 * ((120 * harmonics - f) / 150) ** 2) for f in (500, 1500, 2500)) + 0.01
    x = np.sin(2 * np.pi * 120 * np.outer(t, harmonics)) @ gains
    x += 1e-3 * np.random.default_rng(0).normal(size=len(x))
    x[12_000:] *= 0.01
    return 0.1 * x / np.sqrt(np.mean(x**2))


@pytest.fixture
def installed():
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("pyworld")


def band_power(x, low, high):
    power = np.abs(np.fft.rfft(x)) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    return power[(frequency >= low) & (frequency < high)].sum()


@pytest.mark.parametrize("family", list(SPOOFS))
def test_a_spoof_is_another_sound_of_the_same_length_and_power(voice, installed, family):
    y = spoofed(np.random.default_rng(1), voice, family)
    assert y.shape == voice.shape
    assert y.dtype == np.float64
    assert np.isfinite(y).all()
    assert np.mean(y**2) == pytest.approx(np.mean(voice**2))
    assert np.sqrt(np.mean((y - voice) ** 2)) > 0.01


@pytest.mark.parametrize("family", list(SPOOFS))
def test_a_spoof_says_when_the_speech_said_it(voice, installed, family):
    y = spoofed(np.random.default_rng(2), voice, family)
    assert np.mean(y[14_000:] ** 2) < 0.05 * np.mean(y[:11_000] ** 2)


@pytest.mark.parametrize("family", list(SPOOFS))
def test_a_spoof_is_drawn_from_its_generator_alone(voice, installed, family):
    first, again, other = (spoofed(np.random.default_rng(seed), voice, family) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("family", list(SPOOFS))
def test_silence_stays_finite_whatever_is_done_to_it(installed, family):
    faint = 1e-9 * np.random.default_rng(0).normal(size=8_000)
    assert np.isfinite(spoofed(np.random.default_rng(5), faint, family)).all()


def test_a_mirror_of_a_tone_lies_at_the_rate_it_was_made_at_less_its_frequency():
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    spectrum = np.abs(np.fft.rfft(spoofs.upsampled(np.random.default_rng(0), tone)[2000:14_000]))
    peaks = np.flatnonzero(spectrum > 0.02 * spectrum.max()) * RATE / 12_000
    made_at = [6000, 6400, 8000, 9600, 10_000]
    assert np.abs(peaks - 1000).min() < 2
    assert any(np.abs(peaks - (rate - 1000)).min() < 2 for rate in made_at)


def test_the_lines_of_a_comb_lie_at_multiples_of_its_layers_rate():
    noise = np.random.default_rng(6).normal(size=10 * RATE)
    left = np.abs(np.fft.rfft(spoofs.comb(np.random.default_rng(0), noise))) ** 2
    lines = left[2500::2500]  # the longest period, 64 samples, repeats 250 times a second
    assert np.median(np.sort(lines)[-8:]) > 5 * np.median(left)


def test_a_vocoder_sings_a_flatter_tune_than_the_voice(installed):
    pyworld = importlib.import_module("pyworld")
    cycle = np.cumsum(120 * 2 ** (0.5 * np.sin(2 * np.pi * 1.5 * np.arange(RATE) / RATE))) / RATE
    gliding = sum(np.sin(2 * np.pi * h * cycle) / h for h in range(1, 30))

    def spread(x):
        f0 = pyworld.harvest(x, RATE)[0]
        return np.log(f0[f0 > 0]).std()

    for family in ("world", "lpc"):
        assert spread(spoofed(np.random.default_rng(7), gliding, family)) < 0.6 * spread(gliding)


@pytest.mark.parametrize("codec", list(audio.CODECS))
def test_a_lossy_codec_keeps_the_length_and_most_of_the_sound_but_not_the_samples(voice, codec):
    waveform = voice.astype(np.float32)[:15_001]
    decoded = audio.lossy(waveform, RATE, codec)
    assert decoded.shape == waveform.shape
    assert decoded.dtype == np.float32
    assert not np.array_equal(decoded, waveform)
    assert 0.6 < np.corrcoef(decoded, waveform)[0, 1] < 1 - 1e-9


@pytest.mark.parametrize("label", deepfake.LABELS)
def test_a_clip_is_two_seconds_and_the_same_from_the_same_seed(installed, label):
    first, again, other = (deepfake.make(np.random.default_rng(seed), label) for seed in (8, 8, 9))
    assert first.shape == (32_000,)
    assert first.dtype == np.float64
    assert 0.1 <= np.abs(first).max() <= 0.9
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_classes_share_every_draw_but_the_machine(installed, monkeypatch):
    monkeypatch.setattr(deepfake, "spoofed", lambda rng, x, family: x)
    bonafide, spoof = (deepfake.make(np.random.default_rng(10), label) for label in deepfake.LABELS)
    assert np.array_equal(bonafide, spoof)


def test_every_family_is_drawn(installed, monkeypatch):
    met = set()
    monkeypatch.setattr(deepfake, "spoofed", lambda rng, x, family: met.add(family) or x)
    monkeypatch.setattr(deepfake.speech, "say", lambda text, delivery: np.ones(8_000))
    for seed in range(60):
        deepfake.make(np.random.default_rng(seed), "spoof")
    assert met == set(SPOOFS)


def test_a_living_voice_is_less_regular_than_the_synthesisers(voice):
    """Jitter takes power from the bins of a steady tone; breath fills the top of the band."""
    rng = np.random.default_rng(11)
    steady = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    bent = deepfake._jittered(rng, steady)
    assert band_power(bent, 995, 1005) < 0.8 * band_power(steady, 995, 1005)
    assert band_power(bent, 800, 1200) > 0.9 * band_power(steady, 800, 1200)
    breathy = deepfake._breathed(rng, steady)
    assert band_power(breathy, 3000, 8000) > 100 * band_power(steady, 3000, 8000)


def test_a_label_that_is_not_there_is_said():
    with pytest.raises(ValueError, match="expected one of bonafide, spoof"):
        deepfake.make(np.random.default_rng(0), "fake")


def test_a_missing_vocoder_is_said_with_what_to_install(voice, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(BadInput, match=r"pip install 'goodenough\[starter\]'"):
        spoofed(np.random.default_rng(0), voice, "world")
