"""What stands in for the rest of a clip: names, levels and lengths."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from harness.completions import CHECKED, ZERO, Completion, parse_completion
from harness.errors import BadInput
from harness.families import is_family


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def clip(n_samples: int = 2_000, seed: int = 7) -> np.ndarray:
    """Noise of which the upper half is 40 dB below the lower."""
    X = np.fft.rfft(rng(seed).normal(size=n_samples))
    X[len(X) // 2 :] /= 100
    return np.fft.irfft(X, n_samples).astype(np.float32)


@given(st.one_of(st.sampled_from(["zero", "swap"]), st.integers(-120, -1).map("noise:{}".format)))
def test_reading_a_name_and_writing_it_are_inverse(name: str) -> None:
    assert str(parse_completion(name)) == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("", ""),
        ("noise", "did you mean"),
        ("noise:40", "did you mean 'noise:-40'?"),
        ("noise:0", ""),
        ("noise:-0", ""),
        ("noise:-121", ""),
        ("noise:-040", ""),
        ("noise:-4٠", ""),
        ("noise:-40.5", ""),
        ("noise:-40 ", ""),
        ("Zero", "did you mean 'zero'?"),
        ("silence", ""),
    ],
)
def test_what_is_no_completion_is_refused_with_examples(name: str, hint: str) -> None:
    with pytest.raises(BadInput, match="no completion is called") as refusal:
        parse_completion(name)
    assert "examples: zero, noise:-40, noise:-60, swap" in str(refusal.value)
    assert hint in str(refusal.value)


def test_what_is_checked_can_be_named_in_a_family() -> None:
    assert [str(completion) for completion in CHECKED] == ["zero", "noise:-60", "noise:-40", "swap"]
    assert all(is_family(f"minimal@bins+{completion}") for completion in CHECKED[1:])


def test_zero_is_nothing() -> None:
    rest = ZERO.rest(clip(), clip(seed=8), rng())
    assert rest.dtype == np.float32
    assert rest.shape == (2_000,)
    assert not rest.any()


@pytest.mark.parametrize("n_samples", [2_000, 2_001])
@pytest.mark.parametrize("level_db", [-1, -20, -40, -60])
def test_noise_is_so_many_db_below_the_clip_in_every_part_of_its_spectrum(
    level_db: int, n_samples: int
) -> None:
    """Of 200 draws the mean power in each of eight bands of 125 bins has a deviation of .03 dB."""
    waveform, noise = clip(n_samples), Completion("noise", level_db)
    power = np.mean(
        [np.abs(np.fft.rfft(noise.rest(waveform, None, rng(i)))) ** 2 for i in range(200)], axis=0
    )
    of_clip = np.abs(np.fft.rfft(waveform)) ** 2
    bands = np.array_split(np.arange(1, 1_000), 8)
    ratio_db = [10 * np.log10(power[band].sum() / of_clip[band].sum()) for band in bands]
    np.testing.assert_allclose(ratio_db, level_db, atol=0.3)


def test_noise_is_a_draw_of_its_generator_and_like_no_other() -> None:
    noise = Completion("noise", -40)
    one, same, other = (noise.rest(clip(), None, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.2
    assert abs(np.corrcoef(one, clip())[0, 1]) < 0.2, "it is not the clip, made quiet"
    assert one.dtype == np.float32


@pytest.mark.parametrize("n_samples", [2_000, 2_001])
@pytest.mark.parametrize("level_db", [-1, -40, -60])
def test_noise_is_the_same_bits_from_a_spectrum_that_is_known(level_db: int, n_samples: int) -> None:
    """Stored signals are made again by it; it was defined in complex numbers."""
    waveform, noise = clip(n_samples), Completion("noise", level_db)
    spectrum = scipy.fft.rfft(waveform.astype(np.float64))
    real, imaginary = rng().normal(0, np.sqrt(0.5), (2, len(spectrum)))
    expected = np.abs(spectrum) * (real + 1j * imaginary) * 10 ** (level_db / 20)
    for known in (None, spectrum):
        rest = noise.rest(waveform, None, rng(), known)
        np.testing.assert_array_equal(rest, scipy.fft.irfft(expected, n_samples).astype(np.float32))


def test_noise_of_a_silent_clip_is_silent() -> None:
    assert not Completion("noise", -1).rest(np.zeros(100, dtype=np.float32), None, rng()).any()


def test_swap_is_the_other_clip_repeated_or_cut() -> None:
    swap, other = Completion("swap"), np.arange(1, 4, dtype=np.float32)
    for n, expected in ((3, [1, 2, 3]), (2, [1, 2]), (7, [1, 2, 3, 1, 2, 3, 1])):
        rest = swap.rest(np.zeros(n, dtype=np.float32), other, rng())
        assert rest.tolist() == expected
        assert rest.dtype == np.float32
    assert not swap.rest(clip(), None, rng()).any(), "without another clip nothing stands in"
