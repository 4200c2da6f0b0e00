"""A spectrogram as a small picture: time to the right, frequency upwards in mel, loud is dark."""

from __future__ import annotations

import base64
import io

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from harness.types import Waveform

WIDTH, HEIGHT = 360, 96
_RANGE_DB = 75.0
_SHADES = 32
_BLUE = (29, 90, 151)


def picture(waveform: Waveform, sample_rate_hz: int) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH) shade of each point of a clip, (n,), 0 silent to _SHADES - 1 the loudest."""
    size = 512
    samples = np.pad(np.asarray(waveform, dtype=np.float64), size // 2)
    starts = np.linspace(0, max(len(samples) - size, 0), WIDTH).astype(np.int64)
    frames = samples[np.minimum(starts[:, None] + np.arange(size), len(samples) - 1)] * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + sample_rate_hz / 1400), HEIGHT)
    positions = 700 * (10 ** (mel / 2595) - 1) * size / sample_rate_hz
    rows = np.minimum(np.round(positions).astype(np.int64), size // 2)
    peak = float(power.max(initial=0.0)) or 1.0
    level = 1 + 10 * np.log10(np.maximum(power[:, rows] / peak, 1e-12)) / _RANGE_DB
    shades = np.clip(level * (_SHADES - 1), 0, _SHADES - 1).astype(np.uint8)
    return np.ascontiguousarray(shades.T[::-1])


def data_uri(waveform: Waveform, sample_rate_hz: int) -> Markup:
    """The picture as PNG with a palette from transparent to dark blue, in a data: URI."""
    # matplotlib writes no palettes: its files are 1.7 times as large.
    image = Image.fromarray(picture(waveform, sample_rate_hz)).convert("P")
    image.putpalette(_BLUE * _SHADES)
    buffer = io.BytesIO()
    alpha = bytes(255 * i // (_SHADES - 1) for i in range(_SHADES))
    image.save(buffer, "PNG", transparency=alpha, optimize=True)
    uri = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Markup(uri)  # noqa: S704 - base64 holds nothing to escape
