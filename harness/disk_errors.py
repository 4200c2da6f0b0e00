"""Reports disk problems that only the user can solve: a full disk, or a git-lfs pointer instead of a file.

Each is one line, the same for every verb. Also refuses to write into the installed package, which holds the
embedded suite.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import BadInput

POINTED = "is a pointer of git-lfs, not the file itself; fetch what it stands for: git lfs pull"
"""The message about a file that git-lfs has not fetched, after its name."""

_PACKAGE_FOLDER = Path(__file__).parent
PACKAGE = (
    _PACKAGE_FOLDER,
    _PACKAGE_FOLDER.parent / "leaderboard",
    _PACKAGE_FOLDER / "starter" / "suite",
    _PACKAGE_FOLDER / "starter" / "suite" / "signals",
)
"""Folders that are never written, nor anything below them: the package, and the embedded suite in it, which
may be mounted at another place."""

_ACCESS_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS)

_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_POINTER_BYTES = 1024
"""Bytes; no pointer has more."""


def refuse_package(path: Path) -> None:
    """Refuse a path of the installed package before anything is written there; it need not be there yet.

    Folders are compared as the file system knows them: no link and no other spelling leads in.

    Raises:
        BadInput: it lies in the package.
    """
    real_path = os.path.realpath(path)
    identities = {key for folder in PACKAGE if (key := _identity(folder))}
    if any(_identity(folder) in identities for folder in (Path(real_path), *Path(real_path).parents)):
        raise BadInput(
            f"{path} lies in the installed package, at {real_path}; the package and its embedded suite are"
            " never written: choose another folder, or work on a copy of the suite"
        )


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path that replaces `path` when the block ends without an error; its folder is made.

    Nothing is left of it after an error, an interruption included.

    Raises:
        BadInput: it lies in the installed package.
    """
    refuse_package(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        yield part
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder; None where there is none, or it cannot be reached."""
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def no_room(error: BaseException | None) -> str | None:
    """The line about a full disk, if an error, or what it came from, is of one."""
    while error is not None:
        if isinstance(error, OSError) and (line := _full(error, error.filename)):
            return line
        error = error.__cause__ or error.__context__
    return None


def _full(error: OSError, path: object) -> str | None:
    for_path = f" for {path}" if path else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no room left on the disk{for_path}; make some, then give the same command again"
    if error.errno == errno.EFBIG:
        return (
            f"no file may get so large here{for_path}; raise the limit (ulimit -f) or choose another disk,"
            " then give the same command again"
        )
    return None


def line_of(error: BaseException) -> str | None:
    """The line about a disk that is full, or a file that this user may not read or write; None for others."""
    if line := no_room(error):
        return line
    if isinstance(error, OSError) and error.errno in _ACCESS_ERRORS and error.filename:
        return f"cannot open {error.filename}: {error.strerror}; see who may read and write it: ls -l"
    return None


def unwritable(path: Path, error: OSError, instead: str = "choose another folder") -> str:
    """The line about a file that cannot be written."""
    return _full(error, path) or f"cannot write {path}: {error.strerror}; {instead}"


def pointer(path: Path) -> str | None:
    """The line about a file that git-lfs has not fetched; None for any other, and for none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_POINTER_BYTES:
            return None
        with open(path, "rb") as file:
            if file.read(len(_POINTER)) != _POINTER:
                return None
    except (OSError, ValueError):  # a name with NUL in it is no file's
        return None
    return f"{path} {POINTED}"
