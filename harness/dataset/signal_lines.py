"""What is known of each signal of a file without its sound."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np

from harness.dataset import parquet_io, parquet_schema
from harness.types import N_LEVELS

_COLUMNS = tuple(f.name for f in dataclasses.fields(parquet_schema.SignalLine))[:-3]
_CONTENT = ("sha256", "mask", "levels", "seed", "survival")
_SHARED = ("clip_id", "family", "truth", "expected")
"""Texts that many lines have in common: each is in memory once."""

_SHARED_IN_FILE = ("n_samples", "sample_rate_hz", "p_clip")
"""Numbers that many lines of a file have in common."""


def read(path: Path) -> Iterator[parquet_schema.SignalLine]:
    """The lines of a file of signals, degenerate ones included.

    Raises:
        BadSignals: see `parquet_io.read_rows`.
    """
    shared: dict[Any, Any] = {}
    for row in parquet_io.read_rows(path, parquet_schema.SIGNALS, (*_COLUMNS, *_CONTENT)):
        digest = hashlib.sha256(row["sha256"].encode() + np.array(row["mask"], dtype="<i4").tobytes())
        digest.update(row["expected"].encode() + (row["levels"] or b"") + b"%d" % row["seed"])
        fields = {name: row[name] for name in _COLUMNS} | {"p_clip": tuple(row["p_clip"])}
        fields |= {name: intern(text) for name in _SHARED if (text := fields[name]) is not None}
        fields |= {name: shared.setdefault(fields[name], fields[name]) for name in _SHARED_IN_FILE}
        yield parquet_schema.SignalLine(
            **fields,
            robust=parquet_schema.robust_of(row),
            has_levels=row["levels"] is not None,
            content_sha256=digest.hexdigest(),
        )


def expected_verdicts(path: Path) -> Iterator[tuple[str, int, str]]:
    """Id, level and class of what is asked of each signal of a file; see `Suite.expected_verdicts`.

    Raises:
        BadSignals: see `parquet_io.read_rows`.
    """
    columns = ("signal_id", "expected", "degenerate", "levels")
    for row in parquet_io.read_rows(path, parquet_schema.SIGNALS, columns):
        if not row["degenerate"]:
            for level in range(1 if row["levels"] is None else N_LEVELS):
                yield row["signal_id"], level, row["expected"]
