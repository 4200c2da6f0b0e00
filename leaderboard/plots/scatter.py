"""Lift over model size and over day of release, as SVG text.

Conventions: as in `plots`. The frontier is a step line over models in that order; it rises only where the
rank interval of a model no longer overlaps that of the best one before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from harness.types import Estimate, ModelRef
from leaderboard import formatting, render
from leaderboard.board.matrix import short_names
from leaderboard.board.types import Row

MOST = 200
"""Models that are drawn, besides those of the frontier: the best."""

_LABELS = 14
_MULTIPLES: tuple[tuple[float, ...], ...] = (
    *((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)),
    (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9),
)
"""Multiples of a power of ten that an axis of sizes may have ticks at, from few to many."""
_STOPS = 20
"""Models that the Tab key stops at; the others are in the table."""
_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 26, 34, 52
Kind = Literal["size", "time"]
"""The lower axis: parameters, on a logarithmic scale, or the day on which the Hub first had the model."""

_TITLES = {"size": "Lift over number of parameters", "time": "Lift over day of release"}


@dataclass(frozen=True)
class Point:
    """A ranked model whose position is known."""

    row: Row
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


def draw(rows: Sequence[Row], kind: Kind, links: Mapping[ModelRef, str] | None = None) -> Markup | None:
    """Lift with its interval over size or time, of a ranking, the best first, as an SVG that stands alone.

    None where fewer than two models can be drawn.
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

    label_marks = [(*at(point), names[point.row.entry.model]) for point in label_order]
    context = {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "right": _RIGHT,
        "top": _TOP,
        "bottom": _BOTTOM,
        "title": _TITLES[kind],
        "label": x.label,
        "x_ticks": x.ticks,
        "y_ticks": y.ticks,
        "steps": [at(point) for point in steps],
        "end": x.at(max(point.x for point in visible)),
        "marks": [_mark(point, *at(point), y, names, links or {}) for point in visible],
        "n_stops": _STOPS,
        "labels": _labels(label_marks),
    }
    return render.picture("scatter.svg.j2", context)


def _size(row: Row) -> tuple[float, str] | None:
    n = min(row.entry.facts.n_parameters or 0, 10**15)
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
        least, ticks, self.label = _AXES[kind]
        pad = max(0.08 * (max(values) - min(values)), least)
        self.low, self.high = min(values) - pad, max(values) + pad
        self.ticks = [(self.at(x), words) for x, words in ticks(self.low, self.high)]

    def at(self, x: float) -> float:
        share = (x - self.low) / (self.high - self.low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _sizes(low: float, high: float) -> list[tuple[float, str]]:
    """The fewest round numbers between the ends that leave no third of the axis without one."""
    decades = range(max(math.floor(low), 0), math.ceil(high) + 1)
    ticks: list[float] = []
    for multiples in _MULTIPLES:
        sizes = {round(k * 10**d) for d in decades for k in multiples}
        ticks = [x for x in map(math.log10, sorted(sizes)) if low <= x <= high]
        if np.diff([low, *ticks, high]).max() < (high - low) / 3:
            break
    else:
        ticks = [x for x in _even_ticks(10**low, 10**high) if low <= x <= high]
    return [(x, _size_text(round(10**x))) for x in ticks]


def _even_ticks(low: float, high: float) -> list[float]:
    """Logarithms of round numbers between two ends that are close together, in even steps."""
    most = (high - low) / 4.5
    unit = 10 ** math.floor(math.log10(most))
    step = max(1, round(next(k * unit for k in (5, 2, 1) if k * unit <= most)))
    return [math.log10(n) for n in range(max(1, math.ceil(low / step)) * step, math.floor(high) + 1, step)]


def _size_text(n: int) -> str:
    """With a unit where its one decimal says all of the number."""
    unit = next((unit for unit in (10**9, 10**6, 10**3) if n >= unit), 10)
    return f"{n:,}" if n % (unit // 10) else formatting.compact(n).replace(".0", "")


def _days(low: float, high: float) -> list[tuple[float, str]]:
    if high - low < 120:
        days = [date.fromordinal(day) for day in range(math.ceil(low), int(high) + 1)]
        return [(day.toordinal(), day.strftime("%Y-%m-%d")) for day in days[:: math.ceil(len(days) / 6)]]
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
        step = next(s for s in (0.02, 0.05, 0.1, 0.2, 0.5) if span / s <= 7)
        self.low, self.high = math.floor(min(ends) / step) * step, math.ceil(max(ends) / step) * step
        values = [self.low + i * step for i in range(round((self.high - self.low) / step) + 1)]
        self.ticks = [(self.at(value), value) for value in values]

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP), 1)


def _mark(
    point: Point,
    x: float,
    y: float,
    axis: _Lift,
    names: Mapping[ModelRef, str],
    links: Mapping[ModelRef, str],
) -> dict[str, Any]:
    """A dot with its interval, for the template."""
    lift, model = point.lift, point.row.entry.model
    value_text = formatting.format_estimate(lift, "difference")
    has_interval = lift.low is not None and lift.high is not None
    return {
        "x": x,
        "y": y,
        "low": axis.at(lift.low or 0.0) if has_interval else None,
        "high": axis.at(lift.high or 0.0) if has_interval else None,
        "description": f"{names[model]}, {point.description}: lift {value_text}",
        "reference": point.row.reference,
        "href": links.get(model),
    }


@dataclass(frozen=True)
class Label:
    """The name of a model next to its dot; a line leads from one that is further away."""

    x: float
    """Left end of the text."""
    y: float
    """Its baseline."""
    text: str
    line: tuple[float, float, float, float] | None
    """Both ends, x and y."""


def _labels(marks: Sequence[tuple[float, float, str]]) -> list[Label]:
    """The labels of the first models, each at the nearest place that overlaps no other label and no dot."""
    boxes = [(x - 6, y - 6, x + 6, y + 6) for x, y, _ in marks]
    labels = []
    for x, y, name in marks[:_LABELS]:
        text = name if len(name) <= 30 else f"{name[:29]}…"
        width = 6.9 * len(text)
        for distance, (left, top) in _places(x, y, width):
            box = (left, top, left + width, top + 14)
            inside = left >= _LEFT and box[2] <= _WIDTH - 4 and top >= _TOP and box[3] <= _HEIGHT - _BOTTOM
            if inside and not any(_overlap(box, other) for other in boxes):
                boxes.append(box)
                end = (min(max(x, left), left + width), top + 14 if top + 7 < y else top)
                labels.append(Label(left, top + 11, text, (x, y, *end) if distance else None))
                break
    return labels


def _places(x: float, y: float, width: float) -> Iterator[tuple[int, tuple[float, float]]]:
    """Left and upper end of a label around a dot, from near to far, with the distance: 0 needs no line."""
    for distance in range(0, _HEIGHT, 12):
        for top in (y - 18 - distance, y + 4 + distance):
            lefts = (x + 8, x - 8 - width) if distance == 0 else (x + 8, x - 8 - width, x - width / 2)
            yield from ((distance, (left, top)) for left in lefts)


def _overlap(box: tuple[float, ...], other_box: tuple[float, ...]) -> bool:
    return box[0] < other_box[2] and other_box[0] < box[2] and box[1] < other_box[3] and other_box[1] < box[3]
