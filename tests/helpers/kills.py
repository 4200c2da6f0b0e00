"""What tests that kill processes look at."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def left_behind(verb: str, out: Path) -> dict[str, Any]:
    """Every file below `out` by its path: bytes, and JSON and pages without their times."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in out.rglob("*") if p.is_file() and p.name not in (".lock", "report.html")):
        content: Any = path.read_bytes()
        if path.suffix == ".json":
            content = json.loads(content)
            for timed in [content] if verb.startswith("evaluate") else content["references"]:
                assert timed["run"].pop("seconds") > 0
                assert timed["run"].pop("created")
                # A run that continues another asks fewer and knows as many more.
                timed["run"]["n"] = sum(timed["run"].pop(name) or 0 for name in ("n_asked", "n_known"))
        found[path.relative_to(out).as_posix()] = content
    return found


def n_finished(out: Path) -> int | None:
    """Whole lines of the journal after its first; None when there is no journal."""
    for path in [*out.glob(".*.journal"), *out.glob(".answers/*/*/*.jsonl")]:
        with contextlib.suppress(FileNotFoundError):
            return max(0, path.read_bytes().count(b"\n") - 1)
    return None


def wait_for(is_alive: Callable[[], bool], out: Path, n_items: int, seconds: float) -> None:
    """Until so many items are finished, or the journal is gone, and so many seconds more have passed."""
    deadline = time.monotonic() + 120
    begun = False
    while is_alive() and time.monotonic() < deadline:
        n_done = n_finished(out)
        if begun if n_done is None else n_done >= n_items:
            time.sleep(seconds)
            return
        begun = begun or n_done is not None
        time.sleep(0.005)
