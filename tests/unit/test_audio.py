"""Audio bytes: exact where exactness is promised, refused where they are no sound."""

import io

import numpy as np
import pytest
import soundfile

from harness import audio
from harness.errors import BadCorpus


def test_float_wav_survives_bit_for_bit_beyond_full_scale():
    x = np.array([0.0, 1.7, -2.5, 1e-9, 0.1], dtype=np.float32)
    data = audio.encode(x, 16_000)
    back, rate, channels = audio.read(data)
    np.testing.assert_array_equal(back, x)
    assert (rate, channels) == (16_000, 1)
    assert audio.encode(x, 16_000) == data, "equal audio must be equal bytes"
    assert soundfile.info(io.BytesIO(data)).subtype == "FLOAT"


def test_sixteen_bit_audio_becomes_flac_and_other_audio_float_wav():
    rng = np.random.default_rng(0)
    quantised = (rng.integers(-20_000, 20_000, 4000) / 32_768).astype(np.float32)
    data, ending = audio.encode_exact(quantised, 16_000)
    assert ending == "flac"
    np.testing.assert_array_equal(audio.read(data)[0], quantised)
    fine = rng.normal(size=4000).astype(np.float32)
    data, ending = audio.encode_exact(fine, 16_000)
    assert ending == "wav"
    np.testing.assert_array_equal(audio.read(data)[0], fine)


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 8000)
    mono, rate, channels = audio.read(tmp_path / "a.wav")
    np.testing.assert_allclose(mono, 0.125, atol=1e-4)
    assert (rate, channels) == (8000, 2)


def test_a_listenable_copy_is_raised_and_says_by_how_much():
    data, gain_db = audio.encode_listenable(np.array([0.0, 0.005, -0.001], dtype=np.float32), 16_000)
    assert gain_db == pytest.approx(40.0)
    assert np.abs(audio.read(data)[0]).max() == pytest.approx(0.5, abs=1e-3)
    assert audio.encode_listenable(np.zeros(3, dtype=np.float32), 16_000)[1] == 0.0


def test_resampling_keeps_a_tone_and_the_length_in_seconds():
    t = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 440 * t).astype(np.float32)
    up = audio.resample(tone, 8000, 16_000)
    assert len(up) == 16_000
    wanted = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(up[500:-500], wanted[500:-500], atol=2e-3)
    assert audio.resample(tone, 8000, 8000) is tone


def test_a_wav_that_is_cut_off_is_refused_and_one_of_unknown_length_or_without_its_padding_is_not(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, 0.1 * np.ones(101), 8000, subtype="PCM_U8")
    whole = path.read_bytes()
    for size in (0, 0x7FFFF024, 0xFFFFFFFF):
        assert len(audio.read(whole[:4] + size.to_bytes(4, "little") + whole[8:], "x.wav")[0]) == 101
    padded = whole[:4] + (len(whole) - 8 + 1).to_bytes(4, "little") + whole[8:]
    assert len(audio.read(padded, "x.wav")[0]) == 101
    with pytest.raises(BadCorpus, match=r"x\.wav is cut off: 49 bytes are missing"):
        audio.read(whole[:-50], "x.wav")
    path.write_bytes(whole[:-50])
    with pytest.raises(BadCorpus, match=r"x\.wav is cut off: 49 bytes are missing"):
        audio.read(path)


def test_text_empty_and_nan_files_are_refused_by_name(tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(BadCorpus, match=r"text\.wav is not a readable sound file"):
        audio.read(tmp_path / "text.wav")
    with pytest.raises(BadCorpus, match=r"text\.wav is not a readable sound file"):
        audio.read((tmp_path / "text.wav").read_bytes(), "text.wav")
    with pytest.raises(BadCorpus, match=r"gone\.wav is not a readable sound file"):
        audio.read(tmp_path / "gone.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    with pytest.raises(BadCorpus, match="no samples"):
        audio.read(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    with pytest.raises(BadCorpus, match="NaN"):
        audio.read(tmp_path / "nan.wav")
