"""`goodenough check`: in seconds, without any data, whether a model can be evaluated."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.terminal import label_map_for, model_options

if TYPE_CHECKING:
    from harness.models import Classifier
    from harness.tasks import Task

_TOLERANCE = 1e-4
"""Largest difference of a logit between batch sizes."""


@dataclass(frozen=True)
class Finding:
    """One line of the check."""

    what: str
    passed: bool | None
    """None for a fact that can neither pass nor fail."""
    detail: str


@click.command()
@click.argument("model")
@click.option("--task", "task_names", multiple=True, metavar="T", help="Task, repeatable; default: all.")
@model_options
def check(
    model: str,
    task_names: tuple[str, ...],
    revision: str | None,
    label_map: Path | None,
    batch_size: int,
    device: str | None,
    as_json: bool,
) -> int:
    """See whether MODEL, a Hub id or a folder, can be evaluated: it loads, hears, and speaks a task's labels.

    Exit code 1 if it does not pass.

    Example: goodenough check superb/hubert-large-superb-er
    """
    import json

    from harness import models, tasks

    classifier = models.load(model, revision, device=device, batch_size=batch_size)
    wanted = [tasks.find(name) for name in task_names] or list(tasks.TASKS.values())
    readings = [_reading(classifier, task, label_map, bool(task_names)) for task in wanted]
    findings = [*_facts(classifier), *_hearing(classifier), *readings]
    if not any(reading.passed for reading in readings):
        findings.append(Finding("labels", False, "speak no task; see why with --task T"))
    passed = all(finding.passed is not False for finding in findings)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "model": asdict(classifier.ref),
                    "facts": asdict(classifier.facts),
                    "passed": passed,
                    "findings": [asdict(finding) for finding in findings],
                }
            )
        )
    else:
        _show(classifier.ref.repo_id, findings)
    return 0 if passed else 1


def _facts(classifier: Classifier) -> list[Finding]:
    facts, ref = classifier.facts, classifier.ref
    window = "any length" if facts.window_seconds is None else f"{facts.window_seconds:.2f} s of a clip"
    return [
        Finding("revision", None, ref.revision),
        Finding("architecture", None, f"{facts.architecture}, {facts.n_parameters:,} parameters"),
        Finding("hears", None, f"{facts.sample_rate_hz} Hz, {window}, through {classifier.frontend}"),
        Finding("licence", None, facts.licence or "not stated"),
        Finding("runs on", None, f"{classifier.device}, {classifier.dtype}"),
    ]


def _hearing(classifier: Classifier) -> list[Finding]:
    """Synthetic sound of two lengths through the real path, alone and in batches."""
    import time

    import numpy as np

    from harness.seeds import generator

    rng = generator("check", classifier.ref.repo_id)
    rate = classifier.facts.sample_rate_hz
    shortest = max(rate, classifier.min_samples)
    sounds = [
        (0.1 * rng.normal(size=n)).astype(np.float32)
        for n in (shortest, shortest + rate // 2)
        for _ in range(3)
    ]
    together = classifier.logits(sounds, rate)
    started = time.perf_counter()
    alone = np.concatenate([classifier.logits([sound], rate) for sound in sounds])
    seconds = time.perf_counter() - started
    heard = sum(len(sound) for sound in sounds) / rate
    difference = float(np.abs(together - alone).max())
    flips = int((together.argmax(axis=1) != alone.argmax(axis=1)).sum())
    return [
        Finding("speed", None, f"{seconds / heard:.3f} s of computing per second of sound, one at a time"),
        Finding(
            "batches",
            difference <= _TOLERANCE and flips == 0,
            f"alone and together, logits differ by {difference:.1e} at most; {flips} classes do",
        ),
    ]


def _reading(classifier: Classifier, task: Task, label_map: Path | None, asked: bool) -> Finding:
    """How the model's class names are read for one task; only one that was asked for can fail."""
    from harness.errors import BadLabels

    try:
        labels = label_map_for(classifier, task, label_map)
    except BadLabels as error:
        # Of a task that was not asked for, what is wrong is enough; how to mend it would only be in the way.
        why = str(error) if asked else str(error).split(";")[0]
        return Finding(f"labels of {task.name}", False if asked else None, why)
    read = ", ".join(f"{n} → {c}" for n, c in zip(labels.names, labels.canonical, strict=True))
    return Finding(f"labels of {task.name}", True, read)


def _show(name: str, findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    marks = {True: Text("pass", "green"), False: Text("FAIL", "bold red"), None: Text("")}
    table = Table(title=name, title_justify="left", show_header=False)
    for finding in findings:
        table.add_row(finding.what, marks[finding.passed], Text(finding.detail))
    Console().print(table)
