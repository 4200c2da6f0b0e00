"""What a disk does that no program can help: it is full, or holds a pointer in the place of a file.

Each is one line, the same wherever it is met.

Public: no_room, unwritable, pointer, POINTED.
"""

from __future__ import annotations

import errno
from pathlib import Path

POINTED = "is a pointer of git-lfs, not the file itself; fetch what it stands for: git lfs pull"
"""What is said of a file that git-lfs has not fetched, after its name."""

_POINTER = b"version https://git-lfs.github.com/spec/"
_LONGEST = 1024
"""Bytes; no pointer has more."""


def no_room(error: BaseException | None) -> str | None:
    """The line about a full disk, if an error, or what it came from, is of one."""
    while error is not None:
        if isinstance(error, OSError) and (line := _full(error, error.filename)):
            return line
        error = error.__cause__ or error.__context__
    return None


def _full(error: OSError, path: object) -> str | None:
    where = f" for {path}" if path else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no room left on the disk{where}; make some, then give the same command again"
    if error.errno == errno.EFBIG:
        return (
            f"no file may get so large here{where}; raise the limit (ulimit -f) or choose another disk, then"
            " give the same command again"
        )
    return None


def unwritable(path: Path, error: OSError, instead: str = "choose another folder") -> str:
    """The line about a file that cannot be written."""
    return _full(error, path) or f"cannot write {path}: {error.strerror}; {instead}"


def pointer(path: Path) -> str | None:
    """The line about a file that git-lfs has not fetched; None for any other, and for none."""
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST:
            return None
        with open(path, "rb") as file:
            if file.read(len(_POINTER)) != _POINTER:
                return None
    except OSError:
        return None
    return f"{path} {POINTED}"
