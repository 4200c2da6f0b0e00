"""Reads many entries from disk, fast: what a board needs of each, and no more.

Conventions: the scorecard is read as strictly as anywhere, but its cells, by far the most of an entry, become
arrays of what a page shows of them: as records, those of ten thousand entries would fill the memory;
`store.read` reads them as records. Of the verdicts only the columns behind the lift are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json as parse_json

from harness import untrusted
from harness.dataset import parquet_io
from harness.entries import protocol1, store
from harness.errors import BadInput, BadSignals
from harness.metrics import counted_lift
from harness.metrics.counted_lift import LiftByClip
from harness.schemas import Entry, from_json, to_json
from harness.types import ModelRef
from leaderboard import process_pool
from leaderboard.board.columns import RATES
from leaderboard.board.types import LoadedEntry, MatrixRow
from leaderboard.formatting import in_percent
from leaderboard.process_pool import Progress, quiet

_COUNTS = ("n_signals", "n_degenerate", "n_applicable")
_MAX_COUNT = 2**31 - 1
_get_model = itemgetter("repo_id", "revision", "weights_sha256")
_get_counts = itemgetter(*_COUNTS)
_get_rates = itemgetter(*(column.key for column in RATES))
_get_estimate = itemgetter("value", "low", "high")


def read_all(folders: Sequence[Path], progress: Progress = quiet) -> list[LoadedEntry | BadInput]:
    """Each entry in order, or why it cannot be read; many in as many processes as there are processors."""
    entries: list[LoadedEntry | BadInput] = []
    pool: dict[Any, Any] = {}
    with process_pool.batches(_read_batch, folders) as batches:
        for batch in batches:
            entries += (
                result if isinstance(result, BadInput) else _share_objects(result, pool) for result in batch
            )
            progress("Reading entries", len(batch), len(folders))
    return entries


def matrix_rows(entry: Entry) -> tuple[MatrixRow, ...]:
    """The cells of an entry in memory, by family."""
    families = parse_json(to_json(entry))["scorecard"]["families"]
    return tuple(_cells(family, {}) for family in families)


def read_lifts(path: Path, entry: Entry) -> LiftByClip:
    """The paired differences behind the lift of an entry, as `scorecard.lift_by_clip` has them.

    Raises:
        BadSignals: not Parquet, not of this schema, or rows that contradict each other.
    """
    table = parquet_io.verdicts(store.regular(path), columns=counted_lift.VERDICT_COLUMNS)
    if (lifts := counted_lift.count(table, entry)) is not None:
        return lifts
    verdicts = parquet_io.frame_of(parquet_io.verdicts(path))
    try:
        return counted_lift.by_frame(verdicts, entry)
    except (ValueError, KeyError, TypeError) as error:
        raise BadSignals(f"{path} is not what an evaluation writes: {error}") from None


def _read_batch(folders: Sequence[Path]) -> list[LoadedEntry | BadInput]:
    """One batch; equal values in it are one object."""
    pool: dict[Any, Any] = {}
    batch: list[LoadedEntry | BadInput] = []
    for folder in folders:
        try:
            batch.append(_read(folder, pool))
        except BadInput as error:
            batch.append(error)
    return batch


def _read(folder: Path, pool: dict[Any, Any]) -> LoadedEntry:
    path = store.regular(folder / store.ENTRY)
    try:
        text = untrusted.content(path)
        store.parse(text)  # all of it, strictly; what follows drops the cells
        data = parse_json(text, allow_inf_nan=False)
        if data["protocol"] == protocol1.PROTOCOL_1:
            data = protocol1.in_current_form(data)
        families = data["scorecard"]["families"]
        cells = tuple(_cells(family, pool) for family in families)
        for family in families:
            family["cells"] = []
        references_key, data["references"] = repr(data["references"]), data["references"]
        if references_key in pool:
            data["references"] = []
        entry = from_json(Entry, json.dumps(data))
        entry = replace(entry, references=pool.setdefault(references_key, entry.references))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        store.read(folder)  # says what is wrong
        raise BadInput(f"{path} is not an entry of this version") from None
    lifts, problem = None, None
    if entry.scorecard.ranked:
        try:
            lifts = read_lifts(folder / store.VERDICTS, entry)
        except BadSignals as error:  # it is then left out
            problem = str(error)
    return LoadedEntry(entry, cells, lifts, hashlib.sha256(text).hexdigest(), problem)


def _cells(family: Mapping[str, Any], pool: dict[Any, Any]) -> MatrixRow:
    """The cells of a family, as arrays.

    Raises:
        TypeError, LookupError, OverflowError: they are not cells.
    """
    models, counts, rates = [], [], []
    for cell in family["cells"]:
        model_key = _get_model(cell["reference"])
        if model_key not in pool:
            pool[model_key] = ModelRef(*model_key)
        models.append(pool[model_key])
        own_code = 1 if cell["same_weights"] else 2 if cell.get("near_copy") else 0
        counts.append([own_code, *(min(n, _MAX_COUNT) for n in _get_counts(cell))])
        rates.append([_get_estimate(rate) for rate in _get_rates(cell["rates"])])
    size = (len(models), len(RATES), 3)
    percent = in_percent(np.array(rates, dtype=np.float64).reshape(size))  # None becomes NaN
    return MatrixRow(
        family["family"],
        pool.setdefault(tuple(models), tuple(models)),
        np.array(counts, dtype=np.int32).reshape(len(models), 1 + len(_COUNTS)),
        percent.astype(np.float32),
    )


def _share_objects(loaded_entry: LoadedEntry, pool: dict[Any, Any]) -> LoadedEntry:
    """The same, with references and clips that thousands of entries share being one object."""
    references = pool.setdefault(loaded_entry.entry.references, loaded_entry.entry.references)
    cells = tuple(replace(row, models=pool.setdefault(row.models, row.models)) for row in loaded_entry.cells)
    lifts = loaded_entry.lifts
    if lifts is not None:
        clip_ids, names = (pool.setdefault(value, value) for value in (lifts.clip_ids, lifts.references))
        lifts = replace(lifts, clip_ids=clip_ids, references=names)
    entry = replace(loaded_entry.entry, references=references)
    return replace(loaded_entry, entry=entry, cells=cells, lifts=lifts)
