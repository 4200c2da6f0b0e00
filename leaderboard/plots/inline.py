"""Figures as SVG text, and their colours: an estimate as a bar, a spectrum with its kept bins.

Conventions: an SVG here is used alone (an image in a README) or inside a page: it has its own colours for
light and dark, no script, no font file, no reference to anything outside. All text is escaped. Rates are
coloured from 0 (pale) to 1 (dark blue), differences around a white 0 from -1 (rust) to 1 (blue); both scales
are ordered in lightness and keep their order for colour-blind readers. On a dark page they begin at the
background, too: 0 is dark, and more is brighter.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from markupsafe import Markup

from harness.domains import fft, parse
from harness.types import Estimate, Mask, Waveform
from leaderboard.board import columns
from leaderboard.board.columns import Column

MEASURES: Mapping[str, Column] = MappingProxyType({c.key: c for c in columns.RATES})
"""What a heat map can show, by field of `Rates`."""
HEADLINE_MEASURES = ("lift", "transfer")
"""Those that stand alone: in a report of an entry, and as figures for a README."""

RATE_COLOURS = ("#f4f7f5", "#d3e6e4", "#a5cfd6", "#6eb0c8", "#3f8bb4", "#29659b", "#1f4278", "#172650")
DIFFERENCE_COLOURS = (
    *("#7a3208", "#b3591a", "#dd8f4c", "#f2c79d", "#f7f6f2"),
    *("#bcd8e0", "#6eb0c8", "#2f75a6", "#1b3c70"),
)
DARK_RATE_COLOURS = ("#1b242c", "#1d3547", "#204a65", "#266487", "#3680a8", "#589fc4", "#8fc3dc", "#d6edf6")
DARK_DIFFERENCE_COLOURS = (
    *("#f4c08f", "#d68b4e", "#9a5a27", "#583619", "#1e262d"),
    *("#1f4660", "#2d739b", "#66abcb", "#c3e3f0"),
)
_INKS = "#000000", "#ffffff"
"""One of the two has a contrast of at least 4.5 with any colour."""


def interval_bar(estimate: Estimate | None, low: float = 0.0, high: float = 1.0) -> str:
    """An estimate as a dot on its interval, on the axis low .. high, with a tick at 0; empty for no value."""
    if estimate is None or estimate.value is None:
        return ""
    width, height = 88, 14

    def at(value: float) -> float:
        return round(4 + (width - 8) * (min(max(value, low), high) - low) / (high - low), 1)

    bar = ""
    if estimate.low is not None and estimate.high is not None:
        bar = f'<line x1="{at(estimate.low)}" x2="{at(estimate.high)}" y1="7" y2="7" class="ib-bar"/>'
    return (
        f'<svg class="ib" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'aria-hidden="true">'
        f'<line x1="4" x2="{width - 4}" y1="7" y2="7" class="ib-axis"/>'
        f'<line x1="{at(0.0)}" x2="{at(0.0)}" y1="2" y2="12" class="ib-zero"/>'
        f'{bar}<circle cx="{at(estimate.value)}" cy="7" r="3.4" class="ib-dot"/></svg>'
    )


SPECTRUM_STYLE = """
svg:root{color-scheme:light dark}
.sp{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
.sp text{fill:#566270;fill:light-dark(#566270,#9aa6b2)}
.sp-axis{stroke:#c3cad1;stroke:light-dark(#c3cad1,#3a444e)}
.sp-whole{fill:#d9dee2;fill:light-dark(#d9dee2,#303a43)}
.sp-kept{fill:#1d5a97;fill:light-dark(#1d5a97,#7cb8e4)}
"""
"""Style of a picture of a signal that stands alone."""


def spectrum_picture(waveform: Waveform, mask: Mask, sample_rate_hz: int, *, alone: bool = False) -> str:
    """The clip's power spectrum over log frequency, the kept bins drawn over it, as an SVG.

    Takes (n,) the whole clip and (n // 2 + 1,) kept bins; shows the largest bin of each of 240 log bands in
    dB below the clip's largest bin. `alone`, it brings its own colours; otherwise it takes those of the page.
    """
    width, height, range_db = 480, 120, 80.0
    n = len(waveform)
    energy = fft.bin_energy(fft.spectrum(waveform), n)
    edges = parse("bands240").atoms(n, sample_rate_hz).column_edges
    peak = float(energy.max(initial=0.0)) or 1.0
    starts = edges[:-1]
    clip_bands = np.maximum.reduceat(energy, starts)
    kept_bands = np.maximum.reduceat(np.where(mask, energy, 0.0), starts)
    band_is_kept = np.logical_or.reduceat(mask, starts)
    hz = np.maximum(edges, 0.5) * sample_rate_hz / n
    lowest = max(20.0, float(hz[1]))
    x = np.clip(np.log(hz / lowest) / np.log(sample_rate_hz / 2 / lowest), 0, 1) * width

    def up(power: float) -> float:
        level = 10 * np.log10(max(power / peak, 1e-30))
        return round(float(height * max(0.0, 1 + level / range_db)), 1)

    outline = "".join(
        f"L{x[i]:.1f} {height - up(float(p)):.1f}H{x[i + 1]:.1f}" for i, p in enumerate(clip_bands)
    )
    bars = "".join(
        f"M{x[i]:.1f} {height}V{height - max(up(float(kept_bands[i])), 2):.1f}"
        f"H{max(x[i + 1], x[i] + 1.2):.1f}V{height}Z"
        for i in np.flatnonzero(band_is_kept)
    )
    ticks = "".join(
        f'<line x1="{t:.1f}" x2="{t:.1f}" y1="{height}" y2="{height + 4}" class="sp-axis"/>'
        f'<text x="{t:.1f}" y="{height + 16}" text-anchor="middle">{label}</text>'
        for t, label in _ticks(lowest, sample_rate_hz / 2, width)
    )
    content = (
        f'<path class="sp-whole" d="M0 {height}{outline}V{height}Z"/><path class="sp-kept" d="{bars}"/>'
        f'<line x1="0" x2="{width}" y1="{height}" y2="{height}" class="sp-axis"/>{ticks}'
    )
    label = "Spectrum of the clip, kept bins highlighted"
    return framed(content, label, (width, height), SPECTRUM_STYLE if alone else None)


def framed(content: str, label: str, size: tuple[int, int], style: str | None) -> str:
    """A picture of a signal, with room for an axis below; with a style of its own it stands alone."""
    box = size[0] + 8, size[1] + 26
    own_size = (
        "" if style is None else f' xmlns="http://www.w3.org/2000/svg" width="{box[0]}" height="{box[1]}"'
    )
    return (
        f'<svg class="sp"{own_size} viewBox="-4 -4 {box[0]} {box[1]}" role="img" aria-label="{label}">'
        f"{'' if style is None else f'<style>{style}</style>'}{content}</svg>"
    )


def colour(value: float, kind: str, *, dark: bool = False) -> str:
    """Colour of a value on the scale of its kind, as #rrggbb; `dark` is that of a dark page."""
    rates, differences = (
        (DARK_RATE_COLOURS, DARK_DIFFERENCE_COLOURS) if dark else (RATE_COLOURS, DIFFERENCE_COLOURS)
    )
    stops, share = (differences, (value + 1) / 2) if kind == "difference" else (rates, value)
    position = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    i = min(int(position), len(stops) - 2)
    below, above = _rgb(stops[i]), _rgb(stops[i + 1])
    channels = (round(a + (b - a) * (position - i)) for a, b in zip(below, above, strict=True))
    return "#" + "".join(f"{c:02x}" for c in channels)


def ink_on(background: str) -> str:
    """The text colour with the larger contrast on it."""
    return max(_INKS, key=lambda ink: contrast(ink, background))


def fill(value: float, kind: str) -> Markup:
    """Attributes that fill a shape with the colour of a value, on a light page and on a dark one."""
    return _fill(*(colour(value, kind, dark=dark) for dark in (False, True)))


def ink(value: float, kind: str) -> Markup:
    """Attributes that fill a text on the colour of a value."""
    return _fill(*(ink_on(colour(value, kind, dark=dark)) for dark in (False, True)))


def ramp(kind: str) -> Markup:
    """An attribute that gives an element the scale of a kind as its background, from left to right."""
    rates, differences = (RATE_COLOURS, DARK_RATE_COLOURS), (DIFFERENCE_COLOURS, DARK_DIFFERENCE_COLOURS)
    stops = zip(*(differences if kind == "difference" else rates), strict=True)
    colours = ",".join(f"light-dark({light},{dark})" for light, dark in stops)
    return Markup(f'style="background:linear-gradient(90deg,{colours})"')  # noqa: S704 - colours alone


def _fill(light: str, dark: str) -> Markup:
    """What does not know `light-dark` shows the light colour."""
    return Markup(f'fill="{light}" style="fill:light-dark({light},{dark})"')  # noqa: S704 - two colours


def contrast(colour_a: str, colour_b: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2), 1 to 21."""
    darker, lighter = sorted((_luminance(colour_a), _luminance(colour_b)))
    return (lighter + 0.05) / (darker + 0.05)


def _ticks(low_hz: float, high_hz: float, width: int) -> list[tuple[float, str]]:
    labels = ((50, "50 Hz"), (200, "200 Hz"), (1000, "1 kHz"), (4000, "4 kHz"), (16000, "16 kHz"))
    scale = width / np.log(high_hz / low_hz)
    return [(float(np.log(hz / low_hz) * scale), label) for hz, label in labels if low_hz < hz < high_hz]


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _luminance(text: str) -> float:
    linear = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _rgb(text))
    )
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
