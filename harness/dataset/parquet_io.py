"""Parquet files: written atomically, read in batches."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.dataset import parquet_schema, untrusted_parquet
from harness.dataset.recent_items import RecentItems
from harness.disk_errors import pointer, whole
from harness.errors import BadSignals
from harness.journal import replace_file
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


def write_verdicts(path: Path, verdicts: Sequence[Verdict] | pa.Table) -> str:
    """Write `verdicts.parquet`, from records or from a table of VERDICTS; returns the sha256 of the file."""
    table = verdicts if isinstance(verdicts, pa.Table) else parquet_schema.verdict_table(verdicts)
    data = _parquet_of(table).getvalue()
    replace_file(path, data)
    return hashlib.sha256(data).hexdigest()


def verdicts_sha256(table: pa.Table) -> str:
    """The sha256 of the file that `write_verdicts` makes of a table."""
    return hashlib.sha256(_parquet_of(table).getbuffer()).hexdigest()


def _parquet_of(table: pa.Table) -> io.BytesIO:
    """Probabilities, a few of whose bytes vary, are split by byte: a quarter less than otherwise."""
    buffer = io.BytesIO()
    with_dictionary = [field.name for field in table.schema if field.name not in _SPLIT]
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        use_dictionary=with_dictionary,
        use_byte_stream_split=list(_SPLIT.values()),
    )
    return buffer


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
