"""Many entries from disk, fast: what a board needs of each, and no more.

Conventions: the scorecard is read as strictly as anywhere, but its cells, by far the most of an entry, become
arrays of what a page says of them: as records those of ten thousand entries would fill the memory, and
`store.read` has them. Of the verdicts only the columns behind the lift are read, and no data frame is made;
`paired` gives exactly what `scorecard.lift_by_clip` gives.

Public: Cells, Lifts, Read, ABSENT, read_all, packed, paired.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic_core import from_json as parsed

from harness.dataset import schema, shards
from harness.documents import Entry, ReferenceCounts, from_json, to_json
from harness.errors import BadInput, BadSignals
from harness.records import FAMILIES, MIN_SIGNALS, ModelRef
from harness.submit import store
from leaderboard import crowd
from leaderboard.columns import RATES
from leaderboard.crowd import Progress

ABSENT = -2
"""Where a difference is not applicable."""

_TEXT = ("reference", "family", "clip_id", "stimulus", "expected", "predicted")
_COLUMNS = (*_TEXT, "level")
_COUNTS = ("same_weights", "n_signals", "n_degenerate", "n_applicable")
_MOST = 2**31 - 1
_NAMES = itemgetter("repo_id", "revision", "weights_sha256")
_COUNTED = itemgetter(*_COUNTS)
_RATES = itemgetter(*(column.key for column in RATES))
_ESTIMATE = itemgetter("value", "low", "high")


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of one family that share a model: how it judges references, or how judges judge it."""

    family: str
    """One of FAMILIES."""
    models: tuple[ModelRef, ...]
    """The other model of each cell."""
    counts: NDArray[np.int32]
    """(n_cells, 4) same weights, signals, degenerate ones, applicable ones."""
    rates: NDArray[np.float32]
    """(n_cells, len(RATES), 3) value, low, high in percent with one decimal; NaN where unknown."""

    def of(self, models: Sequence[ModelRef]) -> Cells:
        """Those that share these other models, in this order; models without a cell are left out."""
        at = {model: i for i, model in enumerate(self.models)}
        there = [model for model in models if model in at]
        rows = [at[model] for model in there]
        return Cells(self.family, tuple(there), self.counts[rows], self.rates[rows])


@dataclass(frozen=True, eq=False)
class Lifts:
    """The paired differences behind the lift of one candidate."""

    clip_ids: tuple[str, ...]
    """Clips with a signal of any reference, sorted."""
    values: NDArray[np.int8]
    """(n_clips, n_references) accepted(signal) - accepted(permuted): -1, 0, 1, or ABSENT."""


@dataclass(frozen=True, eq=False)
class Read:
    """One entry as a board needs it."""

    entry: Entry
    """Without the cells of its scorecard."""
    cells: tuple[Cells, ...]
    """These, by family."""
    lifts: Lifts | None
    """None where it is not ranked, or its verdicts cannot be read: `paired` says why."""
    sha256: str
    """Of its entry.json."""


def read_all(folders: Sequence[Path], progress: Progress = lambda what, n, total: None) -> list[Read]:
    """Read entries, in order; many of them in as many processes as there are processors.

    Args:
        folders: of the entries.
        progress: told of every batch.

    Raises:
        BadInput: an entry that cannot be read.
    """
    found: list[Read] = []
    known: dict[Any, Any] = {}
    with crowd.batches(_read_some, folders) as batches:
        for batch in batches:
            found += (_sharing(read, known) for read in batch)
            progress("Reading entries", len(batch), len(folders))
    return found


def packed(entry: Entry) -> tuple[Cells, ...]:
    """The cells of an entry in memory."""
    families = parsed(to_json(entry))["scorecard"]["families"]
    return tuple(_cells(family, {}) for family in families)


def paired(path: Path, entry: Entry) -> Lifts:
    """The paired differences behind the lift of an entry, as `scorecard.lift_by_clip` has them.

    Args:
        path: of its verdicts.
        entry: the entry.

    Raises:
        BadSignals: not Parquet, or not of this schema.
    """
    offered = [r for r in entry.references if r.family == FAMILIES[0]]
    found = _paired(_table(path), offered, entry)
    return _by_the_book(path, entry) if found is None else found


def _by_the_book(path: Path, entry: Entry) -> Lifts:
    """The same by way of a data frame, for what `validate` would not let pass."""
    from harness.score.scorecard import lift_by_clip

    frame = lift_by_clip(
        shards.read_verdicts(path), FAMILIES[0], entry.references, entry.model, entry.label_map.covered
    )
    values = frame.fillna(ABSENT).to_numpy(dtype=np.int8)
    return Lifts(tuple(map(str, frame.index)), values)


def _table(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(store.regular(path), read_dictionary=list(_TEXT)) as file:
            if [(f.name, _plain(f.type)) for f in file.schema_arrow] != [
                (f.name, f.type) for f in schema.VERDICTS
            ]:
                raise BadSignals(f"{path} does not have the columns of a verdicts file")
            return file.read(columns=list(_COLUMNS), use_threads=False).unify_dictionaries().combine_chunks()
    except (OSError, pa.ArrowException):
        raise BadSignals(f"{path} is not a readable Parquet file") from None


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _paired(table: pa.Table, offered: Sequence[ReferenceCounts], entry: Entry) -> Lifts | None:
    """From codes of words to differences; None where a row is not as it must be."""
    names = [reference.model.repo_id for reference in offered]
    words, codes = {}, {}
    for column in _TEXT:
        words[column], codes[column] = _coded(table[column])
    place = _translated(words["reference"], {name: j for j, name in enumerate(names)})
    reference = place[codes["reference"]]
    level = table["level"].fill_null(0).to_numpy()
    family = _translated(words["family"], {FAMILIES[0]: 0})[codes["family"]]
    rows = (family == 0) & (reference >= 0) & (level < 1)
    stimulus = _translated(words["stimulus"], {"signal": 0, "permuted": 1})[codes["stimulus"]]
    signals, controls = rows & (stimulus == 0), rows & (stimulus == 1)
    used = np.unique(codes["clip_id"][signals])
    if len(set(names)) < len(names) or (used < 0).any():
        return None
    clip_ids = sorted(words["clip_id"][i] for i in used.tolist())
    clip = _translated(words["clip_id"], {name: i for i, name in enumerate(clip_ids)})[codes["clip_id"]]
    controls &= clip >= 0
    size = (len(clip_ids), len(names))
    classes = {word: i for i, word in enumerate(words["expected"])}
    said = _translated(words["predicted"], classes, other=-2)[codes["predicted"]]
    said[codes["predicted"] < 0] = -1

    def spread(which: Any, values: Any) -> Any:
        """(n_clips, n_references), -1 where there is no row; None where there are two."""
        at = clip[which].astype(np.int64) * size[1] + reference[which]
        if len(at) and np.bincount(at, minlength=1).max() > 1:
            return None
        wide = np.full(size[0] * size[1], -1, dtype=np.int64)
        wide[at] = values[which]
        return wide.reshape(size)

    expected, heard = spread(signals, codes["expected"]), spread(signals, said)
    control = spread(controls, said)
    if expected is None or heard is None or control is None:
        return None
    covered = entry.label_map.covered
    knows = np.array([*(word in covered for word in words["expected"]), False])
    known = knows[expected]
    values = np.where(
        known & (heard != -1) & (control != -1),
        (heard == expected).astype(np.int8) - (control == expected).astype(np.int8),
        np.int8(ABSENT),
    )
    counting = [
        j
        for j, one in enumerate(offered)
        if one.model.weights_sha256 != entry.model.weights_sha256 and known[:, j].sum() >= MIN_SIGNALS
    ]
    return Lifts(tuple(clip_ids), values[:, counting])


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


def _read_some(folders: Sequence[Path]) -> list[Read]:
    """One batch; within it what is written alike is one object."""
    same: dict[Any, Any] = {}
    return [_read(folder, same) for folder in folders]


def _read(folder: Path, same: dict[Any, Any]) -> Read:
    path = store.regular(folder / store.ENTRY)
    try:
        text = path.read_bytes()
        data = parsed(text, allow_inf_nan=False)
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
    lifts = None
    if entry.scorecard.ranked:
        with suppress(BadSignals):  # who ranks it will hear of it, who sets it apart need not
            lifts = paired(folder / store.VERDICTS, entry)
    return Read(entry, cells, lifts, hashlib.sha256(text).hexdigest())


def _cells(family: Mapping[str, Any], same: dict[Any, Any]) -> Cells:
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
        counts.append([min(n, _MOST) for n in _COUNTED(cell)])
        rates.append([_ESTIMATE(rate) for rate in _RATES(cell["rates"])])
    size = (len(models), len(RATES), 3)
    # None becomes NaN. No share lies beyond 1; what a stranger claims may.
    percent = (100 * np.clip(np.array(rates, dtype=np.float64).reshape(size), -1e4, 1e4)).round(1)
    return Cells(
        family["family"],
        same.setdefault(tuple(models), tuple(models)),
        np.array(counts, dtype=np.int32).reshape(len(models), len(_COUNTS)),
        percent.astype(np.float32),
    )


def _sharing(read: Read, known: dict[Any, Any]) -> Read:
    """The same, with what is equal in thousands of entries, references and clips, being one object."""
    references = known.setdefault(read.entry.references, read.entry.references)
    cells = tuple(replace(c, models=known.setdefault(c.models, c.models)) for c in read.cells)
    lifts = read.lifts
    if lifts is not None:
        lifts = replace(lifts, clip_ids=known.setdefault(lifts.clip_ids, lifts.clip_ids))
    return replace(read, entry=replace(read.entry, references=references), cells=cells, lifts=lifts)
