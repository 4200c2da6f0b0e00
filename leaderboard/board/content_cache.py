"""Results in the cache folder, by a hash of everything that they depend on.

    <cache>/board/<hash of the code>/<first two digits>/<key>     CRC-32 of the content, in hex; the content

Conventions: a key is a sha256 in hex, of contents and never of names or times. A file appears whole or not at
all; one that is damaged, as after a power cut, does not count. Several processes may read and write at once:
what they write under one key is the same. Nothing here is needed: what cannot be read or written is made
again. Files that were not used for longest are removed beyond MAX_BYTES, and those of all code but the last
MAX_CODES.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from harness.disk_errors import refuse_package
from harness.errors import BadInput

MAX_BYTES = 2 << 30
MAX_CODES = 2

_HEAD = 9


class ContentCache:
    """Results of one state of the code; of a folder that is None nothing is kept."""

    def __init__(self, cache: Path | None, code: str) -> None:
        """Results below a cache folder, made by the code of this hash."""
        self.root = cache
        self.folder = None if cache is None else cache / "board" / code[:32]

    def read(self, key: str) -> bytes | None:
        """The result of a key; None where there is none."""
        with suppress(OSError):
            if self.folder is not None:
                path = self._path(self.folder, key)
                data = path.read_bytes()
                if data[:_HEAD] == b"%08x\n" % zlib.crc32(memoryview(data)[_HEAD:]):
                    os.utime(path)
                    return data[_HEAD:]
        return None

    def has(self, key: str) -> bool:
        """Whether there is a result of a key."""
        return self.folder is not None and self._path(self.folder, key).exists()

    def write(self, key: str, content: bytes) -> None:
        """Keep a result."""
        if self.folder is not None:
            write_whole(self._path(self.folder, key), b"%08x\n%b" % (zlib.crc32(content), content))

    def trim(self, max_bytes: int = MAX_BYTES) -> None:
        """Remove what was not used for longest, to nine tenths of `max_bytes`, and results of old code."""
        if self.folder is None:
            return
        with suppress(OSError):
            os.utime(self.folder)
            codes = sorted(self.folder.parent.iterdir(), key=lambda path: -path.stat().st_mtime_ns)
            for old in codes[MAX_CODES:]:
                shutil.rmtree(old, ignore_errors=True)
        files = []
        with suppress(OSError):
            for directory in os.scandir(self.folder):
                for file in os.scandir(directory):
                    with suppress(OSError):  # another process has removed it
                        status = file.stat(follow_symlinks=False)
                        files.append((status.st_mtime_ns, status.st_size, file.path))
        n_bytes = sum(size for _, size, _ in files)
        if n_bytes <= max_bytes:
            return
        for _, size, path in sorted(files):
            if n_bytes <= 0.9 * max_bytes:
                break
            with suppress(OSError):
                os.unlink(path)
            n_bytes -= size

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / key[:2] / key


NO_CACHE = ContentCache(None, "")
"""Keeps nothing."""


def key_of(*parts: str) -> str:
    """The key of a result that depends on these texts, in this order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d " % len(part) + part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file of the cache that others may read, or write as well, at the same time; or do not."""
    with suppress(OSError, BadInput):
        refuse_package(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        number, part = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with open(number, "wb") as file:
                file.write(data)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
