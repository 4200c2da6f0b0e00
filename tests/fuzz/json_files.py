"""JSON files of strangers: entries and what lies beside them, suites, models, journals.

Public: TARGETS.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.documents import Entry, from_json, to_json
from harness.submit import hostile, text
from tests.fuzz import mutate
from tests.fuzz.target import Refused, Target


def written_back(kind: type[Any]) -> Callable[[Any, bytes], str | None]:
    """What is wrong with a record: written and read again it is another, or says what the file does not."""

    def invalid(record: Any, data: bytes) -> str | None:
        again = to_json(record)
        if from_json(kind, again) != record:
            return "read again it is another"
        return differing(json.loads(again), json.loads(data))

    return invalid


def differing(written: Any, stated: Any, where: str = "") -> str | None:
    """Where a record, as JSON, says what the file does not; fields that have defaults may be added."""
    if isinstance(written, dict) and isinstance(stated, dict):
        if lost := stated.keys() - written.keys():
            return f"{where}: {min(lost)!r:.60} is lost"
        inner = ((f"{where}.{key}", written[key], stated[key]) for key in stated)
    elif isinstance(written, list) and isinstance(stated, list) and len(written) == len(stated):
        inner = ((f"{where}.{i}", a, b) for i, (a, b) in enumerate(zip(written, stated, strict=True)))
    else:
        same = _rounded(written, stated) and isinstance(written, bool) == isinstance(stated, bool)
        return None if same else f"{where}: {written!r:.60} for {stated!r:.60}"
    return next((line for each in inner if (line := differing(each[1], each[2], each[0]))), None)


def _rounded(written: Any, stated: Any) -> bool:
    """Whether they are equal, a whole number in the place of a float being rounded to one."""
    return written == (float(stated) if isinstance(written, float) and isinstance(stated, int) else stated)


def _record(kind: type[Any]) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        record, lines = hostile.record(kind, path)
        if lines or record is None:
            raise Refused("\n".join(map(text.one_line, lines)))
        return record

    return read


def _entries() -> list[bytes]:
    from tests.entries import make_entry

    entry, _ = make_entry(n_clips=4, n_degenerate=1, families=("minimal",))
    return [to_json(entry).encode()]


TARGETS = (Target("entry.json, its shape", _entries, mutate.json_text, _record(Entry), written_back(Entry)),)
