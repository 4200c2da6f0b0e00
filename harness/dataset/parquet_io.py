"""Parquet files: written atomically, read in batches."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.dataset import parquet_schema, untrusted_parquet
from harness.dataset.recent_items import RecentItems
from harness.disk_errors import pointer, whole
from harness.errors import BadSignals
from harness.journal import replaced_file
from harness.types import Verdict

if TYPE_CHECKING:
    import pandas as pd


_GROUP_BYTES = 1 << 24
"""Audio after which a group of rows is full: what is in memory when one of them is read."""

_GROUPS = 4
"""Groups of a file that stay in memory: a clip and those whose sound replaces its own lie in several."""

_CACHED_BYTES = 1 << 22
"""More of them stay where all take no more than this: signals are judged in another order than stored."""


_SPLIT = MappingProxyType({name: name for name in ("p_expected", "energy_seen")} | {"p": "p.list.element"})
"""Columns of VERDICTS that are of many different numbers, and their paths in a file."""

VERDICTS_PER_GROUP = 1 << 15
"""Rows of verdicts in a group of their file: 10 MB in memory."""

TEXTS = tuple(field.name for field in parquet_schema.VERDICTS if field.type == pa.string())
"""The columns of verdicts that are texts."""


def write_rows(
    path: Path, rows: Iterable[dict[str, Any]], schema_: pa.Schema, rate_hz: int | None = None
) -> None:
    """Write rows; the same rows give the same bytes. With a rate, `datasets` knows what is sound."""
    if rate_hz is not None:
        schema_ = parquet_schema.with_features(schema_, rate_hz)
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
    """Rows of a file, a batch at a time in memory; columns it may lack (OPTIONAL_COLUMNS) read as None.

    Raises:
        BadSignals: not Parquet, or not of this schema.
    """
    absent_columns = _optional_columns(schema_, columns)
    with _readable(path):
        for table in untrusted_parquet.batches(path, _forms(schema_), columns):
            yield from _rows(table, absent_columns)


def _optional_columns(schema_: pa.Schema, columns: Sequence[str] | None = None) -> list[str]:
    names = schema_.names if columns is None else columns
    return [name for name in names if name in parquet_schema.OPTIONAL_COLUMNS]


def _forms(schema_: pa.Schema) -> list[pa.Schema]:
    """The schemas that a file may have: as it is, and without the columns it may lack."""
    return [schema_, *([parquet_schema.without_optional_columns(schema_)] * bool(_optional_columns(schema_)))]


def _rows(table: pa.Table, optional_columns: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A table as records; see `_require_values`."""
    _require_values(table)
    return _records(table, optional_columns)


def _require_values(table: pa.Table) -> None:
    """Check that values that readers rely on are there and in range.

    Raises:
        Unreadable: one is not.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        is_list = pa.types.is_list(column.type)
        if name not in parquet_schema.OPTIONAL and (
            column.null_count or (is_list and pc.list_flatten(column).null_count)
        ):
            raise untrusted_parquet.Unreadable(f"a row without {name}")
        if name in parquet_schema.RANGES and len(column):
            least, most = parquet_schema.RANGES[name]
            low, high = pc.min_max(column).as_py().values()
            if low < least or high > most:
                raise untrusted_parquet.Unreadable(f"{name} from {low} to {high}, expected {least} to {most}")


def _records(table: pa.Table, optional_columns: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A table as records, with None in columns that it lacks."""
    rows: list[dict[str, Any]] = table.to_pylist()
    absent = dict.fromkeys(name for name in optional_columns if name not in table.column_names)
    return [row | absent for row in rows] if absent else rows


@contextmanager
def _readable(
    path: Path, columns: str = "of this version", remedy: str = "build or download it again"
) -> Iterator[None]:
    try:
        yield
    except untrusted_parquet.OtherColumns:
        raise BadSignals(f"{path} does not have the columns {columns}; {remedy}") from None
    except (untrusted_parquet.Unreadable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        message = f"{path} is not a readable Parquet file ({reason}); {remedy}"
        raise BadSignals(pointer(path) or message) from None


class Rows:
    """A file whose rows are found by a key, in any order; a few groups of rows at a time are in memory."""

    def __init__(
        self, path: Path, schema_: pa.Schema, key: str, columns: Sequence[str] | None = None
    ) -> None:
        """Open a file whose rows are found by the column `key`; of `columns` alone where they are named.

        Raises:
            BadSignals: see `read_rows`.
        """
        self._path, self._forms, self._columns = path, _forms(schema_), columns
        self._optional_columns = _optional_columns(schema_, columns)
        with _readable(path):
            keys = untrusted_parquet.table(path, self._forms, [key]).column(0).to_pylist()
            sizes = untrusted_parquet.group_sizes(path, self._forms)
        positions = ((group, i) for group, size in enumerate(sizes) for i in range(size))
        self._positions: dict[str, tuple[int, int]] = dict(zip(keys, positions, strict=True))
        self._recent_groups = RecentItems[int, pa.Table](_CACHED_BYTES, lambda table: table.nbytes, _GROUPS)

    def _group(self, group: int) -> pa.Table:
        with _readable(self._path):
            table = untrusted_parquet.table(self._path, self._forms, self._columns, group=group)
            _require_values(table)
            return table

    def clear(self) -> None:
        """Keep no group in memory."""
        self._recent_groups.clear()

    def find(self, name: str) -> dict[str, Any] | None:
        """The row of that key.

        Raises:
            BadSignals: see `read_rows`.
        """
        if name not in self._positions:
            return None
        number, i = self._positions[name]
        group = self._recent_groups.get(number, lambda: self._group(number))
        return _records(group.slice(i, 1), self._optional_columns)[0]


class VerdictTables(Protocol):
    """Verdicts that are made a part at a time, as often as they are gone through."""

    def __len__(self) -> int:
        """How many verdicts there are."""
        ...

    def tables(self) -> Iterator[pa.Table]:
        """The verdicts in order, in tables of VERDICTS."""
        ...


def write_verdicts(path: Path, verdicts: Sequence[Verdict] | pa.Table | VerdictTables) -> str:
    """Write `verdicts.parquet`, a group of rows at a time; returns the sha256 of the file.

    The same verdicts give the same bytes, in whatever form and parts they come.

    Raises:
        BadInput: it cannot be written.
    """
    if isinstance(verdicts, pa.Table):
        tables = iter([verdicts])
    elif isinstance(verdicts, Sequence):
        tables = iter([parquet_schema.verdict_table(verdicts)])
    else:
        tables = verdicts.tables()
    with replaced_file(path) as file, VerdictsFile(file) as verdicts_file:
        for table in tables:
            verdicts_file.append(table)
    return verdicts_file.sha256


class VerdictsFile:
    """The bytes of a `verdicts.parquet`, made as the verdicts come.

    Rows are in groups of VERDICTS_PER_GROUP, each full but the last; probabilities, a few of whose bytes
    vary, are split by byte: a quarter less than otherwise.
    """

    def __init__(self, file: BinaryIO | None = None) -> None:
        """Begin, in a file open for writing; without one only the hash is made. Use it as a context."""
        self._sink = _HashingFile(file)
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []
        self._n_pending = 0
        self.n_rows = 0
        """Verdicts so far."""

    def __enter__(self) -> VerdictsFile:
        return self

    def append(self, table: pa.Table) -> None:
        """Add verdicts, all of one schema."""
        self._pending.append(table)
        self._n_pending += len(table)
        self.n_rows += len(table)
        while self._n_pending > VERDICTS_PER_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        rows = pa.concat_tables(self._pending)
        self._pending = [rows.slice(VERDICTS_PER_GROUP)]
        self._n_pending = len(self._pending[0])
        group = rows.slice(0, VERDICTS_PER_GROUP).combine_chunks()
        del rows  # of what was copied nothing stays while the group is written
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink,
                group.schema,
                compression="zstd",
                use_dictionary=[field.name for field in group.schema if field.name not in _SPLIT],
                use_byte_stream_split=list(_SPLIT.values()),
            )
        self._writer.write_table(group, row_group_size=VERDICTS_PER_GROUP)
        del group
        pa.default_memory_pool().release_unused()

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self._write_group()
        if self._writer is not None:
            self._writer.close()

    @property
    def sha256(self) -> str:
        """Of the whole file; known when the context is left."""
        return self._sink.digest.hexdigest()


class _HashingFile(io.RawIOBase):
    """A file that is written from its beginning to its end, and its sha256."""

    def __init__(self, file: BinaryIO | None) -> None:
        self.digest = hashlib.sha256()
        self._file = file
        self._n_bytes = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._n_bytes

    def write(self, data: Any) -> int:
        self.digest.update(data)
        if self._file is not None:
            self._file.write(data)
        self._n_bytes += len(data)
        return len(data)


def verdicts(
    path: Path,
    schemas: Sequence[pa.Schema] = (parquet_schema.VERDICTS,),
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """`verdicts.parquet` as a table of one of the schemas, in which TEXTS are dictionaries.

    Raises:
        BadSignals: not Parquet, or not of a schema.
    """
    coded = [name for name in TEXTS if columns is None or name in columns]
    with _readable(path, "of a verdicts file", "evaluate its model again"):
        return untrusted_parquet.table(path, schemas, columns, coded=coded)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """A table of VERDICTS as a data frame."""
    frame: pd.DataFrame = table.cast(parquet_schema.VERDICTS).to_pandas(ignore_metadata=True)
    return frame


def sha256_of(path: Path) -> str:
    """sha256 of a file, read in pieces.

    Raises:
        OSError: it cannot be read, or is a pipe or a device, which could be read for ever.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no file", str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
