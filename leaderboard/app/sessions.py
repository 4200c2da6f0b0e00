"""Commands that the app runs for its visitors: one process group each, with limits.

    <temporary root>/            removed when the app ends
        room-<random>/           of one visitor; removed when the page is closed, or after an idle hour
            results/             `--out` of every command
            answer.json          stdout of the running command
            hub/, home/, tmp/    other files of a command for a stranger; removed at the next trial

Conventions: a command has a process group of its own, so that whatever it starts ends with it. It reads
nothing, its stdout goes to a file, its stderr is read line by line. A line is plain text of bounded length.
However many visitors a client pretends to be, there are at most MOST_SESSIONS sessions, none older than
MOST_S.

gradio's own state of a session (gr.State) is not enough: what it drops beyond its capacity is dropped without
its `delete_callback`, so that the files stay; it would remove them under a command that runs; and one session
cannot see another, whose downloads have to go, or be cancelled while its own event is still running.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from harness.dataset.paths import ANSWER
from harness.entries.untrusted_text import one_line
from leaderboard.app import resource_limits
from leaderboard.app.resource_limits import Allowance

End = Literal["done", "cancelled", "late", "memory", "disk"]

GRACE_S = 3.0
"""Between SIGTERM and SIGKILL."""

TICK_S = 0.5
"""Longest wait for a line of a command, before the time is checked."""

IDLE_S = 3600.0
"""After which an idle session is removed."""

MOST_S = 6 * 3600.0
"""After which a session is removed even where it is used, unless a command runs in it."""

MOST_SESSIONS = 32
"""Sessions at a time; the one that was used longest ago is removed first."""

TRIAL_FOLDERS = ("hub", "home", "tmp")
"""Folders of a session that are not needed after a trial."""

_SWEEP_S = 60.0
"""Between two searches for expired sessions."""
_LOOK_S = 0.2
"""Between two checks of the memory and disk of a command."""
_MOST_CANCELLATIONS = 1000
_MOST_LINES = 1000
_LONGEST_READ = 10_000
_LONGEST = 300
_MOST_BYTES = 64_000_000
"""Of an answer that is read."""


class Subprocess:
    """A running command."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        seconds: float,
        allowance: Allowance = Allowance(),  # noqa: B008 - frozen
    ) -> None:
        """Start it in a folder, without a shell; it is ended after so many seconds."""
        self._folder, self._allowance = folder, allowance
        self._answer = folder / ANSWER
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self.end: End = "done"
        """How it ended; `done` also where it failed by itself."""
        self.code: int | None = None
        """Exit code, once it has ended."""
        with self._answer.open("wb") as stdout:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        resource_limits.restrict(self._process.pid, allowance, seconds)
        threading.Thread(target=self._watch, daemon=True).start()

    def lines(self) -> Iterator[str | None]:
        """Its lines on stderr, until it has ended; None where half a second passed without one."""
        line_queue: queue.Queue[str | None] = queue.Queue(_MOST_LINES)
        threading.Thread(target=self._listen, args=(line_queue,), daemon=True).start()
        while True:
            try:
                line = line_queue.get(timeout=TICK_S)
            except queue.Empty:
                if self._has_ended():
                    break
                yield None
                continue
            if line is None:
                break
            if line := one_line(line, _LONGEST):
                yield line
        self._reap()

    def stop(self, end: End = "cancelled") -> None:
        """End it and all that it started; nothing where it has ended already."""
        with self._lock:
            if self.code is not None:
                return
            if not self._has_ended():
                self.end = end
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + GRACE_S
            while not self._has_ended() and time.monotonic() < deadline:
                time.sleep(0.02)
            self._finish()

    @property
    def answer(self) -> str:
        """What it printed on stdout; nothing where that was removed."""
        try:
            with self._answer.open(encoding="utf-8", errors="replace") as file:
                return file.read(_MOST_BYTES)
        except FileNotFoundError:
            return ""

    def _watch(self) -> None:
        """End it where it exceeds a limit, whether or not anybody reads its lines."""
        while self.code is None and not self._has_ended():
            if time.monotonic() > self._deadline:
                self.stop("late")
            elif (
                end := resource_limits.excess(self._process.pid, self._folder, self._allowance)
            ) is not None:
                self.stop(end)
            time.sleep(_LOOK_S)

    def _listen(self, line_queue: queue.Queue[str | None]) -> None:
        if self._process.stderr is not None:
            with contextlib.suppress(ValueError, OSError):  # closed while it was read
                while line := self._process.stderr.readline(_LONGEST_READ):
                    self._pass_on(line, line_queue)
        self._pass_on(None, line_queue)

    def _pass_on(self, line: str | None, line_queue: queue.Queue[str | None]) -> None:
        """Queue a line; wait while the queue is full, so that the command waits too; stop at its end."""
        while True:
            with contextlib.suppress(queue.Full):
                return line_queue.put(line, timeout=TICK_S)
            if self.code is not None:
                return None

    def _reap(self) -> None:
        while not self._has_ended():  # it closed stderr and still runs
            time.sleep(0.02)
        with self._lock:
            if self.code is None:
                self._finish()

    def _finish(self) -> None:
        # Before `wait`: until then no other process can have its id.
        self._signal(signal.SIGKILL)
        self.code = self._process.wait()
        if self._process.stderr is not None:
            with contextlib.suppress(OSError):
                self._process.stderr.close()

    def _has_ended(self) -> bool:
        if self._process.returncode is not None:
            return True
        try:
            status = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # another thread has just waited for it
            return True
        return status is not None

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Session:
    """The files and the running command of one visitor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Its files."""
        self.is_active = False
        """Whether a run was asked for and not cancelled since."""
        self.process: Subprocess | None = None
        """The command that is running for it."""
        self.last_use = self.start = time.monotonic()
        """When it was last used, and when it began."""

    @property
    def is_busy(self) -> bool:
        """A run was asked for and has not ended."""
        return self.is_active or (self.process is not None and self.process.code is None)

    @property
    def is_expired(self) -> bool:
        """Nothing runs, and it was idle for an hour, or it is old."""
        now = time.monotonic()
        return not self.is_busy and (now - self.last_use > IDLE_S or now - self.start > MOST_S)

    def cancel(self) -> None:
        """End what runs, and whatever would run next."""
        self.is_active = False
        if self.process is not None:
            self.process.stop()

    def stop_if_cancelled(self) -> None:
        """End a command that was cancelled while it was being started."""
        if not self.is_active:
            self.cancel()

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        seconds: float,
        allowance: Allowance = Allowance(),  # noqa: B008 - frozen
    ) -> Iterator[str | None]:
        """Run a command here; its lines as of `Subprocess.lines`. It stays as `process`."""
        self.process = Subprocess(command, self.folder, environment, seconds, allowance)
        try:
            yield from self.process.lines()
        finally:  # the reader may have gone
            self.process.stop()
            self.last_use = time.monotonic()
            if self.process.end == "disk":
                self.empty()

    def empty(self, names: Sequence[str] | None = None) -> None:
        """Remove some of its files, or all."""
        for path in [*self.folder.iterdir()] if names is None else [self.folder / name for name in names]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class SessionStore:
    """The sessions of all visitors, below one temporary folder."""

    def __init__(self, root: Path | None = None) -> None:
        """Start without any session, in an empty folder that is ours; a new temporary one if not given."""
        self.root = root or Path(tempfile.mkdtemp(prefix="goodenough-app-")).resolve()
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._cancellations: OrderedDict[str, None] = OrderedDict()
        self._close_event = threading.Event()
        threading.Thread(target=self._keep_sweeping, daemon=True).start()

    def ask(self, visitor: str) -> None:
        """A visitor asks for a run, which has to wait: an earlier cancellation no longer counts."""
        with self._lock:
            self._cancellations.pop(visitor, None)

    def enter(self, visitor: str) -> Session:
        """The session of a visitor whose turn has come; `is_active` unless it was cancelled meanwhile.

        Downloads of other trials are removed: there is one copy of one model at a time.
        """
        session = self.of(visitor)
        with self._lock:
            session.is_active = visitor not in self._cancellations
            self._cancellations.pop(visitor, None)
            for other in self._sessions.values():
                if other is not session and not other.is_busy:
                    other.empty(TRIAL_FOLDERS)
        return session

    def of(self, visitor: str) -> Session:
        """The session of a visitor, made when there is none; idle ones are removed to make room for it."""
        self.sweep()
        with self._lock:
            if visitor not in self._sessions:
                idle = [name for name, session in self._sessions.items() if not session.is_busy]
                for name in idle[: max(0, len(self._sessions) - MOST_SESSIONS + 1)]:
                    self._clear(self._sessions.pop(name))
                self._sessions[visitor] = Session(Path(tempfile.mkdtemp(prefix="room-", dir=self.root)))
            session = self._sessions[visitor]
            self._sessions.move_to_end(visitor)
            session.last_use = time.monotonic()
            return session

    def sweep(self) -> None:
        """Remove expired sessions."""
        with self._lock:
            for name in [name for name, session in self._sessions.items() if session.is_expired]:
                self._clear(self._sessions.pop(name))

    def cancel(self, visitor: str) -> None:
        """End what runs for a visitor, if anything does, and the trial that waits for its turn."""
        with self._lock:
            session = self._sessions.get(visitor)
            self._cancellations[visitor] = None
            while len(self._cancellations) > _MOST_CANCELLATIONS:
                self._cancellations.popitem(last=False)
        if session is not None:
            session.cancel()

    def leave(self, visitor: str) -> None:
        """The visitor has gone: end what runs and remove the session."""
        self.cancel(visitor)
        with self._lock:
            session = self._sessions.pop(visitor, None)
        if session is not None:
            self._clear(session)

    def close(self) -> None:
        """End everything and remove the root."""
        self._close_event.set()
        with self._lock:
            sessions, self._sessions = [*self._sessions.values()], OrderedDict()
        for session in sessions:
            self._clear(session)
        shutil.rmtree(self.root, ignore_errors=True)

    def _keep_sweeping(self) -> None:
        while not self._close_event.wait(_SWEEP_S):
            self.sweep()

    def _clear(self, session: Session) -> None:
        session.cancel()
        shutil.rmtree(session.folder, ignore_errors=True)
