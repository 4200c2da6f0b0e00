"""Shows the records of the library in a notebook: a line, and a table of facts below it.

Conventions: texts of strangers are escaped in everything that is HTML.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from harness.number_format import THIN, number, percent


def estimate(value: float | None, low: float | None, high: float | None, n: int, *, points: bool) -> str:
    """Value, interval and n: `0.122 [0.006, 0.234], n = 155`, or `+12.2 pp [+0.6, +23.4], n = 155`.

    `points`: it is a difference of rates, shown in percentage points.
    """

    def write(x: float) -> str:
        return percent(x, signed=True) if points else number(x, 3)

    if value is None:
        return f"unknown, n = {n:,}"
    unit = f"{THIN}pp" if points else ""
    interval = "" if low is None or high is None else f" [{write(low)}, {write(high)}]"
    return f"{write(value)}{unit}{interval}, n = {n:,}"


def line(text: str, tooltip: str | None = None) -> str:
    """HTML of one line, with what shows when the mouse is over it."""
    title = "" if tooltip is None else f' title="{escape(tooltip)}"'
    return f"<p{title}>{escape(text)}</p>"


def table(text: str, facts: Mapping[str, object]) -> str:
    """HTML of one line and a table of facts; those that are None or empty are left out."""
    rows = "".join(
        f"<tr><th>{escape(name.replace('_', ' '))}</th><td>{escape(_value(value))}</td></tr>"
        for name, value in facts.items()
        if value is not None and value not in ((), "")
    )
    return f"{line(text)}<table>{rows}</table>"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
