"""An append-only file that makes long work survive a kill at any moment.

The first line says what the work is; each further line is one finished item. Opening a journal for the same
work gives back what is finished; a torn last line is dropped; other work is refused. Each line is on disk
before `append` returns.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

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
        self.path = path
        self.items: list[dict[str, Any]] = []
        """What was finished before, in order."""
        head = json.dumps(work, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b")  # noqa: SIM115 - stays open while the work goes on
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}; choose another --out") from None
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
        found = json.loads(whole[0])
        if json.dumps(found, sort_keys=True) != head:
            self._file.close()
            other = sorted(k for k in {*found, *work} if found.get(k) != json.loads(head).get(k))
            raise BadInput(f"{path} was begun with another {', '.join(other)}; {restart_hint}")
        self.items = [json.loads(line) for line in whole[1:]]

    def append(self, *items: dict[str, Any]) -> None:
        """Add finished items; they are on disk when this returns."""
        self._write("\n".join(json.dumps(item) for item in items))

    def close(self) -> None:
        """Close the file and keep it."""
        self._file.close()

    def remove(self) -> None:
        """The work is done and its result is written: the journal goes."""
        self._file.close()
        self.path.unlink()

    def _write(self, line: str) -> None:
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        BadInput: it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}; choose another folder") from None
