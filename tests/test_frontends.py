"""The faster filter bank: the same features to the last bit, or not taken."""

import numpy as np
import pytest
from transformers import ASTFeatureExtractor

from harness.frontends import quicken


@pytest.fixture
def extractor():
    return ASTFeatureExtractor(num_mel_bins=32, max_length=100)


@pytest.mark.parametrize("n_samples", [400, 559, 560, 16_000, 40_000])
def test_features_are_the_same_bits_at_any_length(extractor, n_samples):
    x = np.random.default_rng(n_samples).normal(size=n_samples).astype(np.float32)
    wanted = extractor([x, 0 * x], sampling_rate=16_000, return_tensors="np")["input_values"]
    assert quicken(extractor)
    found = extractor([x, 0 * x], sampling_rate=16_000, return_tensors="np")["input_values"]
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


def test_an_extractor_that_computes_otherwise_keeps_its_own_way(extractor):
    own = extractor._extract_fbank_features
    extractor._extract_fbank_features = lambda waveform, max_length: own(1.001 * waveform, max_length)
    other = extractor._extract_fbank_features
    assert not quicken(extractor)
    assert extractor._extract_fbank_features is other
