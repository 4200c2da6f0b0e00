"""How numbers are written in texts and pages, with their sign.

Public: number.
"""

from __future__ import annotations


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """A number with a minus sign, which is no hyphen, and never with a negative zero.

    Args:
        value: any finite number.
        digits: after the point, to which it is rounded.
        signed: with a plus, if it is above zero once it is rounded.
    """
    nearest = round(value, digits) + 0.0
    return f"{nearest:{'+' if signed and nearest else ''}.{digits}f}".replace("-", "−")
