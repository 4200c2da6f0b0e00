"""Which entries may be on a board: those in which `validate` finds no problem, each checked once.

A valid entry has a mark (`harness.entries.valid_marks`), and another one with the suite that it matches;
those of the entries of this package are listed in LISTED.

Conventions: an entry of protocol 1 is shown and never ranked, and its rates can no longer be computed: they
must only be shares. So must those of an unknown task, and its lift must be that of its rows.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.code_hash import code_hash
from harness.dataset.paths import ANCHORS, MANIFEST
from harness.dataset.suite_notes import EMBEDDED
from harness.dataset.suites import Suite
from harness.entries import protocol1, store, suite_check, validate, validate_facts
from harness.entries.untrusted_text import one_line
from harness.entries.valid_marks import ValidMarks, lines_of, mark_of
from harness.errors import BadInput, BadSignals
from harness.schemas import Entry
from harness.tasks import TASKS, Task
from harness.types import PROTOCOL, Estimate
from leaderboard import process_pool
from leaderboard.board import loading
from leaderboard.board.file_hashes import FileHashes
from leaderboard.process_pool import Progress, quiet

LISTED = Path(__file__).parent / "valid.txt"
"""Marks of the entries of the embedded suite, by `python -m leaderboard.board.valid_entries FOLDER`."""

_BATCH_SIZE = 4
_OLD, _UNKNOWN = f"protocol: {protocol1.PROTOCOL_1}, ", "task: "
_ROUNDING = 1e-4
"""Tolerance for a lift that is computed from single-precision differences."""


def look(
    folders: Sequence[Path], suite: Suite | None, progress: Progress = quiet, cache: Path | None = None
) -> dict[Path, str]:
    """The first problem of each entry that may not be on a board, by folder; valid entries are not in it.

    The tasks of the suite are known besides the built-in ones, and an entry of its signals must match it.
    Valid entries are remembered in the folder `cache`; nowhere if that is not given.
    """
    valid_marks, listed = ValidMarks(cache, code_hash(__name__)), {*lines_of(LISTED)}
    suite_key = (None, "") if suite is None else (suite.root, suite.name)
    hashes = FileHashes(cache)
    marks = {folder: _marks(folder, suite, hashes) for folder in folders}
    hashes.save()
    unknown_marks = {
        folder: tuple(mark not in listed and mark not in valid_marks for mark in marks[folder])
        for folder in folders
    }
    jobs = [(folder, unknown_marks[folder], suite_key) for folder in folders if any(unknown_marks[folder])]
    problems: dict[Path, str] = {}
    with process_pool.batches(_check_batch, jobs, _BATCH_SIZE) as batches:
        for batch in batches:
            problems |= {folder: line for folder, line in batch if line is not None}
            valid_marks.add(mark for folder, line in batch if line is None for mark in marks[folder])
            progress("Checking entries", len(batch), len(jobs))
    return problems


def listing(suite: Suite) -> list[str]:
    """Marks of the entries of a suite and of its anchors, sorted.

    Raises:
        BadInput: one of them is not valid.
    """
    anchors = sorted(path.parent for path in (suite.root / ANCHORS).glob(f"*/*/*/*/{store.ENTRY}"))
    folders, hashes = [*suite.verdicts(), *anchors], FileHashes(None)
    for folder in folders:
        if line := _line(folder, suite, (True, True)):
            raise BadInput(f"{folder}: {line}")
    return sorted(mark for folder in folders for mark in _marks(folder, suite, hashes))


_Checks = tuple[bool, ...]
"""What has to be checked: whether an entry is valid, and whether it matches the suite."""


def _check_batch(
    batch: Sequence[tuple[Path, _Checks, tuple[Path | None, str]]],
) -> list[tuple[Path, str | None]]:
    return [(folder, _line(folder, _suite(*suite_key), unknown)) for folder, unknown, suite_key in batch]


@lru_cache(maxsize=2)
def _suite(folder: Path | None, name: str) -> Suite | None:
    return None if folder is None else Suite(folder, name)


def _line(folder: Path, suite: Suite | None, unknown: _Checks) -> str | None:
    """The first problem of an entry; None where it may be on the board."""
    try:
        lines = _problems(folder, suite, unknown)
    except BadInput as error:  # it cannot be read
        lines = [str(error)]
    return one_line(lines[0]) if lines else None


def _problems(folder: Path, suite: Suite | None, unknown: _Checks) -> list[str]:
    lines = validate.validate_entry(folder, _tasks(suite), strict_files=False) if unknown[0] else []
    if len(lines) == 1 and lines[0].startswith(_OLD):
        return _rate_problems(store.read(folder))
    if len(lines) == 1 and lines[0].startswith(_UNKNOWN):
        entry = store.read(folder)
        return _rate_problems(entry) or _lift_problem(folder, entry) or validate_facts.ahead(entry)
    if lines:
        return lines
    entry = store.read(folder)
    lines = validate_facts.ahead(entry)
    if lines or suite is None or not suite.has_task(entry.task):
        return lines
    same_signals = (entry.signals.sha256, entry.protocol) == (suite.ref(entry.task).sha256, PROTOCOL)
    return suite_check.check_against_suite(folder, suite) if same_signals else []


def _lift_problem(folder: Path, entry: Entry) -> list[str]:
    """A line if the lift is not that of the rows."""
    lift = entry.scorecard.lift
    if lift is None or lift.value is None:
        return []
    try:
        values = loading.read_lifts(folder / store.VERDICTS, entry).values
    except BadSignals as error:
        return [str(error)]
    recount = float(np.nanmean(values, axis=0).mean()) if values.size else float("nan")
    if abs(lift.value - recount) <= _ROUNDING:
        return []
    return [f"scorecard: lift {lift.value:g}, expected {recount:g}, as counted from the verdicts"]


def _tasks(suite: Suite | None) -> list[Task]:
    """The built-in tasks and those of a suite, by name; of two of one name that of the suite."""
    suite_tasks = {} if suite is None else {task.name: task for task in suite.tasks}
    return sorted({**TASKS, **suite_tasks}.values(), key=lambda task: task.name)


def _rate_problems(entry: Entry) -> list[str]:
    """A line for each impossible rate of an entry whose rates cannot be computed again."""
    lines = []
    for family in entry.scorecard.families:
        for rates in (family.rates, *(cell.rates for cell in family.cells)):
            for rate in fields(rates):
                estimate = getattr(rates, rate.name)
                ends = (estimate.value, estimate.low, estimate.high) if isinstance(estimate, Estimate) else ()
                wrong = [end for end in ends if not (end is None or -1 <= end <= 1)]
                lines += [f"scorecard: {rate.name} {end:g}, expected a share" for end in wrong]
    return lines


def _marks(folder: Path, suite: Suite | None, hashes: FileHashes) -> tuple[str, ...]:
    """Hashes of what decides whether an entry is valid, and matches a suite; empty where it is unreadable."""
    try:
        mark = mark_of(folder, _tasks(suite), hash_of=hashes.of)
        if suite is None or not mark:
            return (mark,)
        of_suite = bytes.fromhex(hashes.of(suite.root / MANIFEST))
    except OSError:
        return ("",)
    return mark, hashlib.sha256(bytes.fromhex(mark) + of_suite).hexdigest()


if __name__ == "__main__":
    LISTED.write_text("".join(f"{mark}\n" for mark in listing(Suite(Path(sys.argv[1]), EMBEDDED))))
