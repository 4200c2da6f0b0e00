"""Reads files from strangers: their size is checked before they are opened, and their content is strict.

A problem is one line, `file: what was found, what was expected`; no content makes these raise.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from harness import untrusted
from harness.disk_errors import POINTED, pointer
from harness.entries.untrusted_text import excerpt, is_plain
from harness.schemas import from_json

T = TypeVar("T")


def unusable(path: Path, longest: int | None) -> str | None:
    """Why a file must not be opened, of at most `longest` bytes; None where it may."""
    try:
        status = path.stat() if _is_cached(path) else path.lstat()
    except OSError as error:
        return f"{path.name}: cannot be read ({error.strerror}), expected a file"
    if stat.S_ISLNK(status.st_mode):
        return f"{path.name}: a symlink, expected a file"
    if not stat.S_ISREG(status.st_mode):
        return f"{path.name}: neither file nor symlink, expected a file"
    if pointer(path):
        return f"{path.name} {POINTED}"
    if longest is not None and status.st_size > longest:
        return f"{path.name}: {status.st_size} bytes, expected at most {longest}"
    return None


def _is_cached(path: Path) -> bool:
    """Whether it lies in a snapshot of the Hub's cache, which links every file to one of its own blobs."""
    absolute = Path(os.path.abspath(path))
    blob = Path(os.path.realpath(absolute))  # of links in a circle, too, where `resolve` raises
    # A folder `blobs` that is a link itself could lead anywhere: only what is above it is resolved.
    caches = (
        Path(os.path.realpath(folder.parent)) for folder in absolute.parents if folder.name == "snapshots"
    )
    return any(blob.parent == cache / "blobs" for cache in caches)


def record(kind: type[T], path: Path, longest: int | None = None) -> tuple[T | None, list[str]]:
    """Read a record from a file of at most `longest` bytes: the record, or None and the problems."""
    if problem := unusable(path, longest):
        return None, [problem]
    try:
        return from_json(kind, untrusted.content(path)), []
    except ValueError as error:
        return None, [f"{path.name}: {line}" for line in str(error).split("\n")]


Rule = tuple[str, Any, bool, str]
"""Field, value, whether it holds, expected value in words."""


def rule_problems(rules: Iterable[Rule]) -> list[str]:
    """A line for each rule that does not hold."""
    return [f"{where}: {excerpt(value)}, expected {what}" for where, value, holds, what in rules if not holds]


def text_problems(fields: Any, longest: int) -> list[str]:
    """A line for each text below a value that is not plain or too long, the names of its fields included."""
    return [
        f"{where}: {excerpt(value)}, expected plain text without < and >, at most {longest} characters"
        for where, value in strings(fields)
        if not is_plain(value, longest)
    ]


def strings(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every text below a value, the names of its fields included, with its path."""
    if isinstance(value, str):
        yield prefix, value
    elif isinstance(value, dict):
        for name, item in value.items():
            path = f"{prefix}.{name}".lstrip(".")
            yield from ((path, name), *strings(item, path))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from strings(item, f"{prefix}.{i}")
