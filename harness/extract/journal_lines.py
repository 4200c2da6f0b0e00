"""A finished clip as a line of the journal, and back; and many of them in little memory."""

from __future__ import annotations

import base64
import json
import os
import weakref
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset.lazy_sequence import LazySequence
from harness.domains.masks import from_runs, runs
from harness.extract.certify import Extracted
from harness.families import n_coefficients
from harness.types import CausalSet, Clip, Levels, Mask, Skipped, SufficientSignal

_MAX_BYTES = 1 << 24
"""Results together, compressed, above which they lie on disk."""


def item(clip: Clip, result: Extracted) -> dict[str, Any]:
    """The result of a clip as JSON."""
    signals = [{**_fields(s), "levels": _packed(s.levels)} for s in result.signals]
    sets = [_fields(s) for s in result.sets]
    skipped = [vars(s) for s in result.skipped]
    return {"clip_id": clip.clip_id, "signals": signals, "sets": sets, "skipped": skipped}


def from_item(item: dict[str, Any]) -> Extracted:
    """Inverse of `item`."""
    signals = []
    for fields in item["signals"]:
        arrays = {
            "mask": _mask(fields),
            "levels": _unpacked(fields["levels"]),
            "p_clip": tuple(fields["p_clip"]),
            "survival": None if fields["survival"] is None else tuple(fields["survival"]),
        }
        signals.append(SufficientSignal(**{**fields, **arrays}))
    sets = (CausalSet(**{**fields, "mask": _mask(fields)}) for fields in item["sets"])
    return Extracted(tuple(signals), tuple(Skipped(**s) for s in item["skipped"]), tuple(sets))


class Results(LazySequence[Extracted]):
    """The results of clips, in the order of the clips, each unpacked when it is asked for.

    Of a clip its place stays in memory: levels of 30 s take tens of kilobytes, a mask 240. The rest is in a
    file without a name, which is gone with the process.
    """

    def __init__(self, clip_ids: Sequence[str], folder: Path | None) -> None:
        """Begin without any; the file lies in the folder, or where temporary files do."""
        self._clip_ids = clip_ids
        self._file = SpooledTemporaryFile(_MAX_BYTES, dir=None if folder is None else str(folder))  # noqa: SIM115 - open as long as they are used
        self._places: dict[str, tuple[int, int]] = {}
        weakref.finalize(self, self._file.close)

    def add(self, item: dict[str, Any]) -> None:
        """Take in the result of a clip, as `item` makes it."""
        data = zlib.compress(json.dumps(item).encode(), 1)
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(data)
        self._places[item["clip_id"]] = start, len(data)

    @property
    def finished(self) -> Collection[str]:
        """clip_id of each result that is there."""
        return self._places.keys()

    def __len__(self) -> int:
        return len(self._clip_ids)

    def _item(self, index: int) -> Extracted:
        start, n_bytes = self._places[self._clip_ids[index]]
        self._file.seek(start)
        return from_item(json.loads(zlib.decompress(self._file.read(n_bytes))))


def _fields(record: SufficientSignal | CausalSet) -> dict[str, Any]:
    return {**vars(record), "mask": runs(record.mask).tolist()}


def _mask(fields: dict[str, Any]) -> Mask:
    rows: NDArray[np.int64] = np.array(fields["mask"], dtype=np.int64)
    return from_runs(rows, n_coefficients(fields["family"], fields["n_samples"], fields["sample_rate_hz"]))


def _packed(levels: Levels | None) -> str | None:
    """Levels as short text."""
    return None if levels is None else base64.b64encode(zlib.compress(levels.tobytes())).decode()


def _unpacked(text: str | None) -> Levels | None:
    return None if text is None else np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
