"""How two records of one type differ, field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from harness.entries.untrusted_text import excerpt
from harness.schemas import NearCopy


def differences(actual: Any, expected: Any, path: str) -> Iterator[str]:
    """`path: found, expected` for every field of two records of one type that is not equal."""
    if dataclasses.is_dataclass(expected) and type(actual) is type(expected):
        for field in dataclasses.fields(expected):
            actual_value, expected_value = getattr(actual, field.name), getattr(expected, field.name)
            yield from differences(actual_value, expected_value, f"{path}.{field.name}")
    elif isinstance(expected, dict) and isinstance(actual, dict) and actual.keys() == expected.keys():
        for name in expected:
            yield from differences(actual[name], expected[name], f"{path}.{name}")
    elif isinstance(expected, tuple) and isinstance(actual, tuple) and len(actual) == len(expected):
        for i, (actual_value, expected_value) in enumerate(zip(actual, expected, strict=True)):
            yield from differences(actual_value, expected_value, f"{path}.{i}")
    elif isinstance(expected, float) and isinstance(actual, float):
        if abs(actual - expected) > 1e-9:
            yield f"{path}: {actual:.12g}, expected {expected:.12g}"
    elif actual != expected:
        texts = (_description(value) for value in (actual, expected))
        yield f"{path}: {', expected '.join(texts)}"


def likeness_differences(
    actual: Sequence[NearCopy], expected: Sequence[NearCopy], tolerance: float
) -> Iterator[str]:
    """`path: found, expected` for every field of two counts of likeness that is not equal."""
    if len(actual) != len(expected):
        yield f"likeness: {len(actual)} parts, expected {len(expected)}, one per reference"
        return
    for i, (actual_part, expected_part) in enumerate(zip(actual, expected, strict=True)):
        r, expected_r = actual_part.correlation, expected_part.correlation
        if r is not None and expected_r is not None and abs(r - expected_r) <= tolerance:
            actual_part = dataclasses.replace(actual_part, correlation=expected_r)
        yield from differences(actual_part, expected_part, f"likeness.{i}")


def _description(value: Any) -> str:
    return f"{len(value)} parts" if isinstance(value, dict | tuple) else excerpt(value, 120)
