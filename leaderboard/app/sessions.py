"""Commands that the app runs for its visitors: one process group each, with limits and an end.

    <temporary root>/            removed when the app ends
        <room>/                  of one visitor; removed when the page is closed, or after an idle hour
            results/             `--out` of every command
            answer.json          stdout of the running one
            hub/, home/, tmp/    what a command for a stranger may write beside; removed at the next trial

Conventions: a command has a group of its own, so that whatever it started ends with it. It reads nothing,
its stdout is kept in a file, its stderr comes line by line. A line is plain text of bounded length. However
many visitors a client pretends to be, there are MOST_ROOMS rooms at most, and nothing of them is older than
MOST_S.

Public: Subprocess, Session, SessionStore.
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

from harness.entries.text import one_line
from leaderboard.app import usage
from leaderboard.app.usage import Allowance

End = Literal["done", "cancelled", "late", "memory", "disk"]

GRACE_S = 3.0
"""Between the friendly signal and the other one."""

TICK_S = 0.5
"""Between two looks at the clock while a command says nothing."""

IDLE_S = 3600.0
"""After which a room that nobody uses is removed."""

MOST_S = 6 * 3600.0
"""After which a room is removed even where it is used, unless a command runs in it."""

MOST_ROOMS = 32
"""Rooms at a time; the one that was used longest ago goes first."""

WORK = ("hub", "home", "tmp")
"""Folders of a room that are of no use after a trial."""

_SWEEP_S = 60.0
"""Between two looks for rooms that have to go."""
_LOOK_S = 0.2
"""Between two looks at what a command takes."""
_MOST_CANCELLED = 1000
_MOST_LINES = 1000
_LONGEST_READ = 10_000
_LONGEST = 300
_MOST_BYTES = 64_000_000
"""Of an answer that is read."""


class Subprocess:
    """A command at work."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        seconds: float,
        allowance: Allowance = Allowance(),  # noqa: B008 - frozen
    ) -> None:
        """Start it.

        Args:
            command: its words; no shell reads them.
            folder: where it works.
            environment: all of its variables.
            seconds: after which it is ended.
            allowance: memory and disk beyond which it is ended.
        """
        self._folder, self._allowance = folder, allowance
        self._answer = folder / "answer.json"
        self._until = time.monotonic() + seconds
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
        usage.restrict(self._process.pid, allowance, seconds)
        threading.Thread(target=self._watch, daemon=True).start()

    def lines(self) -> Iterator[str | None]:
        """What it says on stderr, until it has ended; None where half a second passed without a word."""
        spoken: queue.Queue[str | None] = queue.Queue(_MOST_LINES)
        threading.Thread(target=self._listen, args=(spoken,), daemon=True).start()
        while True:
            try:
                line = spoken.get(timeout=TICK_S)
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
            until = time.monotonic() + GRACE_S
            while not self._has_ended() and time.monotonic() < until:
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
        """End it where it takes too much of anything, whether or not anybody reads what it says."""
        while self.code is None and not self._has_ended():
            if time.monotonic() > self._until:
                self.stop("late")
            elif (end := usage.excess(self._process.pid, self._folder, self._allowance)) is not None:
                self.stop(end)
            time.sleep(_LOOK_S)

    def _listen(self, spoken: queue.Queue[str | None]) -> None:
        if self._process.stderr is not None:
            with contextlib.suppress(ValueError, OSError):  # closed while it was read
                while line := self._process.stderr.readline(_LONGEST_READ):
                    self._pass_on(line, spoken)
        self._pass_on(None, spoken)

    def _pass_on(self, line: str | None, spoken: queue.Queue[str | None]) -> None:
        """Wait while nobody reads, so that a command that says much waits too; not when it has ended."""
        while True:
            with contextlib.suppress(queue.Full):
                return spoken.put(line, timeout=TICK_S)
            if self.code is not None:
                return None

    def _reap(self) -> None:
        while not self._has_ended():  # it closed stderr and goes on
            time.sleep(0.02)
        with self._lock:
            if self.code is None:
                self._finish()

    def _finish(self) -> None:
        # Before it is waited for: as long as it was not, nobody else can have its number.
        self._signal(signal.SIGKILL)
        self.code = self._process.wait()
        if self._process.stderr is not None:
            with contextlib.suppress(OSError):
                self._process.stderr.close()

    def _has_ended(self) -> bool:
        if self._process.returncode is not None:
            return True
        try:
            found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # another thread has just waited for it
            return True
        return found is not None

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Session:
    """What the app keeps for one visitor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Its files."""
        self.wanted = False
        """Whether a run was asked for and not cancelled since."""
        self.errand: Subprocess | None = None
        """The command that is running for it."""
        self.used = self.begun = time.monotonic()
        """When it was last asked for, and first."""

    @property
    def out(self) -> Path:
        """Where results go."""
        return self.folder / "results"

    @property
    def is_busy(self) -> bool:
        """A run was asked for and has not ended."""
        return self.wanted or (self.errand is not None and self.errand.code is None)

    @property
    def is_left(self) -> bool:
        """Nothing runs, and nobody came for an hour, or it is old."""
        now = time.monotonic()
        return not self.is_busy and (now - self.used > IDLE_S or now - self.begun > MOST_S)

    def cancel(self) -> None:
        """End what runs, and what would run next."""
        self.wanted = False
        if self.errand is not None:
            self.errand.stop()

    def obey(self) -> None:
        """End what was cancelled while it was being started."""
        if not self.wanted:
            self.cancel()

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        seconds: float,
        allowance: Allowance = Allowance(),  # noqa: B008 - frozen
    ) -> Iterator[str | None]:
        """Run a command here; its lines as of `Subprocess.lines`. It stays as `errand`."""
        self.errand = Subprocess(command, self.folder, environment, seconds, allowance)
        try:
            yield from self.errand.lines()
        finally:  # whoever was listening may have gone
            self.errand.stop()
            self.used = time.monotonic()
            if self.errand.end == "disk":
                self.empty()

    def empty(self, names: Sequence[str] | None = None) -> None:
        """Remove some of what lies in it, or everything."""
        for path in [*self.folder.iterdir()] if names is None else [self.folder / name for name in names]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class SessionStore:
    """The rooms of all visitors, below one temporary folder."""

    def __init__(self, root: Path | None = None) -> None:
        """Begin without any.

        Args:
            root: an empty folder that is ours; a new temporary one if not given.
        """
        self.root = root or Path(tempfile.mkdtemp(prefix="goodenough-app-")).resolve()
        self._lock = threading.Lock()
        self._rooms: OrderedDict[str, Session] = OrderedDict()
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        self._closed = threading.Event()
        threading.Thread(target=self._keep_sweeping, daemon=True).start()

    def ask(self, visitor: str) -> None:
        """A visitor asks for a run, which has to wait: what was cancelled before is not meant."""
        with self._lock:
            self._cancelled.pop(visitor, None)

    def enter(self, visitor: str) -> Session:
        """The room of a visitor whose turn has come; `wanted` there unless it was cancelled meanwhile.

        What other trials left to be used again goes: there is one copy of one model at a time.
        """
        room = self.of(visitor)
        with self._lock:
            room.wanted = visitor not in self._cancelled
            self._cancelled.pop(visitor, None)
            for other in self._rooms.values():
                if other is not room and not other.is_busy:
                    other.empty(WORK)
        return room

    def of(self, visitor: str) -> Session:
        """The room of a visitor, which is made when there is none, in the place of another where it must."""
        self.sweep()
        with self._lock:
            if visitor not in self._rooms:
                idle = [name for name, room in self._rooms.items() if not room.is_busy]
                for name in idle[: max(0, len(self._rooms) - MOST_ROOMS + 1)]:
                    self._clear(self._rooms.pop(name))
                self._rooms[visitor] = Session(Path(tempfile.mkdtemp(prefix="room-", dir=self.root)))
            room = self._rooms[visitor]
            self._rooms.move_to_end(visitor)
            room.used = time.monotonic()
            return room

    def sweep(self) -> None:
        """Remove the rooms that nobody uses and those that are old."""
        with self._lock:
            for name in [name for name, room in self._rooms.items() if room.is_left]:
                self._clear(self._rooms.pop(name))

    def cancel(self, visitor: str) -> None:
        """End what runs for a visitor, if anything does, and what waits for its turn."""
        with self._lock:
            room = self._rooms.get(visitor)
            self._cancelled[visitor] = None
            while len(self._cancelled) > _MOST_CANCELLED:
                self._cancelled.popitem(last=False)
        if room is not None:
            room.cancel()

    def leave(self, visitor: str) -> None:
        """The visitor has gone: what runs is ended and the room removed."""
        self.cancel(visitor)
        with self._lock:
            room = self._rooms.pop(visitor, None)
        if room is not None:
            self._clear(room)

    def close(self) -> None:
        """End everything and remove the root."""
        self._closed.set()
        with self._lock:
            rooms, self._rooms = [*self._rooms.values()], OrderedDict()
        for room in rooms:
            self._clear(room)
        shutil.rmtree(self.root, ignore_errors=True)

    def _keep_sweeping(self) -> None:
        while not self._closed.wait(_SWEEP_S):
            self.sweep()

    def _clear(self, room: Session) -> None:
        room.cancel()
        shutil.rmtree(room.folder, ignore_errors=True)
