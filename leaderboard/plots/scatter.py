"""Lift over model size and over day of release, as SVG text.

Conventions: as in `plots`. The frontier is a step line over models in that order; it rises only where the
rank interval of a model no longer overlaps that of the best one before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Literal

from harness.plurals import plural
from harness.types import Estimate, ModelRef
from leaderboard import formatting
from leaderboard.board.matrix import short_names
from leaderboard.board.types import Row
from leaderboard.escaping import escape_html
from leaderboard.plots import inline

MOST = 200
"""Models that are drawn, besides those of the frontier: the best."""

_LABELS = 14
_STOPS = 20
"""Models that the Tab key stops at; the others are in the table."""
_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 26, 34, 52
_STYLE = """
.gs{font-size:12px}
.gs-axis{stroke:#c3cad1;stroke:light-dark(#c3cad1,#3a444e)}
.gs-grid{stroke:#e8ebee;stroke:light-dark(#e8ebee,#222b33)}
.gs-zero{stroke:#8b97a3;stroke:light-dark(#8b97a3,#66727e)}
.gs-bar{stroke:#1d5a97;stroke:light-dark(#1d5a97,#7cb8e4);stroke-width:1.6;opacity:.45}
.gs-dot{fill:#1d5a97;fill:light-dark(#1d5a97,#7cb8e4);stroke:#1d5a97;
stroke:light-dark(#1d5a97,#7cb8e4);stroke-width:2}
.gs-hollow{fill:#fff;fill:light-dark(#fff,#151b21)}
.gs-step{fill:none;stroke:#9a4310;stroke:light-dark(#9a4310,#e9a06c);stroke-width:1.6}
.gh a:hover .gs-dot,.gh a:focus .gs-dot{stroke:#9a4310}
"""


Kind = Literal["size", "time"]
"""The lower axis: parameters, on a logarithmic scale, or the day on which the Hub first had the model."""

_TITLES = {"size": "Lift over number of parameters", "time": "Lift over day of release"}


@dataclass(frozen=True)
class Point:
    """A ranked model whose position is known."""

    row: Row
    """Its row."""
    x: float
    """Logarithm to base 10 of its parameters, or days since year 1."""
    description: str
    """The same in words."""
    lift: Estimate
    """With a value."""


def points(rows: Sequence[Row], kind: Kind) -> list[Point]:
    """The models of a ranking that can be drawn, the best first."""
    candidates = []
    for row in rows:
        lift = row.entry.scorecard.lift
        position = _size(row) if kind == "size" else _day(row)
        if row.rank is not None and lift is not None and lift.value is not None and position:
            candidates.append(Point(row, *position, lift))
    return candidates


def frontier(candidates: Sequence[Point]) -> list[Point]:
    """Models whose rank interval no longer overlaps that of the best before, from the smallest or oldest."""
    steps: list[Point] = []
    for point in sorted(candidates, key=lambda point: (point.x, point.row.rank)):
        best = steps[-1].row if steps else None
        if best is None or (point.row.rank_high or 0) < (best.rank_low or 0):
            if steps and steps[-1].x == point.x:
                steps.pop()
            steps.append(point)
    return steps


def draw(rows: Sequence[Row], kind: Kind, links: Mapping[ModelRef, str] | None = None) -> str | None:
    """Lift with its interval over size or time, of the rows of a ranking, the best first.

    Returns:
        A standalone SVG document; None where fewer than two models can be drawn.
    """
    candidates = points(rows, kind)
    if len(candidates) < 2:
        return None
    steps = frontier(candidates)
    visible = [*candidates[:MOST], *(point for point in steps if point not in candidates[:MOST])]
    label_order = sorted(visible, key=lambda point: point not in steps)
    names = short_names([point.row.entry.model for point in visible])
    x, y = _Axis([point.x for point in visible], kind), _Lift([point.lift for point in visible])

    def at(point: Point) -> tuple[float, float]:
        return x.at(point.x), y.at(point.lift.value or 0.0)

    models = plural(len(visible), "model")
    parts = [
        f'<svg class="gh gs" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="group" aria-label="{_TITLES[kind]}, {models}">',
        f"<style>{inline.STYLE}{_STYLE}</style>",
        f'<rect class="card" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        *x.draw(),
        *y.draw(),
        _stairs([at(point) for point in steps], x.at(max(point.x for point in visible))),
        *(
            _mark(point, x.at(point.x), y, names[model], (links or {}).get(model), i < _STOPS)
            for i, point in enumerate(visible)
            for model in (point.row.entry.model,)
        ),
        *_labels([(*at(point), names[point.row.entry.model]) for point in label_order]),
        "</svg>",
    ]
    return "\n".join(parts)


def _size(row: Row) -> tuple[float, str] | None:
    n = min(row.entry.facts.n_parameters, 10**15)
    return (math.log10(n), f"{formatting.compact(n)} parameters") if n > 0 else None


def _day(row: Row) -> tuple[float, str] | None:
    released = row.entry.facts.released
    try:
        return None if released is None else (date.fromisoformat(released).toordinal(), f"of {released}")
    except ValueError:
        return None


class _Axis:
    """The lower axis."""

    def __init__(self, values: Sequence[float], kind: Kind) -> None:
        least, self._ticks, self._label = _AXES[kind]
        pad = max(0.08 * (max(values) - min(values)), least)
        self.low, self.high = min(values) - pad, max(values) + pad

    def at(self, x: float) -> float:
        share = (x - self.low) / (self.high - self.low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def draw(self) -> list[str]:
        base, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        marks = [
            f'<line class="gs-axis" x1="{self.at(x)}" x2="{self.at(x)}" y1="{base}" y2="{base + 5}"/>'
            f'<text class="mute num" x="{self.at(x)}" y="{base + 20}" text-anchor="middle">{words}</text>'
            for x, words in self._ticks(self.low, self.high)
        ]
        label = f'<text class="mute" x="{right}" y="{_HEIGHT - 10}" text-anchor="end">{self._label}</text>'
        return [f'<line class="gs-axis" x1="{_LEFT}" x2="{right}" y1="{base}" y2="{base}"/>', *marks, label]


def _sizes(low: float, high: float) -> list[tuple[float, str]]:
    multiples = range(1, 10) if high - low < 0.8 else (1, 2, 5) if high - low < 2.5 else (1,)
    decades = range(max(math.floor(low), 0), math.ceil(high) + 1)
    sizes = [k * 10**d for d in decades for k in multiples if low <= math.log10(k * 10**d) <= high]
    return [(math.log10(size), formatting.compact(size).replace(".0", "")) for size in sizes]


def _days(low: float, high: float) -> list[tuple[float, str]]:
    step = next((s for s in (1, 3, 6, 12, 24, 60, 120) if (high - low) / 30 / s <= 9), 1200)
    first, last = (date.fromordinal(min(max(int(end), 1), date.max.toordinal())) for end in (low, high))
    days = [date(m // 12, m % 12 + 1, 1) for m in range(12 * first.year, 12 * last.year + 12, step)]
    words = "%Y" if step >= 12 else "%Y-%m"
    return [(d.toordinal(), d.strftime(words)) for d in days if low <= d.toordinal() <= high]


_AXES: Mapping[Kind, tuple[float, Callable[[float, float], list[tuple[float, str]]], str]] = MappingProxyType(
    {"size": (0.06, _sizes, "parameters"), "time": (20.0, _days, "released")}
)
"""Padding around the outermost points, the ticks between two ends, and the label."""


class _Lift:
    """The axis of the lift."""

    def __init__(self, lifts: Sequence[Estimate]) -> None:
        ends = [min(max(e, -1.0), 1.0) for x in lifts for e in (x.value, x.low, x.high, 0.0) if e is not None]
        span = max(max(ends) - min(ends), 0.05)
        self.step = next(s for s in (0.02, 0.05, 0.1, 0.2, 0.5) if span / s <= 7)
        self.low = math.floor(min(ends) / self.step) * self.step
        self.high = math.ceil(max(ends) / self.step) * self.step

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP), 1)

    def draw(self) -> list[str]:
        n = round((self.high - self.low) / self.step)
        lines = []
        for value in (self.low + i * self.step for i in range(n + 1)):
            y, css_class = self.at(value), "gs-zero" if abs(value) < 1e-9 else "gs-grid"
            words = formatting.text(value, "difference").partition(formatting.THIN)[0].replace(".0", "")
            lines.append(
                f'<line class="{css_class}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
                f'<text class="mute num" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{words}</text>'
            )
        return [*lines, f'<text class="mute" x="8" y="{_TOP - 16}">lift, pp</text>']


def _stairs(steps: Sequence[tuple[float, float]], end: float) -> str:
    x, y = steps[0]
    path = f"M{x} {y}" + "".join(f"H{right}V{up}" for right, up in steps[1:]) + f"H{end}"
    return f'<path class="gs-step" d="{path}"/>'


def _mark(point: Point, x: float, axis: _Lift, name: str, href: str | None, stop: bool) -> str:
    lift = point.lift
    description = f"{name}, {point.description}: lift {formatting.format_estimate(lift, 'difference')}"
    bar = ""
    if lift.low is not None and lift.high is not None:
        bar = f'<line class="gs-bar" x1="{x}" x2="{x}" y1="{axis.at(lift.low)}" y2="{axis.at(lift.high)}"/>'
    hollow = " gs-hollow" if point.row.reference else ""
    dot = f'<circle class="gs-dot{hollow}" cx="{x}" cy="{axis.at(lift.value or 0.0)}" r="4.5"/>'
    mark = f"<title>{escape_html(description)}</title>{bar}{dot}"
    if href is None:
        return f"<g>{mark}</g>"
    tab_index = "" if stop else ' tabindex="-1"'
    return f'<a href="{escape_html(href)}"{tab_index} aria-label="{escape_html(description)}">{mark}</a>'


def _labels(marks: Sequence[tuple[float, float, str]]) -> list[str]:
    """Labels of the first models, each where it overlaps no other label and no dot."""
    boxes = [(x - 6, y - 6, x + 6, y + 6) for x, y, _ in marks]
    labels = []
    for x, y, name in marks:
        text = name if len(name) <= 30 else f"{name[:29]}…"
        width = 6.9 * len(text)
        for left, top in ((x + 8, y - 18), (x - 8 - width, y - 18), (x + 8, y + 4), (x - 8 - width, y + 4)):
            box = (left, top, left + width, top + 14)
            inside = left >= _LEFT and box[2] <= _WIDTH - 4 and top >= _TOP and box[3] <= _HEIGHT - _BOTTOM
            if inside and not any(_overlap(box, other) for other in boxes):
                boxes.append(box)
                text = escape_html(text)
                labels.append(f'<text class="ink" x="{left:.1f}" y="{top + 11:.1f}">{text}</text>')
                break
        if len(labels) == _LABELS:
            break
    return labels


def _overlap(box: tuple[float, ...], other_box: tuple[float, ...]) -> bool:
    return box[0] < other_box[2] and other_box[0] < box[2] and box[1] < other_box[3] and other_box[1] < box[3]
