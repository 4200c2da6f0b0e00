"""How two records of one type differ, field by field.

Public: differences, likeness_differences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from harness.entries import text
from harness.schemas import NearCopy


def differences(found: Any, expected: Any, where: str) -> Iterator[str]:
    """`path: found, expected` for every field of two records of one type that is not equal."""
    if dataclasses.is_dataclass(expected) and type(found) is type(expected):
        for field in dataclasses.fields(expected):
            theirs, ours = getattr(found, field.name), getattr(expected, field.name)
            yield from differences(theirs, ours, f"{where}.{field.name}")
    elif isinstance(expected, dict) and isinstance(found, dict) and found.keys() == expected.keys():
        for name in expected:
            yield from differences(found[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, tuple) and isinstance(found, tuple) and len(found) == len(expected):
        for i, (theirs, ours) in enumerate(zip(found, expected, strict=True)):
            yield from differences(theirs, ours, f"{where}.{i}")
    elif isinstance(expected, float) and isinstance(found, float):
        if abs(found - expected) > 1e-9:
            yield f"{where}: {found:.12g}, expected {expected:.12g}"
    elif found != expected:
        described = (_described(value) for value in (found, expected))
        yield f"{where}: {', expected '.join(described)}"


def likeness_differences(
    found: Sequence[NearCopy], expected: Sequence[NearCopy], tolerance: float
) -> Iterator[str]:
    """`path: found, expected` for every field of two counts of likeness that is not equal.

    Args:
        found: one for each reference.
        expected: the same, counted again.
        tolerance: largest difference of a correlation; all else must be equal.
    """
    if len(found) != len(expected):
        yield f"likeness: {len(found)} parts, expected {len(expected)}, one per reference"
        return
    for i, (theirs, ours) in enumerate(zip(found, expected, strict=True)):
        r, counted = theirs.correlation, ours.correlation
        if r is not None and counted is not None and abs(r - counted) <= tolerance:
            theirs = dataclasses.replace(theirs, correlation=counted)
        yield from differences(theirs, ours, f"likeness.{i}")


def _described(value: Any) -> str:
    return f"{len(value)} parts" if isinstance(value, dict | tuple) else text.shown(value, 120)
