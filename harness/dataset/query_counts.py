"""How many queries the searches for signals took: the median, and the tail, which a median hides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from harness.dataset import parquet_io, parquet_schema
from harness.dataset.paths import signals_path
from harness.dataset.suites import Suite

QUERIES = "queries, median (90 %, most)"
"""What `format_queries` gives, as the head of a column."""


def format_queries(counts: Sequence[int]) -> str:
    """Median, and in brackets the 90 % point (linear between counts) and the maximum: `117 (150, 412)`.

    `-` without counts.
    """
    if not len(counts):
        return "-"
    median, tail = np.percentile(counts, (50, 90))
    return f"{median:,.0f} ({tail:,.0f}, {max(counts):,})"


def queries_of(suite: Suite, task: str, slug: str) -> Mapping[str, Sequence[int]]:
    """By family: the queries for each signal of a reference, degenerate ones left out."""
    path, names = suite.file(signals_path(task, slug)), ("family", "degenerate", "n_queries")
    by_family = defaultdict[str, list[int]](list)
    for row in parquet_io.read_rows(path, parquet_schema.SIGNALS, names):
        if not row["degenerate"]:
            by_family[row["family"]].append(row["n_queries"])
    return by_family
