"""Lift against size and against time: what larger and newer models buy, as SVG text.

Conventions: as in `plots`. The frontier is a step line over models in that order; it rises only where the
place of a model is told apart from that of the best one before it: it says no more than the intervals do.

Public: MOST, Kind, Point, points, frontier, draw.
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
from leaderboard.escaping import escaped
from leaderboard.plots import inline

MOST = 200
"""Models that are drawn, beside those of the frontier: the best."""

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
"""What lies below: parameters, on a logarithmic axis, or the day on which the Hub first had the model."""

_SAID = {"size": "Lift over number of parameters", "time": "Lift over day of release"}


@dataclass(frozen=True)
class Point:
    """A ranked model of which it is known where it lies."""

    row: Row
    """Its row."""
    x: float
    """Logarithm to base 10 of its parameters, or days since year 1."""
    said: str
    """The same in words."""
    lift: Estimate
    """With a value."""


def points(rows: Sequence[Row], kind: Kind) -> list[Point]:
    """What can be drawn, the best first.

    Args:
        rows: of a ranking, best first.
        kind: what lies below.
    """
    found = []
    for row in rows:
        lift = row.entry.scorecard.lift
        where = _size(row) if kind == "size" else _day(row)
        if row.rank is not None and lift is not None and lift.value is not None and where:
            found.append(Point(row, *where, lift))
    return found


def frontier(found: Sequence[Point]) -> list[Point]:
    """Models with which the best place improves beyond doubt, from the smallest or oldest.

    Args:
        found: the points.
    """
    steps: list[Point] = []
    for point in sorted(found, key=lambda p: (p.x, p.row.rank)):
        best = steps[-1].row if steps else None
        if best is None or (point.row.rank_high or 0) < (best.rank_low or 0):
            if steps and steps[-1].x == point.x:
                steps.pop()
            steps.append(point)
    return steps


def draw(rows: Sequence[Row], kind: Kind, links: Mapping[ModelRef, str] | None = None) -> str | None:
    """Lift with its interval over size or time.

    Args:
        rows: of a ranking, best first.
        kind: what lies below.
        links: page of a model, where it has one.

    Returns:
        A standalone SVG document; None where fewer than two models can be drawn.
    """
    found = points(rows, kind)
    if len(found) < 2:
        return None
    steps = frontier(found)
    shown = [*found[:MOST], *(p for p in steps if p not in found[:MOST])]
    by_weight = sorted(shown, key=lambda p: p not in steps)
    names = short_names([p.row.entry.model for p in shown])
    x, y = _Axis([p.x for p in shown], kind), _Lift([p.lift for p in shown])
    models = plural(len(shown), "model")
    parts = [
        f'<svg class="gh gs" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="group" aria-label="{_SAID[kind]}, {models}">',
        f"<style>{inline.STYLE}{_STYLE}</style>",
        f'<rect class="card" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        *x.draw(),
        *y.draw(),
        _stairs([(x.at(p.x), y.at(p.lift.value or 0.0)) for p in steps], x.at(max(p.x for p in shown))),
        *(
            _mark(p, x.at(p.x), y, names[p.row.entry.model], (links or {}).get(p.row.entry.model), i < _STOPS)
            for i, p in enumerate(shown)
        ),
        *_labels([(x.at(p.x), y.at(p.lift.value or 0.0), names[p.row.entry.model]) for p in by_weight]),
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
    """The axis below."""

    def __init__(self, found: Sequence[float], kind: Kind) -> None:
        least, self._ticks, self._label = _BELOW[kind]
        pad = max(0.08 * (max(found) - min(found)), least)
        self.low, self.high = min(found) - pad, max(found) + pad

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
    by = range(1, 10) if high - low < 0.8 else (1, 2, 5) if high - low < 2.5 else (1,)
    decades = range(max(math.floor(low), 0), math.ceil(high) + 1)
    sizes = [k * 10**d for d in decades for k in by if low <= math.log10(k * 10**d) <= high]
    return [(math.log10(size), formatting.compact(size).replace(".0", "")) for size in sizes]


def _days(low: float, high: float) -> list[tuple[float, str]]:
    step = next((s for s in (1, 3, 6, 12, 24, 60, 120) if (high - low) / 30 / s <= 9), 1200)
    first, last = (date.fromordinal(min(max(int(end), 1), date.max.toordinal())) for end in (low, high))
    days = [date(m // 12, m % 12 + 1, 1) for m in range(12 * first.year, 12 * last.year + 12, step)]
    words = "%Y" if step >= 12 else "%Y-%m"
    return [(d.toordinal(), d.strftime(words)) for d in days if low <= d.toordinal() <= high]


_BELOW: Mapping[Kind, tuple[float, Callable[[float, float], list[tuple[float, str]]], str]] = (
    MappingProxyType({"size": (0.06, _sizes, "parameters"), "time": (20.0, _days, "released")})
)
"""Room beside the outermost points, the ticks between two ends, and what stands below."""


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
        made = []
        for value in (self.low + i * self.step for i in range(n + 1)):
            y, look = self.at(value), "gs-zero" if abs(value) < 1e-9 else "gs-grid"
            words = formatting.text(value, "difference").partition(formatting.THIN)[0].replace(".0", "")
            made.append(
                f'<line class="{look}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
                f'<text class="mute num" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{words}</text>'
            )
        return [*made, f'<text class="mute" x="8" y="{_TOP - 16}">lift, pp</text>']


def _stairs(steps: Sequence[tuple[float, float]], end: float) -> str:
    x, y = steps[0]
    path = f"M{x} {y}" + "".join(f"H{right}V{up}" for right, up in steps[1:]) + f"H{end}"
    return f'<path class="gs-step" d="{path}"/>'


def _mark(point: Point, x: float, axis: _Lift, name: str, href: str | None, stop: bool) -> str:
    lift = point.lift
    told = f"{name}, {point.said}: lift {formatting.format_estimate(lift, 'difference')}"
    bar = ""
    if lift.low is not None and lift.high is not None:
        bar = f'<line class="gs-bar" x1="{x}" x2="{x}" y1="{axis.at(lift.low)}" y2="{axis.at(lift.high)}"/>'
    hollow = " gs-hollow" if point.row.reference else ""
    dot = f'<circle class="gs-dot{hollow}" cx="{x}" cy="{axis.at(lift.value or 0.0)}" r="4.5"/>'
    mark = f"<title>{escaped(told)}</title>{bar}{dot}"
    if href is None:
        return f"<g>{mark}</g>"
    skipped = "" if stop else ' tabindex="-1"'
    return f'<a href="{escaped(href)}"{skipped} aria-label="{escaped(told)}">{mark}</a>'


def _labels(marks: Sequence[tuple[float, float, str]]) -> list[str]:
    """Names of the first ones, each where it hides no other name and no dot; of the others none."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y, _ in marks]
    made = []
    for x, y, name in marks:
        short = name if len(name) <= 30 else f"{name[:29]}…"
        width = 6.9 * len(short)
        for left, top in ((x + 8, y - 18), (x - 8 - width, y - 18), (x + 8, y + 4), (x - 8 - width, y + 4)):
            box = (left, top, left + width, top + 14)
            inside = left >= _LEFT and box[2] <= _WIDTH - 4 and top >= _TOP and box[3] <= _HEIGHT - _BOTTOM
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                made.append(f'<text class="ink" x="{left:.1f}" y="{top + 11:.1f}">{escaped(short)}</text>')
                break
        if len(made) == _LABELS:
            break
    return made


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
