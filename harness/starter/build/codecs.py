"""Speech codecs of the starter suite, through FFmpeg's libraries (the package `av`).

Conventions: a sound is float64 (n,), full scale 1.0; what comes back has its length and no delay.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from scipy.signal import correlate, resample_poly

from harness.starter.build.optional_packages import package
from harness.types import FloatArray

_LONGEST_DELAY = 800
"""Samples by which a codec may be late."""


def decode_g722(data: bytes) -> FloatArray:
    """A file of G.722 (n,) at 16 kHz."""
    with package("av").open(io.BytesIO(data), format="g722") as container:
        return _samples(container.decode(audio=0))


def g722(x: FloatArray) -> FloatArray:
    """Through G.722 at 64 kb/s; sound at 16 kHz."""
    return _aligned(x, _coded(x, "g722", "g722", 16_000, 64_000))


def opus(x: FloatArray, bit_rate: int) -> FloatArray:
    """Through Opus at a constant rate, 6,000 bit/s at least; sound at 16 kHz."""
    late = _coded(x, "libopus", "libopus", 16_000, bit_rate, application="voip", vbr="off")
    return _aligned(x, resample_poly(late, 1, 3))  # its decoder gives 48 kHz


def amr(x: FloatArray, bit_rate: int) -> FloatArray:
    """Through AMR narrowband, 4,750 to 12,200 bit/s; sound at 16 kHz, below 4 kHz afterwards."""
    return _narrow(x, "libopencore_amrnb", "amrnb", bit_rate)


def g723(x: FloatArray) -> FloatArray:
    """Through G.723.1 at 6,300 bit/s; sound at 16 kHz, below 4 kHz afterwards."""
    return _narrow(x, "g723_1", "g723_1", 6_300)


def _narrow(x: FloatArray, encoder: str, decoder: str, bit_rate: int) -> FloatArray:
    late = _coded(resample_poly(x, 1, 2), encoder, decoder, 8_000, bit_rate)
    return _aligned(x, resample_poly(late, 2, 1))


def _coded(
    x: FloatArray, encoder: str, decoder: str, rate_hz: int, bit_rate: int, **options: str
) -> FloatArray:
    """The sound after a codec, as late and as long as it comes."""
    av = package("av")
    coder, back = av.CodecContext.create(encoder, "w"), av.CodecContext.create(decoder, "r")
    for context in (coder, back):
        context.sample_rate, context.layout, context.format = rate_hz, "mono", "s16"
    coder.bit_rate, coder.options = bit_rate, options
    coder.open()
    back.extradata = coder.extradata
    n = coder.frame_size or 320
    whole = np.round(np.clip(x, -1, 1) * 32767).astype(np.int16)
    packets = []
    for start in range(0, len(whole), n):
        block = whole[start : start + n]
        frame = av.AudioFrame.from_ndarray(
            np.pad(block, (0, n - len(block)))[None], format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts = rate_hz, start
        packets += coder.encode(frame)
    packets += coder.encode(None)
    return _samples(frame for packet in [*packets, None] for frame in back.decode(packet))


def _samples(frames: Any) -> FloatArray:
    """Samples of decoded frames, none where there is no frame."""
    blocks = [frame.to_ndarray().ravel() for frame in frames]
    if not blocks:
        return np.zeros(0)
    joined = np.concatenate(blocks)
    return joined / 32768 if joined.dtype == np.int16 else joined.astype(np.float64)


def _aligned(x: FloatArray, late: FloatArray) -> FloatArray:
    """What came late, moved to where it is most like the sound, at its length."""
    late = np.pad(late, (0, max(0, len(x) + _LONGEST_DELAY - len(late))))[: len(x) + _LONGEST_DELAY]
    delay = int(np.argmax(correlate(late, x, "valid", method="fft")))
    return late[delay : delay + len(x)]
