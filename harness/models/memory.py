"""Memory of this process: how much is available, and how much a call takes.

Read from /proc and from the control group (the limit of a container, or of a job of a cluster); where there
is neither, nothing is known, and the answer is None.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_INTERVAL = 0.002
"""Seconds from one look at a call's memory to the next."""
_FILLED = 0.8
"""Share of what is free that a batch may take."""
_LOOK_S = 1.0
"""Seconds for which a look at the free memory holds, of clips no longer than was measured: one reads a dozen
files."""


def available(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes this process can still take without swapping or being killed; None where that is not known.

    Control groups may be of version 2 or 1.
    """
    free = []
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    for line in _lines(proc / "self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, names = groups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root = groups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # In a container its own group is mounted at the root.
        group = root / path.lstrip("/")
        for folder in (root, *(parent for parent in (group, *group.parents) if root in parent.parents)):
            limit, usage = (_number(folder / name) for name in names[:2])
            if limit is not None and usage is not None:
                cache_lines = [n for n in _lines(folder / "memory.stat") if n.startswith(f"{names[2]} ")]
                free.append(max(0, limit - usage + sum(int(n.split()[1]) for n in cache_lines)))
    return min(free, default=None)


T = TypeVar("T")


class Peak:
    """How much more memory this process had, at most, while the block ran, than before it."""

    def __init__(self) -> None:
        self.bytes: int | None = None
        """Known after the block; None where it cannot be."""
        self._before = self._most = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Peak:
        self._before = self._most = _resident() or 0
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._before:
            self.bytes = self._most - self._before

    def _sample(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self._most = max(self._most, _resident() or 0)


class Need:
    """Memory that a model takes for a clip: measured on the longest so far."""

    def __init__(self) -> None:
        self.length = 0
        """Of the clip it was measured on; 0 before."""
        self.bytes = 0
        """What that one took."""
        self._free: int | None = None
        self._looked_at = float("-inf")

    def measure(self, call: Callable[[], T], length: int, batch_size: int = 1) -> T:
        """Call a function, and measure the memory that it takes.

        Again where a batch of so many seems not to fit: what is opened at the first time comes on top.
        """
        self.length, self.bytes, self._looked_at = length, 0, float("-inf")
        for _ in range(2):
            with Peak() as peak:
                answer = call()
            self.bytes, self._looked_at = peak.bytes or 0, float("-inf")
            if self.fitting(batch_size, length)[0] >= batch_size:
                break
        return answer

    def of(self, length: int) -> float:
        """Bytes for a clip, at most: they grow with its length, or with the square of it."""
        ratio = length / self.length if self.length else 0.0
        return self.bytes * max(ratio, ratio**2)

    def fitting(self, batch_size: int, length: int) -> tuple[int, int]:
        """How large a batch of clips of a length fits, and in how much memory.

        Returns:
            batch_size, halved until it fits, 0 if not even one clip does; bytes that are free, 0 where
            that is not known.
        """
        if length > self.length or time.monotonic() > self._looked_at + _LOOK_S:
            self._free, self._looked_at = available(), time.monotonic()
        free = self._free
        while free is not None and batch_size and batch_size * self.of(length) > _FILLED * free:
            batch_size //= 2
        return batch_size, free or 0


def _resident() -> int | None:
    """Bytes of this process that lie in memory."""
    lines = _lines(Path("/proc/self/statm"))
    return int(lines[0].split()[1]) * os.sysconf("SC_PAGE_SIZE") if lines else None


def _number(path: Path) -> int | None:
    """The number in a file; None where there is none, as in `max`."""
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
