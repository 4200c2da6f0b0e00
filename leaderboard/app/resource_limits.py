"""Memory and disk that a command of the app uses, and the limits that the kernel enforces.

Conventions: memory is RAM of a command and of all that it started, measured several times a second. The
kernel enforces a wider limit on the memory that a process may ask for, since torch asks for about
2.5 GB more than it ever touches (measured: 2.8 to 3.6 GB asked for, 0.8 to 1.0 GB touched). Where there is no
/proc, as on macOS, only time and disk are bounded.
"""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GIB = 2**30
"""Bytes of a GiB."""

_UNTOUCHED = 4 * GIB
"""What a process may ask for beyond its memory."""


@dataclass(frozen=True)
class Allowance:
    """How much of the machine one command may take."""

    memory_bytes: int = 8 * GIB
    """RAM, of the command and all that it started."""
    disk_bytes: int = 8 * GIB
    """Everything in the folder of a visitor."""
    download_bytes: int = 4 * GIB
    """Files of a model, by their sizes on the Hub; no file that is written may be larger."""


def restrict(pid: int, allowance: Allowance, seconds: float) -> None:
    """Have the kernel limit a process just started, and its children: `seconds` of each core."""
    if not hasattr(resource, "prlimit"):
        return
    limits = {
        resource.RLIMIT_DATA: allowance.memory_bytes + _UNTOUCHED,
        resource.RLIMIT_CPU: int(seconds + 1) * (os.cpu_count() or 1),
        resource.RLIMIT_FSIZE: allowance.download_bytes,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            _, hard = resource.prlimit(pid, kind)
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.prlimit(pid, kind, (limit, limit))


def excess(session: int, folder: Path, allowance: Allowance) -> Literal["memory", "disk"] | None:
    """What the processes of a session have taken too much of; None where they have not."""
    if _resident(session) > allowance.memory_bytes:
        return "memory"
    return "disk" if size_of(folder) > allowance.disk_bytes else None


def size_of(folder: Path) -> int:
    """Bytes on the disk of everything below a folder; links are not followed."""
    total = 0
    for parent, folders, files in os.walk(folder, followlinks=False):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):  # it is being removed
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def _resident(session: int) -> int:
    """Bytes in RAM of all processes of a session; 0 where there is no /proc."""
    total = 0
    for name in os.listdir("/proc") if Path("/proc/self/stat").exists() else ():
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):  # it has ended
                fields = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[3]) == session:
                    total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total
