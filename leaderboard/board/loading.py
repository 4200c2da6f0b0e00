"""Reads many entries from disk, fast: what a board needs of each, and no more.

Conventions: the scorecard is read as strictly as anywhere, but its cells, by far the most of an entry, become
arrays of what a page shows of them: as records, those of ten thousand entries would fill the memory;
`store.read` reads them as records. Of the verdicts only the columns behind the lift are read, and no data
frame is made; `read_lifts` gives exactly what `scorecard.lift_by_clip` gives.

Public: read_all, matrix_rows, read_lifts.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic_core import from_json as parse_json

from harness import untrusted
from harness.dataset import parquet_io
from harness.entries import protocol1, store
from harness.errors import BadInput, BadSignals
from harness.metrics.likeness import copies
from harness.schemas import Entry, ReferenceCounts, from_json, to_json
from harness.types import FAMILIES, MIN_SIGNALS, FloatArray, ModelRef
from leaderboard import process_pool
from leaderboard.board.columns import RATES
from leaderboard.board.types import LiftByClip, LoadedEntry, MatrixRow
from leaderboard.process_pool import Progress, quiet

_TEXT = ("reference", "family", "clip_id", "stimulus", "expected", "predicted")
_NUMBERS = ("level", "draw", "replicate")
_COUNTS = ("n_signals", "n_degenerate", "n_applicable")
_MAX_COUNT = 2**31 - 1
_MAX_DRAWS = 1000  # draws of a clip, and replicates of a stimulus, up to which `_count_lifts` counts
_get_model = itemgetter("repo_id", "revision", "weights_sha256")
_get_counts = itemgetter(*_COUNTS)
_get_rates = itemgetter(*(column.key for column in RATES))
_get_estimate = itemgetter("value", "low", "high")


def read_all(folders: Sequence[Path], progress: Progress = quiet) -> list[LoadedEntry | BadInput]:
    """Read entries, in order; many of them in as many processes as there are processors.

    Returns:
        Each entry, or why it cannot be read.
    """
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
    references = [reference for reference in entry.references if reference.family == FAMILIES[0]]
    table = parquet_io.verdicts(store.regular(path), columns=[*_TEXT, *_NUMBERS])
    lifts = _count_lifts(table, references, entry)
    return _lifts_by_frame(path, entry) if lifts is None else lifts


def _lifts_by_frame(path: Path, entry: Entry) -> LiftByClip:
    """The same from a data frame, slower: for rows that `validate` would refuse."""
    from harness.metrics.scorecard import lift_by_clip

    verdicts = parquet_io.frame_of(parquet_io.verdicts(path))
    copy_names = copies(entry.likeness)
    try:
        frame = lift_by_clip(
            verdicts, FAMILIES[0], entry.references, entry.model, entry.label_map.covered, copy_names
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadSignals(f"{path} is not what an evaluation writes: {error}") from None
    clip_ids, names = tuple(map(str, frame.index)), tuple(map(str, frame.columns))
    return LiftByClip(clip_ids, names, frame.to_numpy(dtype=np.float32))


def _count_lifts(table: pa.Table, references: Sequence[ReferenceCounts], entry: Entry) -> LiftByClip | None:
    """The differences, counted from dictionary codes; None where a row is not as it must be."""
    names = [reference.model.repo_id for reference in references]
    vocabulary, codes = {}, {}
    for column in _TEXT:
        vocabulary[column], codes[column] = _dictionary_codes(table[column])
    level, draw, replicate = (table[name].fill_null(0).to_numpy().astype(np.int64) for name in _NUMBERS)
    stimulus = _code_table(vocabulary["stimulus"], {"signal": 0, "swap": 1, "whole": 2})[codes["stimulus"]]
    whole_clips = codes["clip_id"][stimulus == 2]
    if len(set(names)) < len(names) or (whole_clips < 0).any() or _has_duplicates(whole_clips):
        return None
    clip_ids = sorted(vocabulary["clip_id"][i] for i in whole_clips.tolist())
    clip_codes = _code_table(vocabulary["clip_id"], {name: i for i, name in enumerate(clip_ids)})
    clip_index = clip_codes[codes["clip_id"]]
    columns = _code_table(vocabulary["reference"], {name: j for j, name in enumerate(names)})
    reference_index = columns[codes["reference"]]
    family_code = _code_table(vocabulary["family"], {FAMILIES[0]: 0})[codes["family"]]
    is_judged = (family_code == 0) & (reference_index >= 0) & (level < 1)
    signals, swaps = is_judged & (stimulus == 0), is_judged & (stimulus == 1)
    is_needed = signals | swaps
    is_in_range = (draw >= 0) & (draw < _MAX_DRAWS) & (replicate >= 0) & (replicate < _MAX_DRAWS)
    if (is_needed & ~(is_in_range & (clip_index >= 0))).any():
        return None
    n_draws = int(draw[is_needed].max(initial=0)) + 1
    signal_index = (clip_index * len(names) + reference_index) * n_draws + draw  # a number for each signal
    swap_index = signal_index[swaps] * _MAX_DRAWS + replicate[swaps]
    if _has_duplicates(signal_index[signals]) or _has_duplicates(swap_index):
        return None
    classes = {label: i for i, label in enumerate(vocabulary["expected"])}
    prediction = _code_table(vocabulary["predicted"], classes)[codes["predicted"]]
    acceptance = (prediction == codes["expected"]) & (prediction >= 0)
    covered = [label in entry.label_map.covered for label in vocabulary["expected"]]
    is_covered = np.array([*covered, False])[codes["expected"]]
    shape = (len(clip_ids), len(names), n_draws)

    def shares(rows: NDArray[np.bool_]) -> FloatArray:
        """(n_clips, n_references, n_draws) mean acceptance of the rows of each signal; NaN for none."""
        size = math.prod(shape)
        counts = np.bincount(signal_index[rows], minlength=size)
        sums = np.bincount(signal_index[rows], acceptance[rows], size)
        mean = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
        return np.asarray(mean.reshape(shape))

    differences = shares(signals & is_covered) - shares(swaps)
    is_counted = ~np.isnan(differences)
    sums, counts = np.where(is_counted, differences, 0.0).sum(axis=2), is_counted.sum(axis=2)
    values = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    copy_names = copies(entry.likeness)
    columns_in_lift = [
        j
        for j, reference in enumerate(references)
        if reference.model.weights_sha256 != entry.model.weights_sha256
        and reference.model.repo_id not in copy_names
        and (counts[:, j] > 0).sum() >= MIN_SIGNALS
    ]
    names_in_lift = tuple(names[j] for j in columns_in_lift)
    return LiftByClip(tuple(clip_ids), names_in_lift, values[:, columns_in_lift].astype(np.float32))


def _has_duplicates(numbers: NDArray[np.int64]) -> bool:
    """Whether a number occurs more than once."""
    sorted_numbers = np.sort(numbers)
    return bool((sorted_numbers[1:] == sorted_numbers[:-1]).any())


def _dictionary_codes(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts of a column, and the index of the text of each row; -1 for null."""
    if not column.num_chunks:
        return [], np.zeros(0, dtype=np.int64)
    array = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return array.dictionary.to_pylist(), codes.astype(np.int64)


def _code_table(words: Sequence[str], codes: Mapping[str, int]) -> NDArray[np.int64]:
    """(n_words + 1,) the code of each word; the last item, which -1 indexes, is -1."""
    return np.array([*(codes.get(word, -1) for word in words), -1], dtype=np.int64)


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
    # None becomes NaN. No share lies beyond 1, but a forged entry may say so.
    percent = (100 * np.clip(np.array(rates, dtype=np.float64).reshape(size), -1e4, 1e4)).round(1)
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
