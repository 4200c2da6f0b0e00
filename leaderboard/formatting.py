"""How numbers are written: percent, percentage points, intervals, counts, sizes.

Conventions: everywhere else shares are fractions in [0, 1] and differences lie in [-1, 1]; here, and only
here, they become percent and percentage points (pp). Unknown is a dash. Minus is a minus sign, not a hyphen.
"""

from __future__ import annotations

from typing import Literal

from harness.number_format import THIN as THIN
from harness.number_format import percent
from harness.types import MIN_SIGNALS, Estimate, FloatArray

Kind = Literal["rate", "difference", "count", "text"]
Value = Estimate | int | str | None

UNKNOWN = "–"
TOO_FEW = f"unknown: fewer than {MIN_SIGNALS} signals"
"""The text of a difference with too few signals (definitions: Lift)."""


def text(value: Value | float, kind: Kind) -> str:
    """A value in words: `64.2 %`, `+31.0 pp`, `1,024`; a dash where it is unknown."""
    if isinstance(value, Estimate):
        value = value.value
    if value is None:
        return UNKNOWN
    if kind == "rate":
        return f"{percent(float(value))}{THIN}%"
    if kind == "difference":
        return f"{percent(float(value), signed=True)}{THIN}pp"
    return f"{value:,}" if kind == "count" else str(value)


def share(value: float) -> str:
    """A share in two digits, however small: `100 %`, `86 %`, `0.012 %`."""
    digits = float(f"{100 * value:.2g}")
    return f"{digits:g}{THIN}%"


def interval(estimate: Estimate, kind: Kind) -> str:
    """The interval in words: `55.0 to 72.1 %`; a dash where there is none."""
    if estimate.low is None or estimate.high is None:
        return UNKNOWN
    signed = kind == "difference"
    low = percent(estimate.low, signed=signed)
    return f"{low} to {text(estimate.high, kind)}"


def half_width(value: float) -> str:
    """How far an interval of a difference reaches to either side, a share in words: `±4.8 pp`."""
    return f"±{100 * value:.3g}{THIN}pp"


def format_estimate(estimate: Estimate | None, kind: Kind) -> str:
    """Value, interval, n and method in one line, for the tooltip of a number."""
    if estimate is None or estimate.value is None:
        return TOO_FEW if kind == "difference" else "nothing to count (n = 0)"
    level = text(estimate.level, "rate").replace(".0", "")
    bounds = f"{level} interval {interval(estimate, kind)}, "
    prefix = "" if estimate.low is None else bounds
    return f"{text(estimate, kind)} ({prefix}n = {estimate.n:,}; {estimate.method})"


def architecture(name: str) -> str:
    """The name of a class of transformers without the suffix that all of them share."""
    return name.replace("ForSequenceClassification", "").replace("ForAudioClassification", "")


def tenths(estimate: Estimate | None) -> list[int | None]:
    """Value, low and high in tenths of a percent, as a script of a page reads them."""
    ends = (None, None, None) if estimate is None else (estimate.value, estimate.low, estimate.high)
    return [None if end is None else tenth(end) for end in ends]


def tenth(value: float) -> int:
    """A share or a difference in tenths of a percent."""
    # No share lies beyond 1, but a forged entry may say so.
    return round(10 * round(100 * min(max(value, -1e6), 1e6), 1))


def in_percent(shares: FloatArray) -> FloatArray:
    """Shares or differences in percent with one decimal; NaN stays."""
    return (100 * shares.clip(-1e4, 1e4)).round(1)


def compact(count: int) -> str:
    """A large count in three digits: `41.5 k`, `94.6 M`."""
    count = min(count, 10**18)  # anything larger is not a real count, and might overflow a float
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.1f}{THIN}{unit}"
    return str(count)
