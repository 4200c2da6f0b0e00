"""A spectrogram as a small picture: time to the right, frequency upwards in mel, loud is dark.

With axes it is a picture that stands alone, where it is dark loud is bright, and several can share one scale.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from harness.seeds import seed_of
from harness.types import FloatArray, Waveform

WIDTH, HEIGHT = 360, 96
RANGE_DB = 75.0
"""From the loudest point of a picture down to what is shown as silence."""
_SHADES = 32
_BLUE = (29, 90, 151)
_FRAME = 512
_STYLE = """
svg:root{color-scheme:light dark}
.sg{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
.sg text{fill:#566270;fill:light-dark(#566270,#9aa6b2)}
.sg-plate{fill:#f3f6f8;fill:light-dark(#f3f6f8,#10161b);stroke:#c3cad1;stroke:light-dark(#c3cad1,#3a444e)}
.sg-loud{fill:#123f6d;fill:light-dark(#123f6d,#a9d8fb)}
.sg-tick{stroke:#77828d;stroke:light-dark(#77828d,#74818e)}
"""


def picture(
    waveform: Waveform, sample_rate_hz: int, loudest: Waveform | None = None, n_shades: int = _SHADES
) -> NDArray[np.uint8]:
    """Shade of each point of a sound, 0 silent to n_shades - 1 the loudest.

    Args:
        waveform: (n,) the sound.
        sample_rate_hz: its rate.
        loudest: (m,) the sound whose loudest point has the darkest shade, of the same rate; without it the
            sound itself.
        n_shades: shades to tell apart.

    Returns:
        (HEIGHT, WIDTH).
    """
    power = _power(waveform)
    positions = hertz(np.linspace(0, 1, HEIGHT), sample_rate_hz) * _FRAME / sample_rate_hz
    rows = np.minimum(np.round(positions).astype(np.int64), _FRAME // 2)
    peak = float((power if loudest is None else _power(loudest)).max(initial=0.0)) or 1.0
    level = 1 + 10 * np.log10(np.maximum(power[:, rows] / peak, 1e-12)) / RANGE_DB
    shades = np.clip(level * (n_shades - 1), 0, n_shades - 1).astype(np.uint8)
    return np.ascontiguousarray(shades.T[::-1])


def data_uri(
    waveform: Waveform, sample_rate_hz: int, loudest: Waveform | None = None, n_shades: int = _SHADES
) -> Markup:
    """The picture as PNG in a data: URI; see `picture` and `encode`."""
    return encode(picture(waveform, sample_rate_hz, loudest, n_shades), n_shades)


def encode(shades: NDArray[np.uint8], n_shades: int) -> Markup:
    """Shades, (rows, columns), as PNG with a palette from transparent to dark blue, in a data: URI."""
    # matplotlib writes no palettes: its files are 1.7 times as large.
    image = Image.fromarray(shades).convert("P")
    image.putpalette(_BLUE * n_shades)
    buffer = io.BytesIO()
    alpha = bytes(255 * i // (n_shades - 1) for i in range(n_shades))
    image.save(buffer, "PNG", transparency=alpha, optimize=True)
    uri = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Markup(uri)  # noqa: S704 - base64 holds nothing to escape


def heights(hz: FloatArray, sample_rate_hz: int) -> FloatArray:
    """Where frequencies lie in a picture, 0 at its bottom to 1 at its top."""
    return np.asarray(_mel(hz) / _mel(np.float64(sample_rate_hz / 2)))


def hertz(at: FloatArray, sample_rate_hz: int) -> FloatArray:
    """Frequencies at heights in a picture, the inverse of `heights`."""
    return np.asarray(700 * (10 ** (at * _mel(np.float64(sample_rate_hz / 2)) / 2595) - 1))


def time_ticks(seconds: float) -> list[float]:
    """Round times of a sound, from 0 on, at most seven of them."""
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10) if seconds / s <= 6), 10 * np.ceil(seconds / 60))
    return [float(t) for t in np.arange(0, seconds * 1.001, step).round(3)]


def with_axes(waveform: Waveform, sample_rate_hz: int, loudest: Waveform | None = None) -> str:
    """The picture with axes of time and frequency, as an SVG that stands alone; see `picture`."""
    left, top, width, height = 60, 6, 292, 112
    source = data_uri(waveform, sample_rate_hz, loudest)
    name = f"sg-{seed_of(source):x}"
    seconds = len(waveform) / sample_rate_hz
    times = [(left + width * t / seconds, f"{t:.10g}") for t in time_ticks(seconds)]
    labelled = [hz for hz in (0, 200, 500, 1000, 2000, 4000, 8000, 16_000) if hz <= sample_rate_hz / 2]
    ups = heights(np.array(labelled), sample_rate_hz).tolist()
    pitches = [(top + height * (1 - up), f"{hz:,}") for up, hz in zip(ups, labelled, strict=True)]
    bottom = top + height
    ticks = "".join(
        f'<path class="sg-tick" d="M{x:.1f} {bottom}v4"/>'
        f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{label}</text>'
        for x, label in times
    ) + "".join(
        f'<path class="sg-tick" d="M{left} {y:.1f}h-4"/>'
        f'<text x="{left - 6}" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>'
        for y, label in pitches
    )
    area = f'x="{left}" y="{top}" width="{width}" height="{height}"'
    return (
        f'<svg class="sg" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 152" width="360" height="152" '
        f'role="img" aria-label="Spectrogram, {seconds:.1f} seconds"><style>{_STYLE}</style>'
        # A mask takes the shade, so that the style can choose the colour.
        f'<mask id="{name}" style="mask-type:alpha">'
        f'<image {area} preserveAspectRatio="none" href="{source}"/></mask>'
        f'<rect class="sg-plate" {area}/><rect class="sg-loud" {area} mask="url(#{name})"/>{ticks}'
        f'<text x="{left + width}" y="{bottom + 29}" text-anchor="end">Time (s)</text>'
        f'<text transform="translate(9 {top + height / 2}) rotate(-90)" text-anchor="middle">'
        "Frequency (Hz)</text></svg>"
    )


def _power(waveform: Waveform) -> FloatArray:
    """(WIDTH, _FRAME // 2 + 1) power of frames that are spread over a sound."""
    samples = np.pad(np.asarray(waveform, dtype=np.float64), _FRAME // 2)
    starts = np.linspace(0, max(len(samples) - _FRAME, 0), WIDTH).astype(np.int64)
    frames = samples[np.minimum(starts[:, None] + np.arange(_FRAME), len(samples) - 1)] * np.hanning(_FRAME)
    return np.asarray(np.abs(np.fft.rfft(frames, axis=1)) ** 2)


def _mel(hz: FloatArray | np.float64) -> FloatArray:
    return np.asarray(2595 * np.log10(1 + hz / 700))
