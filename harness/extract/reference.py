"""One reference into a signals folder: clips in, certified signals of every family out.

Public: add.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.dataset import build
from harness.dataset.corpora import Corpus
from harness.dataset.signals import task_record
from harness.errors import BadCorpus, NotValid
from harness.extract.contract import Search
from harness.extract.run import Extracted, Progress, extract
from harness.journal import Journal
from harness.models import Classifier
from harness.provenance import run_settings
from harness.records import (
    PROTOCOL,
    LabelMap,
    ReferenceCounts,
    ReferenceRecord,
    SufficientSignal,
)
from harness.tasks import Task


def add(
    classifier: Classifier,
    label_map: LabelMap,
    task: Task,
    corpus: Corpus,
    searches: Sequence[Search],
    root: Path,
    *,
    budget: int | None = None,
    masks_only: bool = False,
    begins: Callable[[int], None] = lambda n_clips: None,
    progress: Progress = lambda clips, queries: None,
) -> ReferenceRecord:
    """Extract the signals of a reference and add it to a folder; what is there already is not done again.

    Args:
        classifier: the reference.
        label_map: how its classes are read.
        task: the task.
        corpus: its clips.
        searches: one per family.
        root: the signals folder, made if need be.
        budget: see `run.extract`.
        masks_only: store no audio of the signals.
        begins: told the number of clips before the first is done.
        progress: see `run.extract`.

    Raises:
        BadSignals: the folder holds something that this reference cannot join.
        BadCorpus: no clips.
        NotValid: not one signal came of it.
    """
    started = time.monotonic()
    clips = list(corpus.clips(task))
    if not clips:
        raise BadCorpus(f"{corpus.name} has no clips in the chosen split")
    record = ReferenceRecord(
        task=task.name,
        model=classifier.ref,
        facts=classifier.facts,
        label_map=label_map,
        corpus=corpus.ref(clips),
        searches=tuple(repr(search) for search in searches),
        counts=(),
        skipped=(),
        run=run_settings(
            classifier.device, classifier.dtype, classifier.batch_size, classifier.frontend, 0.0
        ),
    )
    suite = build.existing(root)
    build.check_fits(suite, task, record, clips)
    if suite is not None:
        for old in suite.references(task.name):
            if old.model == record.model and set(record.searches) <= set(old.searches):
                return old
    begins(len(clips))
    journal = Journal(
        root / f".{task.name}-{classifier.ref.slug}.journal",
        _work(record, task, budget),
        "finish that work with the command that began it, or choose another --out",
    )
    try:
        extracted = extract(
            classifier,
            classifier.ref.repo_id,
            label_map,
            clips,
            searches,
            journal,
            budget=budget,
            progress=progress,
        )
        record = _finished(record, extracted, searches, time.monotonic() - started)
        signals = [signal for e in extracted for signal in e.signals]
        if not signals:
            why = record.skipped[0].why if record.skipped else "no clip was given"
            raise NotValid(f"{classifier.ref.repo_id} has no signal on {corpus.name}: {why}")
        build.add_reference(root, task, record, clips, signals, masks_only=masks_only)
    finally:
        journal.close()
    journal.remove()
    return record


def _work(record: ReferenceRecord, task: Task, budget: int | None) -> dict[str, object]:
    """What a journal must agree on to be continued."""
    return {
        "protocol": PROTOCOL,
        "task": dataclasses.asdict(task_record(task)) | {"labels": list(task.labels)},
        "model": dataclasses.asdict(record.model),
        "label map": list(record.label_map.canonical),
        "corpus": record.corpus.revision,
        "searches": list(record.searches),
        "budget": budget,
    }


def _finished(
    record: ReferenceRecord, extracted: Sequence[Extracted], searches: Sequence[Search], seconds: float
) -> ReferenceRecord:
    signals = [signal for e in extracted for signal in e.signals]
    counts = (_counts(record, search.family, signals) for search in searches)
    return dataclasses.replace(
        record,
        counts=tuple(counts),
        skipped=tuple(s for e in extracted for s in e.skipped),
        run=dataclasses.replace(record.run, seconds=round(seconds, 3)),
    )


def _counts(record: ReferenceRecord, family: str, signals: Sequence[SufficientSignal]) -> ReferenceCounts:
    of_family = [s for s in signals if s.family == family]
    n_degenerate = sum(s.degenerate for s in of_family)
    return ReferenceCounts(record.model, family, len(of_family), n_degenerate)
