"""Reads many entries from disk, fast: what a board needs of each, and no more.

Conventions: the scorecard is read as strictly as anywhere, but its cells, by far the most of an entry, become
arrays of what a page shows of them, and of its likeness only the near copies stay: as records, those of ten
thousand entries would fill the memory; `store.read` reads all of them as records. Of the verdicts only the
columns behind the lift are read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np

from harness import untrusted
from harness.dataset import parquet_io
from harness.entries import store
from harness.errors import BadInput, BadSignals
from harness.metrics import counted_lift
from harness.metrics.counted_lift import LiftByClip
from harness.schemas import Entry, FamilyScore
from leaderboard import process_pool
from leaderboard.board.columns import RATES
from leaderboard.board.content_cache import NO_CACHE, ContentCache, key_of
from leaderboard.board.file_hashes import FileHashes, Identity, identity_of, unchanged
from leaderboard.board.packing import SharedTuples, pack, unpack
from leaderboard.board.types import LoadedEntry, MatrixRow
from leaderboard.formatting import in_percent
from leaderboard.process_pool import Progress, quiet

_COUNTS = ("n_signals", "n_degenerate", "n_applicable")
_UNUSABLE = (LookupError, ValueError, TypeError)
"""What `unpack` raises."""
_MAX_COUNT = 2**31 - 1
_get_counts = attrgetter(*_COUNTS)
_get_rates = attrgetter(*(column.key for column in RATES))
_get_estimate = attrgetter("value", "low", "high")


@process_pool.without_cycle_collection()
def read_all(
    folders: Sequence[Path],
    progress: Progress = quiet,
    cache: ContentCache = NO_CACHE,
    hashes: FileHashes | None = None,
) -> list[LoadedEntry | BadInput]:
    """Each entry in order, or why it cannot be read; many in as many processes as there are processors.

    What was read before of the same two files comes from the cache; `hashes` are those of files.
    """
    hashes = hashes or FileHashes(None)
    shared = SharedTuples(cache.read)
    entries: dict[Path, LoadedEntry | BadInput] = {}
    for folder in folders:
        if (entry := _read_cached(_known_key(folder, hashes), cache, shared)) is not None:
            entries[folder] = entry
    unread = [folder for folder in folders if folder not in entries]
    if entries:
        progress("Reading entries", len(entries), len(folders))
    with process_pool.batches(partial(_read_batch, cache), unread) as batches:
        for batch in batches:
            shared.add(batch.shared)
            hashes.add(batch.hashes)
            for folder, result in batch.results:
                if isinstance(result, BadInput):
                    entries[folder] = result
                else:
                    entries[folder] = _unpacked(folder, *result, cache, shared)
            progress("Reading entries", len(batch.results), len(folders))
    if unread:
        hashes.save()
        cache.trim()
    return [entries[folder] for folder in folders]


def matrix_rows(entry: Entry) -> tuple[MatrixRow, ...]:
    """The cells of an entry in memory, by family.

    Raises:
        OverflowError: a count is too low.
    """
    return tuple(map(_cells, entry.scorecard.families))


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


@dataclass(frozen=True)
class _Batch:
    """Entries that were read in one process."""

    results: list[tuple[Path, tuple[str | None, bytes] | BadInput]]
    """Folder; key and content as `packing` has it, or why it cannot be read."""
    shared: dict[str, bytes]
    hashes: dict[Identity, str]


@process_pool.without_cycle_collection()
def _read_batch(cache: ContentCache, folders: Sequence[Path]) -> _Batch:
    batch = _Batch([], {}, {})
    for folder in folders:
        try:
            batch.results.append((folder, _read_packed(folder, cache, batch)))
        except BadInput as error:
            batch.results.append((folder, error))
    return batch


def _read_packed(folder: Path, cache: ContentCache, batch: _Batch) -> tuple[str | None, bytes]:
    """The key of an entry, None where nothing is kept or its files changed meanwhile, and its content."""
    if cache.folder is None:
        content, shared = pack(_read(folder))
        batch.shared.update(shared)
        return None, content
    paths = (folder / store.ENTRY, folder / store.VERDICTS)
    identities: list[Identity] = []
    key, now = None, time.time()
    with suppress(OSError):
        identities = [*map(identity_of, paths)]
        sha256s = []
        for path, identity in zip(paths, identities, strict=True):
            sha256 = parquet_io.sha256_of(path)
            sha256s.append(sha256)
            batch.hashes.update(unchanged(path, identity, now, sha256))
        key = _key(*sha256s)
        if (cached := cache.read(key)) is not None:
            return key, cached
    entry = _read(folder)
    content, shared = pack(entry)
    batch.shared.update(shared)
    with suppress(OSError):
        if key is None or identities != [*map(identity_of, paths)]:
            return None, content
        if entry.problem is None:
            for shared_key, text in shared.items():
                if not cache.has(shared_key):
                    cache.write(shared_key, text)
            cache.write(key, content)
    return key, content


def _unpacked(
    folder: Path, key: str | None, content: bytes, cache: ContentCache, shared: SharedTuples
) -> LoadedEntry | BadInput:
    """An entry of its content, or read again, if what it shares was removed from the cache."""
    try:
        return replace(unpack(content, shared), key=key)
    except _UNUSABLE:
        try:
            entry = _read(folder)
        except BadInput as error:
            return error
    tuples = pack(entry)[1]
    shared.add(tuples)
    for shared_key, text in tuples.items():
        cache.write(shared_key, text)
    return entry


def _known_key(folder: Path, hashes: FileHashes) -> str | None:
    """The key of an entry whose files have not changed since they were hashed; None for any other."""
    with suppress(OSError):
        sha256s = [hashes.of_unchanged(folder / name) for name in (store.ENTRY, store.VERDICTS)]
        if sha256s[0] and sha256s[1]:
            return _key(sha256s[0], sha256s[1])
    return None


def _read_cached(key: str | None, cache: ContentCache, shared: SharedTuples) -> LoadedEntry | None:
    content = None if key is None else cache.read(key)
    if content is None:
        return None
    try:
        return replace(unpack(content, shared), key=key)
    except _UNUSABLE:
        return None  # what it shares was removed


def _key(entry_sha256: str, verdicts_sha256: str) -> str:
    return key_of("entry", entry_sha256, verdicts_sha256)


def _read(folder: Path) -> LoadedEntry:
    path = store.regular(folder / store.ENTRY)
    try:
        text = untrusted.content(path)
        entry = store.parse(text)
        cells = matrix_rows(entry)
    except (OSError, ValueError, OverflowError, RecursionError):
        store.read(folder)  # says what is wrong
        raise BadInput(f"{path} is not an entry of this version") from None
    lifts, problem = None, None
    if entry.scorecard.ranked:
        try:
            lifts = read_lifts(folder / store.VERDICTS, entry)
        except BadSignals as error:  # it is then left out
            problem = str(error)
    families = tuple(replace(family, cells=()) for family in entry.scorecard.families)
    near_copies = tuple(near for near in entry.likeness if near.is_copy)
    entry = replace(entry, scorecard=replace(entry.scorecard, families=families), likeness=near_copies)
    return LoadedEntry(entry, cells, lifts, hashlib.sha256(text).hexdigest(), problem)


def _cells(family: FamilyScore) -> MatrixRow:
    """The cells of a family, as arrays.

    Raises:
        OverflowError: a count is too low.
    """
    own_codes = [1 if cell.same_weights else 2 if cell.near_copy else 0 for cell in family.cells]
    counts = [
        (own, *(min(n, _MAX_COUNT) for n in _get_counts(cell)))
        for own, cell in zip(own_codes, family.cells, strict=True)
    ]
    rates = [[_get_estimate(rate) for rate in _get_rates(cell.rates)] for cell in family.cells]
    n = len(family.cells)
    percent = in_percent(np.array(rates, dtype=np.float64).reshape(n, len(RATES), 3))  # None becomes NaN
    return MatrixRow(
        family.family,
        tuple(cell.reference for cell in family.cells),
        np.array(counts, dtype=np.int32).reshape(n, 1 + len(_COUNTS)),
        percent.astype(np.float32),
    )
