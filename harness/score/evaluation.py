"""One candidate on one task: from a loaded model to an entry with its verdicts.

Public: evaluate.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.dataset import schema
from harness.dataset.signals import Suite
from harness.journal import Journal
from harness.models import Classifier
from harness.provenance import run_settings, versions
from harness.records import PROTOCOL, Entry, LabelMap, Verdict
from harness.score import transfer
from harness.score.scorecard import summarise
from harness.tasks import Task

Kept = TypeVar("Kept")


def evaluate(
    classifier: Classifier,
    label_map: LabelMap,
    suite: Suite,
    task: Task,
    out: Path,
    *,
    keep: Callable[[Entry, Sequence[Verdict]], Kept],
    sees: Callable[[int], None] = lambda n: None,
) -> Kept:
    """Judge every stimulus, sum up, and have the result kept.

    Verdicts go to a journal below `out` as they come; a run that was cut off continues from it, and it goes
    only when the result is kept.

    Args:
        classifier: the candidate.
        label_map: how its classes are read.
        suite: clips and signals.
        task: the task.
        out: folder of results.
        keep: given the entry, with its hash still missing, and the verdicts; writes them.
        sees: told the number of units (`transfer.n_units` in all) after each batch.

    Returns:
        What `keep` returned.
    """
    started = time.monotonic()
    signals = suite.ref(task.name)
    journal = Journal(
        out / f".{classifier.ref.slug}-{task.name}@{signals.sha256[:8]}.journal",
        {
            "protocol": PROTOCOL,
            "model": dataclasses.asdict(classifier.ref),
            "label map": list(label_map.canonical),
            "signals": signals.sha256,
            "dtype": classifier.dtype,
            "device": classifier.device,
            "frontend": classifier.frontend,
            "versions": versions(),
        },
        "finish that run with the command that began it, delete that file, or choose another --out",
    )
    try:
        done = {item["key"]: [_verdict(row) for row in item["verdicts"]] for item in journal.items}
        sees(len(done))
        for units in transfer.judge(classifier, label_map, suite, task, done=done, sees=sees):
            journal.append(*(_item(key, verdicts) for key, verdicts in units))
            done.update(units)
        verdicts = [verdict for rows in done.values() for verdict in rows]
        entry = _entry(classifier, label_map, suite, task, verdicts, time.monotonic() - started)
        kept = keep(entry, verdicts)
    except BaseException:
        journal.close()
        raise
    journal.remove()
    return kept


def _entry(
    classifier: Classifier,
    label_map: LabelMap,
    suite: Suite,
    task: Task,
    verdicts: Sequence[Verdict],
    seconds: float,
) -> Entry:
    references = suite.counts(task.name)
    frame = schema.verdict_table(verdicts).to_pandas()
    return Entry(
        protocol=PROTOCOL,
        task=task.name,
        model=classifier.ref,
        facts=classifier.facts,
        signals=suite.ref(task.name),
        references=references,
        label_map=label_map,
        scorecard=summarise(frame, task, classifier.ref, references, label_map),
        run=run_settings(
            classifier.device, classifier.dtype, classifier.batch_size, classifier.frontend, seconds
        ),
        n_verdicts=len(verdicts),
        verdicts_sha256="",
    )


def _item(key: str, verdicts: list[Verdict]) -> dict[str, Any]:
    return {"key": key, "verdicts": [dataclasses.asdict(v) for v in verdicts]}


def _verdict(row: dict[str, Any]) -> Verdict:
    return Verdict(**{**row, "p": tuple(row["p"])})
