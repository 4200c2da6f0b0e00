"""Speech for the starter suite: the same sentence every time, and a record of it that keeps its promises."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal

from harness.errors import BadInput
from harness.starter.build import speech
from harness.starter.build.speech import SENTENCES, VOICES, Delivery


@pytest.fixture(scope="module")
def spoken():
    pytest.importorskip("espeakng_loader")
    return speech.say("We found seven shells today", Delivery("en-us+f3"))


def rms(x):
    return np.sqrt(np.mean(x**2))


def test_there_are_many_voices_of_women_and_men_and_many_sentences():
    assert len(set(VOICES)) == len(VOICES) >= 24
    assert min(sum("+f" in v for v in VOICES), sum("+m" in v for v in VOICES)) >= 12
    assert len({v.split("+")[0] for v in VOICES}) >= 6
    assert len(set(SENTENCES)) == len(SENTENCES) >= 60
    assert all(3 <= len(s.split()) <= 7 for s in SENTENCES)


def test_every_voice_speaks_and_no_two_are_the_same():
    pytest.importorskip("espeakng_loader")
    sounds = [speech.say("Nobody knew", Delivery(voice)) for voice in VOICES]
    assert all(0.3 < len(x) / 16_000 < 2 and 0.1 < np.abs(x).max() < 1 for x in sounds)
    assert len({hashlib.sha256(x.tobytes()).digest() for x in sounds}) == len(VOICES)


@pytest.mark.parametrize("voice", ["en-us+f3", "en+m3", "en-us+whisper", "de+klatt2"])
def test_a_sentence_sounds_the_same_whatever_was_said_before(voice):
    pytest.importorskip("espeakng_loader")
    first = speech.say("He asked you a question", Delivery(voice))
    speech.say("The engine made a low noise", Delivery("sv+m4", 300, 90, 5))
    assert np.array_equal(speech.say("He asked you a question", Delivery(voice)), first)


def test_another_process_says_the_same(spoken):
    code = (
        "import hashlib; from harness.starter.build import speech; "
        "x = speech.say('We found seven shells today', speech.Delivery('en-us+f3')); "
        "print(hashlib.sha256(x.tobytes()).hexdigest())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == hashlib.sha256(spoken.tobytes()).hexdigest()


def test_speech_is_at_16_khz_with_its_silence_trimmed(spoken):
    assert spoken.dtype == np.float64
    assert spoken.ndim == 1
    assert 1.0 < len(spoken) / 16_000 < 2.5
    edge = max(rms(spoken[:160]), rms(spoken[-160:]))
    assert edge > 0.001 * rms(spoken)


def test_a_delivery_is_obeyed():
    pytest.importorskip("espeakng_loader")
    slow = speech.say("Nobody knew about the letter", Delivery("en+m1", rate_wpm=110))
    fast = speech.say("Nobody knew about the letter", Delivery("en+m1", rate_wpm=260))
    assert len(slow) > 1.6 * len(fast)
    low = speech.say("All the windows were open", Delivery("en+m1", pitch=10, pitch_range=0))
    high = speech.say("All the windows were open", Delivery("en+m1", pitch=90, pitch_range=0))
    assert lag_hz(high) > 1.3 * lag_hz(low)


def lag_hz(x):
    """The rate at which the sound repeats, by the autocorrelation of the whole."""
    r = np.fft.irfft(np.abs(np.fft.rfft(x, 2 * len(x))) ** 2)
    return 16_000 / (40 + np.argmax(r[40:400]))


def test_an_unknown_voice_and_a_text_of_nothing_are_refused():
    pytest.importorskip("espeakng_loader")
    with pytest.raises(ValueError, match="no voice 'nobody'"):
        speech.say("Hello there", Delivery("nobody"))
    with pytest.raises(ValueError, match="nothing to say"):
        speech.say(" ", Delivery("en+m1"))


def test_without_the_synthesiser_one_line_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(BadInput, match=r"pip install 'goodenough\[starter\]'") as error:
        speech.say("Hello there", Delivery("en+m1"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "effect", [speech.in_room, speech.through_microphone, lambda rng, x: speech.with_noise(rng, x, 15)]
)
def test_an_effect_is_drawn_from_its_generator_and_keeps_the_length(effect, spoken):
    before = spoken.copy()
    one, two, other = (effect(np.random.default_rng(seed), spoken) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.allclose(one, other)
    assert one.shape == spoken.shape
    assert np.isfinite(one).all()
    assert np.array_equal(spoken, before)


def test_a_room_answers_after_the_direct_sound_and_dies_away():
    click = np.zeros(16_000)
    click[100] = 1.0
    for seed in range(20):
        y = speech.in_room(np.random.default_rng(seed), click)
        np.testing.assert_allclose(y[:100], 0, atol=1e-12)
        reverberant = np.sum(y[101:] ** 2)
        assert 10 ** (-1.9) < reverberant / y[100] ** 2 < 10**-0.2
        assert np.sum(y[100 + 8000 :] ** 2) < 1e-6


def test_a_microphone_colours_the_sound_and_keeps_its_level(spoken):
    coloured = speech.through_microphone(np.random.default_rng(3), spoken)
    assert rms(coloured) == pytest.approx(rms(spoken))
    ratio = np.abs(np.fft.rfft(coloured)) / np.maximum(np.abs(np.fft.rfft(spoken)), 1e-9)
    bands = [20 * np.log10(np.median(part)) for part in np.array_split(ratio, 16)]
    assert max(bands) - min(bands) > 6


@pytest.mark.parametrize("snr", [0, 10, 30])
def test_noise_lies_as_far_below_the_sound_as_was_asked(snr, spoken):
    for seed in range(8):  # coloured, hum and babble all occur
        noise = speech.with_noise(np.random.default_rng(seed), spoken, snr) - spoken
        assert 20 * np.log10(rms(spoken) / rms(noise)) == pytest.approx(snr, abs=1e-6)


def test_a_short_sound_is_whole_in_its_clip_and_the_rest_is_not_digital_silence(spoken):
    starts = set()
    for seed in range(5):
        y = speech.fit(np.random.default_rng(seed), spoken, 48_000)
        assert y.shape == (48_000,)
        assert np.all(y != 0)
        start = int(np.argmax(scipy.signal.correlate(y, spoken[200:-200], "valid", "fft"))) - 200
        np.testing.assert_array_equal(y[start + 80 : start + len(spoken) - 80], spoken[80:-80])
        outside = np.r_[y[:start], y[start + len(spoken) :]]
        assert rms(outside) < 0.05 * rms(spoken)
        starts.add(start)
    assert len(starts) == 5


def test_a_long_sound_gives_a_stretch_of_itself():
    x = np.arange(1000.0)
    y = speech.fit(np.random.default_rng(0), x, 300)
    assert np.array_equal(y, np.arange(y[0], y[0] + 300))
    assert np.array_equal(speech.fit(np.random.default_rng(0), x, 1000), x)
