"""sha256 of files, and which of them have not changed since they were last hashed.

Conventions: a file is the same as before where its device, inode, size, and the times of its last change, of
content and of status, are. The second of these is set by the file system whenever a byte is written or a
time is set, and no program can choose it: what lies in a submission cannot. A fresh checkout has new times,
so all of it is hashed there. Files that changed less than MIN_AGE seconds before they were hashed are hashed
again next time: within one tick of its clock a file system cannot tell two changes apart. To trust nothing,
delete the cache, or set GOODENOUGH_CACHE to an empty folder.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from leaderboard.board.content_cache import write_whole

MIN_AGE = 2.0
"""Seconds."""
MAX_FILES = 200_000
"""Files that are remembered."""

Identity = tuple[int, int, int, int, int]
"""Device, inode, size, and times of the last change of content and of status in ns."""

_NAME = "file-hashes.txt"


class FileHashes:
    """Hashes of files, remembered in a folder of the cache; nowhere without one."""

    def __init__(self, cache: Path | None) -> None:
        """Read what is remembered; nothing where it cannot be read."""
        self._path = None if cache is None else cache / _NAME
        self._known = _read(self._path)
        self._used: dict[Identity, str] = {}

    def of_unchanged(self, path: Path) -> str | None:
        """The sha256 of a file that has not changed, as hex; None where that is not known.

        Raises:
            OSError: it cannot be reached.
        """
        identity = identity_of(path)
        sha256 = self._known.get(identity)
        if sha256 is not None:
            self._used[identity] = sha256
        return sha256

    def of(self, path: Path) -> str:
        """The sha256 of a file, as hex.

        Raises:
            OSError: it cannot be read.
        """
        return self.of_unchanged(path) or self._hash(path)

    def add(self, hashes: Mapping[Identity, str]) -> None:
        """Remember hashes of files that another process read."""
        self._known |= hashes
        self._used |= hashes

    def save(self) -> None:
        """Write down those that were asked for, and others as far as there is room."""
        if self._path is None or self._used.items() <= _read(self._path).items():
            return
        kept = dict([*self._known.items(), *self._used.items()][-MAX_FILES:])
        lines = "".join(f"{' '.join(map(str, identity))} {sha256}\n" for identity, sha256 in kept.items())
        write_whole(self._path, f"{zlib.crc32(lines.encode()):08x}\n{lines}".encode())

    def _hash(self, path: Path) -> str:
        sha256, identities = hash_file(path)
        self.add(identities)
        return sha256


def identity_of(path: Path) -> Identity:
    """What a file is known by.

    Raises:
        OSError: it cannot be reached.
    """
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def hash_file(path: Path) -> tuple[str, dict[Identity, str]]:
    """The sha256 of a file as hex, and by its identity where it did not change meanwhile, nor just before.

    Raises:
        OSError: it cannot be read.
    """
    before, now = identity_of(path), time.time()
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return sha256, unchanged(path, before, now, sha256)


def unchanged(path: Path, before: Identity, now: float, sha256: str) -> dict[Identity, str]:
    """The hash by the identity of a file, where that is still what it was and was not new then."""
    with suppress(OSError):
        if identity_of(path) == before and max(before[3:]) < (now - MIN_AGE) * 1e9:
            return {before: sha256}
    return {}


def _read(path: Path | None) -> dict[Identity, str]:
    hashes: dict[Identity, str] = {}
    with suppress(OSError, ValueError):
        head, _, lines = b"".partition(b"\n") if path is None else path.read_bytes().partition(b"\n")
        if head == b"%08x" % zlib.crc32(lines):
            for line in lines.decode().splitlines():
                device, inode, size, content, status, sha256 = line.split()
                hashes[int(device), int(inode), int(size), int(content), int(status)] = sha256
    return hashes
