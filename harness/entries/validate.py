"""Reports every problem of an entry at once. Entries come from strangers: nothing in them is trusted.

A problem is one line, `where: what was found, what was expected`. No content of an entry makes a check
raise: files are measured before they are read, JSON is read strictly, and the scorecard is not believed but
counted again from the verdicts. A check that depends on one that failed is left out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.dataset import parquet_io
from harness.dataset.paths import README, REPORT
from harness.entries import (
    held_back,
    notices,
    protocol1,
    store,
    untrusted_files,
    validate_adapter,
    validate_facts,
    validate_verdicts,
    verification,
)
from harness.entries.record_differences import differences
from harness.entries.untrusted_text import excerpt, one_line
from harness.metrics.likeness import copies
from harness.metrics.scorecard import summarise
from harness.plurals import plural
from harness.schemas import Entry
from harness.tasks import Task
from harness.types import PROTOCOL

MAX_PROBLEMS = 50


def validate_entry(folder: Path, tasks: Sequence[Task], *, strict_files: bool) -> list[str]:
    """All that is wrong with the entry in a folder; empty when it is valid.

    `tasks` are those an entry may be of; `strict_files`: the rules among submissions, where no report lies
    beside the two files, and no date ahead.
    """
    problems = _files(folder, strict_files)
    entry, read_problems = _entry(folder / store.ENTRY)
    if _is_protocol_1(folder / store.ENTRY, entry):
        problems += [
            f"protocol: {protocol1.PROTOCOL_1}, expected {PROTOCOL}, that of this version: it is shown, and"
            " not ranked; evaluate again with: goodenough evaluate MODEL"
        ]
    else:
        problems += read_problems
        if entry is not None:
            problems += _path_problems(folder, entry)
            problems += _content_problems(folder, entry, tasks)
            problems += validate_facts.ahead(entry) if strict_files else []
    lines = [one_line(line) for line in dict.fromkeys(problems)]
    if len(lines) > MAX_PROBLEMS:
        lines[MAX_PROBLEMS:] = [f"entry: {plural(len(lines) - MAX_PROBLEMS, 'more problem')} left out"]
    return lines


def strays(submissions: Path) -> list[str]:
    """What lies among the submissions without being part of an entry, by its path.

    A README.md and hidden files may lie at the top, next to an entry its verification, its lift on held-back
    signals and what is said against it, and in the folder of a revision what its model opts out of, each if
    it is that.
    """
    problems: dict[Path, list[str]] = {}
    entries = set(store.find(submissions))
    for folder, folders, files in os.walk(submissions, followlinks=False):
        parent = Path(folder)
        if parent in entries:
            folders.clear()
            continue
        links = [name for name in folders if (parent / name).is_symlink()]
        if parent == submissions:
            files = [name for name in files if name != README and not name.startswith(".")]
        for path in (parent / name for name in (*files, *links)):
            problems[path] = _problems_beside(path, submissions, entries)
    return [one_line(line) for path in sorted(problems) for line in problems[path]]


def _problems_beside(path: Path, submissions: Path, entries: set[Path]) -> list[str]:
    """All that is wrong with a file beside the entries, whose name says what it is."""
    lines = notices.notice_problems(path, submissions) if notices.is_notice(path, entries) else None
    for kind in (verification, held_back):
        entry_folder = path.with_name(path.name.removesuffix(kind.SUFFIX))
        if lines is None and entry_folder != path and entry_folder in entries:
            lines = kind.problems(path, entry_folder)
    if lines is None:
        return [f"{path}: belongs to no entry, expected entries alone"]
    return [f"{path.parent}/{line}" for line in lines]


def _files(folder: Path, strict: bool) -> list[str]:
    file_names = (*store.MAX_BYTES,) if strict else (*store.MAX_BYTES, REPORT)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        return [f"folder: cannot be listed ({error.strerror}), expected a folder"]
    problems = ["folder: a symlink, expected a folder"] if folder.is_symlink() else []
    problems += [
        f"{excerpt(name)}: not part of an entry, expected only {' and '.join(file_names)}"
        for name in names
        if name not in file_names
    ]
    problems += [problem for name in file_names if name in names and (problem := _unusable(folder / name))]
    return problems + [
        f"{name}: missing, expected beside the other" for name in store.MAX_BYTES if name not in names
    ]


def _unusable(path: Path) -> str | None:
    """Why a file of an entry must not be opened."""
    return untrusted_files.unusable(path, store.MAX_BYTES.get(path.name))


def _entry(path: Path) -> tuple[Entry | None, list[str]]:
    return (None, []) if _unusable(path) else untrusted_files.record(Entry, path)


def _is_protocol_1(path: Path, entry: Entry | None) -> bool:
    """Whether an entry is of protocol 1, as it states itself: then nothing else is reported."""
    if entry is not None:
        return entry.protocol == protocol1.PROTOCOL_1
    try:
        return not _unusable(path) and protocol1.is_protocol_1(path.read_bytes())
    except OSError:
        return False


def _path_problems(folder: Path, entry: Entry) -> list[str]:
    location = "/".join(Path(os.path.abspath(folder)).parts[-3:])
    if location == entry.path:
        return []
    paths = (excerpt(path, 200) for path in (location, entry.path))
    return [f"folder: {', expected '.join(paths)}, by the content of entry.json"]


def _content_problems(folder: Path, entry: Entry, tasks: Sequence[Task]) -> list[str]:
    problems = validate_facts.validate_facts(entry)
    task = next((t for t in tasks if t.name == entry.task), None)
    if task is None:
        task_names = ", ".join(t.name for t in tasks)
        problems.append(
            f"task: {excerpt(entry.task)}, expected one of {task_names}; "
            "for a task of your own give its file: --task path/to/task.yaml"
        )
        return [*problems, *validate_facts.of_references(entry)]
    file_problems, table = _verdicts(folder / store.VERDICTS, entry)
    verdict_problems = validate_facts.of_task(entry, task)
    if table is not None and not verdict_problems:
        rows = validate_verdicts.rows_of(table)
        verdict_problems = validate_verdicts.validate_verdicts(table, rows, entry, task)
        if not verdict_problems and entry.protocol == PROTOCOL:
            if entry.facts.adapter is not None:
                verdict_problems = validate_adapter.of_verdicts(entry, task, parquet_io.frame_of(table))
            verdict_problems += validate_facts.counted_likeness(entry, rows)
            verdict_problems = verdict_problems or _scorecard(entry, task, rows)
    return [*problems, *file_problems, *verdict_problems]


def _verdicts(path: Path, entry: Entry) -> tuple[list[str], Any]:
    if _unusable(path):
        return [], None
    sha256 = parquet_io.sha256_of(path)
    problems = []
    if entry.verdicts_sha256 != sha256:
        problems.append(
            f"verdicts_sha256: {excerpt(entry.verdicts_sha256)}, expected {sha256}, that of the file"
        )
    table, read_problems = validate_verdicts.load(path)
    if table is not None and entry.n_verdicts != table.num_rows:
        problems.append(f"n_verdicts: {excerpt(entry.n_verdicts)}, expected {table.num_rows}, as in the file")
    return [*problems, *read_problems], table


def _scorecard(entry: Entry, task: Task, verdicts: Any) -> list[str]:
    """Sound verdicts give one scorecard, and it is the one in the entry."""
    try:
        scorecard = summarise(
            *(verdicts, task, entry.model, entry.references, entry.label_map),
            entry.signals.headline,
            copies(entry.likeness),
        )
    except Exception as error:  # a fault of ours must not hide the problems of the other entries
        error_type = type(error).__name__
        return [
            f"scorecard: cannot be counted from the verdicts ({error_type}), expected verdicts that give one"
        ]
    lines = list(differences(entry.scorecard, scorecard, "scorecard"))
    problems = [f"{line}, as counted from the verdicts" for line in lines[:5]]
    if len(lines) > 5:
        problems.append(f"scorecard: {len(lines) - 5} more fields differ from what the verdicts give")
    if scorecard.known_answer not in (None, 1.0):
        problems.append(
            f"scorecard.known_answer: {scorecard.known_answer:.4f}, expected 1: the model is a reference and "
            "accepts all of its own signals, so this run does not reproduce it"
        )
    return problems
