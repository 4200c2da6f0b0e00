"""Marks of entries in which nothing is wrong, so that each is checked once.

A mark is a hash of all that decides whether an entry is valid: the bytes of its files, the names beside them,
where it lies, and the tasks that it may be of. Marks are kept in a file of the cache whose name is a hash of
the code that checks: an entry of which a byte changes is checked again, and so are all by other code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.code_hash import code_hash
from harness.entries import store, untrusted_files
from harness.schemas import to_json
from harness.tasks import Task, task_record

_CHECK = "harness.entries.validate"
"""What checks entries; it takes long to import."""


class ValidMarks:
    """The marks in a file; of a path that is None, or that cannot be written, nothing is kept."""

    def __init__(self, cache: Path | None, code: str) -> None:
        """Marks below a cache folder, made by the code of this hash."""
        self._path = None if cache is None else cache / "valid" / f"{code}.txt"
        self._marks = {*lines_of(self._path)}

    def __contains__(self, mark: str) -> bool:
        return mark in self._marks

    def add(self, marks: Iterable[str]) -> None:
        """Keep marks of valid entries; empty ones are left out."""
        new = [mark for mark in marks if mark]
        self._marks.update(new)
        with contextlib.suppress(OSError):  # checked again next time
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("a", encoding="ascii") as file:
                    file.writelines(f"{mark}\n" for mark in new)


def lines_of(path: Path | None) -> list[str]:
    """The marks in a file; none where it cannot be read."""
    try:
        return [] if path is None else path.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []


def validator_marks(cache: Path | None) -> ValidMarks:
    """The marks of entries that `problems_of` found valid."""
    return ValidMarks(cache, code_hash(_CHECK))


def problems_of(
    folder: Path, tasks: Sequence[Task], marks: ValidMarks, *, strict_files: bool = False
) -> list[str]:
    """`validate.validate_entry`, of an entry that has no mark; one that is valid gets one."""
    mark = mark_of(folder, tasks, strict_files=strict_files)
    if mark and mark in marks:
        return []
    from harness.entries.validate import validate_entry

    lines = validate_entry(folder, tasks, strict_files=strict_files)
    # Of the content that was checked: it may have changed meanwhile.
    if not lines and mark == mark_of(folder, tasks, strict_files=strict_files):
        marks.add([mark])
    return lines


def mark_of(
    folder: Path,
    tasks: Sequence[Task],
    *,
    strict_files: bool = False,
    hash_of: Callable[[Path], str] | None = None,
) -> str:
    """The mark of an entry that may be of these tasks, 64 hex digits; empty where it cannot be read.

    `hash_of` gives the sha256 of a file, as hex; for `strict_files` see `validate.validate_entry`.
    """
    digest = hashlib.sha256(to_json([task_record(task) for task in tasks]).encode())
    try:
        names = sorted(os.listdir(folder))
        digest.update(repr((Path(os.path.abspath(folder)).parts[-3:], names)).encode())
        for name, max_bytes in store.MAX_BYTES.items():
            if untrusted_files.unusable(folder / name, max_bytes):
                return ""
            sha256 = _sha256(folder / name) if hash_of is None else hash_of(folder / name)
            digest.update(bytes.fromhex(sha256))
    except OSError:
        return ""
    if strict_files:
        digest.update(b"strict")
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
