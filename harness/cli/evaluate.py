"""`goodenough evaluate`: a model's transferability, on the terminal and as an entry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.backends import Backend, EngineOptions, engine_options
from harness.cli.cached_evaluation import earlier_result
from harness.cli.common import (
    ModelOptions,
    checkpoint_of,
    class_names_for,
    info,
    label_map_for,
    model_options,
    show,
    show_outgoing,
)
from harness.cli.early_stop import UnitCounter
from harness.cli.held_back import lifts_as_json, lifts_of, require_held_back, show_lifts
from harness.cli.selection import (
    OutputPath,
    Shard,
    named_tasks,
    refuse_without,
    require_clips,
    require_references,
    require_something_to_hear,
)
from harness.dataset.paths import REPORT
from harness.plurals import plural
from harness.progress import live_table
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.evaluation.runner import Result
    from harness.models.checkpoints import Checkpoint
    from harness.models.classifiers import Classifier
    from harness.schemas import Cell, Entry
    from harness.tasks import Task
    from harness.types import LabelMap


@click.command()
@click.argument("model")
@click.option(
    "--task", "task_names", multiple=True, metavar="T", help="Task, repeatable; default: all that fit."
)
@click.option("--signals", metavar="SOURCE", help="Signals folder or Hub dataset ORG/NAME[@REVISION].")
@click.option("--out", type=OutputPath(), default="results", show_default=True, metavar="DIR")
@click.option(
    "--ci-width",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="W",
    help="Stop when the lift is known to plus or minus W; such an entry cannot be submitted.",
)
@click.option(
    "--shard",
    type=Shard(),
    metavar="I/N",
    help="Evaluate part I of N; afterwards the command without --shard merges the parts.",
)
@click.option(
    "--held-back",
    metavar="PRIVATE",
    help="Held-back signals of the same references: also evaluate on them and compare the lifts.",
)
@click.option(
    "--update-suite", is_flag=True, help="Copy the verdicts of a reference into its signals folder."
)
@click.option(
    "--outgoing", "with_outgoing", is_flag=True, help="Also let the references judge the model's own signals."
)
@click.option(
    "--search",
    type=click.Choice(["minimal", "gradient", "responsibility"]),
    default="minimal",
    show_default=True,
    help="Search for --outgoing.",
)
@click.option(
    "--reference", "given", multiple=True, metavar="M", help="Folder of a local reference, for --outgoing."
)
@engine_options
@model_options
def evaluate(
    model: str,
    task_names: tuple[str, ...],
    signals: str | None,
    out: Path,
    ci_width: float | None,
    shard: tuple[int, int] | None,
    held_back: str | None,
    update_suite: bool,
    with_outgoing: bool,
    search: str,
    given: tuple[str, ...],
    label_map: Path | None,
    opening: ModelOptions,
    engine: EngineOptions,
    as_json: bool,
) -> None:
    """Score how often MODEL accepts the sufficient signals of the reference models.

    MODEL is a Hub id or a folder. Writes entry.json, verdicts.parquet and report.html below --out. Results
    are cached; give the same command again to continue a run that was cut off.

    With --held-back the model is also evaluated on unpublished signals (made by goodenough publish
    --hold-back): a model that was fitted to the public ones has a higher lift on those. The entries for the
    held-back signals are in DIR/.held-back, and are not submitted.

    With --update-suite the entry of a reference is also copied to SOURCE/verdicts, for the transfer matrix of
    the suite and for goodenough publish. Without it nothing is written into SOURCE.

    Example: goodenough evaluate superb/hubert-large-superb-er --task emotion
    """
    from harness.cli import suite_verdicts
    from harness.errors import BadInput

    if not with_outgoing:
        refuse_without("--outgoing", "given", "search")
    if shard and ci_width:
        raise BadInput(
            "--ci-width stops a whole run early, and a shard always runs to its end: give one of them"
        )
    if with_outgoing and (shard or ci_width):
        raise BadInput("--outgoing is for a whole run: leave out --shard and --ci-width")
    if update_suite and (shard or ci_width):
        raise BadInput("--update-suite is for a whole run: leave out --shard and --ci-width")
    if held_back is not None and (shard or ci_width):
        raise BadInput("--held-back is for a whole run: leave out --shard and --ci-width")
    if shard and engine.is_remote:
        raise BadInput("a cluster distributes the work itself: leave out --shard, or --engine ray")
    if signals is None:
        info(
            "No --signals given: using the embedded starter suite, which is synthetic and says nothing about"
            " recordings."
        )
    suite = open_suite(signals)
    private = None if held_back is None else open_suite(held_back)
    tasks = named_tasks(suite, task_names)
    for s in (suite,) if private is None else (suite, private):
        require_something_to_hear(s, tasks)
    with engine.backend(opening) as backend:
        candidate = _Candidate(opening.resolve(model), opening, backend)
        task_labels = _select_tasks(candidate, suite, tasks, label_map)
        require_clips(suite, [task for task, _ in task_labels])
        if update_suite:
            suite_verdicts.require_own(suite, candidate.checkpoint.ref, [task for task, _ in task_labels])
        if shard:
            _judge_shard(candidate, suite, [task for task, _ in task_labels], out, shard)
            return
        if private is not None:
            for task, _ in task_labels:
                require_held_back(suite, private, task.name)
        judges = _judges(suite, [task for task, _ in task_labels], given, opening) if with_outgoing else {}
        results = [
            _evaluate(candidate, suite, task, labels, out, ci_width, as_json) for task, labels in task_labels
        ]
        private_results = [
            _evaluate(candidate, private, task, labels, out / ".held-back", None, quiet=True)
            for task, labels in task_labels
            if private is not None
        ]
        outgoing = {
            task.name: _outgoing(candidate, labels, suite, task, judges[task.name], search, out, as_json)
            for task, labels in (task_labels if with_outgoing else ())
        }
    (suite_verdicts.update if update_suite else suite_verdicts.offer)(suite, results, as_json)
    _report(
        candidate.checkpoint.ref.repo_id,
        results,
        private_results,
        outgoing if with_outgoing else None,
        as_json,
    )


def _report(
    model: str,
    results: list[tuple[Entry, Path]],
    private_results: list[tuple[Entry, Path]],
    outgoing: dict[str, dict[str, Cell]] | None,
    as_json: bool,
) -> None:
    """Print lifts or JSON, and refuse a reference that does not accept its own signals."""
    import json

    from harness.errors import NotValid
    from harness.schemas import to_json

    private = {entry.task: (entry, folder) for entry, folder in private_results}
    lifts = {
        entry.task: lifts_of((entry, folder), private[entry.task])
        for entry, folder in results
        if entry.task in private
    }
    if not as_json:
        for task, comparison in lifts.items():
            show_lifts(model, task, comparison)
    if as_json:
        entries = [{**json.loads(to_json(entry)), "folder": str(folder)} for entry, folder in results]
        for record in entries:
            if (task := record["task"]) in private:
                record["held_back"] = lifts_as_json(lifts[task], private[task][0].signals)
        if outgoing is not None:
            for record in entries:
                cells = outgoing[record["task"]]
                record["outgoing"] = {name: json.loads(to_json(cell)) for name, cell in cells.items()}
        click.echo(json.dumps({"model": model, "results": entries}))
    for entry, _ in (*results, *private_results):
        if entry.scorecard.known_answer not in (None, 1.0):
            raise NotValid(
                f"{entry.model.repo_id} does not accept all of its own signals on {entry.task} "
                f"({entry.scorecard.known_answer:.6g} of them): its config, preprocessor or label order is "
                "not that of the reference, or this machine computes something else"
            )


@dataclass
class _Candidate:
    """A model that is pinned, and loaded on first use."""

    checkpoint: Checkpoint
    opening: ModelOptions
    backend: Backend
    _classifier: Classifier | None = None

    @property
    def classifier(self) -> Classifier:
        if self._classifier is None:
            self._classifier = self.backend.open(self.checkpoint)
            for note in self._classifier.notes:
                info(f"Note: {self.checkpoint.ref.repo_id}: {note}")
        return self._classifier

    @property
    def class_names(self) -> tuple[str, ...]:
        return class_names_for(self.checkpoint, lambda _: self.classifier)


def _select_tasks(
    candidate: _Candidate, suite: Suite, tasks: list[Task], label_map: Path | None
) -> list[tuple[Task, LabelMap]]:
    """The tasks to evaluate: those named, or all of the suite that fit the model's labels."""
    from harness.errors import BadLabels

    class_names, ref = candidate.class_names, candidate.checkpoint.ref
    if tasks:
        return [(task, label_map_for(class_names, ref, task, label_map)) for task in tasks]
    suitable, errors = [], []
    for task in suite.tasks:
        try:
            suitable.append((task, label_map_for(class_names, ref, task, label_map)))
        except BadLabels as error:
            errors.append(f"{task.name}: {error}")
    if not suitable:
        if len(errors) == 1:
            raise BadLabels(errors[0])
        class_text = ", ".join(map(repr, class_names[:4])) + (", ..." if len(class_names) > 4 else "")
        task_text = ", ".join(suite.task_names)
        raise BadLabels(
            f"the classes of {ref.repo_id} ({class_text}) fit no task of {suite.name} ({task_text}); "
            "name one with --task T to see why, or say how to read them with --label-map FILE"
        )
    return suitable


def _judges(
    suite: Suite, tasks: list[Task], given: tuple[str, ...], opening: ModelOptions
) -> dict[str, list[Checkpoint]]:
    """The references of each task, resolved before anything is computed."""
    checkpoints = [opening.resolve(name) for name in given]
    models = [record.model for task in tasks for record in suite.references(task.name)]
    require_references(checkpoints, models, suite.name)

    def of(task: Task) -> list[Checkpoint]:
        references = suite.references(task.name)
        return [checkpoint_of(r.model, checkpoints, suite, "--reference") for r in references]

    return {task.name: of(task) for task in tasks}


def _outgoing(
    candidate: _Candidate,
    labels: LabelMap,
    suite: Suite,
    task: Task,
    judges: list[Checkpoint],
    search: str,
    out: Path,
    quiet: bool,
) -> dict[str, Cell]:
    """See `outgoing_transfer.outgoing`."""
    from harness.cli.outgoing_transfer import outgoing
    from harness.schemas import entry_path

    ref = candidate.checkpoint.ref
    other_judges = [judge for judge in judges if judge.ref.weights_sha256 != ref.weights_sha256]
    path = entry_path(ref, task.name, suite.ref(task.name).sha256)
    folder = out / ".own" / f"{path}-{search}"
    cells = outgoing(
        candidate.classifier,
        labels,
        suite,
        task,
        other_judges,
        search,
        folder,
        candidate.opening,
        candidate.backend,
    )
    if not quiet:
        show_outgoing(ref.repo_id, task.name, cells)
    info(f"its own signals and the verdicts on them: {folder}")
    return cells


def _judge_shard(
    candidate: _Candidate, suite: Suite, tasks: list[Task], out: Path, shard: tuple[int, int]
) -> None:
    from harness.evaluation import runner

    for task in tasks:
        with live_table(f"{task.name}, shard {shard[0]} of {shard[1]}") as progress:
            n = runner.judge_shard(candidate.classifier, suite, task, out, shard, progress=progress)
        info(f"{task.name}: shard {shard[0]} of {shard[1]} is done, {plural(n, 'unit')}")
    info("When all shards are done, the same command without --shard merges them.")


def _evaluate(
    candidate: _Candidate,
    suite: Suite,
    task: Task,
    labels: LabelMap,
    out: Path,
    ci_width: float | None,
    quiet: bool,
) -> tuple[Entry, Path]:
    from harness.cli.tables import show_text
    from harness.entries import store
    from harness.evaluation import runner
    from harness.journal import remove_stale_locks
    from harness.metrics.scorecard import polarity_warning
    from leaderboard.reports import entry_report

    counter = UnitCounter()
    folder = None
    if ci_width is None:
        folder = earlier_result(out, candidate.checkpoint.ref, labels, suite, task, candidate.opening)
    if folder is not None:
        info(f"{task.name}: already evaluated, and nothing has changed since")
        remove_stale_locks(out / ".answers" / candidate.checkpoint.ref.slug, f"*/{task.name}.*lock")
        entry, verdicts = store.read(folder), store.verdicts(folder)
    else:
        with live_table(task.name) as progress:
            result = runner.evaluate(
                candidate.classifier,
                labels,
                suite,
                task,
                out,
                ci_width=ci_width,
                judge=candidate.backend.judge,
                progress=counter.counting(progress),
            )
        folder, entry, verdicts = _save(out, result), result.entry, result.frame()
    report = folder / REPORT
    if warning := polarity_warning(verdicts, labels, task):
        info(f"Warning: {warning}")
    if not report.is_file():
        entry_report.write(report, entry, verdicts, suite)
    if not quiet:
        show(entry)
    if ci_width is not None:
        (info if quiet else show_text)(counter.summary(entry, ci_width))
    if not quiet:
        info(f"report: {report}\n")
    return entry, folder


def _save(out: Path, result: Result) -> Path:
    """Write an entry; one that was stopped early goes to a folder of its own."""
    from harness.entries import store

    root = out if result.entry.complete else out / ".partial"
    # A report must be of the entry beside it.
    (root / result.entry.path / REPORT).unlink(missing_ok=True)
    return store.write(root, result.entry, result.verdicts)
