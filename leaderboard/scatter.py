"""Lift against size: what a larger model buys, as SVG text.

Conventions: as in `plots`. The frontier is a step line over models in order of size; it rises only where the
place of a model is told apart from that of the best smaller one, so that it says no more than the intervals.

Public: MOST, Point, points, frontier, by_size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.records import Estimate, ModelRef
from leaderboard import columns, plots
from leaderboard.table import Row, short_names
from leaderboard.texts import escaped

MOST = 200
"""Models that are drawn, beside those of the frontier: the best."""

_LABELS = 14
_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 26, 34, 52
_STYLE = """
.gs{font-size:12px}.gs-axis{stroke:#c3cad1}.gs-grid{stroke:#e8ebee}.gs-zero{stroke:#8b97a3}.gs-bar{stroke:#1d5a97;stroke-width:1.6;opacity:.45}
.gs-dot{fill:#1d5a97;stroke:#1d5a97;stroke-width:2}.gs-hollow{fill:#fff}.gs-step{fill:none;stroke:#9a4310;stroke-width:1.6}
.gh a:hover .gs-dot,.gh a:focus .gs-dot{stroke:#9a4310}
@media (prefers-color-scheme:dark){.gs-axis{stroke:#3a444e}.gs-grid{stroke:#222b33}.gs-zero{stroke:#66727e}
.gs-bar{stroke:#7cb8e4}.gs-dot{fill:#7cb8e4;stroke:#7cb8e4}.gs-hollow{fill:#151b21}.gs-step{stroke:#e9a06c}}
"""


@dataclass(frozen=True)
class Point:
    """A ranked model of known size."""

    row: Row
    """Its row."""
    size: int
    """Parameters."""
    lift: Estimate
    """With a value."""


def points(rows: Sequence[Row]) -> list[Point]:
    """What can be drawn: ranked models of known size, the best first.

    Args:
        rows: of a ranking, best first.
    """
    found = []
    for row in rows:
        headline, size = row.entry.scorecard.headline, row.entry.facts.n_parameters
        if (
            row.rank is not None
            and headline is not None
            and headline.rates.lift.value is not None
            and size > 0
        ):
            found.append(Point(row, min(size, 10**15), headline.rates.lift))
    return found


def frontier(found: Sequence[Point]) -> list[Point]:
    """Models with whose size the best place improves beyond doubt, from the smallest.

    Args:
        found: the points.
    """
    steps: list[Point] = []
    for point in sorted(found, key=lambda p: (p.size, p.row.rank)):
        best = steps[-1].row if steps else None
        if best is None or (point.row.rank_high or 0) < (best.rank_low or 0):
            if steps and steps[-1].size == point.size:
                steps.pop()
            steps.append(point)
    return steps


def by_size(rows: Sequence[Row], links: Mapping[ModelRef, str] | None = None) -> str | None:
    """Lift with its interval over the number of parameters, on a logarithmic axis.

    Args:
        rows: of a ranking, best first.
        links: page of a model, where it has one.

    Returns:
        A standalone SVG document; None where fewer than two models can be drawn.
    """
    found = points(rows)
    if len(found) < 2:
        return None
    steps = frontier(found)
    drawn = [*found[:MOST], *(p for p in steps if p not in found[:MOST])]
    names = short_names([p.row.entry.model for p in drawn])
    x, y = _Size([p.size for p in drawn]), _Lift([p.lift for p in drawn])
    last = x.at(max(p.size for p in drawn))
    said = f"Lift over number of parameters, {len(drawn)} models"
    parts = [
        f'<svg class="gh gs" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="group" aria-label="{said}">',
        f"<style>{plots.STYLE}{_STYLE}</style>",
        f'<rect class="card" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>',
        *x.drawn(),
        *y.drawn(),
        _stairs([(x.at(p.size), y.at(p.lift.value or 0.0)) for p in steps], last),
        *(
            _mark(p, x.at(p.size), y, names[p.row.entry.model], (links or {}).get(p.row.entry.model))
            for p in drawn
        ),
        *_labels([(x.at(p.size), y.at(p.lift.value or 0.0), names[p.row.entry.model]) for p in drawn]),
        "</svg>",
    ]
    return "\n".join(parts)


class _Size:
    """The axis of sizes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        logs = [math.log10(size) for size in sizes]
        pad = max(0.08 * (max(logs) - min(logs)), 0.06)
        self.low, self.high = min(logs) - pad, max(logs) + pad
        wide = self.high - self.low
        by = range(1, 10) if wide < 0.8 else (1, 2, 5) if wide < 2.5 else (1,)
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        self.ticks = [
            k * 10**d
            for d in decades
            for k in by
            if d >= 0 and self.low <= math.log10(k * 10**d) <= self.high
        ]

    def at(self, size: int) -> float:
        share = (math.log10(size) - self.low) / (self.high - self.low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def drawn(self) -> list[str]:
        base = _HEIGHT - _BOTTOM
        return [
            f'<line class="gs-axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>',
            *(
                f'<line class="gs-axis" x1="{self.at(t)}" x2="{self.at(t)}" y1="{base}" y2="{base + 5}"/>'
                f'<text class="mute num" x="{self.at(t)}" y="{base + 20}" text-anchor="middle">'
                f"{columns.compact(t).replace('.0', '')}</text>"
                for t in self.ticks
            ),
            f'<text class="mute" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 10}" text-anchor="end">'
            "parameters</text>",
        ]


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

    def drawn(self) -> list[str]:
        n = round((self.high - self.low) / self.step)
        made = []
        for value in (self.low + i * self.step for i in range(n + 1)):
            y, look = self.at(value), "gs-zero" if abs(value) < 1e-9 else "gs-grid"
            words = columns.text(value, "difference").partition(columns.THIN)[0].replace(".0", "")
            made.append(
                f'<line class="{look}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
                f'<text class="mute num" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{words}</text>'
            )
        return [*made, f'<text class="mute" x="8" y="{_TOP - 16}">lift, pp</text>']


def _stairs(steps: Sequence[tuple[float, float]], end: float) -> str:
    x, y = steps[0]
    path = f"M{x} {y}" + "".join(f"H{right}V{up}" for right, up in steps[1:]) + f"H{end}"
    return f'<path class="gs-step" d="{path}"/>'


def _mark(point: Point, x: float, axis: _Lift, name: str, href: str | None) -> str:
    lift = point.lift
    told = f"{name}, {columns.compact(point.size)} parameters: lift {columns.told(lift, 'difference')}"
    bar = ""
    if lift.low is not None and lift.high is not None:
        bar = f'<line class="gs-bar" x1="{x}" x2="{x}" y1="{axis.at(lift.low)}" y2="{axis.at(lift.high)}"/>'
    hollow = " gs-hollow" if point.row.reference else ""
    dot = f'<circle class="gs-dot{hollow}" cx="{x}" cy="{axis.at(lift.value or 0.0)}" r="4.5"/>'
    mark = f"<title>{escaped(told)}</title>{bar}{dot}"
    if href is None:
        return f"<g>{mark}</g>"
    return f'<a href="{escaped(href)}" aria-label="{escaped(told)}">{mark}</a>'


def _labels(marks: Sequence[tuple[float, float, str]]) -> list[str]:
    """Names of the best ones, each where it hides no other name and no dot; of the others none."""
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
