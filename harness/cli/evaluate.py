"""`goodenough evaluate`: a model's transferability, on the terminal and as an entry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.terminal import label_map_for, model_options, open_suite, progress_bar, say, show

if TYPE_CHECKING:
    from harness.dataset.signals import Suite
    from harness.models import Classifier
    from harness.records import Entry, LabelMap, Verdict
    from harness.tasks import Task


@click.command()
@click.argument("model")
@click.option(
    "--task", "task_names", multiple=True, metavar="T", help="Task, repeatable; default: all that fit."
)
@click.option("--signals", metavar="SOURCE", help="Signals folder or Hub dataset ORG/NAME[@REVISION].")
@click.option("--out", type=click.Path(path_type=Path), default="results", show_default=True, metavar="DIR")
@model_options
def evaluate(
    model: str,
    task_names: tuple[str, ...],
    signals: str | None,
    out: Path,
    revision: str | None,
    label_map: Path | None,
    batch_size: int,
    device: str | None,
    as_json: bool,
) -> None:
    """Score how often MODEL accepts the sufficient signals of the reference models.

    MODEL is a Hub id or a folder. Writes entry.json, verdicts.parquet and report.html below --out. A
    run that was cut off is continued by giving the same command again.

    Example: goodenough evaluate superb/hubert-large-superb-er --task emotion
    """
    import json

    from harness import checkpoints, models
    from harness.errors import NotValid
    from harness.records import to_json

    if signals is None:
        say(
            "No --signals given: using the embedded starter suite (synthetic: it says nothing of recordings)."
        )
    suite = open_suite(signals)
    checkpoint = checkpoints.resolve(model, revision)
    classifier = models.open_checkpoint(checkpoint, device=device, batch_size=batch_size)
    chosen = _chosen(classifier, suite, task_names, label_map)
    results = [_evaluated(classifier, suite, task, labels, out, as_json) for task, labels in chosen]
    if as_json:
        entries = [{**json.loads(to_json(entry)), "folder": str(folder)} for entry, folder in results]
        click.echo(json.dumps({"model": classifier.ref.repo_id, "results": entries}))
    for entry, _ in results:
        if entry.scorecard.known_answer not in (None, 1.0):
            raise NotValid(
                f"{entry.model.repo_id} does not accept all of its own signals on {entry.task} "
                f"({entry.scorecard.known_answer:.6g} of them): its config, preprocessor or label order is "
                "not that of the reference, or this machine computes something else"
            )


def _chosen(
    classifier: Classifier, suite: Suite, names: tuple[str, ...], label_map: Path | None
) -> list[tuple[Task, LabelMap]]:
    """The tasks to evaluate: those named, or all of the suite whose labels the model speaks."""
    from harness import tasks
    from harness.errors import BadLabels

    if names:
        # A task file is read for its name; the suite holds the task as its signals were made.
        named = [tasks.find(n).name if n.endswith((".yaml", ".yml")) else n for n in names]
        found = [suite.task(name) for name in dict.fromkeys(named)]
        return [(task, label_map_for(classifier, task, label_map)) for task in found]
    fitting, refusals = [], []
    for task in suite.tasks:
        try:
            fitting.append((task, label_map_for(classifier, task, label_map)))
        except BadLabels as error:
            refusals.append(f"{task.name}: {error}")
    if not fitting:
        if len(refusals) == 1:
            raise BadLabels(refusals[0])
        some = ", ".join(map(repr, classifier.class_names[:4]))
        known = ", ".join(task.name for task in suite.tasks)
        raise BadLabels(
            f"the classes of {classifier.ref.repo_id} ({some}, ...) fit no task of {suite.name} ({known}); "
            "name one with --task T to see why, or say how to read them with --label-map FILE"
        )
    return fitting


def _evaluated(
    classifier: Classifier, suite: Suite, task: Task, labels: LabelMap, out: Path, quiet: bool
) -> tuple[Entry, Path]:
    from functools import partial

    from harness.score import evaluation, transfer
    from harness.score.scorecard import polarity_warning
    from harness.submit import store
    from leaderboard import report

    with progress_bar(f"{task.name}", transfer.n_units(suite, task), "units") as step:
        folder = evaluation.evaluate(
            classifier,
            labels,
            suite,
            task,
            out,
            keep=partial(_kept, out, suite),
            sees=lambda n: step(n, n),
        )
    entry, verdicts = store.read(folder), store.verdicts(folder)
    if warning := polarity_warning(verdicts, labels, task):
        say(f"Warning: {warning}")
    report.write(folder / "report.html", entry, verdicts, suite)
    if not quiet:
        show(entry)
        say(f"report: {folder}/report.html\n")
    return entry, folder


def _kept(out: Path, suite: Suite, entry: Entry, verdicts: Sequence[Verdict]) -> Path:
    """Write an entry; that of a reference of a local suite goes beside the signals, too, for the matrix."""
    from harness.errors import BadInput
    from harness.submit import store

    folder = store.write(out, entry, verdicts)
    is_reference = entry.model in [r.model for r in suite.references(entry.task)]
    if suite.commit is None and is_reference and entry.scorecard.known_answer == 1.0:
        try:
            store.write(suite.root / "verdicts", entry, verdicts)
        except BadInput as error:
            say(f"Not kept beside the signals: {error}")
    return folder
