"""Checks of entry.json by itself: names, numbers, references, classes, likeness.

Only `counted_likeness` uses the verdicts, too. A problem is one line, `where: what was found, what was
expected`.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections import Counter
from functools import partial
from typing import Any

from harness.entries import validate_verdicts
from harness.entries.untrusted_files import Rule, rule_problems, text_problems
from harness.entries.untrusted_text import excerpt
from harness.entries.validate_adapter import MAX_TEXT, validate_adapter
from harness.families import is_family
from harness.metrics.acceptance import accepted, at_level_zero
from harness.plurals import plural
from harness.provenance import PACKAGES
from harness.schemas import Entry
from harness.tasks import Task
from harness.types import (
    MAX_BASE_MODELS,
    MAX_DATASETS,
    N_PROVEN,
    OTHER,
    PROOF_TOLERANCE,
    PROTOCOL,
    LabelMap,
)

MAX_REFERENCES = 200
MAX_DRAWS = 100

_REPO_ID = re.compile(r"(?!.*\.(\.|/|\Z))[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9]*([.+_-][A-Za-z0-9]+)*")
_TASK = re.compile(r"(?=.{1,64}$)[a-z0-9]+(-[a-z0-9]+)*")
_WHAT = {
    _REPO_ID: "org/name in letters, digits, '.', '_' and '-'",
    _COMMIT: "40 hex digits (a commit) or 64 (a sha256)",
    _SHA256: "64 hex digits (a sha256)",
    _TASK: "lower case letters, digits and hyphens",
    _VERSION: "a version such as 2.10.0",
}

HUB_BEGAN = "2022-03-02"
"""Day from which on the Hub knows when it first had a model; what is older bears this day."""

FIRST_DAY = "2026-01-01"
"""No version of this package is older."""


def validate_facts(entry: Entry) -> list[str]:
    """What is wrong with the names and the numbers of an entry, whatever its task is."""
    return [
        *_names(entry),
        *_numbers(entry),
        *validate_adapter(entry.model, entry.facts, entry.label_map.names, entry.signals.repo_id),
    ]


def of_task(entry: Entry, task: Task) -> list[str]:
    """What is wrong with its references, its label map and its likeness to the references."""
    return [
        *of_references(entry),
        *_silence(entry, task),
        *_label_map(entry.label_map, task),
        *_likeness(entry),
    ]


def of_references(entry: Entry) -> list[str]:
    """What is wrong with the references that an entry lists, whatever its task is."""
    references = entry.references
    if not 0 < len(references) <= MAX_REFERENCES:
        return [f"references: {len(references)}, expected 1 to {MAX_REFERENCES}"]
    rules: list[Rule] = []
    for i, r in enumerate(references):
        rule = partial(_rule, f"references.{i}", r)
        max_signals = validate_verdicts.MAX_CLIPS * min(max(r.n_draws, 1), MAX_DRAWS)
        rules += [
            rule("family", is_family(r.family), "a kind and a resolution, as in responsibility@bands32"),
            rule("n_signals", 0 <= r.n_signals <= max_signals, f"0 to {max_signals}"),
            rule("seed", 0 <= r.seed < 2**63, "0 to 2^63 - 1"),
            rule("n_draws", 1 <= r.n_draws <= MAX_DRAWS, f"1 to {MAX_DRAWS}"),
            rule("n_degenerate", 0 <= r.n_degenerate <= r.n_signals, "0 to n_signals"),
        ]
    families = Counter((r.model.repo_id, r.family) for r in references)
    slugs = Counter(slug for slug, _ in {(r.model.slug, r.model) for r in references})
    return [
        *rule_problems(rules),
        *(
            f"references: {excerpt(name)} stands {n} times with family {excerpt(family)}, expected once"
            for (name, family), n in families.items()
            if n > 1
        ),
        *(
            f"references: {excerpt(slug)} stands for {n} different models, expected one"
            for slug, n in slugs.items()
            if n > 1
        ),
    ]


def counted_likeness(entry: Entry, verdicts: Any) -> list[str]:
    """Whether the likeness agrees with the verdicts, as far as it can be counted without the suite.

    Of whole clips whose signals are degenerate only the suite knows the class; against it, all is counted.
    """
    columns = ["stimulus", "family", "reference", "clip_id", "expected", "predicted", "level"]
    verdicts = verdicts[columns]
    signals = verdicts[(verdicts["stimulus"] == "signal") & at_level_zero(verdicts)]
    is_covered = signals["expected"].isin(sorted(entry.label_map.covered))
    headline = signals[(signals["family"] == entry.signals.headline) & is_covered]
    whole = verdicts[verdicts["stimulus"] == "whole"]
    predicted = whole.set_index("clip_id")["predicted"]
    rules: list[Rule] = []
    for i, near_copy in enumerate(entry.likeness):
        rule = partial(_rule, f"likeness.{i}", near_copy)
        reference_signals = headline[headline["reference"] == near_copy.reference.repo_id]
        n_signals, n_accepted = len(reference_signals), int(accepted(reference_signals).sum())
        clips = signals[signals["reference"] == near_copy.reference.repo_id].drop_duplicates("clip_id")
        answers = predicted.reindex(clips["clip_id"]).to_numpy()
        n, least = len(clips), int((answers == clips["expected"].to_numpy()).sum())
        most = least + near_copy.n_clips - n
        in_clips = n <= near_copy.n_clips <= len(whole)
        agrees = not in_clips or least <= near_copy.n_agreed <= most
        origin = "as counted from the verdicts"
        rules += [
            rule("n_signals", near_copy.n_signals == n_signals, f"{n_signals}, {origin}"),
            rule("n_accepted", near_copy.n_accepted == n_accepted, f"{n_accepted}, {origin}"),
            rule("n_clips", in_clips, f"{n} to {len(whole)}, {origin}"),
            rule("n_agreed", agrees, f"{least} to {most}, {origin}"),
        ]
    return rule_problems(rules)


def ahead(entry: Entry) -> list[str]:
    """A time of the run in the future, which would rank as the newest until then."""
    end_time = _end_time(entry)
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)  # clocks differ
    if end_time is None or end_time <= tomorrow:
        return []
    return [f"run.created: {excerpt(entry.run.created)} lies ahead, expected the time its run ended"]


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
    rules.append(("run.goodenough", entry.run.goodenough, _VERSION))
    rules += [(f"run.versions.{name}", version, _VERSION) for name, version in entry.run.versions.items()]
    problems = [
        f"{where}: {excerpt(value)}, expected {_WHAT[pattern]}"
        for where, value, pattern in rules
        if not pattern.fullmatch(value)
    ]
    # The scorecard is left out: it is counted again, text and all.
    fields = {name: value for name, value in dataclasses.asdict(entry).items() if name != "scorecard"}
    problems += text_problems(fields, MAX_TEXT)
    if signals.config != entry.task:
        problems.append(
            f"signals.config: {excerpt(signals.config)}, expected the task, {excerpt(entry.task)}"
        )
    if not is_family(signals.headline):
        problems.append(f"signals.headline: {excerpt(signals.headline)}, expected a family of signals")
    if signals.split != "test":
        problems.append(f"signals.split: {excerpt(signals.split)}, expected 'test'")
    if entry.label_map.task != entry.task:
        problems.append(f"label_map.task: {excerpt(entry.label_map.task)}, expected {excerpt(entry.task)}")
    if unknown := sorted(set(entry.run.versions) - {"python", *PACKAGES}):
        package_names = ", ".join(("python", *PACKAGES))
        problems.append(f"run.versions: {excerpt(unknown[0])}, expected {package_names} alone")
    for where, name, revision in (
        ("model.revision", model.repo_id, model.revision),
        ("signals.revision", signals.repo_id, signals.revision),
    ):
        if name.startswith(("local/", "embedded/")) != (len(revision) == 64):
            problems.append(
                f"{where}: {excerpt(revision)} of {excerpt(name)}, expected 40 hex digits of what"
                " lies on the Hub, 64 of a folder"
            )
    if len(signals.revision) == 64 and signals.revision != signals.sha256:
        problems.append(f"signals.revision: {excerpt(signals.revision)}, expected that of signals.sha256")
    return [*problems, *_dates(entry)]


def _dates(entry: Entry) -> list[str]:
    created, released = entry.run.created, entry.facts.released
    if _end_time(entry) is None:
        return [f"run.created: {excerpt(created)}, expected a time such as 2026-01-31T12:00:00Z"]
    lines = []
    if created[:10] < FIRST_DAY:
        lines.append(f"run.created: {excerpt(created)}, expected {FIRST_DAY} or later, when this began")
    if released is None or not _is_day(released):
        return lines
    if entry.model.repo_id.startswith("local/"):
        lines.append(f"facts.released: {excerpt(released)}, expected nothing: a folder has no such day")
    elif not HUB_BEGAN <= released <= created[:10]:
        lines.append(
            f"facts.released: {excerpt(released)}, expected {HUB_BEGAN}, when the Hub began to note it,"
            f" to {created[:10]}, when the model was asked"
        )
    return lines


def _end_time(entry: Entry) -> datetime.datetime | None:
    """When its run ended; None where that is no time."""
    try:
        end_time = datetime.datetime.strptime(entry.run.created, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return end_time.replace(tzinfo=datetime.UTC)


def _numbers(entry: Entry) -> list[str]:
    facts, run, proof = entry.facts, entry.run, entry.proof
    tolerance = PROOF_TOLERANCE.get(run.dtype, 0.0)
    window = 1.0 if facts.window_seconds is None else facts.window_seconds
    n_asked, n_known, n_datasets = run.n_asked or 0, run.n_known or 0, len(facts.trained_on or ())
    n_bases = len(facts.base_models or ())
    released, n_parameters = facts.released or "2026-01-31", facts.n_parameters or 0
    return rule_problems(
        [
            ("protocol", entry.protocol, entry.protocol == PROTOCOL, f"{PROTOCOL}, that of this version"),
            ("facts.n_parameters", n_parameters, 0 <= n_parameters <= 10**15, "0 to 1e15"),
            ("facts.sample_rate_hz", facts.sample_rate_hz, 0 < facts.sample_rate_hz <= 10**6, "1 to 1e6"),
            ("facts.window_seconds", window, 0 < window <= 10**6, "nothing, or up to 1e6"),
            ("run.batch_size", run.batch_size, 0 < run.batch_size <= 10**6, "1 to 1e6"),
            ("facts.released", released, _is_day(released), "a day such as 2026-01-31"),
            ("run.n_asked", n_asked, 0 <= n_asked <= 10**9, "0 to 1e9"),
            ("run.n_known", n_known, 0 <= n_known <= 10**9, "0 to 1e9"),
            ("facts.base_models", n_bases, n_bases <= MAX_BASE_MODELS, f"at most {MAX_BASE_MODELS} names"),
            ("facts.trained_on", n_datasets, n_datasets <= MAX_DATASETS, f"at most {MAX_DATASETS} names"),
            ("run.seconds", run.seconds, 0 <= run.seconds <= 10**9, "0 to 1e9"),
            ("complete", entry.complete, entry.complete, "true: with --ci-width or --limit it is no entry"),
            ("run.dtype", run.dtype, run.dtype in PROOF_TOLERANCE, f"one of {', '.join(PROOF_TOLERANCE)}"),
            ("proof.n", proof.n, N_PROVEN <= proof.n <= 10**6, f"{N_PROVEN} to 1e6"),
            ("proof.batch_size", proof.batch_size, proof.batch_size == run.batch_size, "that of the run"),
            ("proof.n_flips", proof.n_flips, proof.n_flips == 0, "0: its verdicts depend on the batch"),
            _rule(
                *("proof", proof, "max_logit_difference", 0 <= proof.max_logit_difference <= tolerance),
                f"0 to {tolerance:g}: its logits depend on the batch",
            ),
        ]
    )


def _is_day(text: str) -> bool:
    try:
        return len(text) == 10 and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _silence(entry: Entry, task: Task) -> list[str]:
    labels = (*task.labels, OTHER)
    what = f"a label of {task.name} or {OTHER}"
    return rule_problems(
        _rule(f"references.{i}", r, "silence_class", r.silence_class in labels, what)
        for i, r in enumerate(entry.references[:MAX_REFERENCES])
    )


def _label_map(label_map: LabelMap, task: Task) -> list[str]:
    names, canonical = label_map.names, label_map.canonical
    problems = []
    if len(names) != len(canonical):
        problems.append(
            f"label_map: {plural(len(names), 'name')} and {plural(len(canonical), 'label')}, expected as many"
        )
    if len(set(names)) != len(names):
        problems.append("label_map.names: a class stands there twice, expected different names")
    if label_map.source not in ("names", "file"):
        problems.append(f"label_map.source: {excerpt(label_map.source)}, expected 'names' or 'file'")
    for i, (name, label) in enumerate(zip(names, canonical, strict=False)):
        where = f"label_map.canonical.{i}: {excerpt(label)} for class {excerpt(name)}"
        if label not in (*task.labels, OTHER):
            problems.append(f"{where}, expected a label of {task.name} or {OTHER}")
        elif label_map.source == "names" and label != (expected := task.label_of(name) or OTHER):
            problems.append(
                f"{where}, expected {expected!r}, as it reads by name; a reviewed map has the source 'file'"
            )
    n = len(label_map.covered & set(task.labels))
    if n < 2:
        problems.append(f"label_map: {plural(n, 'label')} of {task.name}, expected at least 2")
    return problems


def _likeness(entry: Entry) -> list[str]:
    """Whether the likeness to the references can be, whatever the verdicts are."""
    references = tuple(dict.fromkeys(r.model for r in entry.references[: 2 * MAX_REFERENCES]))
    if tuple(near_copy.reference for near_copy in entry.likeness) != references:
        return [
            f"likeness: {plural(len(entry.likeness), 'reference')}, expected the {len(references)} of the"
            " entry, each once, in their order"
        ]
    rules: list[Rule] = []
    for i, near_copy in enumerate(entry.likeness):
        rule = partial(_rule, f"likeness.{i}", near_copy)
        r = 0.0 if near_copy.correlation is None else near_copy.correlation
        most, n_clips = validate_verdicts.MAX_CLIPS, near_copy.n_clips
        rules += [
            rule("n_accepted", 0 <= near_copy.n_accepted <= near_copy.n_signals, "0 to n_signals"),
            rule("n_clips", 0 <= n_clips <= most, f"0 to {most}"),
            rule("n_agreed", 0 <= near_copy.n_agreed <= n_clips, "0 to n_clips"),
            rule("correlation", -1 <= r <= 1, "-1 to 1, or nothing"),
        ]
    return rule_problems(rules)


def _rule(where: str, record: Any, field: str, holds: bool, what: str) -> Rule:
    """A rule of a field of a record that stands at `where`."""
    return f"{where}.{field}", getattr(record, field), holds, what
