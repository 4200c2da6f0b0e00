"""A finished clip as a line of the journal, and back; and many of them in little memory."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset.lazy_sequence import LazySequence
from harness.domains.masks import from_runs, runs
from harness.extract.certify import Extracted
from harness.families import n_coefficients
from harness.types import CausalSet, Clip, Levels, Mask, Skipped, SufficientSignal


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


def pack(item: dict[str, Any]) -> bytes:
    """An item in little memory: a mask of a clip of 30 s takes 240 kB."""
    return zlib.compress(json.dumps(item).encode(), 1)


class Results(LazySequence[Extracted]):
    """The results of clips, each unpacked when it is asked for."""

    def __init__(self, items: Iterable[bytes]) -> None:
        """Take items as `pack` makes them."""
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def _item(self, index: int) -> Extracted:
        return from_item(json.loads(zlib.decompress(self._items[index])))


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
