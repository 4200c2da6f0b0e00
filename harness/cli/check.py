"""`goodenough check`: in seconds, without any data, whether a model can be evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.terminal import Opening, label_map_for, model_options, open_suite

if TYPE_CHECKING:
    from harness.checkpoints import Checkpoint
    from harness.models import Classifier
    from harness.tasks import Task


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
@click.option("--template", is_flag=True, help="Print a label map to complete, of the one --task, and stop.")
@click.option("--signals", metavar="SOURCE", help="Signals folder or Hub dataset ORG/NAME[@REVISION].")
@model_options
def check(
    model: str,
    task_names: tuple[str, ...],
    template: bool,
    signals: str | None,
    label_map: Path | None,
    opening: Opening,
    as_json: bool,
) -> int:
    """See whether MODEL, a Hub id or a folder, can be evaluated: it loads, hears, and speaks a task's labels.

    Hears synthetic sound through the real path, alone and in batches; needs no data. The time of a full
    evaluation is that of --signals, or of the starter suite. Exit code 1 if it does not pass.

    Example: goodenough check superb/hubert-large-superb-er
    """
    import json

    from harness import tasks

    checkpoint = opening.resolve(model)
    if template:
        _print_template(checkpoint, task_names)
        return 0
    classifier = opening.open(checkpoint)
    wanted = [tasks.find(name) for name in task_names] or list(tasks.TASKS.values())
    readings = [_reading(classifier, task, label_map, bool(task_names)) for task in wanted]
    hearing, seconds = _hearing(classifier)
    fitting = [task for task, reading in zip(wanted, readings, strict=True) if reading.passed]
    findings = [*_facts(classifier), *hearing, *readings, *_estimates(signals, fitting, seconds)]
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


def _print_template(checkpoint: Checkpoint, task_names: tuple[str, ...]) -> None:
    from harness import labels, tasks
    from harness.checkpoints import class_names_of
    from harness.errors import BadInput

    if len(task_names) != 1:
        raise BadInput(f"--template is for one task, and {len(task_names)} are given; name it with --task T")
    class_names = class_names_of(checkpoint)
    if not class_names:
        raise BadInput(f"{checkpoint.ref.repo_id} has no id2label in config.json, so no classes to map")
    click.echo(labels.template(class_names, tasks.find(task_names[0]), checkpoint.ref), nl=False)


def _facts(classifier: Classifier) -> list[Finding]:
    facts, ref = classifier.facts, classifier.ref
    window = "any length" if facts.window_seconds is None else f"{facts.window_seconds:.2f} s of a clip"
    return [
        Finding("revision", None, ref.revision),
        Finding("architecture", None, f"{facts.architecture}, {facts.n_parameters:,} parameters"),
        Finding("hears", None, f"{facts.sample_rate_hz} Hz, {window}, through {classifier.frontend}"),
        Finding("licence", None, facts.licence or "not stated"),
        Finding("made from", None, ", ".join(facts.base_models or ()) or "not stated"),
        Finding("trained on", None, ", ".join(facts.trained_on or ()) or "not stated"),
        Finding("runs on", None, f"{classifier.device}, {classifier.dtype}"),
    ]


def _hearing(classifier: Classifier) -> tuple[list[Finding], float]:
    """Synthetic sound of two lengths through the real path, alone and in batches.

    Returns:
        What was found; seconds of computing per second of sound, in batches.
    """
    import time

    import numpy as np

    from harness.records import PROOF_TOLERANCE
    from harness.seeds import generator

    rng = generator("check", classifier.ref.repo_id)
    rate = classifier.facts.sample_rate_hz
    shortest = max(rate, classifier.min_samples)
    sounds = [
        (0.1 * rng.normal(size=n)).astype(np.float32)
        for n in (shortest, shortest + rate // 2)
        for _ in range(3)
    ]
    alone = np.concatenate([classifier.logits([sound], rate) for sound in sounds])
    started = time.perf_counter()
    together = classifier.logits(sounds, rate)
    seconds = time.perf_counter() - started
    heard = sum(len(sound) for sound in sounds) / rate
    difference = float(np.abs(together - alone).max())
    flips = int((together.argmax(axis=1) != alone.argmax(axis=1)).sum())
    findings = [
        Finding("speed", None, f"{seconds / heard:.3f} s of computing per second of sound, in batches"),
        Finding(
            "batches",
            difference <= PROOF_TOLERANCE[classifier.dtype] and flips == 0,
            f"alone and together, logits differ by {difference:.1e} at most; {flips} classes do",
        ),
    ]
    return findings, seconds / heard


def _estimates(source: str | None, tasks: list[Task], seconds: float) -> Iterator[Finding]:
    """How long an evaluation of each task will take here, at most: what sounds the same is asked once."""
    from harness.score.units import units_of

    suite = open_suite(source)
    for task in (each for each in suite.tasks if each.name in [t.name for t in tasks]):
        units = units_of(suite, task)
        sound = sum(unit.n_stimuli * unit.n_samples for unit in units) / task.sample_rate_hz
        n = sum(unit.n_stimuli for unit in units)
        detail = f"at most {_duration(sound * seconds)} for {n:,} stimuli of {suite.name}"
        yield Finding(f"evaluation of {task.name}", None, detail)


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _reading(classifier: Classifier, task: Task, label_map: Path | None, asked: bool) -> Finding:
    """How the model's class names are read for one task; only one that was asked for can fail."""
    from harness.errors import BadLabels
    from harness.records import OTHER

    try:
        labels = label_map_for(classifier.class_names, classifier.ref, task, label_map)
    except BadLabels as error:
        # Of a task that was not asked for, what is wrong is enough; how to mend it would only be in the way.
        why = str(error) if asked else str(error).split(";")[0]
        return Finding(f"labels of {task.name}", False if asked else None, why)
    pairs = list(zip(labels.names, labels.canonical, strict=True))
    read = ", ".join(f"{name} → {label}" for name, label in pairs if label != OTHER)
    if unread := [name for name, label in pairs if label == OTHER]:
        read += f"; no label of the task, so never right: {', '.join(unread)}"
    if missing := [label for label in task.labels if label not in labels.covered]:
        read += f"; {len(labels.covered)} of {len(task.labels)} labels, without {', '.join(missing)}"
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
