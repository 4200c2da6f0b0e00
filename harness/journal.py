"""An append-only file that makes long work survive a kill at any moment.

The first line says what the work is; each further line is one finished item. Opening a journal for the same
work gives back what is finished; a torn last line is dropped; other work is refused, and so is a second
process at the same work. Each line is on disk before `append` returns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.disk import refuse_package, unwritable
from harness.errors import BadInput


class Journal:
    """Finished items of one piece of work."""

    def __init__(self, path: Path, work: dict[str, Any], restart_hint: str) -> None:
        """Open or begin.

        Args:
            path: the file; its folder is made.
            work: what identifies the work: the same for a run that may continue this file.
            restart_hint: what the user can do if the file is of other work.

        Raises:
            BadInput: the file is of other work, or cannot be written.
        """
        refuse_package(path)
        self.path = path
        self.items: list[dict[str, Any]] = []
        """What was finished before, in order."""
        self._keeps = False
        self._lock = FileLock(path.with_name(path.name + ".lock"), timeout=0)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._file = open(path, "a+b")  # noqa: SIM115 - stays open while the work goes on
        except Timeout:
            raise BadInput(f"another run is at work on {path}; wait for it or choose another --out") from None
        except OSError as error:
            raise BadInput(unwritable(path, error, "choose another --out")) from None
        try:
            self._resume(work, restart_hint)
        except BadInput:
            self._release()
            raise

    def _resume(self, work: dict[str, Any], restart_hint: str) -> None:
        head = json.dumps(work, sort_keys=True)
        self._file.seek(0)
        whole, end = [], 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole.append(line)
            end += len(line)
        self._file.truncate(end)
        if not whole:
            self._write(head)
            return
        found, *items = _objects(self.path, whole)
        if json.dumps(found, sort_keys=True) != head:
            expected = json.loads(json.dumps(work))
            other = sorted(k for k in {*found, *work} if found.get(k) != expected.get(k))
            raise BadInput(f"{self.path} was begun with another {', '.join(other)}; {restart_hint}")
        self.items = items
        self._keeps = bool(items)

    def append(self, *items: dict[str, Any]) -> None:
        """Add finished items; they are on disk when this returns."""
        self._write("\n".join(json.dumps(item) for item in items))
        self._keeps = True

    def close(self) -> None:
        """Close the file and keep it, unless nothing was finished: that would only stand in the way."""
        if not self._keeps:
            self.path.unlink(missing_ok=True)
        self._release()

    def remove(self) -> None:
        """The work is done and its result is written: the journal goes."""
        self.path.unlink(missing_ok=True)
        self._release()

    def _release(self) -> None:
        self._file.close()
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _write(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def finished(path: Path, work: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The finished items of a journal that another process may be writing; none if it is of other work.

    Raises:
        BadInput: it is damaged, or cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]  # what has no end is not finished
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    head, *items = _objects(path, lines) or [{}]
    return items if head == json.loads(json.dumps(work)) else []


def _objects(path: Path, lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """The lines of a journal.

    Raises:
        BadInput: one of them is none.
    """
    items = []
    for i, line in enumerate(lines, 1):
        try:
            item = untrusted.json_of(line)
            why = None if isinstance(item, dict) else "no JSON object"
        except untrusted.Unreadable as error:
            why = str(error).removeprefix("line 1, ")
        if why:
            raise BadInput(f"{path} is damaged; delete it to begin again (line {i}: {why})")
        items.append(item)
    return items


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        BadInput: it cannot be written.
    """
    refuse_package(path)
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise BadInput(unwritable(path, error)) from None
