"""How two records of one type differ, field by field.

Public: differences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from harness.submit import text


def differences(found: Any, expected: Any, where: str) -> Iterator[str]:
    """`path: found, expected` for every field of two records of one type that is not equal."""
    if dataclasses.is_dataclass(expected):
        for field in dataclasses.fields(expected):
            theirs, ours = getattr(found, field.name), getattr(expected, field.name)
            yield from differences(theirs, ours, f"{where}.{field.name}")
    elif isinstance(expected, dict) and found.keys() == expected.keys():
        for name in expected:
            yield from differences(found[name], expected[name], f"{where}.{name}")
    elif isinstance(expected, tuple) and len(found) == len(expected):
        for i, (theirs, ours) in enumerate(zip(found, expected, strict=True)):
            yield from differences(theirs, ours, f"{where}.{i}")
    elif isinstance(expected, float) and isinstance(found, float):
        if abs(found - expected) > 1e-9:
            yield f"{where}: {found:.12g}, expected {expected:.12g}"
    elif found != expected:
        described = (_described(value) for value in (found, expected))
        yield f"{where}: {', expected '.join(described)}"


def _described(value: Any) -> str:
    return f"{len(value)} parts" if isinstance(value, dict | tuple) else text.shown(value, 120)
