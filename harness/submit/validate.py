"""Everything that is wrong with one entry, at once. Entries come from strangers: nothing in them is trusted.

A problem is one line, `where: what was found, what was expected`. No content of an entry makes a check
raise: files are measured before they are read, JSON is read strictly, and the scorecard is not believed but
counted again from the verdicts. What a check cannot judge because another failed, it leaves.

Public: problems, strays.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.dataset import shards
from harness.documents import Entry
from harness.records import FAMILIES, MAX_DATASETS, OTHER, PROOF_TOLERANCE, PROTOCOL, LabelMap
from harness.score.scorecard import summarise
from harness.submit import hostile, notices, rows, store, text, verification
from harness.submit.differences import differences
from harness.tasks import Task

MAX_ENTRY_BYTES = 2**20
MAX_VERDICTS_BYTES = 64 * 2**20
MAX_PROBLEMS = 50
MAX_REFERENCES = 200
MAX_TEXT = 200
"""Characters of a name."""

REPORT = "report.html"

_SIZES = {store.ENTRY: MAX_ENTRY_BYTES, store.VERDICTS: MAX_VERDICTS_BYTES}
_REPO_ID = re.compile(r"(?!.*\.(\.|/|\Z))[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TASK = re.compile(r"(?=.{1,64}$)[a-z0-9]+(-[a-z0-9]+)*")
_WHAT = {
    _REPO_ID: "org/name in letters, digits, '.', '_' and '-'",
    _COMMIT: "40 hex digits (a commit) or 64 (a sha256)",
    _SHA256: "64 hex digits (a sha256)",
    _TASK: "lower case letters, digits and hyphens",
}


def problems(folder: Path, tasks: Sequence[Task], *, strict_files: bool) -> list[str]:
    """All that is wrong with the entry in a folder; empty when it is valid.

    Args:
        folder: holds entry.json and verdicts.parquet.
        tasks: those an entry may be of.
        strict_files: the rules among submissions: no report lies beside them, and no date ahead.
    """
    found = _files(folder, strict_files)
    entry, unread = _entry(folder / store.ENTRY)
    found += unread
    if entry is not None:
        found += _place(folder, entry)
        found += _contents(folder, entry, tasks)
        found += _ahead(entry) if strict_files else []
    lines = [text.one_line(line) for line in dict.fromkeys(found)]
    if len(lines) > MAX_PROBLEMS:
        lines[MAX_PROBLEMS:] = [f"entry: {len(lines) - MAX_PROBLEMS} more problems are not shown"]
    return lines


def strays(submissions: Path) -> list[str]:
    """What lies among the submissions without being part of an entry, by its path.

    A README.md and hidden files may lie at the top, beside an entry its verification and what is said against
    it, and in the folder of a revision what its model declines, each if it is that.
    """
    found: dict[Path, list[str]] = {}
    entries = set(store.find(submissions))
    for folder, folders, files in os.walk(submissions, followlinks=False):
        here = Path(folder)
        if here in entries:
            folders.clear()
            continue
        links = [name for name in folders if (here / name).is_symlink()]
        at_top = [n for n in files if n == "README.md" or n.startswith(".")] if here == submissions else []
        for path in (here / name for name in (*files, *links) if name not in at_top):
            beside = here / path.name.removesuffix(verification.SUFFIX)
            if notices.is_notice(path, entries):
                found[path] = [f"{here}/{line}" for line in notices.found_in(path, submissions)]
            elif beside != path and beside in entries:
                lines = verification.problems(path, beside)
                found[path] = [f"{here}/{line}" for line in lines]
            else:
                found[path] = [f"{path}: belongs to no entry, expected entries alone"]
    return [text.one_line(line) for path in sorted(found) for line in found[path]]


def _files(folder: Path, strict: bool) -> list[str]:
    allowed = (*_SIZES,) if strict else (*_SIZES, REPORT)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        return [f"folder: cannot be listed ({error.strerror}), expected a folder"]
    found = ["folder: a symlink, expected a folder"] if folder.is_symlink() else []
    found += [
        f"{text.shown(name)}: not part of an entry, expected only {' and '.join(allowed)}"
        for name in names
        if name not in allowed
    ]
    found += [problem for name in allowed if name in names and (problem := _unusable(folder / name))]
    return found + [f"{name}: missing, expected beside the other" for name in _SIZES if name not in names]


def _unusable(path: Path) -> str | None:
    """Why a file of an entry must not be opened."""
    return hostile.unusable(path, _SIZES.get(path.name))


def _entry(path: Path) -> tuple[Entry | None, list[str]]:
    return (None, []) if _unusable(path) else hostile.record(Entry, path)


def _place(folder: Path, entry: Entry) -> list[str]:
    lies = "/".join(Path(os.path.abspath(folder)).parts[-3:])
    if lies == entry.path:
        return []
    shown = (text.shown(path, 200) for path in (lies, entry.path))
    return [f"folder: {', expected '.join(shown)}, by the content of entry.json"]


def _contents(folder: Path, entry: Entry, tasks: Sequence[Task]) -> list[str]:
    found = [*_names(entry), *_facts(entry)]
    task = next((t for t in tasks if t.name == entry.task), None)
    if task is None:
        known = ", ".join(t.name for t in tasks)
        found.append(
            f"task: {text.shown(entry.task)}, expected one of {known}; "
            "for a task of your own give its file: --task path/to/task.yaml"
        )
        return [*found, *_references(entry)]
    unread, table = _verdicts(folder / store.VERDICTS, entry, task)
    counted = [*_references(entry), *_silence(entry, task), *_label_map(entry.label_map, task)]
    if table is not None and not counted:
        counted = rows.problems(table, entry, task)
        if not counted and entry.protocol == PROTOCOL:
            counted = _scorecard(entry, task, table.to_pandas(ignore_metadata=True))
    return [*found, *unread, *counted]


def _verdicts(path: Path, entry: Entry, task: Task) -> tuple[list[str], Any]:
    if _unusable(path):
        return [], None
    sha256 = shards.sha256_of(path)
    found = []
    if entry.verdicts_sha256 != sha256:
        found.append(
            f"verdicts_sha256: {text.shown(entry.verdicts_sha256)}, expected {sha256}, that of the file"
        )
    table, unread = rows.load(path, len(task.labels))
    if table is not None and entry.n_verdicts != table.num_rows:
        found.append(f"n_verdicts: {text.shown(entry.n_verdicts)}, expected {table.num_rows}, as in the file")
    return [*found, *unread], table


def _names(entry: Entry) -> list[str]:
    model, signals = entry.model, entry.signals
    rules: list[tuple[str, str, re.Pattern[str]]] = [
        ("model.repo_id", model.repo_id, _REPO_ID),
        ("model.revision", model.revision, _COMMIT),
        ("model.weights_sha256", model.weights_sha256, _SHA256),
        ("task", entry.task, _TASK),
        ("signals.revision", signals.revision, _COMMIT),
        ("signals.sha256", signals.sha256, _SHA256),
    ]
    for i, reference in enumerate(entry.references[:MAX_REFERENCES]):
        rules += [
            (f"references.{i}.model.repo_id", reference.model.repo_id, _REPO_ID),
            (f"references.{i}.model.revision", reference.model.revision, _COMMIT),
            (f"references.{i}.model.weights_sha256", reference.model.weights_sha256, _SHA256),
        ]
    found = [
        f"{where}: {text.shown(value)}, expected {_WHAT[pattern]}"
        for where, value, pattern in rules
        if not pattern.fullmatch(value)
    ]
    # The scorecard is left out: it is counted again, text and all.
    everything = {name: value for name, value in dataclasses.asdict(entry).items() if name != "scorecard"}
    found += [
        f"{where}: {text.shown(value)}, expected plain text without < and >, at most {MAX_TEXT} characters"
        for where, value in hostile.strings(everything)
        if not text.is_plain(value, MAX_TEXT)
    ]
    if signals.config != entry.task:
        found.append(
            f"signals.config: {text.shown(signals.config)}, expected the task, {text.shown(entry.task)}"
        )
    if signals.split != "test":
        found.append(f"signals.split: {text.shown(signals.split)}, expected 'test'")
    if entry.label_map.task != entry.task:
        found.append(f"label_map.task: {text.shown(entry.label_map.task)}, expected {text.shown(entry.task)}")
    if _ended(entry) is None:
        found.append(
            f"run.created: {text.shown(entry.run.created)}, expected a time such as 2026-01-31T12:00:00Z"
        )
    return found


def _ahead(entry: Entry) -> list[str]:
    """A time that has not come: it would stand as the newest for as long as it has not."""
    ended = _ended(entry)
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)  # clocks differ
    if ended is None or ended <= tomorrow:
        return []
    return [f"run.created: {text.shown(entry.run.created)} lies ahead, expected the time its run ended"]


def _ended(entry: Entry) -> datetime.datetime | None:
    """When its run ended; None where that is no time."""
    try:
        ended = datetime.datetime.strptime(entry.run.created, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return ended.replace(tzinfo=datetime.UTC)


def _facts(entry: Entry) -> list[str]:
    facts, run, proof = entry.facts, entry.run, entry.proof
    tolerance = PROOF_TOLERANCE.get(run.dtype, 0.0)
    window = 1.0 if facts.window_seconds is None else facts.window_seconds
    asked, known, n_datasets = run.n_asked or 0, run.n_known or 0, len(facts.trained_on or ())
    released = facts.released or "2026-01-31"
    return _out_of_range(
        [
            ("protocol", entry.protocol, entry.protocol == PROTOCOL, f"{PROTOCOL}, that of this version"),
            ("facts.n_parameters", facts.n_parameters, 0 <= facts.n_parameters <= 10**15, "0 to 1e15"),
            ("facts.sample_rate_hz", facts.sample_rate_hz, 0 < facts.sample_rate_hz <= 10**6, "1 to 1e6"),
            ("facts.window_seconds", window, 0 < window <= 10**6, "nothing, or up to 1e6"),
            ("run.batch_size", run.batch_size, 0 < run.batch_size <= 10**6, "1 to 1e6"),
            ("facts.released", released, _is_day(released), "a day such as 2026-01-31"),
            ("run.n_asked", asked, 0 <= asked <= 10**9, "0 to 1e9"),
            ("run.n_known", known, 0 <= known <= 10**9, "0 to 1e9"),
            ("facts.trained_on", n_datasets, n_datasets <= MAX_DATASETS, f"at most {MAX_DATASETS} names"),
            ("run.seconds", run.seconds, 0 <= run.seconds <= 10**9, "0 to 1e9"),
            ("complete", entry.complete, entry.complete, "true: a run that was stopped early is no entry"),
            ("run.dtype", run.dtype, run.dtype in PROOF_TOLERANCE, f"one of {', '.join(PROOF_TOLERANCE)}"),
            ("proof.n", proof.n, 0 < proof.n <= 10**6, "1 to 1e6"),
            ("proof.batch_size", proof.batch_size, proof.batch_size == run.batch_size, "that of the run"),
            ("proof.n_flips", proof.n_flips, proof.n_flips == 0, "0: its verdicts depend on the batch"),
            (
                "proof.max_logit_difference",
                proof.max_logit_difference,
                0 <= proof.max_logit_difference <= tolerance,
                f"0 to {tolerance:g}: its logits depend on the batch",
            ),
        ]
    )


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _references(entry: Entry) -> list[str]:
    offered = entry.references
    if not 0 < len(offered) <= MAX_REFERENCES:
        return [f"references: {len(offered)}, expected 1 to {MAX_REFERENCES}"]
    rules: list[Rule] = []
    for i, r in enumerate(offered):
        in_range = 0 <= r.n_signals <= rows.MAX_CLIPS
        rules += [
            (f"references.{i}.family", r.family, r.family in FAMILIES, f"one of {', '.join(FAMILIES)}"),
            (f"references.{i}.n_signals", r.n_signals, in_range, f"0 to {rows.MAX_CLIPS}"),
            (
                f"references.{i}.n_degenerate",
                r.n_degenerate,
                0 <= r.n_degenerate <= r.n_signals,
                "0 to n_signals",
            ),
        ]
    families = Counter((r.model.repo_id, r.family) for r in offered)
    slugs = Counter(slug for slug, _ in {(r.model.slug, r.model) for r in offered})
    return [
        *_out_of_range(rules),
        *(
            f"references: {text.shown(name)} stands {n} times with family {text.shown(family)}, expected once"
            for (name, family), n in families.items()
            if n > 1
        ),
        *(
            f"references: {text.shown(slug)} stands for {n} different models, expected one"
            for slug, n in slugs.items()
            if n > 1
        ),
    ]


def _silence(entry: Entry, task: Task) -> list[str]:
    known = (*task.labels, OTHER)
    return _out_of_range(
        [
            (
                f"references.{i}.silence_class",
                r.silence_class,
                r.silence_class in known,
                f"a label of {task.name} or {OTHER}",
            )
            for i, r in enumerate(entry.references[:MAX_REFERENCES])
        ]
    )


Rule = tuple[str, Any, bool, str]
"""Where, what was found, whether it holds, what was expected."""


def _out_of_range(rules: Sequence[Rule]) -> list[str]:
    return [
        f"{where}: {text.shown(value)}, expected {what}" for where, value, holds, what in rules if not holds
    ]


def _label_map(label_map: LabelMap, task: Task) -> list[str]:
    names, canonical = label_map.names, label_map.canonical
    found = []
    if len(names) != len(canonical):
        found.append(f"label_map: {len(names)} names and {len(canonical)} labels, expected as many")
    if len(set(names)) != len(names):
        found.append("label_map.names: a class stands there twice, expected different names")
    if label_map.source not in ("names", "file"):
        found.append(f"label_map.source: {text.shown(label_map.source)}, expected 'names' or 'file'")
    for i, (name, label) in enumerate(zip(names, canonical, strict=False)):
        where = f"label_map.canonical.{i}: {text.shown(label)} for class {text.shown(name)}"
        if label not in (*task.labels, OTHER):
            found.append(f"{where}, expected a label of {task.name} or {OTHER}")
        elif label_map.source == "names" and label != (read := task.label_of(name) or OTHER):
            found.append(
                f"{where}, expected {read!r}, as it reads by name; a reviewed map has the source 'file'"
            )
    n = len(label_map.covered & set(task.labels))
    if n < 2:
        found.append(f"label_map: {n} labels of {task.name}, expected at least 2")
    return found


def _scorecard(entry: Entry, task: Task, verdicts: Any) -> list[str]:
    """Sound verdicts give one scorecard, and it is the one in the entry."""
    try:
        counted = summarise(verdicts, task, entry.model, entry.references, entry.label_map)
    except Exception as error:  # a fault of ours must not hide the problems of the other entries
        kind = type(error).__name__
        return [f"scorecard: cannot be counted from the verdicts ({kind}), expected verdicts that give one"]
    differing = list(differences(entry.scorecard, counted, "scorecard"))
    found = [f"{line}, as counted from the verdicts" for line in differing[:5]]
    if len(differing) > 5:
        found.append(f"scorecard: {len(differing) - 5} more fields differ from what the verdicts give")
    if counted.known_answer not in (None, 1.0):
        found.append(
            f"scorecard.known_answer: {counted.known_answer:.4f}, expected 1: the model is a reference and "
            "accepts all of its own signals, so this run does not reproduce it"
        )
    return found
