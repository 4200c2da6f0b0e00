"""Figures as SVG text: the matrix as a heat map, an estimate as a bar, a spectrum with its kept bins.

Conventions: an SVG here is used alone (an image in a README) or inside a page: it has its own colours for
light and dark, no script, no font file, no reference to anything outside. All text is escaped. Rates are
coloured from 0 (pale) to 1 (dark blue), differences around a white 0 from -1 (rust) to 1 (blue); both scales
are ordered in lightness and keep their order for colour-blind readers.

Public: heatmap, interval_bar, spectrum_picture, MEASURES, HEADLINE_MEASURES, STYLE.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from harness import spectra
from harness.schemas import Cell
from harness.seeds import seed_of
from harness.types import Estimate, Mask, ModelRef, Waveform
from leaderboard import formatting
from leaderboard.board import columns
from leaderboard.board.columns import Column
from leaderboard.board.matrix import short_names
from leaderboard.board.types import Matrix
from leaderboard.escaping import escape_html

MEASURES: Mapping[str, Column] = MappingProxyType({c.key: c for c in columns.RATES})
"""What a heat map can show, by field of `Rates`."""
HEADLINE_MEASURES = ("lift", "transfer")
"""Those that stand alone: in a report of an entry, and as figures for a README."""

RATE_COLOURS = ("#f4f7f5", "#d3e6e4", "#a5cfd6", "#6eb0c8", "#3f8bb4", "#29659b", "#1f4278", "#172650")
DIFFERENCE_COLOURS = (
    *("#7a3208", "#b3591a", "#dd8f4c", "#f2c79d", "#f7f6f2"),
    *("#bcd8e0", "#6eb0c8", "#2f75a6", "#1b3c70"),
)
_INKS = "#000000", "#ffffff"
"""One of the two has a contrast of at least 4.5 with any colour."""

_CELL_W, _CELL_H, _GAP = 84, 50, 3
_APART = 18
"""Between the columns of the references and those of the candidates."""
STYLE = """
svg:root{color-scheme:light dark}
.gh{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:13px}
.gh .card{fill:#fff;fill:light-dark(#fff,#151b21)}
.gh .ink{fill:#1b232c;fill:light-dark(#1b232c,#e8ecf0)}
.gh .mute{fill:#5b6672;fill:light-dark(#5b6672,#9aa6b2)}
.gh .rule{stroke:#c3cad1;stroke:light-dark(#c3cad1,#3a444e)}
.gh .none{fill:#eef1f3;fill:light-dark(#eef1f3,#1e262d)}
.gh .hatch{stroke:#8b97a3;stroke:light-dark(#8b97a3,#66727e)}
.gh .num{font-variant-numeric:tabular-nums}
.gh a:hover .ink,.gh a:focus .ink{text-decoration:underline}
"""
"""CSS rules of every picture that is used alone."""


def heatmap(matrix: Matrix, measure: str = "transfer") -> str:
    """The matrix as a picture: rows are references, columns are the models that judge their signals.

    The columns of the references come first, in the order of the rows, so that their own signals are on the
    diagonal, which is hatched; those of the candidates follow after a gap, in the order of the matrix.

    Returns:
        A standalone SVG document.
    """
    column = MEASURES[measure]
    names = short_names([*dict.fromkeys((*matrix.references, *matrix.models))])
    longest = max(len(_cut(names[model])) for model in matrix.references)
    left = max(124, int(longest * 7.4) + 24)
    tallest = max(len(_cut(names[model])) for model in matrix.models)
    top = 74 + int(tallest * 4.9)
    groups = _groups(matrix, left)
    lefts = [start + i * _CELL_W for _, start, n in groups for i in range(n)]
    width_cells, height_cells = lefts[-1] + _CELL_W - left, len(matrix.references) * _CELL_H
    slant = int(tallest * 5.6)
    width = left + max(width_cells + max(40, slant - 20), 320)
    height = top + height_cells + 124
    title = f"{column.header}: signals of each reference judged by each model"
    hatch = f"gh-{seed_of(measure, matrix.family, *map(repr, names)):x}"
    parts = [
        f'<svg class="gh" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="{escape_html(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="card" width="{width}" height="{height}" rx="8"/>',
        f'<defs><pattern id="{hatch}" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect class="none" width="7" height="7"/>'
        '<line class="hatch" x1="0" y1="0" x2="0" y2="7" stroke-width="1.4"/></pattern></defs>',
        '<text class="ink" x="18" y="28" font-size="15" font-weight="600">'
        f"{escape_html(column.header)}</text>",
        f'<text class="mute" x="18" y="47" font-size="12">family {escape_html(matrix.family)}</text>',
        *(
            f'<text class="mute" x="{left - 14}" y="{y}" font-size="12" text-anchor="end">{words}</text>'
            for y, words in ((top - 30, "judged by →"), (top - 12, "signals of ↓"))
        ),
    ]
    for i, model in enumerate(matrix.models):
        x, y = lefts[i] + _CELL_W // 2, top - 10
        parts.append(
            f'<g transform="translate({x} {y}) rotate(-40)"><text class="ink">{_name(names[model], model)}'
            "</text></g>"
        )
    for j, reference in enumerate(matrix.references):
        y = top + j * _CELL_H
        parts.append(
            f'<text class="ink" x="{left - 14}" y="{y + _CELL_H // 2 + 4}" text-anchor="end">'
            f"{_name(names[reference], reference)}</text>"
        )
        for i, model in enumerate(matrix.models):
            label_text = f"signals of {names[reference]}, judged by {names[model]}"
            cell = matrix.cells.get((reference, model))
            parts.append(_square(lefts[i], y, cell, column, label_text, hatch))
    parts += [_bracket(words, x, n, top + height_cells + 6) for words, x, n in groups]
    parts.append(_legend(left, top + height_cells + 50, column, hatch))
    parts.append("</svg>")
    return "\n".join(parts)


def interval_bar(estimate: Estimate | None, low: float = 0.0, high: float = 1.0) -> str:
    """An estimate as a dot on its interval, on the axis low .. high, with a tick at 0.

    Returns:
        A small SVG for a table cell; empty where there is no value.
    """
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


_SPECTRUM_STYLE = """
svg:root{color-scheme:light dark}
.sp{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
.sp text{fill:#566270;fill:light-dark(#566270,#9aa6b2)}
.sp-axis{stroke:#c3cad1;stroke:light-dark(#c3cad1,#3a444e)}
.sp-whole{fill:#d9dee2;fill:light-dark(#d9dee2,#303a43)}
.sp-kept{fill:#1d5a97;fill:light-dark(#1d5a97,#7cb8e4)}
"""


def spectrum_picture(waveform: Waveform, mask: Mask, sample_rate_hz: int, *, alone: bool = False) -> str:
    """The clip's power spectrum over log frequency, the kept bins drawn over it.

    Args:
        waveform: (n,) the whole clip.
        mask: (n // 2 + 1,) kept bins.
        sample_rate_hz: its rate.
        alone: whether it brings its own colours; without them it takes those of the page.

    Returns:
        An SVG: the largest bin of each of 240 log bands in dB below the clip's largest bin.
    """
    width, height, range_db = 480, 120, 80.0
    n = len(waveform)
    energy = spectra.bin_energy(spectra.spectrum(waveform), n)
    bands = spectra.log_bands(n, sample_rate_hz, 240)
    peak = float(energy.max(initial=0.0)) or 1.0
    starts = bands.edges[:-1]
    clip_bands = np.maximum.reduceat(energy, starts)
    kept_bands = np.maximum.reduceat(np.where(mask, energy, 0.0), starts)
    band_is_kept = np.logical_or.reduceat(mask, starts)
    hz = np.maximum(bands.edges, 0.5) * sample_rate_hz / n
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
    size = f' xmlns="http://www.w3.org/2000/svg" width="{width + 8}" height="{height + 26}"' if alone else ""
    style = f"<style>{_SPECTRUM_STYLE}</style>" if alone else ""
    return (
        f'<svg class="sp"{size} viewBox="-4 -4 {width + 8} {height + 26}" role="img" '
        f'aria-label="Spectrum of the clip, kept bins highlighted">{style}'
        f'<path class="sp-whole" d="M0 {height}{outline}V{height}Z"/><path class="sp-kept" d="{bars}"/>'
        f'<line x1="0" x2="{width}" y1="{height}" y2="{height}" class="sp-axis"/>{ticks}</svg>'
    )


def colour(value: float, kind: str) -> str:
    """Colour of a value on the scale of its kind, as #rrggbb."""
    stops, share = (DIFFERENCE_COLOURS, (value + 1) / 2) if kind == "difference" else (RATE_COLOURS, value)
    position = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    i = min(int(position), len(stops) - 2)
    below, above = _rgb(stops[i]), _rgb(stops[i + 1])
    channels = (round(a + (b - a) * (position - i)) for a, b in zip(below, above, strict=True))
    return "#" + "".join(f"{c:02x}" for c in channels)


def ink_on(background: str) -> str:
    """The text colour with the larger contrast on it."""
    return max(_INKS, key=lambda ink: contrast(ink, background))


def contrast(colour_a: str, colour_b: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2), 1 to 21."""
    darker, lighter = sorted((_luminance(colour_a), _luminance(colour_b)))
    return (lighter + 0.05) / (darker + 0.05)


def _groups(matrix: Matrix, left: int) -> list[tuple[str, int, int]]:
    """The groups of columns that are not empty: name, left end and number of columns."""
    n = matrix.n_references
    gap = _APART if 0 < n < len(matrix.models) else 0
    groups = (("references", left, n), ("candidates", left + n * _CELL_W + gap, len(matrix.models) - n))
    return [group for group in groups if group[2]]


def _bracket(words: str, x: int, n: int, y: int) -> str:
    """A line under n columns with their name."""
    width = n * _CELL_W - _GAP
    centre, label = x + width / 2, words if n > 1 else words.removesuffix("s")
    return (
        f'<path class="rule" d="M{x} {y}v4h{width}v-4" fill="none"/>'
        f'<text class="mute" x="{centre}" y="{y + 20}" font-size="12" text-anchor="middle">{label}</text>'
    )


def _square(x: int, y: int, cell: Cell | None, column: Column, label: str, hatch: str) -> str:
    w, h = _CELL_W - _GAP, _CELL_H - _GAP
    estimate: Estimate | None = None if cell is None else getattr(cell.rates, column.key)
    value, below, description = formatting.text(estimate, column.kind), "", "not evaluated"
    fill, ink, mute, plate = 'class="none"', 'class="mute num"', 'class="mute"', ""
    if cell is not None and estimate is not None:
        description, below = formatting.format_estimate(estimate, column.kind), f"n {estimate.n:,}"
        if cell.own:
            owner = "the model's own signals" if cell.same_weights else "it counts as this reference"
            description, below = (
                f"{description}; {owner}, in no mean",
                "own" if cell.same_weights else "near copy",
            )
            fill, ink = f'fill="url(#{hatch})"', 'class="ink num"'
            plate = f'<rect x="{x + 9}" y="{y + 5}" width="{w - 18}" height="{h - 10}" rx="3" class="none"/>'
        elif estimate.value is not None:
            background = colour(estimate.value, column.kind)
            fill, mute = f'fill="{background}"', f'fill="{ink_on(background)}"'
            ink = f'class="num" {mute}'
    middle = x + w / 2
    return (
        f"<g><title>{escape_html(f'{label}: {description}')}</title>"
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="4" {fill}/>{plate}'
        f'<text {ink} x="{middle}" y="{y + 22}" text-anchor="middle" font-weight="600">{value}</text>'
        f'<text {mute} x="{middle}" y="{y + 37}" text-anchor="middle" font-size="11">{below}</text></g>'
    )


def _legend(x: int, y: int, column: Column, hatch: str) -> str:
    low, steps, step_w = (-1.0 if column.kind == "difference" else 0.0), 40, 5
    swatches = "".join(
        f'<rect x="{x + i * step_w}" y="{y}" width="{step_w + 0.5}" height="10" '
        f'fill="{colour(low + (1 - low) * i / (steps - 1), column.kind)}"/>'
        for i in range(steps)
    )
    ends = "".join(
        f'<text class="mute num" x="{x + steps * step_w * share:.0f}" y="{y + 25}" font-size="11" '
        f'text-anchor="middle">'
        f"{formatting.text(low + (1 - low) * share, column.kind).replace('.0', '')}</text>"
        for share in (0.0, 0.5, 1.0)
    )
    return (
        f"{swatches}{ends}"
        f'<rect x="{x}" y="{y + 38}" width="22" height="14" rx="3" fill="url(#{hatch})"/>'
        f'<text class="mute" x="{x + 30}" y="{y + 49}" font-size="11">'
        "a model on its own signals, or of one it is a near copy of: in no mean</text>"
    )


def _name(name: str, model: ModelRef) -> str:
    return (
        f"{escape_html(_cut(name))}<title>{escape_html(f'{model.repo_id} at {model.revision[:12]}')}</title>"
    )


def _cut(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:15]}…{name[-8:]}"


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
