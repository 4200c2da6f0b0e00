"""Reads Parquet files from untrusted sources; no other module opens them.

Conventions: files are read in other processes (`parquet_process`), under limits of memory and time that grow
with the size of the file; what comes back are Arrow tables that were checked to their last value. A file that
makes Arrow abort, hang or fill the memory is `Unreadable`, as one that is only damaged.

In this process Arrow aborted at 20 of 742 mutants of a file of 7 kB, and one took 9 s and 3 GB. A strict
reader of footers and headers in front of it stopped that, but only Arrow can decode the pages, of which it
promises nothing, and the walk in Python has to be made for every file. A reader is reused up to the first
file that is not sound: verdicts of 200 to 490 kB take 13 ms of a processor, in this process 9, with a reader
forked for each file 37. The process that forks them starts once, in 0.3 s.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import stat
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

_READER = Path(__file__).with_name("parquet_process.py")
_CLOCK_SECONDS = 120.0
"""Between two answers of a reader, by the clock: far more than it may take of a processor."""
_NOTHING = b"", b""


class Unreadable(Exception):
    """The file cannot be read; the message is the reason, in a few words."""


class OtherColumns(Unreadable):
    """It is Parquet, but has none of the expected schemas."""

    def __init__(self, columns: Sequence[tuple[str, str, bool]]) -> None:
        """Its first columns: name, type, and whether the first schema has it so."""
        super().__init__("it does not have the columns that were expected")
        self.columns = columns


def table(
    path: Path,
    schemas: Sequence[pa.Schema],
    columns: Sequence[str] | None = None,
    *,
    coded: Sequence[str] = (),
    group: int | None = None,
    most_rows: int | None = None,
    own: bool = False,
) -> pa.Table:
    """A file, or one of its groups of rows.

    Args:
        path: the file.
        schemas: it must have one of them.
        columns: names of those that are read; all if None.
        coded: columns of text that come as dictionaries, each text once.
        group: number of the group of rows, from 0; all if None.
        most_rows: that the file may have.
        own: nobody else's metadata may lie in it.

    Raises:
        Unreadable: it is damaged, or costs more than a file of its size may.
        OtherColumns: it has none of the schemas.
        OSError: it cannot be opened, or is no file.
    """
    options = {"columns": columns, "coded": list(coded), "group": group}
    facts, *tables = _answers(path, schemas, "table", most_rows, **options)
    if own and facts["foreign"]:
        raise Unreadable("it carries metadata of another program")
    result: pa.Table = tables[0]
    return result


def batches(
    path: Path, schemas: Sequence[pa.Schema], columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The rows of a file in tables of up to 64, one of them in memory at a time.

    Raises:
        Unreadable, OtherColumns, OSError: see `table`; each as soon as it is known.
    """
    with contextlib.closing(_answers(path, schemas, "batches", columns=columns)) as answers:
        next(answers)
        yield from answers


def group_sizes(path: Path, schemas: Sequence[pa.Schema]) -> list[int]:
    """The number of rows in each group of a file.

    Raises:
        Unreadable, OtherColumns, OSError: see `table`.
    """
    (facts,) = _answers(path, schemas, "")
    sizes: list[int] = facts["groups"]
    return sizes


def limits(size: int) -> dict[str, float]:
    """What reading a file of so many bytes may cost, and what may be in it.

    Every file that this package writes stays far below: a verdict takes 40 bytes and becomes 300, and 100 MB
    are read in a second.
    """
    return {
        "seconds": 0.5 + size / 2**23,
        "clock_seconds": _CLOCK_SECONDS,
        "bytes": 2**28 + min(16 * size, 2**32),
        "data_bytes": 2**25 + min(64 * size, 2**30),
        "rows": 10_000 + size,
    }


def _answers(
    path: Path, schemas: Sequence[pa.Schema], read: str, most_rows: int | None = None, **options: Any
) -> Generator[Any, None, None]:
    """The facts about a file, then its tables: one, or `batches` of it, or none; options as of `table`."""
    source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would be waited for
    try:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("is no file")
        bounds = limits(status.st_size)
        if most_rows is not None:
            bounds["rows"] = min(bounds["rows"], most_rows)
        schemas_hex = [schema.remove_metadata().serialize().to_pybytes().hex() for schema in schemas]
        wanted = {"columns": None, "coded": [], "group": None, "read": read, **options}
        request = json.dumps({**bounds, **wanted, "schemas": schemas_hex}).encode() + b"\n"
        kind, content = _NOTHING
        with _readers.ask(request, source) as answer:
            kind, content = answer.frame()
            while kind == b"F" or kind == b"T":
                if kind == b"F":
                    facts = json.loads(content)
                    if facts["schema"] is None:
                        raise OtherColumns([(_line(n), _line(t), same) for n, t, same in facts["columns"]])
                    yield facts
                else:
                    yield pa.ipc.open_stream(pa.py_buffer(content)).read_all()
                kind, content = answer.frame()
        if kind == b"P":
            raise Unreadable(_line(content.decode("utf-8", "replace")) or "it is damaged")
        if kind != b"E":
            memory = bounds["bytes"] / 2**20
            raise Unreadable(
                f"reading it crashes, or takes more than {bounds['seconds']:.1f} s or {memory:.0f} MiB"
            )
    finally:
        os.close(source)


def _line(text: str) -> str:
    """A text from an untrusted source, in printable characters and bounded length."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)[:300]


class _Reader:
    """A process that reads one file after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")
        self.ready = True
        """Whether it waits for the next file."""

    def accepts(self, request: bytes, source: int) -> bool:
        """Whether the process is alive and has begun to read a file."""
        self.ready = False
        try:
            socket.send_fds(self._connection, [request], [source])
            return self.frame() == (b"A", b"")
        except OSError:
            return False

    def frame(self) -> tuple[bytes, bytes]:
        """The next letter and its content; nothing where the process was ended."""
        try:
            head = self._answers.read(9)
            size = int.from_bytes(head[1:], "little")
            content = self._answers.read(size) if len(head) == 9 else b""
        except OSError:
            return _NOTHING
        if len(head) < 9 or len(content) < size:
            return _NOTHING
        self.ready = head[:1] == b"E"
        return head[:1], content

    def close(self) -> None:
        """Close the connection, so that the process ends."""
        self._answers.close()
        self._connection.close()


class _Readers:
    """Readers that wait, and the process that forks them; started with the first file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._idle: list[_Reader] = []
        self._server: tuple[int, socket.socket] | None = None

    @contextlib.contextmanager
    def ask(self, request: bytes, source: int) -> Iterator[_Reader]:
        """A reader that has begun to read a file; it is reused if it reaches the end."""
        reader = self._start_reading(request, source)
        try:
            yield reader
        finally:
            if reader.ready:
                with self._lock:
                    self._idle.append(reader)
            else:
                reader.close()

    def _start_reading(self, request: bytes, source: int) -> _Reader:
        n_new = 0
        while n_new < 2:
            with self._lock:
                is_new = not self._idle
                reader = self._new() if is_new else self._idle.pop()
            if reader.accepts(request, source):
                return reader
            reader.close()  # somebody ended it while it waited, or the process that forks it
            n_new += is_new
            if is_new:
                with self._lock:
                    self._end_server()
        raise Unreadable("no process can be started that reads it")

    def _new(self) -> _Reader:
        """A reader that is about to be forked."""
        parent_end, child_end = socket.socketpair()
        with child_end, contextlib.suppress(OSError):  # the server was ended: the reader will not take a file
            self._server = self._server or _start_server()
            socket.send_fds(self._server[1], [b"."], [child_end.fileno()])
        return _Reader(parent_end)

    def _end_server(self) -> None:
        if self._server is not None:
            pid, connection = self._server
            connection.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self._server = None

    def end(self) -> None:
        """End all of them."""
        self._close()
        self._end_server()

    def after_fork(self) -> None:
        """Forget the readers in a forked child: they belong to the parent."""
        self._lock = threading.Lock()
        self._close()
        if self._server is not None:
            self._server[1].close()
        self._forget()

    def _close(self) -> None:
        for reader in self._idle:
            reader.close()
        self._idle = []


def _start_server() -> tuple[int, socket.socket]:
    """The process that forks readers, and the socket to it."""
    parent_end, child_end = socket.socketpair()
    with child_end:
        null = [(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)]
        copy = [(os.POSIX_SPAWN_DUP2, child_end.fileno(), 3)]
        arguments = [sys.executable, "-P", str(_READER), "3"]
        pid = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=[*null, *copy])
    return pid, parent_end


_readers = _Readers()
atexit.register(_readers.end)
os.register_at_fork(after_in_child=_readers.after_fork)
