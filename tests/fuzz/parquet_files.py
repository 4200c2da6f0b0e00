"""The Parquet files that strangers send, each with the way in which the product reads it."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.dataset import parquet_io, parquet_schema
from harness.entries import validate_verdicts as rows
from harness.errors import BadInput
from harness.families import n_coefficients
from harness.tasks import TASKS
from harness.types import CausalSet, SufficientSignal
from tests.fuzz.parquet import mutate
from tests.fuzz.target import Target
from tests.helpers.entries import make_entry
from tests.helpers.families import MINIMAL, SURVIVAL
from tests.helpers.small_suite import clip_of

KINDS = (MINIMAL, "minimal@blocks10ms", "responsibility@tiles8x16+noise:-40", "minimal@bands64+swap")
"""Families of the signals and sets, in turn."""


@cache
def _entry() -> Any:
    return make_entry(n_clips=2, n_degenerate=1)


def _files(table: pa.Table) -> list[bytes]:
    """The table as this package writes it, and in other forms that are as good."""
    forms: tuple[dict[str, Any], ...] = (
        {"compression": "zstd"},
        {"compression": "none", "row_group_size": -(-len(table) // 2), "use_dictionary": False},
        {"compression": "snappy", "data_page_version": "2.0", "write_page_index": True},
        {"compression": "gzip", "write_page_checksum": True, "data_page_size": 64},
    )
    result = []
    for form in forms:
        sink = io.BytesIO()
        pq.write_table(table, sink, **form)
        result.append(sink.getvalue())
    return result


@cache
def _verdicts() -> list[bytes]:
    return _files(parquet_schema.verdict_table(_entry()[1]))


def _read_verdicts(path: Path) -> list[dict[str, Any]]:
    table, lines = rows.load(path)
    if table is None:
        raise BadInput(lines[0])
    rows.validate_verdicts(table, rows.rows_of(table), _entry()[0], TASKS[_entry()[0].task])
    plain: list[dict[str, Any]] = table.cast(parquet_schema.VERDICTS).to_pylist()
    return plain


def _mask(family: str, n_samples: int, i: int) -> Any:
    return np.random.default_rng(i).random(n_coefficients(family, n_samples, 16_000)) < 0.3


def _signal(i: int) -> tuple[SufficientSignal, Any]:
    clip, family = clip_of(i), KINDS[i % len(KINDS)]
    mask, rest_clip = _mask(family, len(clip.waveform), i), "c0" if family.endswith("swap") else None
    signal = SufficientSignal(
        f"s{i}", clip.clip_id, family, 1, "toys/a", clip.label, "spoof", (0.5, 0.5), len(clip.waveform),
        16_000, mask, "one_minimal", 7, 0.9, 0.8, 0.1, False, "search", 12, i, "0" * 64,
        SURVIVAL if i else None, rest_clip,
    )  # fmt: skip
    return signal, clip.waveform


def _set(i: int) -> CausalSet:
    family = KINDS[i % len(KINDS)]
    return CausalSet(
        f"set{i}", "c0", family, "necessary", 1, "toys/a", None, "spoof", 400, 16_000, _mask(family, 400, i),
        "one_minimal", 7, 0.9, 0.8, 0.1, 0.2, 0.3, "search", 12, i,
    )  # fmt: skip


def _suite_kind(
    name: str, columns: pa.Schema, records: Callable[[], list[dict[str, Any]]], read: Callable[[Any], Any]
) -> Target:
    """Files of a suite: each row is made a record, as the suite makes it."""

    @cache
    def originals() -> list[bytes]:
        return _files(pa.Table.from_pylist(records(), columns))

    def read_rows(path: Path) -> list[dict[str, Any]]:
        result = list(parquet_io.read_rows(path, columns))
        for row in result:
            with suppress(ValueError):  # the suite refuses the row by name
                read(row)
        return result

    return Target(name, originals, mutate, read_rows, lambda rows, data: _invalid(columns, rows, data))


def _invalid(columns: pa.Schema, result: list[dict[str, Any]], data: bytes) -> str | None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(result, columns), sink)
    again = pq.read_table(sink, use_threads=False).to_pylist()
    if repr(again) != repr(result):  # NaN is NaN here
        return "it is not the same when it is written and read again"
    with pq.ParquetFile(io.BytesIO(data)) as file:
        one_by_one = [row for batch in file.iter_batches(1, use_threads=False) for row in batch.to_pylist()]
    return None if repr(one_by_one) == repr(result) else "other rows come out when it is read row by row"


TARGETS = (
    Target(
        "verdicts.parquet",
        _verdicts,
        mutate,
        _read_verdicts,
        lambda rows, d: _invalid(parquet_schema.VERDICTS, rows, d),
    ),
    _suite_kind(
        "clips.parquet",
        parquet_schema.CLIPS,
        lambda: [parquet_schema.clip_row(clip_of(i)) for i in range(4)],
        lambda row: row["audio"] and row["audio"]["bytes"] is not None and parquet_schema.clip_of(row),
    ),
    _suite_kind(
        "signals.parquet",
        parquet_schema.SIGNALS,
        lambda: [parquet_schema.signal_row(*_signal(i)) for i in range(4)],
        parquet_schema.signal_of,
    ),
    _suite_kind(
        "sets.parquet",
        parquet_schema.SETS,
        lambda: [parquet_schema.set_row(_set(i)) for i in range(4)],
        parquet_schema.set_of,
    ),
)
"""All of them."""
