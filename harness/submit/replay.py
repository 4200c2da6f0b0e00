"""Computes verdicts of an entry again with its model: a random sample, or all of them.

First the machine is tested: a reference must accept its own signals here, as it did where they were
certified; otherwise no entry is verified. Then the candidate runs on the processor, in the arithmetic and
batch size of its entry, through the same code as in an evaluation.

The sample favours verdicts that a forger would gain most from (`submit.verdict_sample`). Where one verdict of
a signal is sampled, all its rows are compared with the expected ones, so that missing and surplus rows are
found, too. A sample deters and does not prove: docs/verification.md says what it finds, and `verify --all`
checks everything.

The class names are read from the model itself, so that an entry with another order of classes is found; the
other facts about the model are checked by `submit.field_checks`.
"""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.dataset.parquet_io import sha256_of
from harness.dataset.suites import Suite
from harness.entries import store
from harness.entries.compare import Comparison, compare
from harness.entries.held_back import HeldBack, record_of
from harness.entries.record_differences import differences, likeness_differences
from harness.entries.untrusted_text import plain
from harness.entries.verification import (
    MAX_MISMATCHES,
    MAX_TEXT,
    TOLERANCE,
    KnownAnswer,
    Mismatch,
    Verification,
    holds,
)
from harness.errors import NotValid
from harness.evaluation import predict, runner
from harness.evaluation.stimuli import Key
from harness.evaluation.units import Unit, units_of
from harness.manifest import ReferenceRecord
from harness.metrics.held_back import compare as compare_lifts
from harness.metrics.likeness import copies, suspects
from harness.metrics.scorecard import summarise
from harness.provenance import run_settings
from harness.schemas import Entry
from harness.seeds import generator
from harness.submit import verdict_sample
from harness.tasks import Task
from harness.types import OTHER, PROTOCOL, LabelMap

if TYPE_CHECKING:
    from harness.models.classifiers import Classifier

N_SAMPLE = 256
"""Verdicts that are asked again."""

N_KNOWN = 16
"""Signals that a reference must accept first, at most."""


def known_answer(
    suite: Suite, task: Task, reference: ReferenceRecord, classifier: Classifier
) -> KnownAnswer | None:
    """Evaluate a loaded reference of a suite on some of its own signals, as they were published.

    Returns:
        That it accepted all of them; None where it has no signal that is not degenerate.

    Raises:
        NotValid: it did not: this machine computes something else than the one they were certified on.
    """
    slug = reference.model.slug
    signal_lines = [line for line in suite.signal_lines(task.name, slug) if not line.degenerate]
    if not signal_lines:
        return None
    order = generator("known answer", task.name, reference.model.weights_sha256).permutation(
        len(signal_lines)
    )
    sample = [signal_lines[i] for i in order[:N_KNOWN]]
    waveforms = [suite.signal(task.name, slug, line.signal_id)[1] for line in sample]
    logits = classifier.logits(waveforms, task.sample_rate_hz)
    labels = [reference.label_map.canonical[i] for i in logits.argmax(axis=1)]
    n = sum(label == line.expected for label, line in zip(labels, sample, strict=True))
    if n < len(sample):
        raise NotValid(
            f"the machine is at fault, not an entry: the reference {reference.model.repo_id} accepts {n} of"
            f" {len(sample)} of its own {task.name} signals here and must accept all; compare the versions of"
            " torch, transformers, numpy, scipy and soxr with those of constraints.txt; nothing was verified"
        )
    return KnownAnswer(reference.model, len(sample), n)


def rerun(
    folder: Path,
    suite: Suite,
    classifier: Classifier,
    machine: KnownAnswer | str,
    *,
    base: str,
    k: int = N_SAMPLE,
    model_differences: Sequence[str] = (),
    progress: runner.Progress = lambda n, total, estimates: None,
) -> Verification:
    """Ask the model of an entry k of its verdicts again, a sample that depends on `base` and the entry.

    Neither `validate` nor `suite_check` finds a problem in the entry. The classifier is its model, on the
    processor, in the arithmetic and batch size of the entry; `machine` is the result of `known_answer`, or
    why there is none, in a sentence; for `model_differences` see `field_checks`.
    """
    start_time = time.monotonic()
    entry, verdicts = store.read(folder), store.verdicts(folder)
    task = suite.task(entry.task)
    keys = verdict_sample.keys_of(verdicts)
    rows_of: dict[str, dict[Key, int]] = defaultdict(dict)
    for i, key in enumerate(keys):
        rows_of[key[0]][key[1:]] = i
    sample: dict[str, set[Key]] = defaultdict(set)
    priority = suspects(verdicts, task, entry.label_map, suite)
    for i in verdict_sample.draw(entry, sha256_of(folder / store.ENTRY), verdicts, base, k, priority):
        sample[keys[i][0]].add(keys[i][1:])
    rows: set[int] = set()

    def choice(unit: Unit, unit_keys: Sequence[Key]) -> list[int]:
        """The drawn verdicts, and those that the entry lacks; its surplus rows are compared, too."""
        entry_rows, unit_sample = rows_of[unit.key], sample[unit.key]
        rows.update(row for key, row in entry_rows.items() if key in unit_sample or key not in unit_keys)
        return [i for i, key in enumerate(unit_keys) if key in unit_sample or key not in entry_rows]

    units = [unit for unit in units_of(suite, task) if unit.key in sample]
    blocks: dict[str | None, list[Unit]] = defaultdict(list)
    for unit in units:
        blocks[unit.clip_id].append(unit)
    answers: dict[str, predict.Answers] = {}
    for batch in predict.judge(classifier, suite, task, blocks.values(), choice):
        answers.update((unit.content, unit_answers) for unit, unit_answers in batch)
        progress(len(batch), len(units), None)
    rerun_verdicts, labels = verdicts[:0], label_map_of(entry, classifier)
    if complete_units := [unit for unit in units if unit.content in answers]:
        table = predict.verdict_table(complete_units, answers, labels, task)
        rerun_verdicts = table.to_pandas(ignore_metadata=True)
    entry_verdicts = verdicts.iloc[sorted(rows)].reset_index(drop=True)
    comparison = compare(
        entry_verdicts, rerun_verdicts, task, entry.run.dtype, entry.signals.headline, whole=True
    )
    return _verification(
        folder, entry, classifier, machine, comparison, base, None, model_differences, start_time
    )


def reproduce(
    folder: Path,
    suite: Suite,
    classifier: Classifier,
    machine: KnownAnswer | str,
    *,
    out: Path,
    model_differences: Sequence[str] = (),
    progress: runner.Progress = lambda n, total, estimates: None,
) -> Verification:
    """Ask the model of an entry everything again, and count its scorecard and likeness from the answers.

    The arguments are those of `rerun`; `out` is a folder for the answers, of this entry alone, in which a run
    that was cut off continues.

    Raises:
        NotValid: the batch size moves the logits of this model.
    """
    start_time = time.monotonic()
    entry = store.read(folder)
    task = suite.task(entry.task)

    labels = label_map_of(entry, classifier)
    result = runner.evaluate(classifier, labels, suite, task, out, progress=progress)
    new_entry, verdicts = result.entry, result.frame()
    tolerance = TOLERANCE[entry.run.dtype]
    comparison = compare(
        store.verdicts(folder), verdicts, task, entry.run.dtype, entry.signals.headline, whole=True
    )
    likeness_changes = list(likeness_differences(entry.likeness, new_entry.likeness, tolerance))
    card = new_entry.scorecard
    if not likeness_changes and copies(entry.likeness) != copies(new_entry.likeness):
        # The correlation lies close to the bound, on either side of it: use the near copies of the entry.
        references, near_copies = entry.references, copies(entry.likeness)
        card = summarise(verdicts, task, entry.model, references, labels, entry.signals.headline, near_copies)
    n_different = len(likeness_changes) + len(list(differences(entry.scorecard, card, "scorecard")))
    return _verification(
        folder, entry, classifier, machine, comparison, None, n_different, model_differences, start_time
    )


def measure_held_back(
    folder: Path,
    suite: Suite,
    classifier: Classifier,
    *,
    out: Path,
    progress: runner.Progress = lambda n, total, estimates: None,
) -> HeldBack | None:
    """Ask the model of a valid entry, in the arithmetic of the entry, the held-back signals of a suite.

    The folder `out` is for the answers, of this entry alone; a run that was cut off continues there.

    Returns:
        The record; None where no reference counts in both lifts.

    Raises:
        NotValid: the batch size moves the logits of this model.
    """
    entry = store.read(folder)
    labels, task = label_map_of(entry, classifier), suite.task(entry.task)
    result = runner.evaluate(classifier, labels, suite, task, out, progress=progress)
    lifts = compare_lifts((entry, store.verdicts(folder)), (result.entry, result.frame()))
    return None if lifts is None else record_of(folder, result.entry, lifts)


def label_map_of(entry: Entry, classifier: Classifier) -> LabelMap:
    """The label map of the entry, for the class names of the model itself."""
    canonical = dict(zip(entry.label_map.names, entry.label_map.canonical, strict=True))
    names = classifier.class_names
    return LabelMap(
        entry.task, names, tuple(canonical.get(name, OTHER) for name in names), entry.label_map.source
    )


def _plain(mismatch: Mismatch) -> Mismatch:
    """A mismatch whose class names, which may be any text, are plain text."""
    values = (mismatch.found, mismatch.expected)
    actual, expected = (None if value is None else plain(value, MAX_TEXT) for value in values)
    return dataclasses.replace(mismatch, found=actual, expected=expected)


def _verification(
    folder: Path,
    entry: Entry,
    classifier: Classifier,
    machine: KnownAnswer | str,
    comparison: Comparison,
    base: str | None,
    n_scorecard_differences: int | None,
    model_differences: Sequence[str],
    start_time: float,
) -> Verification:
    seconds = time.monotonic() - start_time
    adapter = classifier.facts.adapter
    record = Verification(
        protocol=PROTOCOL,
        kind="reproduced" if base is None else "replayed",
        entry=entry.path,
        entry_sha256=sha256_of(folder / store.ENTRY),
        verdicts_sha256=entry.verdicts_sha256,
        base=base,
        n_asked=comparison.n_asked,
        n_same=comparison.n_same,
        n_ties=comparison.n_ties,
        max_difference=comparison.max_difference,
        tolerance=TOLERANCE[entry.run.dtype],
        mismatches=tuple(_plain(mismatch) for mismatch in comparison.mismatches),
        n_scorecard_differences=n_scorecard_differences,
        known_answer=None if isinstance(machine, str) else machine,
        no_known_answer_because=machine if isinstance(machine, str) else None,
        holds=False,
        run=run_settings(
            classifier.device, classifier.dtype, classifier.batch_size, classifier.frontend, seconds
        ),
        differing=tuple(plain(line, MAX_TEXT) for line in model_differences[:MAX_MISMATCHES]),
        n_ties_for=comparison.n_ties_for,
        n_ties_against=comparison.n_ties_against,
        adapter_sha256=None if adapter is None else adapter.weights_sha256,
    )
    return dataclasses.replace(record, holds=holds(record))
