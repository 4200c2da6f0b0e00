"""Commands in processes of their own that are disturbed: by signals or a full disk at any write, and more.

A moment is a number of writes: of files that are opened to be written, and of paths that are made, renamed or
removed below a folder, as Python tells its audit hooks. So moments are spread over all that a command leaves
behind, and do not depend on how busy the machine is.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers import forking

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate")
_TAKING = ("open", "os.mkdir", "os.rename", "os.link", "os.symlink")
"""What needs room on a disk."""


@dataclass(frozen=True)
class Disturbance:
    """What happens to a command."""

    signal: int | None = None
    """Sent by itself to itself, at a moment."""
    moment: int = 0
    """Writes before it."""
    delay: float = 0.0
    """Seconds after that, until it comes from elsewhere; 0 for at once."""
    umask: int | None = None
    """Of the process."""
    seconds: float = 0.0
    """By which the clock is wrong."""
    error: int | None = None
    """Number of the error with which the disk takes nothing any more, from a moment on."""
    file_bytes: int | None = None
    """Size that no file may grow beyond."""
    is_root: bool = True
    """Whether it has root's rights, where the tests have them: to write what nobody may."""


def run(words: list[str], folder: Path, home: Path, disturbance: Disturbance) -> tuple[int, str, int]:
    """Run a command to its end, whichever it is.

    Args:
        words: the command.
        folder: where its writes are counted.
        home: folder of the user, and the working folder.
        disturbance: what happens to it.

    Returns:
        Its exit code, negative where a signal ended it; what it said on stderr; and its writes, 0 where it
        was killed.
    """
    process, here = forking.start(_given, words, str(folder), str(home), disturbance)
    try:
        if not here.poll(forking.TIMEOUT):
            raise AssertionError(f"no end after {forking.TIMEOUT} seconds: {words}")
        try:
            code, err, n = here.recv()
        except EOFError:
            process.join()
            return process.exitcode or 0, "", 0
        return code, err, n
    finally:
        process.kill()
        process.join()
        here.close()


def _given(words: list[str], folder: str, home: str, disturbance: Disturbance) -> tuple[int, str, int]:
    from harness import cli

    os.environ["HOME"] = home
    os.environ["GOODENOUGH_CACHE"] = os.path.join(home, ".cache", "goodenough")
    os.environ.pop("XDG_CACHE_HOME", None)
    os.chdir(home)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    count = _Count(folder, disturbance)
    if disturbance.umask is not None:
        os.umask(disturbance.umask)
    if disturbance.seconds:
        _set_clock(disturbance.seconds)
    if not disturbance.is_root:
        _drop_rights()
    if disturbance.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (disturbance.file_bytes, resource.RLIM_INFINITY))
    if disturbance.error is not None:
        os.fsync = count.fsync
    err = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        sys.addaudithook(count)
        code = cli.run(words)
        count.is_over = True
    return code, err.getvalue(), count.n


def _drop_rights() -> None:
    """Give up what root may do and others may not, and stay who one is: its libraries can be read still."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of Linux, this thread
    none = (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0


def _set_clock(seconds: float) -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1e9)


class _Count:
    """An audit hook that counts writes below a folder, and strikes."""

    def __init__(self, folder: str, disturbance: Disturbance) -> None:
        self.folder, self.disturbance = os.path.realpath(folder), disturbance
        self.n = 0
        self.is_over = False

    def __call__(self, event: str, arguments: Any) -> None:
        if self.is_over or not self._is_write(event, arguments):
            return
        self.n += 1
        how = self.disturbance
        if self.is_full() and event in _TAKING:
            raise OSError(how.error, os.strerror(how.error or 0), arguments[0])
        if how.signal is None or self.n != how.moment + 1:
            return
        if how.delay:
            threading.Timer(how.delay, os.kill, (os.getpid(), how.signal)).start()
        else:
            os.kill(os.getpid(), how.signal)

    def is_full(self) -> bool:
        """Whether the disk takes nothing any more."""
        return self.disturbance.error is not None and self.n > self.disturbance.moment

    def fsync(self, file: int) -> None:
        """In the place of that of os: content that is written comes to a full disk here."""
        if self.is_full() and not self.is_over:
            raise OSError(self.disturbance.error, os.strerror(self.disturbance.error or 0))

    def _is_write(self, event: str, arguments: Any) -> bool:
        if event == "open":
            path, mode, flags = arguments
            is_write = bool((flags or 0) & _WRITES) or (isinstance(mode, str) and mode[:1] in "wax")
            return is_write and self._is_below(path)
        return event in _CHANGES and self._is_below(arguments[0])

    def _is_below(self, path: Any) -> bool:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.folder)
