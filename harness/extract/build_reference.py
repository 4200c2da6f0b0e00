"""One reference into a signals folder: clips in, certified signals of every family out."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.dataset import writer
from harness.dataset.corpora import Corpus
from harness.dataset.parquet_schema import ClipLine
from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from harness.errors import BadCorpus, BadInput, NotValid
from harness.extract.certify import Extracted
from harness.extract.journal_lines import from_item
from harness.extract.oracle import Listener
from harness.extract.runner import Progress, extract
from harness.extract.search import Search
from harness.extract.search_task import (
    NO_LIMITS,
    ONE_DRAW,
    ONE_SIGNAL,
    Draws,
    Limits,
    Sets,
    family_of,
    search_name,
)
from harness.journal import Journal, remove_stale_locks
from harness.manifest import CorpusRef, ReferenceRecord, SetCounts
from harness.models.classifiers import Classifier
from harness.provenance import run_settings
from harness.schemas import ReferenceCounts
from harness.tasks import Task, task_record
from harness.types import N_LEVELS, PROTOCOL, Clip, LabelMap, ModelRef, Skipped


class Extractor(Protocol):
    """What extracts the signals of clips: `extract.runner.extract`, or what does the same elsewhere."""

    def __call__(
        self,
        listener: Listener,
        reference: str,
        label_map: LabelMap,
        clips: Sequence[Clip],
        searches: Sequence[Search],
        journal: Journal,
        *,
        limits: Limits,
        sets: Sets,
        draws: Draws,
        progress: Progress,
    ) -> Sequence[Extracted]:
        """See `extract.runner.extract`."""
        ...


def add(
    classifier: Classifier,
    label_map: LabelMap,
    task: Task,
    corpus: Corpus,
    searches: Sequence[Search],
    root: Path,
    *,
    limits: Limits = NO_LIMITS,
    sets: Sets = ONE_SIGNAL,
    draws: Draws = ONE_DRAW,
    masks_only: bool = False,
    engine: Extractor = extract,
    progress: Progress = lambda clips, queries: None,
) -> ReferenceRecord:
    """Extract the signals of a reference and add it to a folder; what is there already is not done again.

    The folder `root` is made if need be; with `masks_only` it gets no audio of the signals. The other
    arguments are those of `extract.runner.extract`, which is the `engine` unless another is given.

    Raises:
        BadSignals: the folder holds something that this reference cannot join.
        BadCorpus: no clips, or none that can be decoded.
        BadInput: a clip is too short for the reference, or there is no other one to stand in for its rest.
        NotValid: not one signal came of it.
    """
    start = time.monotonic()
    clips = corpus.clip_sequence(task)
    if not clips:
        raise BadCorpus(f"{corpus.name} has no clips in the chosen split")
    if limits.completion.kind == "swap" and len(clips) == 1:
        raise BadInput(
            f"--completion swap puts another clip in the place of the rest, and {corpus.name} has only one;"
            " take more clips, or --completion noise:-40"
        )
    _require_long_enough(classifier, clips.lines, task.sample_rate_hz)
    record = ReferenceRecord(
        task=task.name,
        model=classifier.ref,
        facts=classifier.facts,
        label_map=label_map,
        corpus=corpus.ref(clips),
        searches=tuple(search_name(search, limits, draws) for search in searches),
        counts=tuple(
            ReferenceCounts(classifier.ref, name, 0, 0, "", draws.seed, draws.n_of(name))
            for name in (str(family_of(search, limits)) for search in searches)
        ),
        skipped=corpus.skipped,
        run=run_settings(
            classifier.device, classifier.dtype, classifier.batch_size, classifier.frontend, 0.0
        ),
        sets=_set_counts(searches, limits, sets),
    )
    suite = writer.open_for(root, task, record, clips)
    path, identity = _journal(root, task, classifier.ref), _identity(record, task, clips.lines)
    hint = "finish that work with the command that began it, delete that file, or choose another --out"
    if suite is not None:
        for old in suite.references(task.name):
            if old.model == record.model and _search_keys(record) <= _search_keys(old):
                if path.exists():
                    # Left by a kill after the manifest was written; one of other work stays.
                    with contextlib.suppress(BadInput):
                        Journal(path, identity, hint).remove()
                remove_stale_locks(root, f"{path.name}.lock")
                return old
    journal = Journal(path, identity, hint, from_item)
    try:
        results = engine(
            classifier,
            classifier.ref.repo_id,
            label_map,
            clips,
            searches,
            journal,
            limits=limits,
            sets=sets,
            draws=draws,
            progress=_with_left_out(len(corpus) - len(clips), progress),
        )
        silence_class = _silence_class(classifier, label_map, clips[0])
        record = _complete_record(record, results, silence_class, time.monotonic() - start)
        if not any(count.n_signals for count in record.counts):
            reason = record.skipped[0].why if record.skipped else "no clip was given"
            raise NotValid(f"{classifier.ref.repo_id} has no signal on {corpus.name}: {reason}")
        order = sorted(range(len(clips)), key=lambda i: clips.lines[i].clip_id)
        signals = (signal for i in order for signal in results[i].signals)
        causal_sets = (causal_set for i in order for causal_set in results[i].sets)
        writer.add_reference(
            root, task, record, clips, signals, sets=causal_sets, masks_only=masks_only, in_order=True
        )
    except BaseException:
        journal.close()
        raise
    journal.remove()
    return record


def exists(
    root: Path,
    task: Task,
    model: ModelRef,
    label_map: LabelMap,
    searches: Sequence[Search],
    limits: Limits,
    draws: Draws,
    corpus: Callable[[], CorpusRef],
) -> bool:
    """Whether a folder has the signals of a reference already: `add` would find nothing to do.

    For the arguments see `add`; `corpus` is called only where all else is as it should be.
    """
    if not (root / MANIFEST).is_file() or _journal(root, task, model).exists():
        return False
    search_names = {search_name(search, limits, draws) for search in searches}
    for old in Suite(root, f"local/{root.resolve().name}").references(task.name):
        if old.model == model and old.label_map == label_map and search_names <= set(old.searches):
            return old.corpus == corpus()
    return False


def _with_left_out(n_clips: int, progress: Progress) -> Progress:
    """A progress callback that counts the clips that were left out with its first report."""
    pending = [n_clips]

    def report(clips: int, queries: int) -> None:
        progress(clips + (pending.pop() if pending else 0), queries)

    return report


def _journal(root: Path, task: Task, model: ModelRef) -> Path:
    """Path of the journal of unfinished work."""
    return root / f".{task.name}-{model.slug}.journal"


def _identity(record: ReferenceRecord, task: Task, clips: Sequence[ClipLine]) -> dict[str, object]:
    """What identifies the work: a journal with the same identity is continued."""
    content = "".join(f"{c.clip_id}\0{c.label}\0{c.sha256}\n" for c in clips)
    return {
        "protocol": PROTOCOL,
        "task": dataclasses.asdict(task_record(task)) | {"labels": list(task.labels)},
        "model": dataclasses.asdict(record.model),
        "label map": list(record.label_map.canonical),
        "clips": hashlib.sha256(content.encode()).hexdigest(),
        "searches": list(record.searches),
        "sets": [[s.family, s.kind, s.most] for s in record.sets],
        "levels": N_LEVELS,
        "versions": record.run.versions,
    }


def _complete_record(
    record: ReferenceRecord, results: Sequence[Extracted], silence_class: str, seconds: float
) -> ReferenceRecord:
    n_signals: Counter[str] = Counter()
    n_degenerate: Counter[str] = Counter()
    n_sets: Counter[tuple[str, str]] = Counter()
    skipped: list[Skipped] = []
    for result in results:  # once, as each is unpacked
        n_signals.update(s.family for s in result.signals)
        n_degenerate.update(s.family for s in result.signals if s.degenerate)
        n_sets.update((s.family, s.kind) for s in result.sets)
        skipped += result.skipped
    counts = (
        dataclasses.replace(c, n_signals=n_signals[c.family], n_degenerate=n_degenerate[c.family])
        for c in record.counts
    )
    return dataclasses.replace(
        record,
        counts=tuple(dataclasses.replace(c, silence_class=silence_class) for c in counts),
        skipped=(*record.skipped, *skipped),
        sets=tuple(dataclasses.replace(s, n_sets=n_sets[s.family, s.kind]) for s in record.sets),
        run=dataclasses.replace(record.run, seconds=round(seconds, 3)),
    )


def _set_counts(searches: Sequence[Search], limits: Limits, sets: Sets) -> tuple[SetCounts, ...]:
    return tuple(
        SetCounts(str(family_of(search, limits)), kind, most, search_name(search, limits), 0)
        for search in searches
        for kind, most in sets.kinds
    )


def _search_keys(record: ReferenceRecord) -> set[tuple[str, ...]]:
    """The searches and sets of a record."""
    set_keys = {(s.family, s.kind, str(s.most), s.search) for s in record.sets}
    return {*((search,) for search in record.searches), *set_keys}


def _require_long_enough(classifier: Classifier, clips: Sequence[ClipLine], sample_rate_hz: int) -> None:
    """A suite holds whole clips, which every candidate is asked about: its reference must hear them all."""
    short_clips = [c for c in clips if not classifier.can_hear(c.n_samples, sample_rate_hz)]
    if short_clips:
        min_seconds = classifier.min_samples / classifier.facts.sample_rate_hz
        names = ", ".join(f"{c.clip_id} ({c.n_samples / sample_rate_hz:.4f} s)" for c in short_clips[:3])
        more = f" and {len(short_clips) - 3} more" if len(short_clips) > 3 else ""
        raise BadInput(
            f"too short for {classifier.ref.repo_id}, which needs {min_seconds:.4f} s: {names}{more};"
            " leave them out of the corpus"
        )


def _silence_class(classifier: Classifier, label_map: LabelMap, clip: Clip) -> str:
    logits = classifier.logits([np.zeros_like(clip.waveform)], clip.sample_rate_hz)
    return label_map.canonical[int(np.argmax(logits))]
