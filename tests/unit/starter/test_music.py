"""Music of the starter suite: the same clip from the same seed, and six genres that keep their promises."""

import numpy as np
import pytest

from harness.errors import BadInput
from harness.starter.build import genres, instruments, music
from harness.starter.build.instruments import Note, Part
from harness.tasks import TASKS


def _band():
    try:
        instruments.render([], 0.01)
    except BadInput as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def band():
    _band()


@pytest.fixture(autouse=True)
def forget_the_library():
    yield
    instruments._fluidsynth.cache_clear()


def clip(seed, label):
    return music.make(np.random.default_rng(seed), label)


def loudness(x, start_s, end_s):
    return np.sqrt(np.mean(x[round(start_s * 16_000) : round(end_s * 16_000)] ** 2))


def test_every_genre_is_a_canonical_label_and_there_are_six():
    assert len(set(music.LABELS)) == 6
    assert set(music.LABELS) <= set(TASKS["music-genre"].labels)


@pytest.mark.parametrize("label", music.LABELS)
def test_every_pattern_says_only_what_its_player_understands(label):
    genre = genres.GENRES[label]
    assert all(set(pattern) <= set(".-R358w") for pattern in genre.bass)
    assert all(set(pattern) <= set(".-c012345") for pattern in genre.chords)
    assert all(set(pattern) <= set(".-nudsj") for pattern in genre.melody)
    for kit in genre.drums:
        assert set(kit) <= set(genres.PIECES)
        assert all(set(pattern) <= set(".-xXor") for pattern in kit.values())
    patterns = [*genre.bass, *genre.chords, *genre.melody, *(p for kit in genre.drums for p in kit.values())]
    assert all(any(mark not in ".-" for mark in pattern) for pattern in patterns)
    assert all(len(pattern) % genre.division == 0 or len(pattern) == 2 for pattern in patterns)


@pytest.mark.parametrize("label", music.LABELS)
def test_a_clip_has_its_length_its_level_and_sounds_throughout(band, label):
    for seed in range(3):
        x = clip(seed, label)
        assert x.shape == (48_000,)
        assert x.dtype == np.float64
        assert 0.1 <= np.abs(x).max() <= 0.9
        assert min(loudness(x, s, s + 1.0) for s in (0.0, 1.0, 2.0)) > 0.001


def test_a_clip_is_the_same_whatever_was_played_before_it(band):
    first = clip(5, "metal")
    other = clip(6, "jazz")
    assert np.array_equal(clip(5, "metal"), first)
    assert np.array_equal(clip(6, "jazz"), other)
    assert not np.array_equal(clip(7, "metal"), first)


def test_two_genres_from_one_seed_differ(band):
    assert len({clip(3, label).tobytes() for label in music.LABELS}) == 6


def test_a_flute_plays_the_key_it_is_told_and_falls_silent(band):
    x = instruments.render([Part(73, [Note(0.5, 1.0, 69, 100)])], 3.0)
    assert x.shape == (48_000,)
    assert loudness(x, 0.0, 0.49) == 0
    assert loudness(x, 0.7, 1.4) > 100 * loudness(x, 2.5, 3.0)
    spectrum = np.abs(np.fft.rfft(x[11_200:22_400] * np.hanning(11_200)))
    assert np.argmax(spectrum) * 16_000 / 11_200 == pytest.approx(440, abs=4)


def test_an_octave_is_twice_the_frequency_and_a_bend_of_one_is_one_semitone(band):
    def peak_hz(key, bend):
        x = instruments.render([Part(73, [Note(0.0, 2.0, key, 100)], bend=bend)], 2.0)[8_000:24_000]
        spectrum = np.abs(np.fft.rfft(x * np.hanning(16_000), 160_000))
        return np.argmax(spectrum[: 10 * 1_200]) / 10

    assert peak_hz(81, 0.0) == pytest.approx(2 * peak_hz(69, 0.0), rel=0.01)
    assert peak_hz(69, 1.0) == pytest.approx(2 ** (1 / 12) * peak_hz(69, 0.0), rel=0.01)


def test_parts_of_a_band_add_up(band):
    flute, drums = Part(73, [Note(0.1, 1.0, 72, 90)]), Part(0, [Note(0.5, 0.1, 38, 90)], drums=True)
    together = instruments.render([flute, drums], 1.5)
    apart = instruments.render([flute], 1.5) + instruments.render([drums], 1.5)
    assert np.allclose(together, apart, atol=1e-4)
    assert np.abs(together).max() > 0.01


def test_notes_that_begin_earlier_sound_and_notes_that_begin_later_do_not(band):
    early = instruments.render([Part(48, [Note(-0.3, 1.0, 60, 100)])], 0.5)
    late = instruments.render([Part(48, [Note(0.6, 1.0, 60, 100)])], 0.5)
    assert np.abs(early).max() > 0.001
    assert np.abs(late).max() == 0


def test_a_missing_soundfont_is_one_line_that_names_the_packages(monkeypatch, tmp_path):
    monkeypatch.setenv(instruments.SOUNDFONT_VARIABLE, str(tmp_path / "none.sf2"))
    with pytest.raises(BadInput, match=r"none\.sf2.*fluidsynth and fluid-soundfont-gm") as error:
        instruments.soundfont()
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_soundfont_is_bad_input(band, monkeypatch, tmp_path, capfd):
    (tmp_path / "not.sf2").write_text("hello")
    monkeypatch.setenv(instruments.SOUNDFONT_VARIABLE, str(tmp_path / "not.sf2"))
    with pytest.raises(BadInput, match="is no soundfont"):
        clip(1, "disco")


def test_a_missing_library_is_one_line_that_names_the_packages(monkeypatch):
    def missing(name):
        raise ImportError("Couldn't find the FluidSynth library.")

    instruments._fluidsynth.cache_clear()
    monkeypatch.setattr("harness.starter.build.instruments.importlib.import_module", missing)
    with pytest.raises(BadInput, match=r"the FluidSynth library: install .* pyfluidsynth") as error:
        instruments.render([], 1.0)
    assert "\n" not in str(error.value)
