"""One candidate on one task: from a loaded model to an entry with its verdicts.

Public: evaluate.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.dataset import schema
from harness.dataset.signals import Suite
from harness.journal import Journal
from harness.models import Classifier
from harness.provenance import run_settings
from harness.records import PROTOCOL, Entry, LabelMap, Verdict
from harness.score import transfer
from harness.score.scorecard import summarise
from harness.tasks import Task


def evaluate(
    classifier: Classifier,
    label_map: LabelMap,
    suite: Suite,
    task: Task,
    out: Path,
    *,
    sees: Callable[[int], None] = lambda n: None,
) -> tuple[Entry, list[Verdict]]:
    """Judge every stimulus and sum up.

    Verdicts are kept in a journal below `out` as they come; a run that was cut off continues from it.

    Args:
        classifier: the candidate.
        label_map: how its classes are read.
        suite: clips and signals.
        task: the task.
        out: folder of results.
        sees: told the number of units (`transfer.n_units` in all) after each batch.

    Returns:
        The entry, not yet written, and its verdicts.
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
        },
        "finish that run with the command that began it, or choose another --out",
    )
    try:
        done = {item["key"]: [_verdict(row) for row in item["verdicts"]] for item in journal.items}
        sees(len(done))
        for units in transfer.judge(classifier, label_map, suite, task, done=done, sees=sees):
            journal.append(*(_item(key, verdicts) for key, verdicts in units))
            done.update(units)
    finally:
        journal.close()
    verdicts = [verdict for rows in done.values() for verdict in rows]
    references = suite.counts(task.name)
    frame = schema.verdict_table(verdicts).to_pandas()
    entry = Entry(
        protocol=PROTOCOL,
        task=task.name,
        model=classifier.ref,
        facts=classifier.facts,
        signals=signals,
        references=references,
        label_map=label_map,
        scorecard=summarise(frame, task, classifier.ref, references, label_map),
        run=run_settings(
            classifier.device,
            classifier.dtype,
            classifier.batch_size,
            classifier.frontend,
            time.monotonic() - started,
        ),
        n_verdicts=len(verdicts),
        verdicts_sha256="",
    )
    journal.remove()
    return entry, verdicts


def _item(key: str, verdicts: list[Verdict]) -> dict[str, Any]:
    return {"key": key, "verdicts": [dataclasses.asdict(v) for v in verdicts]}


def _verdict(row: dict[str, Any]) -> Verdict:
    return Verdict(**{**row, "p": tuple(row["p"])})
