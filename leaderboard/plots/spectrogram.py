"""A spectrogram as a small picture: time to the right, frequency upwards in mel, loud is dark.

Public: picture, data_uri.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from harness.types import Waveform

WIDTH, HEIGHT = 360, 96
_RANGE_DB = 75.0
_SHADES = 32


def picture(waveform: Waveform, sample_rate_hz: int) -> NDArray[np.uint8]:
    """(HEIGHT, WIDTH) shade of each point, 0 silent to _SHADES - 1 the loudest.

    Args:
        waveform: (n,) the clip.
        sample_rate_hz: its rate.
    """
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
    shades = picture(waveform, sample_rate_hz)
    height, width = shades.shape
    alpha = np.linspace(0, 255, _SHADES).astype(np.uint8)
    colour = np.tile(np.array([29, 90, 151], dtype=np.uint8), (_SHADES, 1))
    raw = np.hstack([np.zeros((height, 1), np.uint8), shades]).tobytes()
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, body)
        for name, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", colour.tobytes()),
            (b"tRNS", alpha.tobytes()),
            (b"IDAT", zlib.compress(raw, 9)),
            (b"IEND", b""),
        )
    )
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return Markup(uri)  # noqa: S704 - base64 holds nothing to escape


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
