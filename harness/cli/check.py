"""`goodenough check`: in seconds, without any data, whether a model can be evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from harness.cli.common import (
    ModelOptions,
    class_names_for,
    command_line,
    label_map_for,
    model_options,
    open_suite,
)
from harness.cli.encodings import json_text
from harness.cli.layout import Row, print_rows
from harness.cli.progress import duration

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.model_facts import ModelFacts
    from harness.models.classifiers import Classifier
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
    opening: ModelOptions,
    as_json: bool,
) -> int:
    """See whether MODEL, a Hub id or a folder, can be evaluated: it loads, hears, and has a task's labels.

    Hears synthetic sound through the real path, alone and in batches; needs no data. The time of a full
    evaluation is that of --signals, or of the starter suite. The last line says whether the model is ready,
    and which command comes next. Exit code 1 if it is not.

    Example: goodenough check superb/hubert-large-superb-er
    """
    import json

    suite = open_suite(signals)
    if template:
        _print_template(opening, model, [_task(name, suite) for name in task_names])
        return 0
    wanted = [_task(name, suite) for name in dict.fromkeys(task_names)] or _all_tasks(suite, signals)
    classifier = opening.open(opening.resolve(model))
    readings = [_reading(classifier, task, label_map, bool(task_names)) for task in wanted]
    hearing, seconds = _hearing(classifier)
    fitting = [task for task, reading in zip(wanted, readings, strict=True) if reading.passed]
    findings = [*_facts(classifier), *hearing, *readings, *_estimates(suite, fitting, seconds)]
    if not fitting and not task_names:
        findings.append(
            Finding("labels", False, f"fit none of the tasks {', '.join(t.name for t in wanted)}")
        )
    passed = all(finding.passed is not False for finding in findings)
    verdict = _verdict(hearing, list(zip(wanted, readings, strict=True)), suite)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "model": asdict(classifier.ref),
                    "facts": asdict(classifier.facts),
                    "passed": passed,
                    "findings": [asdict(finding) for finding in findings],
                    "verdict": verdict[0].rstrip(":"),
                    "next": verdict[1],
                }
            )
        )
    else:
        _show(classifier.ref.repo_id, findings, verdict)
    return 0 if passed else 1


def _task(name: str, suite: Suite) -> Task:
    """A task by its name or file: that of the suite where it has one of this name."""
    from harness import tasks

    there = {task.name: task for task in suite.tasks}
    if name in there:
        return there[name]
    named = tasks.find(name)
    return there.get(named.name, named)


def _all_tasks(suite: Suite, signals: str | None) -> list[Task]:
    """What is evaluated without --task: the tasks of the suite; without a suite, all there are."""
    from harness import tasks

    return list(tasks.TASKS.values() if signals is None else suite.tasks)


def _print_template(opening: ModelOptions, model: str, wanted: list[Task]) -> None:
    from harness import labels
    from harness.errors import BadInput

    if len(wanted) != 1:
        raise BadInput(f"--template is for one task, and {len(wanted)} are given; name it with --task T")
    checkpoint = opening.resolve(model)
    class_names = class_names_for(checkpoint, opening.open)
    click.echo(json_text(labels.template(class_names, wanted[0], checkpoint.ref)), nl=False)


def _facts(classifier: Classifier) -> list[Finding]:
    facts, ref = classifier.facts, classifier.ref
    window = _window(facts)
    return [
        Finding("revision", None, ref.revision),
        Finding("architecture", None, f"{facts.architecture}, {facts.n_parameters:,} parameters"),
        Finding("hears", None, f"{facts.sample_rate_hz} Hz, {window}, through {classifier.frontend}"),
        Finding("licence", None, facts.licence or "not stated"),
        Finding("made from", None, ", ".join(facts.base_models or ()) or "not stated"),
        Finding("trained on", None, ", ".join(facts.trained_on or ()) or "not stated"),
        Finding("runs on", None, f"{classifier.device}, {classifier.dtype}"),
        *(Finding("note", None, note) for note in classifier.notes),
    ]


def _window(facts: ModelFacts) -> str:
    """What a model hears of a clip."""
    if facts.window_seconds is None:
        return "clips of any length"
    which = {"start": "first", "middle": "middle", "end": "last"}[facts.window_at]
    return f"the {which} {facts.window_seconds:.2f} s of a clip"


def _hearing(classifier: Classifier) -> tuple[list[Finding], float]:
    """Synthetic sound of two lengths through the real path, alone and in batches.

    Returns:
        What was found; seconds of computing per second of sound, in batches.
    """
    import time

    import numpy as np

    from harness.seeds import generator
    from harness.types import PROOF_TOLERANCE

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
            f"alone and together, logits differ by {difference:.1e} at most, and"
            f" {flips or 'none'} of the {len(sounds)} answers",
        ),
    ]
    end, beyond = classifier.window_holds()
    if classifier.facts.window_seconds is None:
        detail = f"the end of a sound of 2 s {'counts' if end else 'changes nothing'}"
    else:
        rest = "counts, too" if beyond else "changes nothing"
        detail = f"{_window(classifier.facts)} are heard; the rest {rest}"
    findings.append(Finding("window", not beyond, detail))
    return findings, seconds / heard


def _estimates(suite: Suite, tasks: list[Task], seconds: float) -> Iterator[Finding]:
    """How long an evaluation of each task will take here, at most: what sounds the same is asked once."""
    from harness.evaluation.units import units_of

    for task in (each for each in suite.tasks if each.name in [t.name for t in tasks]):
        units = units_of(suite, task)
        sound = sum(unit.n_stimuli * unit.n_samples for unit in units) / task.sample_rate_hz
        n = sum(unit.n_stimuli for unit in units)
        detail = f"at most {duration(sound * seconds)} for {n:,} stimuli of {suite.name}"
        yield Finding(f"evaluation of {task.name}", None, detail)


def _reading(classifier: Classifier, task: Task, label_map: Path | None, asked: bool) -> Finding:
    """How the model's class names are read for one task; only one that was asked for can fail."""
    from harness.errors import BadLabels
    from harness.types import OTHER

    try:
        labels = label_map_for(classifier.class_names, classifier.ref, task, label_map)
    except BadLabels as error:
        # What is wrong; how to mend it stands in the verdict, or is said where the task is asked for.
        why = str(error) if label_map else str(error).split("; ")[0]
        return Finding(f"labels of {task.name}", False if asked else None, why)
    pairs = list(zip(labels.names, labels.canonical, strict=True))
    read = ", ".join(f"{name} → {label}" for name, label in pairs if label != OTHER)
    if unread := [name for name, label in pairs if label == OTHER]:
        read += f"; no label of the task, so never right: {', '.join(unread)}"
    if missing := [label for label in task.labels if label not in labels.covered]:
        read += f"; {len(labels.covered)} of {len(task.labels)} labels, without {', '.join(missing)}"
    return Finding(f"labels of {task.name}", True, read)


def _verdict(hearing: list[Finding], readings: list[tuple[Task, Finding]], suite: Suite) -> tuple[str, str]:
    """Whether the model is ready, and for which tasks, or why not; and the command that comes next."""
    failed = {finding.what: finding.detail for finding in hearing if finding.passed is False}
    if "batches" in failed:
        again = command_line("template", "as_json", "batch_size")
        return (
            f"Not ready: {failed['batches']}; see whether it is with batches of one:",
            f"{again} --batch-size 1",
        )
    if failed:
        return (
            f"Not ready: {', '.join(failed.values())}. That is a fault of goodenough: please report it.",
            "",
        )
    fitting = [task.name for task, reading in readings if reading.passed]
    others = [task.name for task, reading in readings if reading.passed is False]
    if ready := [name for name in fitting if suite.has_task(name)]:
        text = f"Ready to evaluate on {', '.join(ready)}"
        if unready := [name for name in (*fitting, *others) if name not in ready and _is_given("task_names")]:
            tasks = "".join(f" --task {name}" for name in ready)
            return f"{text}, not on {', '.join(unready)}:", _evaluate("task_names") + tasks
        return f"{text}:", _evaluate()
    if fitting:
        return (
            f"Ready, but {suite.name} has no signals of {', '.join(fitting)}, only of"
            f" {', '.join(suite.task_names)}; with a suite that has some:",
            f"{_evaluate('signals')} --signals SOURCE",
        )
    if _is_given("label_map"):
        return f"Not ready: {'; '.join(reading.detail for _, reading in readings)}", ""
    names = " or ".join(task.name for task, _ in readings)
    given = command_line("template", "as_json", "label_map", "task_names")
    named = click.get_current_context().params["task_names"]
    task = quote(named[0]) if len(named) == 1 else "T"
    return (
        f"Not ready: its class names cannot be read as labels of {names}. If they mean such labels, complete"
        " a label map and give it with --label-map:",
        f"{given} --task {task} --template > labels.json",
    )


def _evaluate(*without: str) -> str:
    """The command that evaluates, with the options that this one has."""
    return command_line("template", "as_json", *without).replace(" check ", " evaluate ", 1)


def _is_given(name: str) -> bool:
    from click.core import ParameterSource

    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _show(name: str, findings: list[Finding], verdict: tuple[str, str]) -> None:
    marks = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("", "")}
    rows = [Row(*marks[finding.passed], finding.what, finding.detail) for finding in findings]
    print_rows(name, rows, *verdict)
