"""`goodenough check`: in seconds, without any data, whether a model can be evaluated."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.backends import LocalBackend, PinnedModel
from harness.cli.common import label_map_for, print_json
from harness.cli.option_groups import GroupedCommand
from harness.cli.options import ModelOptions, command_line, given
from harness.cli.output_encoding import json_text
from harness.cli.tables import console_for, wrap
from harness.errors import BadInput, BadLabels
from harness.progress import duration
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.model_facts import ModelFacts
    from harness.models.classifiers import Classifier
    from harness.tasks import Task
    from harness.types import LabelMap, ModelRef


_MIN_ROOM = 30
"""Fewest columns for a detail beside its name; with fewer it goes below."""


@dataclass(frozen=True)
class Finding:
    """One line of the check."""

    what: str
    passed: bool | None
    """None for a fact that can neither pass nor fail."""
    detail: str


@dataclass(frozen=True)
class _TaskFit:
    """How the classes of a model fit a task."""

    task: Task
    finding: Finding
    labels: LabelMap | None
    """None where they cannot be read as its labels."""
    nearly: bool
    """Whether they can but for some names that need a label map."""


@click.command(cls=GroupedCommand)
@click.argument("model")
@options.tasks
@options.flag("--template", help="Print a label map to complete, for the one --task, and stop.")
@options.signals
@options.model
def check(
    model: str,
    task_names: tuple[str, ...],
    template: bool,
    signals: str | None,
    label_map: Path | None,
    opening: ModelOptions,
    as_json: bool,
) -> int:
    """Check whether MODEL loads, accepts audio and has classes that match a task.

    MODEL is a Hub id, a folder, or an adapter, FILE.py:CLASS. It is run on synthetic sound, alone and in
    batches; this needs no data. The time of a full evaluation is
    estimated for --signals, or for the starter suite. The last line says whether the model is ready, and
    which command comes next. Exit code 1 if it is not.

    Example: goodenough check superb/hubert-large-superb-er
    """
    from harness import tasks as all_tasks

    opening.adapter.refuse_without_adapter(model)
    suite = open_suite(signals)
    if template:
        _print_template(opening, model, [_task(name, suite) for name in task_names])
        return 0
    default_tasks = all_tasks.TASKS.values() if signals is None else suite.tasks
    tasks = [_task(name, suite) for name in dict.fromkeys(task_names)] or list(default_tasks)
    classifier = opening.open(opening.resolve(model))
    fits = [_task_fit(classifier, task, label_map, bool(task_names)) for task in tasks]
    inference_findings = _inference_findings(classifier)
    suitable = [fit for fit in fits if fit.labels is not None]
    estimates = _estimates(classifier, suite, [fit.task for fit in suitable])
    findings = [*_facts(classifier), *inference_findings, *(fit.finding for fit in fits)]
    findings += [*_coverages(suite, suitable, classifier.ref), *_caveats(classifier, suitable), *estimates]
    if not suitable and not task_names:
        findings.append(Finding("labels", False, f"fit none of the tasks {', '.join(t.name for t in tasks)}"))
    passed = all(finding.passed is not False for finding in findings)
    verdict, command = _verdict(inference_findings, fits, suite)
    if as_json:
        content = {
            "model": classifier.ref,
            "facts": classifier.facts,
            "passed": passed,
            "findings": findings,
            "verdict": verdict.rstrip(":"),
            "next": command,
        }
        print_json(content)
    else:
        _print_findings(classifier.ref.repo_id, findings, verdict, command)
    return 0 if passed else 1


def _print_findings(title: str, findings: Sequence[Finding], verdict: str, command: str) -> None:
    """Print the findings on stdout, between a title and the verdict with the command to copy.

    Text is wrapped at the width of a terminal; in a pipe each finding is one line.
    """
    from rich.text import Text

    console = console_for()
    marks = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("", "")}
    margin = max(len(marks[finding.passed][0]) for finding in findings) + 2
    detail_column = margin + max(len(finding.what) for finding in findings) + 2
    lines = [Text(title, "bold")]
    for finding in findings:
        mark, style = marks[finding.passed]
        head = Text.assemble((mark.ljust(margin), style), finding.what)
        room = console.width - detail_column
        if room >= max(_MIN_ROOM, *map(len, finding.detail.split())):
            text = wrap(finding.detail, console.width, " " * detail_column)
            lines.append(head + text[len(head) :])
        else:
            lines += [head, Text(wrap(finding.detail, console.width, " " * margin))]
    end = f"{verdict} {command}".rstrip()
    if len(end) > console.width:
        end = wrap(verdict, console.width) + (f"\n  {command}" if command else "")
    for line in (*lines, Text(end)):
        console.print(line, soft_wrap=True)


def _task(name: str, suite: Suite) -> Task:
    """A task by its name or file: that of the suite where it has one of this name."""
    from harness import tasks

    suite_tasks = {task.name: task for task in suite.tasks}
    task = suite_tasks.get(name) or tasks.find(name)
    return suite_tasks.get(task.name, task)


def _print_template(opening: ModelOptions, model: str, tasks: list[Task]) -> None:
    from harness import labels

    if len(tasks) != 1:
        raise BadInput(f"--template requires one task, and {len(tasks)} are given; name it with --task T")
    pinned = PinnedModel(opening.resolve(model), opening, LocalBackend(opening))
    click.echo(json_text(labels.template(pinned.class_names, tasks[0], pinned.source.ref)), nl=False)


def _facts(classifier: Classifier) -> list[Finding]:
    facts, ref = classifier.facts, classifier.ref
    window = _window(facts)
    return [
        Finding("revision", None, ref.revision),
        Finding("architecture", None, f"{facts.architecture}, {_size(facts)}"),
        Finding("input", None, f"{facts.sample_rate_hz} Hz, {window}, through {classifier.frontend}"),
        Finding("licence", None, facts.licence or "not stated"),
        Finding("base models", None, ", ".join(facts.base_models or ()) or "not stated"),
        Finding("trained on", None, ", ".join(facts.trained_on or ()) or "not stated"),
        Finding("runs on", None, f"{classifier.device}, {classifier.dtype}"),
        Finding("kind", None, facts.kind),
        *(Finding("note", None, note) for note in classifier.notes),
    ]


def _size(facts: ModelFacts) -> str:
    n = facts.n_parameters
    return "number of parameters not stated" if n is None else f"{n:,} parameters"


def _window(facts: ModelFacts) -> str:
    """Which part of a clip the model receives."""
    if facts.window_seconds is None:
        return "clips of any length"
    part = {"start": "first", "middle": "middle", "end": "last"}[facts.window_at]
    return f"the {part} {facts.window_seconds:.2f} s of a clip"


def _inference_findings(classifier: Classifier) -> list[Finding]:
    """Run synthetic sound of two lengths through the model, alone and in batches."""
    import numpy as np

    from harness.models import windows
    from harness.seeds import generator
    from harness.types import PROOF_TOLERANCE

    rng = generator("check", classifier.ref.repo_id)
    rate = classifier.facts.sample_rate_hz
    min_length = max(rate, classifier.min_samples)
    lengths = [min_length] * 3 + [min_length + rate // 2] * 3
    waveforms = [(0.1 * rng.normal(size=n)).astype(np.float32) for n in lengths]
    single_logits = np.concatenate([classifier.logits([waveform], rate) for waveform in waveforms])
    start_time = time.perf_counter()
    batch_logits = classifier.logits(waveforms, rate)
    seconds = time.perf_counter() - start_time
    total_seconds = sum(len(waveform) for waveform in waveforms) / rate
    difference = float(np.abs(batch_logits - single_logits).max())
    flips = int((batch_logits.argmax(axis=1) != single_logits.argmax(axis=1)).sum())
    is_equal = difference <= PROOF_TOLERANCE[classifier.dtype] and flips == 0
    speed = f"{seconds / total_seconds:.3f} s of computation per second of sound, in batches"
    batches = (
        f"computed alone and in a batch, logits differ by at most {difference:.1e} and"
        f" {flips or 'none'} of the {len(waveforms)} predictions"
    )
    end_counts, rest_counts = classifier.window_holds()
    if classifier.facts.window_seconds is None:
        usual = windows.usual_seconds(rate, classifier.min_samples)
        detail = f"the end of a sound of {usual:.3g} s {'is used' if end_counts else 'is ignored'}"
    else:
        rest = "is used, too" if rest_counts else "is ignored"
        detail = f"{_window(classifier.facts)} is used; the rest {rest}"
    return [
        Finding("speed", None, speed),
        Finding("batches", is_equal, batches),
        Finding("window", not rest_counts, detail),
    ]


def _estimates(classifier: Classifier, suite: Suite, tasks: list[Task]) -> Iterator[Finding]:
    """How long an evaluation of each task will take at most; equal stimuli are asked only once.

    Timed with sounds as long as most clips of the task. A shorter sound counts as one of these, since a model
    that pads takes as long for it; a longer one by its length.
    """
    from harness.evaluation.units import units_of

    names = [task.name for task in tasks]
    for task in (task for task in suite.tasks if task.name in names):
        n_stimuli: Counter[int] = Counter()
        for unit in units_of(suite, task):
            n_stimuli[unit.n_samples] += unit.n_stimuli
        usual = n_stimuli.most_common(1)[0][0] if n_stimuli else task.sample_rate_hz
        seconds = _seconds_a_sound(classifier, usual, task.sample_rate_hz)
        total = sum(n * seconds * max(1.0, n_samples / usual) for n_samples, n in n_stimuli.items())
        detail = f"at most {duration(total)} for {n_stimuli.total():,} stimuli of {suite.name}"
        yield Finding(f"evaluation of {task.name}", None, detail)


def _seconds_a_sound(classifier: Classifier, n_samples: int, sample_rate_hz: int) -> float:
    """Seconds of computation for each of a few sounds of a length, in a batch."""
    import numpy as np

    from harness.seeds import generator

    rng = generator("check", classifier.ref.repo_id, "time")
    size = max(n_samples, classifier.min_samples)
    waveforms = [(0.1 * rng.normal(size=size)).astype(np.float32) for _ in range(4)]
    start_time = time.perf_counter()
    classifier.logits(waveforms, sample_rate_hz)
    return (time.perf_counter() - start_time) / len(waveforms)


def _coverages(suite: Suite, fits: list[_TaskFit], model: ModelRef) -> Iterator[Finding]:
    """How many signals are of classes that the model has, for tasks where it lacks some.

    As in the scorecard: the mean over references but the model itself.
    """
    from harness.types import MIN_COVERAGE
    from leaderboard.formatting import text

    for fit in fits:
        if fit.labels is None or not suite.has_task(fit.task.name):
            continue
        shares = []
        for reference in suite.references(fit.task.name):
            lines = suite.signal_lines(fit.task.name, reference.model.slug)
            is_covered = {
                line.clip_id: line.expected in fit.labels.covered
                for line in lines
                if line.family == suite.headline(fit.task.name) and not line.degenerate
            }
            if is_covered and reference.model.weights_sha256 != model.weights_sha256:
                shares.append(sum(is_covered.values()) / len(is_covered))
        if not shares or min(shares) == 1:
            continue
        share = sum(shares) / len(shares)
        detail = f"its classes are those of {text(share, 'rate')} of the signals; the others do not count"
        if share < MIN_COVERAGE:
            detail += f"; the least for a rank is {text(MIN_COVERAGE, 'rate')}, so it will have none"
        yield Finding(f"coverage of {fit.task.name}", None, detail)


def _caveats(classifier: Classifier, fits: list[_TaskFit]) -> Iterator[Finding]:
    """What would make its results incomparable with those of another kind, each once."""
    from harness.comparability import caveats

    lines = (
        line
        for fit in fits
        for line in caveats(classifier.facts, len(classifier.class_names), fit.task.labels)
    )
    for line in dict.fromkeys(lines):
        yield Finding("compared", None, line)


def _task_fit(classifier: Classifier, task: Task, label_map: Path | None, is_required: bool) -> _TaskFit:
    """How the model's class names are read for one task; only a required task can fail."""
    from harness.labels import nearly_fits
    from harness.types import OTHER

    what = f"labels of {task.name}"
    try:
        labels = label_map_for(classifier.class_names, classifier.ref, task, label_map)
    except BadLabels as error:
        nearly = label_map is None and nearly_fits(classifier.class_names, task)
        # The cause alone where the verdict says how to fix it.
        cause, *_, hint = str(error).split("; ")
        reason = str(error) if label_map else f"{cause}; {hint}" if nearly and not is_required else cause
        return _TaskFit(task, Finding(what, False if is_required else None, reason), None, nearly)
    pairs = list(zip(labels.names, labels.canonical, strict=True))
    description = ", ".join(f"{name} → {label}" for name, label in pairs if label != OTHER)
    if other_names := [name for name, label in pairs if label == OTHER]:
        description += f"; not a label of the task, so never correct: {', '.join(other_names)}"
    if missing_labels := [label for label in task.labels if label not in labels.covered]:
        counts = f"{len(labels.covered)} of {len(task.labels)} labels"
        description += f"; {counts}, without {', '.join(missing_labels)}"
    return _TaskFit(task, Finding(what, True, description), labels, nearly=False)


def _verdict(inference_findings: list[Finding], fits: list[_TaskFit], suite: Suite) -> tuple[str, str]:
    """Whether the model is ready, and for which tasks, or why not; and the command that comes next."""
    failures = {finding.what: finding.detail for finding in inference_findings if finding.passed is False}
    if "batches" in failures:
        command = command_line("template", "as_json", "batch_size")
        text = f"Not ready: {failures['batches']}; check it with batches of one:"
        return text, f"{command} --batch-size 1"
    if failures:
        text = f"Not ready: {', '.join(failures.values())}. This is a bug in goodenough: please report it."
        return text, ""
    suitable = [fit.task.name for fit in fits if fit.labels is not None]
    nearly = [fit.task.name for fit in fits if fit.nearly]
    unsuitable = [fit.task.name for fit in fits if fit.finding.passed is False or fit.nearly]
    if ready := [name for name in suitable if suite.has_task(name)]:
        text = f"Ready to evaluate on {', '.join(ready)}"
        unready = [name for name in (*suitable, *unsuitable) if name not in ready]
        if unready and ("task_names" in given() or nearly):
            tasks = "".join(f" --task {name}" for name in ready)
            return f"{text}, not on {', '.join(unready)}:", _evaluate("task_names") + tasks
        return f"{text}:", _evaluate()
    if suitable:
        text = f"Ready, but {suite.name} has no signals of {', '.join(suitable)}, only of"
        text += f" {', '.join(suite.task_names)}; with a suite that has some:"
        return text, f"{_evaluate('signals')} --signals SOURCE"
    if "label_map" in given():
        return f"Not ready: {'; '.join(fit.finding.detail for fit in fits)}", ""
    task_names = click.get_current_context().params["task_names"] or nearly
    names = " or ".join(nearly or [fit.task.name for fit in fits])
    command = command_line("template", "as_json", "label_map", "task_names")
    task = quote(task_names[0]) if len(task_names) == 1 else "T"
    return (
        f"Not ready: its class names cannot be read as labels of {names}. If they mean such labels, complete"
        " a label map and pass it with --label-map:",
        f"{command} --task {task} --template > labels.json",
    )


def _evaluate(*without: str) -> str:
    """The command that evaluates, with the options that this one has."""
    return command_line("template", "as_json", *without).replace(" check ", " evaluate ", 1)
