"""Parquet files: written whole or not at all, read in batches.

Public: write_rows, read_rows, Rows, write_verdicts, read_verdicts, sha256_of.
"""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.dataset import schema
from harness.disk import pointer, whole
from harness.errors import BadSignals
from harness.journal import replace_file
from harness.records import Verdict

if TYPE_CHECKING:
    import pandas as pd


_GROUP_BYTES = 1 << 24
"""Audio after which a group of rows is full: what is in memory when one of them is read."""

_GROUPS = 4
"""Groups of a file that stay in memory: a clip and those whose sound replaces its own lie in several."""


def write_rows(path: Path, rows: Iterable[dict[str, Any]], schema_: pa.Schema) -> None:
    """Write rows; the same rows give the same bytes."""
    with whole(path) as part, pq.ParquetWriter(part, schema_, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        n_bytes = 0
        for row in rows:
            batch.append(row)
            n_bytes += len(row["audio"]["bytes"]) if row.get("audio") else 0
            if len(batch) == 64 or n_bytes >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(batch, schema_))
                batch, n_bytes = [], 0
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema_))


def read_rows(
    path: Path, schema_: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of a file, a batch at a time in memory.

    Raises:
        BadSignals: not Parquet, or not of this schema.
    """
    with _opened(path, schema_) as file:
        for batch in file.iter_batches(batch_size=64, columns=columns):
            yield from batch.to_pylist()


def _opened(path: Path, schema_: pa.Schema) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid):
        why = pointer(path) or f"{path} is not a readable Parquet file; build or download it again"
        raise BadSignals(why) from None
    if not file.schema_arrow.equals(schema_):
        file.close()
        raise BadSignals(f"{path} does not have the columns of this version; build or download it again")
    return file


class Rows:
    """A file whose rows are found by a key, in any order; a few groups of rows at a time are in memory."""

    def __init__(self, path: Path, schema_: pa.Schema, key: str) -> None:
        """Open.

        Args:
            path: the file.
            schema_: what it must have.
            key: name of the column that rows are found by.

        Raises:
            BadSignals: see `read_rows`.
        """
        self._file = _opened(path, schema_)
        self._place: dict[str, tuple[int, int]] = {}
        for group in range(self._file.num_row_groups):
            keys = self._file.read_row_group(group, [key]).column(0).to_pylist()
            self._place.update((name, (group, i)) for i, name in enumerate(keys))
        self._read = lru_cache(_GROUPS)(self._file.read_row_group)

    def find(self, name: str) -> dict[str, Any] | None:
        """The row of that key."""
        if name not in self._place:
            return None
        group, i = self._place[name]
        row: dict[str, Any] = self._read(group).slice(i, 1).to_pylist()[0]
        return row


def write_verdicts(path: Path, verdicts: Sequence[Verdict] | pa.Table) -> str:
    """Write `verdicts.parquet`, from records or from a table of VERDICTS; returns the sha256 of the file."""
    buffer = io.BytesIO()
    table = verdicts if isinstance(verdicts, pa.Table) else schema.verdict_table(verdicts)
    pq.write_table(table, buffer, compression="zstd")
    replace_file(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_verdicts(path: Path) -> pd.DataFrame:
    """`verdicts.parquet` as a data frame with the columns of VERDICTS.

    Raises:
        BadSignals: not Parquet, or not of this schema.
    """
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(schema.VERDICTS):
                raise BadSignals(f"{path} does not have the columns of a verdicts file")
            table = file.read()
    except (OSError, pa.ArrowException):
        raise BadSignals(pointer(path) or f"{path} is not a readable Parquet file") from None
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def sha256_of(path: Path) -> str:
    """Of a file, read in pieces.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which could be read for ever.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no file", str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
