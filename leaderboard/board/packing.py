"""Entries as a board needs them, as bytes: from one process to another, and for the cache.

    a line of JSON      the rest of a record, sizes, and keys of what many entries share
    JSON                the entry, without its references and the cells of its scorecard
    arrays              the cells and the paired differences, little-endian, one after the other

What many entries share, as their references, is packed by itself: a tuple as JSON, by its hash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.counted_lift import LiftByClip
from harness.schemas import Entry, ReferenceCounts, from_own_json, to_json
from harness.types import ModelRef
from leaderboard.board.columns import RATES
from leaderboard.board.content_cache import key_of
from leaderboard.board.types import LoadedEntry, MatrixRow

_N_COUNTS = 4
_REFERENCES, _MODELS, _TEXTS = tuple[ReferenceCounts, ...], tuple[ModelRef, ...], tuple[str, ...]


class SharedTuples:
    """Tuples that entries share, by key: each is one object."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        """`read` gives one that is not here yet; None where it does not have it."""
        self._read = read
        self._packed: dict[str, bytes] = {}
        self._objects: dict[str, Any] = {}

    def add(self, packed: dict[str, bytes]) -> None:
        """Add those that `pack` gave."""
        self._packed |= packed

    def get(self, key: str, kind: Any) -> Any:
        """The tuple of a key.

        Raises:
            LookupError: there is none.
            ValueError: it is of another kind.
        """
        if key not in self._objects:
            packed = self._packed.get(key) or self._read(key)
            if packed is None:
                raise LookupError(key)
            self._objects[key] = from_own_json(kind, packed)
        return self._objects[key]


def pack(loaded_entry: LoadedEntry) -> tuple[bytes, dict[str, bytes]]:
    """An entry as bytes, and what it shares with others, by key."""
    shared: dict[str, bytes] = {}

    def share(values: tuple[Any, ...]) -> str:
        text = to_json(values)
        key = key_of("shared", text)
        shared[key] = text.encode()
        return key

    entry, lifts = loaded_entry.entry, loaded_entry.lifts
    text = to_json(replace(entry, references=())).encode()
    head = {
        "n_bytes": len(text),
        "references": share(entry.references),
        "cells": [[row.family, share(row.models)] for row in loaded_entry.cells],
        "lifts": None if lifts is None else [share(lifts.clip_ids), share(lifts.references)],
        "sha256": loaded_entry.sha256,
        "problem": loaded_entry.problem,
    }
    arrays = [array for row in loaded_entry.cells for array in (row.counts, row.rates)]
    arrays += [] if lifts is None else [lifts.values]
    parts = [json.dumps(head).encode(), b"\n", text]
    parts += [array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays]
    return b"".join(parts), shared


def unpack(content: bytes, shared: SharedTuples) -> LoadedEntry:
    """The entry that was packed.

    Raises:
        LookupError, ValueError, TypeError: it is damaged, or what it shares is not there.
    """
    head_end = content.index(b"\n")
    head = json.loads(content[:head_end])
    position = head_end + 1 + head["n_bytes"]
    entry = from_own_json(Entry, content[head_end + 1 : position])
    entry = replace(entry, references=shared.get(head["references"], _REFERENCES))

    def array(dtype: str, *shape: int) -> NDArray[Any]:
        nonlocal position
        values = np.frombuffer(content, dtype, math.prod(shape), position).reshape(shape)
        position += values.nbytes
        return values.astype(values.dtype.newbyteorder("="))  # a copy: a view would hold all of the content

    cells = []
    for family, key in head["cells"]:
        models = shared.get(key, _MODELS)
        counts = array("<i4", len(models), _N_COUNTS)
        cells.append(MatrixRow(family, models, counts, array("<f4", len(models), len(RATES), 3)))
    lifts = None
    if head["lifts"] is not None:
        clip_ids, names = (shared.get(key, _TEXTS) for key in head["lifts"])
        lifts = LiftByClip(clip_ids, names, array("<f4", len(clip_ids), len(names)))
    return LoadedEntry(entry, tuple(cells), lifts, head["sha256"], head["problem"])
