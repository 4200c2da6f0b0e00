"""Parquet files: written whole or not at all, read in batches.

Public: write_rows, read_rows, write_verdicts, read_verdicts, sha256_of.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.dataset import schema
from harness.errors import BadSignals
from harness.journal import replace_file
from harness.records import Verdict

if TYPE_CHECKING:
    import pandas as pd


def write_rows(path: Path, rows: Iterable[dict[str, Any]], schema_: pa.Schema) -> None:
    """Write rows; the same rows give the same bytes."""
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(part, schema_, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == 64:
                writer.write_table(pa.Table.from_pylist(batch, schema_))
                batch = []
        if batch:
            writer.write_table(pa.Table.from_pylist(batch, schema_))
    part.replace(path)


def read_rows(
    path: Path, schema_: pa.Schema, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Rows of a file, a batch at a time in memory.

    Raises:
        BadSignals: not Parquet, or not of this schema.
    """
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid):
        raise BadSignals(f"{path} is not a readable Parquet file; build or download it again") from None
    with file:
        if not file.schema_arrow.equals(schema_):
            raise BadSignals(f"{path} does not have the columns of this version; build or download it again")
        for batch in file.iter_batches(batch_size=64, columns=columns):
            yield from batch.to_pylist()


def write_verdicts(path: Path, verdicts: Sequence[Verdict]) -> str:
    """Write `verdicts.parquet`; returns the sha256 of the file."""
    buffer = io.BytesIO()
    pq.write_table(schema.verdict_table(verdicts), buffer, compression="zstd")
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
        raise BadSignals(f"{path} is not a readable Parquet file") from None
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def sha256_of(path: Path) -> str:
    """Of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
