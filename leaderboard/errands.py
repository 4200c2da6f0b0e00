"""Commands that the app runs for its visitors: one process group each, with a time limit and an end.

    <temporary root>/            removed when the app ends
        <room>/                  of one visitor; removed when the page is closed, or after an idle hour
            results/             `--out` of every command
            answer.json          stdout of the running one

Conventions: a command has a group of its own, so that whatever it started ends with it. It reads nothing,
its stdout is kept in a file, its stderr comes line by line. A line is plain text of bounded length.

Public: Errand, Room, Rooms.
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from harness.submit.text import one_line

End = Literal["done", "cancelled", "late"]

GRACE_S = 3.0
"""Between the friendly signal and the other one."""

TICK_S = 0.5
"""Between two looks at the clock while a command says nothing."""

IDLE_S = 3600.0
"""After which a room that nobody uses is removed."""

_LONGEST = 300
_MOST_BYTES = 64_000_000
"""Of an answer that is read."""


class Errand:
    """A command at work."""

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
    ) -> None:
        """Start it.

        Args:
            command: its words; no shell reads them.
            folder: where it works.
            environment: all of its variables.
            seconds: after which it is ended.
        """
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

    def lines(self) -> Iterator[str | None]:
        """What it says on stderr, until it has ended; None where half a second passed without a word."""
        said: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, args=(said,), daemon=True).start()
        while True:
            if time.monotonic() > self._until:
                self.stop("late")
            try:
                line = said.get(timeout=TICK_S)
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
        """What it printed on stdout."""
        with self._answer.open(encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_BYTES)

    def _listen(self, said: queue.Queue[str | None]) -> None:
        if self._process.stderr is not None:
            with contextlib.suppress(ValueError, OSError):  # closed while it was read
                for line in self._process.stderr:
                    said.put(line)
        said.put(None)

    def _reap(self) -> None:
        while not self._has_ended():  # it closed stderr and goes on
            if time.monotonic() > self._until:
                self.stop("late")
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


class Room:
    """What the app keeps for one visitor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Its files."""
        self.wanted = False
        """Whether a run was asked for and not cancelled since."""
        self.errand: Errand | None = None
        """The command that is running for it."""
        self.used = time.monotonic()
        """When it was last asked for."""

    @property
    def out(self) -> Path:
        """Where results go."""
        return self.folder / "results"

    @property
    def is_left(self) -> bool:
        """Nothing runs, nothing was asked for, and nobody came for an hour."""
        busy = self.wanted or (self.errand is not None and self.errand.code is None)
        return not busy and time.monotonic() - self.used > IDLE_S

    def cancel(self) -> None:
        """End what runs, and what would run next."""
        self.wanted = False
        if self.errand is not None:
            self.errand.stop()

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], seconds: float
    ) -> Iterator[str | None]:
        """Run a command here; its lines as of `Errand.lines`. It stays as `errand`."""
        self.errand = Errand(command, self.folder, environment, seconds)
        try:
            yield from self.errand.lines()
        finally:  # whoever was listening may have gone
            self.errand.stop()
            self.used = time.monotonic()


class Rooms:
    """The rooms of all visitors, below one temporary folder."""

    def __init__(self, root: Path | None = None) -> None:
        """Begin without any.

        Args:
            root: an empty folder that is ours; a new temporary one if not given.
        """
        self.root = root or Path(tempfile.mkdtemp(prefix="goodenough-app-")).resolve()
        self._lock = threading.Lock()
        self._rooms: dict[str, Room] = {}

    def of(self, visitor: str) -> Room:
        """The room of a visitor, which is made when there is none."""
        with self._lock:
            for name in [name for name, room in self._rooms.items() if room.is_left]:
                self._clear(self._rooms.pop(name))
            if visitor not in self._rooms:
                self._rooms[visitor] = Room(Path(tempfile.mkdtemp(prefix="room-", dir=self.root)))
            room = self._rooms[visitor]
            room.used = time.monotonic()
            return room

    def cancel(self, visitor: str) -> None:
        """End what runs for a visitor, if anything does."""
        with self._lock:
            room = self._rooms.get(visitor)
        if room is not None:
            room.cancel()

    def leave(self, visitor: str) -> None:
        """The visitor has gone: what runs is ended and the room removed."""
        with self._lock:
            room = self._rooms.pop(visitor, None)
        if room is not None:
            self._clear(room)

    def close(self) -> None:
        """End everything and remove the root."""
        with self._lock:
            rooms, self._rooms = [*self._rooms.values()], {}
        for room in rooms:
            self._clear(room)
        shutil.rmtree(self.root, ignore_errors=True)

    def _clear(self, room: Room) -> None:
        room.cancel()
        shutil.rmtree(room.folder, ignore_errors=True)
