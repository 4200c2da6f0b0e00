"""An append-only file from which long work resumes after a kill at any moment, or after damage on disk.

    <checksum> {"model": ..., "task": ...}     what identifies the work
    <checksum> {"clip_id": ..., ...}           one finished item a line

A checksum is the CRC-32 of the work and, but in the first line, of the item, as 8 hex digits: a line that has
changed by as little as a bit, or is of other work, does not hold. Opening a journal for the same work gives
back what is finished; a torn or damaged line is left out, and what it held is done again; other work is
refused, and so is a second process at the same work. Each line is on disk before `append` returns. A journal
without checksums, of an earlier version, is read once and gets them.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from harness import untrusted
from harness.disk_errors import refuse_package, unwritable, whole
from harness.errors import BadInput
from harness.plurals import plural

_LOG = logging.getLogger(__name__)
"""Where nothing is set up for it, its lines go to stderr as they are."""

_DAMAGED_SUFFIX = ".damaged"
"""Ending of a file of which nothing could be read."""


@dataclass(frozen=True)
class _Content:
    is_ours: bool
    """Whether it is of this work."""
    bounds: Sequence[int]
    """Where the line of each finished item begins and ends, one after the other."""
    n_damaged: int
    """Whole lines that do not hold."""
    is_current: bool
    """Whether every line is as it would be written now."""
    n_bytes: int
    """Up to the end of the last whole line."""
    other: dict[str, Any] | None
    """The work it is of, where that is another one."""


class FinishedItems(Iterable[dict[str, Any]], Sized):
    """What was finished, in order; each item is read from the file when its turn comes."""

    def __init__(self, file: BinaryIO | None = None, bounds: Sequence[int] = ()) -> None:
        """Take an open file, and where the line of each item begins and ends; without one there are none."""
        self._file, self._bounds = file, bounds

    def __len__(self) -> int:
        return len(self._bounds) // 2

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for start, end in zip(self._bounds[::2], self._bounds[1::2], strict=True):
            line = b"" if self._file is None else os.pread(self._file.fileno(), end - start, start)
            yield untrusted.json_of(line if line.startswith(b"{") else line[9:])


class Journal:
    """Finished items of one piece of work."""

    def __init__(
        self,
        path: Path,
        work: dict[str, Any],
        restart_hint: str | None,
        check: Callable[[dict[str, Any]], object] = lambda item: None,
    ) -> None:
        """Open or begin.

        Args:
            path: the file; its folder is made.
            work: what identifies the work: the same for a run that may continue this file.
            restart_hint: what the user can do if the file is of other work; None where that is put aside.
            check: raises anything for an item that the caller cannot read, which is then left out.

        Raises:
            BadInput: the file is of other work, or cannot be written.
        """
        refuse_package(path)
        self.path = path
        self.folder: Path | None = path.parent
        """Where it lies; None for one that is in no file."""
        self.items = FinishedItems()
        """What was finished before, in order; to be gone through before the journal is closed."""
        self._has_items = False
        self._head = json.dumps(work, sort_keys=True).encode()
        self._lock = FileLock(path.with_name(path.name + ".lock"), timeout=0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - open while the work goes on
        except Timeout:
            raise BadInput(f"another run is at work on {path}; wait for it or choose another --out") from None
        except OSError as error:
            if self._lock.is_locked:
                self._unlock()
            raise BadInput(unwritable(path, error, "choose another --out")) from None
        try:
            self._resume(restart_hint, check)
        except BaseException:
            self.close()
            raise

    def _resume(self, restart_hint: str | None, check: Callable[[dict[str, Any]], object]) -> None:
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as file:
            content = _content(file, self._head, check)
        self._end = self._file.seek(0, os.SEEK_END)
        if content is None:
            self._cut(0)
            self._write([self._head], is_first=True)
            return
        self._has_items = True
        if content.other is not None and restart_hint is not None:
            work = untrusted.json_of(self._head)
            differences = sorted(k for k in {*content.other, *work} if content.other.get(k) != work.get(k))
            raise BadInput(f"{self.path} was begun with another {', '.join(differences)}; {restart_hint}")
        if not content.is_ours:
            damaged_path = self.path.with_name(self.path.name + _DAMAGED_SUFFIX)
            _LOG.warning("%s is not what it should be, and was put aside as %s", self.path, damaged_path.name)
            self._replace(lambda: self.path.replace(damaged_path))
            self._write([self._head], is_first=True)
            self._has_items = False
            return
        if content.n_damaged:
            damage = plural(content.n_damaged, "damaged line")
            _LOG.warning("%s: %s left out; what it held is done again", self.path, damage)
        self.items = FinishedItems(self._file, content.bounds)
        self._has_items = bool(content.bounds)
        if content.is_current:
            self._cut(content.n_bytes)
            return
        items = [self._head, *(json.dumps(item).encode() for item in self.items)]
        lines = [_line_with_checksum(line, self._head, i == 0) for i, line in enumerate(items)]
        self._replace(lambda: replace_file(self.path, b"".join(lines)))
        ends = list(accumulate(map(len, lines)))
        bounds = array("q", [bound for pair in pairwise(ends) for bound in pair])
        self.items = FinishedItems(self._file, bounds)

    def append(self, *items: dict[str, Any]) -> None:
        """Add finished items; they are on disk when this returns.

        Raises:
            BadInput: they cannot be written; the journal is as it was before.
        """
        self._write([json.dumps(item).encode() for item in items])
        self._has_items = True

    def close(self) -> None:
        """Close the file and keep it, unless nothing was finished."""
        self._file.close()
        if not self._has_items:
            self.path.unlink(missing_ok=True)
        self._unlock()

    def remove(self) -> None:
        """Delete the journal: the work is done and its result is written."""
        self._has_items = False
        self.close()

    def _unlock(self) -> None:
        self._lock.release()
        with suppress(OSError):
            Path(self._lock.lock_file).unlink(missing_ok=True)

    def _replace(self, replace: Callable[[], object]) -> None:
        """Replace the file by another one, and open that."""
        self._file.close()
        try:
            replace()
            self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - as above
        except OSError as error:
            raise BadInput(unwritable(self.path, error, "choose another --out")) from None
        self._end = self._file.seek(0, os.SEEK_END)

    def _cut(self, end: int) -> None:
        """Cut off what a kill left of a line."""
        self._file.truncate(end)
        self._end = end

    def _write(self, lines: Iterable[bytes], is_first: bool = False) -> None:
        data = b"".join(_line_with_checksum(line, self._head, is_first) for line in lines)
        try:
            n_written = 0
            while n_written < len(data):
                n_written += self._file.write(data[n_written:]) or 0
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                self._cut(self._end)
            raise BadInput(unwritable(self.path, error, "choose another --out")) from None
        self._end += len(data)


def finished_items(path: Path, work: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The finished items of a journal that another process may be writing; none if it is of other work.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = _content(file, json.dumps(dict(work), sort_keys=True).encode(), lambda item: None)
            yield from FinishedItems(file, () if content is None else content.bounds)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None


def remove_stale_locks(folder: Path, pattern: str) -> None:
    """Take away lock files that a kill left; those that are held stay, and the folder need not be there."""
    for path in folder.glob(pattern):
        with suppress(OSError), FileLock(path, timeout=0):  # one that is held is a timeout, an OSError
            path.unlink(missing_ok=True)


def _line_with_checksum(line: bytes, head: bytes, is_first: bool) -> bytes:
    checksum = zlib.crc32(b"" if is_first else line, zlib.crc32(head))
    return b"%08x %s\n" % (checksum, line)


def _content(
    file: Iterable[bytes], head: bytes, check: Callable[[dict[str, Any]], object]
) -> _Content | None:
    """The contents of a journal, without an unfinished last line; None where there is no whole line."""
    lines = iter(file)
    first = next(lines, b"")
    if not first.endswith(b"\n"):
        return None
    if first.startswith(b"{"):  # no checksum can begin so: a journal of an earlier version
        has_checksums, identity = False, _parse(first)
        is_ours = identity is not None and identity == _parse(head)
    else:
        has_checksums, identity = True, _parse(first[9:])
        is_ours = first == _line_with_checksum(head, head, True)
        if identity is not None and first != _line_with_checksum(first[9:-1], first[9:-1], True):
            identity = None
    bounds, n_damaged, n_bytes = array("q"), 0, len(first)
    for line in lines if is_ours or has_checksums else ():
        if not line.endswith(b"\n"):
            break
        n_bytes += len(line)
        is_valid = not has_checksums or line == _line_with_checksum(line[9:-1], head, False)
        item = _parse(line[9:] if has_checksums else line) if is_valid else None
        if item is None or not _passes(check, item):
            n_damaged += 1
        else:
            bounds.extend((n_bytes - len(line), n_bytes))
    # Where the first line alone is damaged, the others say by their checksums that they are of this work.
    if not is_ours and bounds:
        is_ours, n_damaged = True, n_damaged + 1
    is_current = has_checksums and not n_damaged
    return _Content(is_ours, bounds, n_damaged, is_current, n_bytes, None if is_ours else identity)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = untrusted.json_of(line)
    except untrusted.Unreadable:
        return None
    return value if isinstance(value, dict) else None


def _passes(check: Callable[[dict[str, Any]], object], item: dict[str, Any]) -> bool:
    try:
        check(item)
    except Exception:
        return False
    return True


def replace_file(path: Path, data: bytes) -> None:
    """Write a file atomically.

    Raises:
        BadInput: it cannot be written.
    """
    with replaced_file(path) as file:
        file.write(data)


@contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which replaces the one at `path` when the block ends without an error.

    Raises:
        BadInput: it cannot be written.
    """
    try:
        with whole(path) as part, open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(unwritable(path, error)) from None
