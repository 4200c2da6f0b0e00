"""The processes that open Parquet files for `untrusted_parquet`.

    python -P parquet_process.py SOCKET

The first of them opens no file: for each socket that it is sent it forks a reader. A reader is sent requests
on that socket, a line of JSON with the descriptor of a file. It works under limits of memory and time, and
answers in frames: a letter, the length as 8 bytes, the content.

    A    nothing: the request has come
    F    JSON: the schema that was asked for and is there, columns, number of rows, and of rows in each group
    T    a table as an Arrow stream, checked to its last value
    P    what is wrong with the file; the reader ends, so that nothing of such a file meets the next one
    E    the end; an answer without it is of a reader that was ended

Nothing of this package is imported here: it has to start fast. No pool of a library fits: joblib and
concurrent.futures break as a whole when one process is ended, and set no limits.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_COLUMNS = 100
"""Columns of other files that are named."""
_BATCH = 64
"""Rows of a table where a file is read in pieces."""


def main() -> None:
    """Fork readers until the other end of the socket is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pa.set_memory_pool(pa.system_memory_pool())  # others reserve gigabytes of addresses
    connection = socket.socket(fileno=int(sys.argv[1]))
    while True:
        word, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        if not word:
            return
        if os.fork() == 0:
            connection.close()
            try:
                _serve(socket.socket(fileno=descriptors[0]))
            finally:
                os._exit(0)
        os.close(descriptors[0])


def _serve(connection: socket.socket) -> None:
    """Read one file after the other, up to the first that is not sound."""
    is_sound = True
    while is_sound:
        text, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
        while text and not text.endswith(b"\n"):
            text += connection.recv(1 << 20)
        if not text:
            return
        request = json.loads(text)
        _limit(request["bytes"])
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        signal.setitimer(signal.ITIMER_REAL, request["clock_seconds"])
        is_sound = _answer(request, descriptors[0], connection)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.close(descriptors[0])


def _answer(request: dict[str, Any], source: int, connection: socket.socket) -> bool:
    """Send the frames about a file; returns whether it is sound."""

    def send(kind: bytes, content: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)  # whoever reads may take its time
        connection.sendall(kind + len(content).to_bytes(8, "little"))
        connection.sendall(content)
        signal.setitimer(signal.ITIMER_REAL, request["clock_seconds"])

    send(b"A", b"")
    try:
        for kind, content in _frames(request, source):
            send(kind, content)
        send(b"E", b"")
    except MemoryError:
        send(b"P", f"it needs more than {request['bytes'] >> 20} MiB".encode())
    except Exception as error:  # a damaged file fails in more ways than Arrow documents
        send(b"P", str(error).strip().split("\n")[0][:2000].encode("utf-8", "replace"))
    else:
        return True
    return False


def _limit(n_bytes: int) -> None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return  # only Linux counts addresses
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = size + n_bytes if hard == resource.RLIM_INFINITY else min(size + n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _frames(request: dict[str, Any], source: int) -> Iterator[tuple[bytes, Any]]:
    source_file = pa.OSFile(f"/dev/fd/{source}")
    file = pq.ParquetFile(source_file, pre_buffer=False, page_checksum_verification=True)
    schema = file.schema_arrow
    schemas = [pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(other))) for other in request["schemas"]]
    facts = {
        "schema": next((i for i, other in enumerate(schemas) if other.equals(schema)), None),
        "columns": [
            [
                field.name[:200],
                str(field.type)[:200],
                field.name in schemas[0].names and field.equals(schemas[0].field(field.name)),
            ]
            for field in list(schema)[:_MOST_COLUMNS]
        ],
        "foreign": bool(schema.metadata),
        "rows": file.metadata.num_rows,
        "groups": [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)],
    }
    yield b"F", json.dumps(facts).encode()
    if facts["schema"] is None or not request["read"]:
        return
    n_rows = sum(facts["groups"])
    if not 0 <= facts["rows"] <= request["rows"]:
        raise ValueError(f"number of rows: {facts['rows']}, expected at most {request['rows']}")
    if n_rows != facts["rows"]:
        raise ValueError(f"number of rows: {n_rows} in its groups, {facts['rows']} in all")
    if coded := [name for name in request["coded"] if name in schema.names]:
        file = pq.ParquetFile(
            source_file,
            metadata=file.metadata,
            read_dictionary=coded,
            pre_buffer=False,
            page_checksum_verification=True,
        )
    columns, group = request["columns"], request["group"]
    groups = [*range(file.num_row_groups)] if group is None else [group]
    _agree(file, groups)
    if request["read"] == "batches":
        for batch in file.iter_batches(_BATCH, groups, columns, use_threads=False):
            yield b"T", _validate(pa.Table.from_batches([batch]), request)
        return
    table = file.read_row_groups(groups, columns, use_threads=False)
    if group is None and table.num_rows != facts["rows"]:
        raise ValueError(f"number of rows: {table.num_rows}, expected {facts['rows']}, as its footer says")
    yield b"T", _validate(table, request)


def _agree(file: pq.ParquetFile, groups: list[int]) -> None:
    """Check that each column has the type of the schema in every group of rows; Arrow does not always.

    Of some footers Arrow aborts here.
    """
    for i in groups:
        group = file.metadata.row_group(i)
        for j in range(group.num_columns):
            column, expected = group.column(j), file.schema.column(j)
            if (column.path_in_schema, column.physical_type) != (expected.path, expected.physical_type):
                raise ValueError(f"a column {expected.path} that is not what the schema says")


def _validate(table: pa.Table, request: dict[str, Any]) -> pa.Buffer:
    """A table as an Arrow stream, once every value of it is known to be sound."""
    table.validate(full=True)
    texts = [chunk for column in table.columns for chunk in column.chunks if _is_coded(chunk)]
    n_bytes = table.nbytes + sum(map(_most_text_bytes, texts))
    if n_bytes > request["data_bytes"]:  # it may have fewer
        n_bytes = table.nbytes + sum(map(_text_bytes, texts))
    if n_bytes > request["data_bytes"]:
        raise ValueError(f"{n_bytes} bytes of data, expected at most {request['data_bytes']}")
    table = table.unify_dictionaries().combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _is_coded(column: pa.Array) -> bool:
    """Whether it has texts as a dictionary, of which rows refer to some."""
    return isinstance(column, pa.DictionaryArray) and column.null_count < len(column)


def _most_text_bytes(column: pa.DictionaryArray) -> int:
    """Bytes of the texts of a column, if every row had the longest."""
    return len(column) * int(_lengths(column.dictionary).max(initial=0))


def _text_bytes(column: pa.DictionaryArray) -> int:
    """Bytes of the texts of a column, each as often as rows hold it.

    Of the buffers themselves: `pyarrow.compute` opens slowly; `to_numpy` opens pandas, and so does
    `to_pandas_dtype` in older versions.
    """
    rows = column.indices
    codes = np.frombuffer(rows.buffers()[1], str(rows.type))[rows.offset :][: len(rows)]
    if column.null_count:
        is_text = np.unpackbits(np.frombuffer(rows.buffers()[0], np.uint8), bitorder="little")
        codes = codes[is_text[rows.offset :][: len(rows)] == 1]
    return int(_lengths(column.dictionary)[codes].sum(dtype=np.int64))


def _lengths(texts: pa.StringArray) -> NDArray[np.int32]:
    """Bytes of each text."""
    return np.diff(np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1])


if __name__ == "__main__":
    main()
