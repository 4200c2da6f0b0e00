"""Speech codecs: the same sound, at the same time, as long as before, less exact."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from harness.starter.build import codecs

RATE = 16_000


@pytest.fixture(autouse=True)
def installed():
    pytest.importorskip("av")


def vowels(seed: int, n: int = 24_000) -> np.ndarray:
    """Voiced sound (n,) below 3 kHz whose pitch glides, with pauses."""
    rng = np.random.default_rng(seed)
    cycle = np.cumsum(rng.uniform(100, 140) + 20 * np.sin(np.arange(n) / 4_000)) / RATE
    sound = sum(np.sin(2 * np.pi * h * cycle + h) / h for h in range(1, 20))
    envelope = np.clip(np.sin(np.pi * np.arange(n) / 6_000), 0, 1)
    return 0.1 * sound * envelope


CODECS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "g722": codecs.g722,
    "opus": partial(codecs.opus, bit_rate=6_000),
    "amr": partial(codecs.amr, bit_rate=4_750),
    "g723": codecs.g723,
}


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("n", [24_000, 23_999, 16_001])
def test_a_codec_keeps_length_and_time_and_not_the_samples(name: str, n: int) -> None:
    x = vowels(1, n)
    y = CODECS[name](x)
    assert y.shape == x.shape
    assert np.isfinite(y).all()
    assert not np.allclose(y, x, atol=1e-5)
    around = np.correlate(np.pad(y, 40), x, "valid")
    assert abs(int(np.argmax(around)) - 40) <= 2, "it is not late"
    assert np.corrcoef(x, y)[0, 1] > 0.3, "codecs of few bits keep the sound, not its wave"
    np.testing.assert_array_equal(CODECS[name](x), y)


def test_g722_is_nearly_the_sound_itself() -> None:
    x = vowels(2)
    error = codecs.g722(x) - x
    assert 10 * np.log10(np.sum(x**2) / np.sum(error**2)) > 20


@pytest.mark.parametrize("name", ["amr", "g723"])
def test_a_narrow_codec_leaves_nothing_above_4_khz(name: str) -> None:
    x = vowels(3) + 0.02 * np.random.default_rng(4).normal(size=24_000)
    power = np.abs(np.fft.rfft(CODECS[name](x))) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    assert power[frequency > 4_200].sum() < 1e-3 * power.sum()
