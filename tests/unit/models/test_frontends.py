"""The faster filter bank: the same features to the last bit, or not taken."""

import functools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ASTFeatureExtractor, AutoFeatureExtractor, AutoModelForAudioClassification

from harness.models.frontends import use_fast_fbank
from harness.models.loading import load
from tests.helpers import toy_models


@pytest.fixture
def extractor():
    return ASTFeatureExtractor(num_mel_bins=32, max_length=100)


@pytest.mark.parametrize("n_samples", [400, 559, 560, 16_000, 40_000])
def test_features_are_the_same_bits_at_any_length(extractor, n_samples):
    x = np.random.default_rng(n_samples).normal(size=n_samples).astype(np.float32)
    wanted = extractor([x, 0 * x], sampling_rate=16_000, return_tensors="np")["input_values"]
    assert use_fast_fbank(extractor)
    found = extractor([x, 0 * x], sampling_rate=16_000, return_tensors="np")["input_values"]
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)


@functools.cache
def pair(rate: int, max_length: int, n_mels: int) -> tuple[Any, Any]:
    """An extractor that is quickened, and the same as it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of filters without a bin, at low rates
        both = [
            ASTFeatureExtractor(num_mel_bins=n_mels, max_length=max_length, sampling_rate=rate)
            for _ in range(2)
        ]
    assert use_fast_fbank(both[0])
    return both[0], both[1]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    n_samples=st.integers(400, 60_000),
    gain=st.sampled_from([1e-4, 0.1, 1.0, 30.0]),
    rate=st.sampled_from(RATES),
    max_length=st.sampled_from([1, 16, 100, 101]),
    n_mels=st.sampled_from([32, 128]),
)
def test_what_is_cut_first_gives_the_same_bits(n_samples, gain, rate, max_length, n_mels):
    quick, slow = pair(rate, max_length, n_mels)
    x = (gain * np.random.default_rng(n_samples).normal(size=n_samples)).astype(np.float32)
    both = (e([x], sampling_rate=rate, return_tensors="np")["input_values"] for e in (quick, slow))
    features, wanted = both
    np.testing.assert_array_equal(features, wanted)


def test_what_is_not_kept_is_not_computed(extractor, monkeypatch):
    assert use_fast_fbank(extractor)
    taken = []
    rfft = np.fft.rfft
    monkeypatch.setattr(
        np.fft, "rfft", lambda frames, *rest: taken.append(len(frames)) or rfft(frames, *rest)
    )
    extractor([np.ones(480_000, dtype=np.float32)], sampling_rate=16_000)
    assert taken == [100]


@pytest.mark.filterwarnings("ignore:At least one mel filter")
@pytest.mark.parametrize(
    "rate", [r if r in (8_000, 48_000) else pytest.param(r, marks=pytest.mark.slow) for r in RATES]
)
def test_at_any_rate_a_model_is_scored_as_transformers_scores_it(tmp_path, rate):
    folder = toy_models.save_model(
        tmp_path / "toy", "audio-spectrogram-transformer", ("a", "b", "c"), sample_rate_hz=rate
    )
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    for n_samples in (500, rate // 2, 3 * rate):
        x = (0.1 * np.random.default_rng(rate).normal(size=n_samples)).astype(np.float32)
        with torch.inference_mode():
            wanted = model(**extractor([x], sampling_rate=rate, return_tensors="pt")).logits.numpy()
        logits = load(str(folder), device="cpu").logits([x], rate)
        np.testing.assert_allclose(logits, wanted, rtol=0, atol=1e-5)


def test_an_extractor_that_computes_otherwise_keeps_its_own_way_and_is_cut_first(extractor):
    own = extractor._extract_fbank_features
    lengths = []

    def other(waveform, max_length):
        lengths.append(len(waveform))
        return own(1.001 * waveform, max_length)

    extractor._extract_fbank_features = other
    x = np.random.default_rng(0).normal(size=40_000).astype(np.float32)
    wanted = extractor([x], sampling_rate=16_000, return_tensors="np")["input_values"]
    assert use_fast_fbank(extractor)
    features = extractor([x], sampling_rate=16_000, return_tensors="np")["input_values"]
    np.testing.assert_array_equal(features, wanted)
    assert lengths[-1] == 99 * 160 + 400


def test_an_extractor_that_looks_at_the_whole_clip_is_left_as_it_is(extractor):
    own = extractor._extract_fbank_features
    extractor._extract_fbank_features = lambda waveform, max_length: own(
        waveform / np.abs(waveform).max(initial=1e-9), max_length
    )
    other = extractor._extract_fbank_features
    assert not use_fast_fbank(extractor)
    assert extractor._extract_fbank_features is other


@pytest.mark.parametrize("n_clips", [1, 16, 17, 40])
def test_features_of_many_clips_are_the_same_bits_some_at_a_time(tmp_path, n_clips):
    model: Any = load(str(toy_models.save_model(tmp_path, "whisper", ("a", "b"))), device="cpu")
    clips = toy_models.sounds(*[16_000] * n_clips)
    rate = model.facts.sample_rate_hz
    expected = model._extractor(clips, sampling_rate=rate, return_tensors="pt")["input_features"]
    found = model._features(clips)["input_features"]
    assert torch.equal(found, expected)
