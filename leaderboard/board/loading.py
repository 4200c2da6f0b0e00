"""Many entries from disk, fast: what a board needs of each, and no more.

Conventions: the scorecard is read as strictly as anywhere, but its cells, by far the most of an entry, become
arrays of what a page says of them: as records those of ten thousand entries would fill the memory, and
`store.read` has them. Of the verdicts only the columns behind the lift are read, and no data frame is made;
`paired` gives exactly what `scorecard.lift_by_clip` gives.

Public: read_all, packed, paired.
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
from pydantic_core import from_json as parsed

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
from leaderboard.process_pool import Progress

_TEXT = ("reference", "family", "clip_id", "stimulus", "expected", "predicted")
_NUMBERS = ("level", "draw", "replicate")
_COUNTS = ("n_signals", "n_degenerate", "n_applicable")
_MOST = 2**31 - 1
_MANY = 1000  # draws of a clip, and replicates of a stimulus, up to which the fast way goes
_NAMES = itemgetter("repo_id", "revision", "weights_sha256")
_COUNTED = itemgetter(*_COUNTS)
_RATES = itemgetter(*(column.key for column in RATES))
_ESTIMATE = itemgetter("value", "low", "high")


def read_all(
    folders: Sequence[Path], progress: Progress = lambda what, n, total: None
) -> list[LoadedEntry | BadInput]:
    """Read entries, in order; many of them in as many processes as there are processors.

    Args:
        folders: of the entries.
        progress: told of every batch.

    Returns:
        Each entry, or why it cannot be read.
    """
    entries: list[LoadedEntry | BadInput] = []
    known: dict[Any, Any] = {}
    with process_pool.batches(_read_some, folders) as batches:
        for batch in batches:
            entries += (read if isinstance(read, BadInput) else _sharing(read, known) for read in batch)
            progress("Reading entries", len(batch), len(folders))
    return entries


def packed(entry: Entry) -> tuple[MatrixRow, ...]:
    """The cells of an entry in memory."""
    families = parsed(to_json(entry))["scorecard"]["families"]
    return tuple(_cells(family, {}) for family in families)


def paired(path: Path, entry: Entry) -> LiftByClip:
    """The paired differences behind the lift of an entry, as `scorecard.lift_by_clip` has them.

    Args:
        path: of its verdicts.
        entry: the entry.

    Raises:
        BadSignals: not Parquet, not of this schema, or rows that contradict each other.
    """
    offered = [r for r in entry.references if r.family == FAMILIES[0]]
    table = parquet_io.verdicts(store.regular(path), columns=[*_TEXT, *_NUMBERS])
    lifts = _paired(table, offered, entry)
    return _by_the_book(path, entry) if lifts is None else lifts


def _by_the_book(path: Path, entry: Entry) -> LiftByClip:
    """The same by way of a data frame, for what `validate` would not let pass."""
    from harness.metrics.scorecard import lift_by_clip

    verdicts = parquet_io.read_verdicts(path)
    like = copies(entry.likeness)
    try:
        frame = lift_by_clip(
            verdicts, FAMILIES[0], entry.references, entry.model, entry.label_map.covered, like
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadSignals(f"{path} is not what an evaluation writes: {error}") from None
    clip_ids, names = tuple(map(str, frame.index)), tuple(map(str, frame.columns))
    return LiftByClip(clip_ids, names, frame.to_numpy(dtype=np.float32))


def _paired(table: pa.Table, offered: Sequence[ReferenceCounts], entry: Entry) -> LiftByClip | None:
    """From codes of words to differences; None where a row is not as it must be."""
    names = [reference.model.repo_id for reference in offered]
    words, codes = {}, {}
    for column in _TEXT:
        words[column], codes[column] = _coded(table[column])
    level, draw, replicate = (table[name].fill_null(0).to_numpy().astype(np.int64) for name in _NUMBERS)
    stimulus = _translated(words["stimulus"], {"signal": 0, "swap": 1, "whole": 2})[codes["stimulus"]]
    whole = codes["clip_id"][stimulus == 2]
    if len(set(names)) < len(names) or (whole < 0).any() or _twice(whole):
        return None
    clip_ids = sorted(words["clip_id"][i] for i in whole.tolist())
    clip = _translated(words["clip_id"], {name: i for i, name in enumerate(clip_ids)})[codes["clip_id"]]
    columns = _translated(words["reference"], {name: j for j, name in enumerate(names)})
    reference = columns[codes["reference"]]
    family = _translated(words["family"], {FAMILIES[0]: 0})[codes["family"]]
    asked = (family == 0) & (reference >= 0) & (level < 1)
    signals, swaps = asked & (stimulus == 0), asked & (stimulus == 1)
    read = signals | swaps
    small = (draw >= 0) & (draw < _MANY) & (replicate >= 0) & (replicate < _MANY)
    if (read & ~(small & (clip >= 0))).any():
        return None
    n_draws = int(draw[read].max(initial=0)) + 1
    signal = (clip * len(names) + reference) * n_draws + draw  # a number for each signal
    if _twice(signal[signals]) or _twice(signal[swaps] * _MANY + replicate[swaps]):
        return None
    classes = {word: i for i, word in enumerate(words["expected"])}
    predicted = _translated(words["predicted"], classes)[codes["predicted"]]
    accepted = (predicted == codes["expected"]) & (predicted >= 0)
    covered = entry.label_map.covered
    known = np.array([*(word in covered for word in words["expected"]), False])[codes["expected"]]
    shape = (len(clip_ids), len(names), n_draws)

    def shares(rows: NDArray[np.bool_]) -> FloatArray:
        """(n_clips, n_references, n_draws) mean acceptance of the rows of each signal; NaN for none."""
        size = math.prod(shape)
        counts = np.bincount(signal[rows], minlength=size)
        sums = np.bincount(signal[rows], accepted[rows], size)
        mean = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
        return np.asarray(mean.reshape(shape))

    differences = shares(signals & known) - shares(swaps)
    there = ~np.isnan(differences)
    sums, counts = np.where(there, differences, 0.0).sum(axis=2), there.sum(axis=2)
    values = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    like = copies(entry.likeness)
    counting = [
        j
        for j, one in enumerate(offered)
        if one.model.weights_sha256 != entry.model.weights_sha256
        and one.model.repo_id not in like
        and (counts[:, j] > 0).sum() >= MIN_SIGNALS
    ]
    return LiftByClip(
        tuple(clip_ids), tuple(names[j] for j in counting), values[:, counting].astype(np.float32)
    )


def _twice(numbers: NDArray[np.int64]) -> bool:
    """Whether one of them stands there more than once."""
    ordered = np.sort(numbers)
    return bool((ordered[1:] == ordered[:-1]).any())


def _coded(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The words of a column, and which of them stands in each row; -1 where none does."""
    if not column.num_chunks:
        return [], np.zeros(0, dtype=np.int64)
    array = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return array.dictionary.to_pylist(), codes.astype(np.int64)


def _translated(words: Sequence[str], codes: Mapping[str, int], other: int = -1) -> NDArray[np.int64]:
    """(n_words + 1,) the code of each word, and at its end, where -1 leads, that of none."""
    return np.array([*(codes.get(word, other) for word in words), -1], dtype=np.int64)


def _read_some(folders: Sequence[Path]) -> list[LoadedEntry | BadInput]:
    """One batch; within it what is written alike is one object."""
    same: dict[Any, Any] = {}
    batch: list[LoadedEntry | BadInput] = []
    for folder in folders:
        try:
            batch.append(_read(folder, same))
        except BadInput as error:
            batch.append(error)
    return batch


def _read(folder: Path, same: dict[Any, Any]) -> LoadedEntry:
    path = store.regular(folder / store.ENTRY)
    try:
        text = untrusted.content(path)
        store.parse(text)  # all of it, strictly; what follows makes it small
        data = parsed(text, allow_inf_nan=False)
        if data["protocol"] == protocol1.PROTOCOL_1:
            data = protocol1.in_current_form(data)
        families = data["scorecard"]["families"]
        cells = tuple(_cells(family, same) for family in families)
        for family in families:
            family["cells"] = []
        written, data["references"] = repr(data["references"]), data["references"]
        if written in same:
            data["references"] = []
        entry = from_json(Entry, json.dumps(data))
        entry = replace(entry, references=same.setdefault(written, entry.references))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        store.read(folder)  # says what is wrong
        raise BadInput(f"{path} is not an entry of this version") from None
    lifts, problem = None, None
    if entry.scorecard.ranked:
        try:
            lifts = paired(folder / store.VERDICTS, entry)
        except BadSignals as error:  # who ranks it leaves it out, who sets it apart need not know
            problem = str(error)
    return LoadedEntry(entry, cells, lifts, hashlib.sha256(text).hexdigest(), problem)


def _cells(family: Mapping[str, Any], same: dict[Any, Any]) -> MatrixRow:
    """The cells of a family as they are written, as arrays.

    Raises:
        TypeError, LookupError, OverflowError: they are not cells.
    """
    models, counts, rates = [], [], []
    for cell in family["cells"]:
        named = _NAMES(cell["reference"])
        if named not in same:
            same[named] = ModelRef(*named)
        models.append(same[named])
        own = 1 if cell["same_weights"] else 2 if cell.get("near_copy") else 0
        counts.append([own, *(min(n, _MOST) for n in _COUNTED(cell))])
        rates.append([_ESTIMATE(rate) for rate in _RATES(cell["rates"])])
    size = (len(models), len(RATES), 3)
    # None becomes NaN. No share lies beyond 1; what a stranger claims may.
    percent = (100 * np.clip(np.array(rates, dtype=np.float64).reshape(size), -1e4, 1e4)).round(1)
    return MatrixRow(
        family["family"],
        same.setdefault(tuple(models), tuple(models)),
        np.array(counts, dtype=np.int32).reshape(len(models), 1 + len(_COUNTS)),
        percent.astype(np.float32),
    )


def _sharing(read: LoadedEntry, known: dict[Any, Any]) -> LoadedEntry:
    """The same, with what is equal in thousands of entries, references and clips, being one object."""
    references = known.setdefault(read.entry.references, read.entry.references)
    cells = tuple(replace(c, models=known.setdefault(c.models, c.models)) for c in read.cells)
    lifts = read.lifts
    if lifts is not None:
        clip_ids, names = (known.setdefault(same, same) for same in (lifts.clip_ids, lifts.references))
        lifts = replace(lifts, clip_ids=clip_ids, references=names)
    return replace(read, entry=replace(read.entry, references=references), cells=cells, lifts=lifts)
