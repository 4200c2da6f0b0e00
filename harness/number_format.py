"""Formats numbers for texts and pages, with their sign."""

from __future__ import annotations

THIN = "\u202f"
"""Narrow no-break space, between a number and its unit."""


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """A number, rounded to some digits, with a minus sign, which is no hyphen, and never a negative zero.

    `signed`: with a plus, if it is above zero once it is rounded.
    """
    nearest = round(value, digits) + 0.0
    return f"{nearest:{'+' if signed and nearest else ''}.{digits}f}".replace("-", "−")


def percent(share: float, *, signed: bool = False) -> str:
    """A share in [0, 1], or a difference of two, in percent with one decimal and without its unit."""
    return number(100 * share, 1, signed=signed)
