"""Two pictures of a reference for its page: where its signals lie, how often it accepts growing ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.types import Estimate
from leaderboard import formatting
from leaderboard.board.model_traits import ReferenceProfile

_W, _H = 440, 150
_LEFT, _TOP, _BOTTOM = 38, 26, 34


def band_use(traits: ReferenceProfile) -> str:
    """What signals keep over mel bands as bars, the same of the other references as a line."""
    peak = max(*traits.mel, *traits.others, 1e-9)
    n = len(traits.mel)
    step = _W / n
    bars = "".join(
        f'<rect class="pp-bar" x="{_LEFT + i * step:.1f}" y="{_y(v / peak):.1f}" width="{step - 1.5:.1f}" '
        f'height="{_H * v / peak:.1f}"/>'
        for i, v in enumerate(traits.mel)
    )
    line = ""
    if traits.others:
        points = " ".join(
            f"{_LEFT + i * step:.1f},{_y(v / peak):.1f} {_LEFT + (i + 1) * step - 1.5:.1f},{_y(v / peak):.1f}"
            for i, v in enumerate(traits.others)
        )
        line = f'<polyline class="pp-others" points="{points}"/>'
    label = "What its signals keep, over frequency; the line is the mean of the other references"
    legend = _legend("pp-bar", "this reference", bool(line))
    return _svg(label, bars + line + "".join(_hertz(traits.top_hz)) + _grid((0.0, peak), peak) + legend)


def curve(traits: ReferenceProfile) -> str:
    """Acceptance over the levels with its interval, the mean of the other references as a line."""
    values = [e.value or 0.0 for e in traits.curve]
    step = _W / (len(values) - 1)

    def points(ys: Sequence[float], backwards: bool = False) -> str:
        coordinates = [f"{_LEFT + i * step:.1f},{_y(y):.1f}" for i, y in enumerate(ys)]
        return " ".join(reversed(coordinates) if backwards else coordinates)

    lows, highs = [_end(e, e.low) for e in traits.curve], [_end(e, e.high) for e in traits.curve]
    shade = f'<polygon class="pp-shade" points="{points(highs)} {points(lows, backwards=True)}"/>'
    others = ""
    if traits.curve_of_others:
        others = f'<polyline class="pp-others" points="{points(traits.curve_of_others)}"/>'
    dots = "".join(
        f'<circle class="pp-dot" cx="{_LEFT + i * step:.1f}" cy="{_y(v):.1f}" r="3"/>'
        for i, v in enumerate(values)
    )
    line = f'<polyline class="pp-line" points="{points(values)}"/>'
    labels = "".join(
        f'<text x="{_LEFT + i * step:.1f}" y="{_TOP + _H + 16}" text-anchor="{alignment}">{text}</text>'
        for i, text, alignment in ((0, "the signal", "start"), (len(values) - 1, "the whole clip", "end"))
    )
    label = "Acceptance of minimal signals that grow over eight levels to the whole clip"
    legend = _legend("pp-bar", "this reference", bool(others))
    return _svg(label, _grid((0.0, 0.5, 1.0), 1.0) + shade + others + line + dots + labels + legend)


def _svg(label: str, body: str) -> str:
    width, height = _LEFT + _W + 8, _TOP + _H + _BOTTOM
    return (
        f'<svg class="pp" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<line class="pp-axis" x1="{_LEFT}" x2="{_LEFT + _W}" y1="{_TOP + _H}" y2="{_TOP + _H}"/>'
        f"{body}</svg>"
    )


def _legend(swatch: str, name: str, with_others: bool) -> str:
    """Above the plot: what is filled or dotted, and, where it is drawn, what the second line is."""
    entries = f'<rect class="{swatch}" x="{_LEFT}" y="8" width="14" height="8"/>'
    entries += f'<text x="{_LEFT + 20}" y="16">{name}</text>'
    if with_others:
        x = _LEFT + 130
        entries += (
            f'<path class="pp-others" d="M{x} 12h22"/><text x="{x + 28}" y="16">mean of the others</text>'
        )
    return entries


def _y(share: float) -> float:
    return _TOP + _H * (1 - share)


def _end(estimate: Estimate, end: float | None) -> float:
    return (estimate.value or 0.0) if end is None else end


def _grid(values: Sequence[float], peak: float) -> str:
    return "".join(
        f'<path class="pp-grid" d="M{_LEFT} {_y(v / peak):.1f}h{_W}"/>'
        f'<text x="{_LEFT - 6}" y="{_y(v / peak) + 4:.1f}" text-anchor="end">{formatting.share(v)}</text>'
        for v in values
    )


def _hertz(top_hz: float) -> Iterator[str]:
    def mel(hz: float) -> float:
        return float(2595 * np.log10(1 + hz / 700))

    for hz in (0, 500, 1000, 2000, 4000, 8000):
        if hz <= top_hz:
            label = "0" if hz == 0 else f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"
            x = _LEFT + _W * mel(hz) / mel(top_hz)
            alignment = "end" if hz == top_hz else "middle"
            yield f'<text x="{x:.1f}" y="{_TOP + _H + 16}" text-anchor="{alignment}">{label}</text>'
