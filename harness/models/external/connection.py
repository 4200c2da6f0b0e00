"""A process that is started and spoken to by pipes, each read and each write with a time limit."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from harness.models.external import environments

PATIENCE = 3.0
"""Seconds that a process has to end in."""

_STDERR = 8192
"""Bytes that are kept of what it wrote to the error output."""
_TICK = 0.25
"""Seconds between looks at whether it still runs: children that it forked keep the pipe open."""


class Connection:
    """The process, its input and output; what it writes to the error output is read, and its end kept."""

    def __init__(self, command: Sequence[str]):
        """Start it, in a session of its own.

        Ctrl-C in a terminal does not reach it, and all that it starts can be ended with it.

        Raises:
            OSError: there is no such program.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=_variables(command[0]),
        )
        self._owner, self._stderr = os.getpid(), _Tail(self._process)
        assert self._process.stdin is not None  # noqa: S101 - for the types
        assert self._process.stdout is not None  # noqa: S101
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)

    @property
    def pid(self) -> int:
        """Number of the process, and of its group."""
        return self._process.pid

    @property
    def is_ours(self) -> bool:
        """Whether this process started it; a fork of that did not."""
        return os.getpid() == self._owner

    def write(self, data: bytes | memoryview, deadline: float) -> None:
        """Hand it bytes.

        Args:
            data: the bytes.
            deadline: by the monotonic clock.

        Raises:
            TimeoutError: it does not take them by then.
            EOFError, BrokenPipeError: it has ended, or closed its input.
        """
        view = memoryview(data)
        while view:
            self._wait(self._in, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(self._in, view) :]

    def read(self, n: int, deadline: float) -> bytes:
        """The next `n` bytes from it; see `write`."""
        data = bytearray(n)
        self.read_into(memoryview(data), deadline)
        return bytes(data)

    def read_into(self, view: memoryview, deadline: float) -> None:
        """Fill a buffer of bytes from it; see `write`."""
        while view:
            self._wait(self._out, select.POLLIN, deadline)
            n = os.readv(self._out, [view])
            if n == 0:
                raise EOFError
            view = view[n:]

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        """Until a pipe is ready."""
        poll = select.poll()
        poll.register(fd, event)
        while True:
            has_ended = self._has_ended()
            remaining = deadline - time.monotonic()
            if poll.poll(0 if has_ended else 1000 * max(0.0, min(remaining, _TICK))):
                return
            if has_ended:
                raise EOFError
            if remaining <= 0:
                raise TimeoutError

    def end(self, seconds: float) -> None:
        """Close its input, and end it and what it started; by force if it has not ended by itself by then."""
        process = self._process
        if not self.is_ours or process.returncode is not None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        self._wait_for_end(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def how_it_ended(self, when: str) -> str:
        """`crashed in logits: SIGSEGV; its last line: ...`, after it has ended or closed its output."""
        has_ended = self._wait_for_end(PATIENCE)
        self.end(0)
        code = self._process.returncode
        if not has_ended:
            how = f"closed its pipe {when}"
        elif code < 0:
            names = {each.value: each.name for each in signal.Signals}
            hint = " (was the memory full?)" if -code == signal.SIGKILL else ""
            how = f"crashed {when}: {names.get(-code, f'signal {-code}')}{hint}"
        else:
            how = f"ended {when}, with exit code {code}"
        last = self._stderr.last_line()
        return f"{how}; its last line: {last}" if last else how

    def _wait_for_end(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not (has_ended := self._has_ended()) and time.monotonic() < deadline:
            time.sleep(0.005)
        return has_ended

    def _has_ended(self) -> bool:
        """Whether it has, without forgetting how: its number stays its own until it is waited for."""
        if self._process.returncode is not None:
            return True
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # someone else has waited for it
            return True


class _Tail:
    """The end of what a process writes to the error output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None  # noqa: S101 - for the types
        self._bytes, self._pipe = bytearray(), process.stderr
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._pipe, contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), 65536):
                self._bytes += chunk
                del self._bytes[:-_STDERR]

    def last_line(self) -> str:
        """The last one that is not empty; at most 300 characters of it."""
        self._thread.join(_TICK * 2)
        lines = bytes(self._bytes).decode(errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _variables(python: str) -> dict[str, str]:
    """Of an adapter: programs of its own environment come first."""
    variables = environments.variables()
    path = os.pathsep.join([os.path.dirname(os.path.abspath(python)), variables.get("PATH", os.defpath)])
    return {**variables, "PATH": path}
