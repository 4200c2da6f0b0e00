"""What a signal keeps of its clip, as a picture and in words, whatever it is made of.

Signals of bins and bands are drawn over the spectrum of the clip (`inline.spectrum_picture`), signals of
blocks and tiles over its spectrogram: the clip in grey, what is kept in blue. Conventions as in `inline`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.domains import Atoms
from harness.domains.frequency import Frequency
from harness.families import atoms_of, n_atoms_kept, parse_family
from harness.seeds import seed_of
from harness.types import FloatArray, Mask, SufficientSignal, Waveform
from leaderboard.plots import inline, spectrogram

_LEFT, _WIDTH, _HEIGHT = 44, 424, 120
"""Where the spectrogram begins, beside the labels of frequencies, and its size."""
_N_SHADES = 16
_MOST_RECTANGLES = 250
"""From there on the kept part is an image: a page holds many pictures."""
_THINNEST = 1.5
_STYLE = (
    inline.SPECTRUM_STYLE
    + """.sp-sound{fill:#8d98a3;fill:light-dark(#8d98a3,#74818e)}
.sp-part{fill:#dbe9f4;fill:light-dark(#dbe9f4,#17324a);stroke:#1d5a97;stroke:light-dark(#1d5a97,#7cb8e4)}
.sp-part{paint-order:stroke}
.sp-loud{fill:#123f6d;fill:light-dark(#123f6d,#a9d8fb)}
"""
)

Rectangle = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def kept_atoms(signal: SufficientSignal) -> str:
    """How many of its atoms a signal keeps: `12 of 8,001 bins`, `5 of 384 tiles`."""
    atoms = atoms_of(signal)
    count = parse_family(signal.family).resolution.count(len(atoms))
    return f"{n_atoms_kept(signal):,} of {count}"


def signal_picture(waveform: Waveform, signal: SufficientSignal, *, alone: bool = False) -> str:
    """The clip of a signal with what the signal keeps of it highlighted, as an SVG.

    Takes (n,) the whole clip. `alone`, the picture brings its own colours; otherwise it takes those of the
    page.
    """
    atoms = atoms_of(signal)
    if atoms.domain.name == Frequency.name:
        return inline.spectrum_picture(waveform, signal.mask, signal.sample_rate_hz, alone=alone)
    # (atoms in time, atoms in frequency)
    is_kept = atoms.pool(signal.mask.astype(np.float64)).reshape(atoms.shape) > 0
    sound = spectrogram.data_uri(waveform, signal.sample_rate_hz, n_shades=_N_SHADES)
    # Two pictures on a page may share no id.
    name = f"sp-{seed_of(signal.signal_id, sound, is_kept.tobytes().hex()):x}"
    area = f'x="{_LEFT}" y="0" width="{_WIDTH}" height="{_HEIGHT}"'
    image = f'<image {area} preserveAspectRatio="none" href='
    rectangles = list(_rectangles(atoms, is_kept))
    if len(rectangles) <= _MOST_RECTANGLES:
        part = f'<path id="{name}-kept" d="{_path(rectangles)}"/>'
    else:
        dots = spectrogram.encode(_points(atoms, is_kept), 2)
        part = (
            f'<mask id="{name}-dots" mask-type="alpha">{image}"{dots}"/></mask>'
            f'<rect id="{name}-kept" {area} stroke="none" mask="url(#{name}-dots)"/>'
        )
    axes = _axes(signal.sample_rate_hz, len(waveform) / signal.sample_rate_hz)
    # A mask takes the shades, so that the style can choose the colours.
    content = (
        f'<defs><mask id="{name}" mask-type="alpha">{image}"{sound}"/></mask>{part}</defs>'
        f'<rect class="sp-sound" {area} mask="url(#{name})"/><use class="sp-part" href="#{name}-kept"/>'
        f'<g mask="url(#{name})"><use class="sp-loud" href="#{name}-kept"/></g>{axes}'
    )
    label = f"Spectrogram of the clip, {kept_atoms(signal)} kept"
    return inline.framed(content, label, (_LEFT + _WIDTH + 12, _HEIGHT), _STYLE if alone else None)


def _edges(atoms: Atoms) -> tuple[FloatArray, FloatArray]:
    """Between which atoms lie in the picture: from left to right, and from the bottom to the top."""
    domain = atoms.domain
    across = domain.row_edges_s[atoms.row_edges] * domain.sample_rate_hz / domain.n_samples
    up = spectrogram.heights(domain.column_edges_hz[atoms.column_edges], domain.sample_rate_hz)
    return _LEFT + _WIDTH * across, _HEIGHT * (1 - up)


def _rectangles(atoms: Atoms, is_kept: Mask) -> Iterator[Rectangle]:
    """One for each run of kept atoms that follow one another in time, at the same frequencies."""
    x, y = _edges(atoms)
    for column in np.flatnonzero(is_kept.any(axis=0)).tolist():
        changes = np.flatnonzero(np.diff(is_kept[:, column], prepend=False, append=False))
        for first, end in changes.reshape(-1, 2).tolist():
            left, top = min(x[first], x[-1] - _THINNEST), min(y[column + 1], y[0] - _THINNEST)
            yield left, top, max(x[end], left + _THINNEST), max(y[column], top + _THINNEST)


def _path(rectangles: Sequence[Rectangle]) -> str:
    return "".join(
        f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}Z"
        for left, top, right, bottom in rectangles
    )


def _points(atoms: Atoms, is_kept: Mask) -> NDArray[np.uint8]:
    """Which points of the image of a spectrogram are kept, 0 or 1."""
    x, y = _edges(atoms)
    n_rows, n_columns = spectrogram.HEIGHT, spectrogram.WIDTH
    across = _LEFT + _WIDTH * (np.arange(n_columns) + 0.5) / n_columns
    down = _HEIGHT * (np.arange(n_rows) + 0.5) / n_rows
    in_time = np.searchsorted(x, across, "right") - 1
    in_frequency = np.searchsorted(-y, -down, "right") - 1
    return is_kept[in_time[None, :], in_frequency[:, None]].astype(np.uint8)


def _axes(rate: int, seconds: float) -> str:
    """Time below, frequency at the left."""
    labels = {200: "200 Hz", 1_000: "1 kHz", 4_000: "4 kHz", 16_000: "16 kHz"}
    hz = [each for each in labels if each <= rate / 2]
    levels = _HEIGHT * (1 - spectrogram.heights(np.array(hz), rate))
    ticks = [f'<path class="sp-axis" d="M{_LEFT} {_HEIGHT}h{_WIDTH}"/>']
    for each, y in zip(hz, levels.tolist(), strict=True):
        ticks.append(
            f'<path class="sp-axis" d="M{_LEFT} {y:.1f}h-4"/>'
            f'<text class="sp-hz" x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{labels[each]}</text>'
        )
    for time_s in spectrogram.time_ticks(seconds):
        x = _LEFT + _WIDTH * time_s / seconds
        ticks.append(
            f'<path class="sp-axis" d="M{x:.1f} {_HEIGHT}v4"/>'
            f'<text x="{x:.1f}" y="{_HEIGHT + 16}" text-anchor="middle">{time_s:.10g} s</text>'
        )
    return "".join(ticks)
