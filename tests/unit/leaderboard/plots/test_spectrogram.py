"""Spectrograms: where a tone is, on whose scale, and an SVG that stands alone."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from leaderboard.plots import spectrogram

RATE = 16_000
TONE = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE).astype(np.float32)


def test_a_tone_is_darkest_at_its_frequency() -> None:
    shades = spectrogram.picture(TONE, RATE)
    assert shades.shape == (spectrogram.HEIGHT, spectrogram.WIDTH)
    row = int(shades[:, spectrogram.WIDTH // 2].argmax())
    mel = (1 - row / (spectrogram.HEIGHT - 1)) * 2595 * np.log10(1 + RATE / 1400)
    assert 700 * (10 ** (mel / 2595) - 1) == pytest.approx(1_000, rel=0.05)


@pytest.mark.parametrize("decibels", [0, 20, 40])
def test_on_the_scale_of_a_louder_sound_a_sound_is_paler(decibels: int) -> None:
    quiet = TONE * np.float32(10 ** (-decibels / 20))
    top = int(spectrogram.picture(TONE, RATE).max())
    paler = top - int(spectrogram.picture(quiet, RATE, loudest=TONE).max())
    assert int(spectrogram.picture(quiet, RATE).max()) == top
    assert paler == pytest.approx(decibels / spectrogram.RANGE_DB * top, abs=1.5)


@pytest.mark.parametrize("seconds", [0.02, 1, 7, 300])
def test_axes_end_with_the_sound(seconds: float) -> None:
    svg = spectrogram.with_axes(np.ones(int(seconds * RATE), np.float32), RATE)
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    times, pitches = texts[: texts.index("0", 1)], texts[texts.index("0", 1) :]
    assert times[0] == "0"
    assert len(times) <= 8
    assert float(times[-1]) <= seconds
    assert pitches[:8] == ["0", "200", "500", "1,000", "2,000", "4,000", "8,000", "Time (s)"]


def test_two_pictures_share_no_id_and_need_nothing_from_elsewhere() -> None:
    ids = set()
    for waveform in (TONE, -TONE[::2], np.zeros(RATE, np.float32)):
        svg = spectrogram.with_axes(waveform, RATE)
        ids |= {*re.findall(r'id="([^"]+)"', svg)}
        assert set(re.findall(r'(?:href="|url\()([^:",)]*)', svg)) <= {"data", *(f"#{each}" for each in ids)}
    assert len(ids) == 3
