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
    open_suite,
    show,
    show_outgoing,
)
from harness.cli.early_stop import Asked
from harness.cli.held_back import lifts_as_json, lifts_of, require_held_back, show_lifts
from harness.cli.progress import live_table
from harness.cli.selection import (
    OutputPath,
    Shard,
    named_tasks,
    refuse_without,
    require_clips,
    require_references,
    require_something_to_hear,
)
from harness.plurals import plural

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.evaluation.runner import Result
    from harness.models.checkpoints import Checkpoint
    from harness.models.classifiers import Classifier
    from harness.schemas import Cell, Entry
    from harness.tasks import Task
    from harness.types import LabelMap


_REPORT = "report.html"


@click.command()
@click.argument("model")
@click.option(
    "--task", "task_names", multiple=True, metavar="T", help="Task, repeatable; default: all that fit."
)
@click.option("--signals", metavar="SOURCE", help="Signals folder or Hub dataset ORG/NAME[@REVISION].")
@click.option("--out", type=OutputPath(), default="results", show_default=True, metavar="DIR")
@click.option(
    "--until-width",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="W",
    help="Stop when the lift is known to plus or minus W; no entry to submit.",
)
@click.option(
    "--shard", type=Shard(), metavar="I/N", help="Judge one Nth; without --shard what was judged is merged."
)
@click.option(
    "--held-back",
    metavar="PRIVATE",
    help="Held-back signals of the same references: evaluate on them, too, and compare the lifts.",
)
@click.option("--update-suite", is_flag=True, help="Keep the verdicts of a reference in its signals folder.")
@click.option("--both-ways", is_flag=True, help="Let the references judge the model's own signals, too.")
@click.option(
    "--search",
    type=click.Choice(["minimal", "gradient", "responsibility"]),
    default="minimal",
    show_default=True,
    help="Search for --both-ways.",
)
@click.option(
    "--reference", "given", multiple=True, metavar="M", help="Folder of a local reference, for --both-ways."
)
@engine_options
@model_options
def evaluate(
    model: str,
    task_names: tuple[str, ...],
    signals: str | None,
    out: Path,
    until_width: float | None,
    shard: tuple[int, int] | None,
    held_back: str | None,
    update_suite: bool,
    both_ways: bool,
    search: str,
    given: tuple[str, ...],
    label_map: Path | None,
    opening: ModelOptions,
    engine: EngineOptions,
    as_json: bool,
) -> None:
    """Score how often MODEL accepts the sufficient signals of the reference models.

    MODEL is a Hub id or a folder. Writes entry.json, verdicts.parquet and report.html below --out. A
    run that was cut off is continued by giving the same command again; nothing is asked twice.

    With --held-back the model is evaluated on signals that are not published, too (what goodenough publish
    --hold-back made): a model that was fitted to the public ones has a higher lift there. These entries lie
    in DIR/.held-back, and are not submitted.

    With --update-suite the entry of a reference is copied to SOURCE/verdicts, too, for the matrix of the
    suite and for goodenough publish. Without it nothing is written into SOURCE.

    Example: goodenough evaluate superb/hubert-large-superb-er --task emotion
    """
    from harness.cli import suite_verdicts
    from harness.errors import BadInput

    if not both_ways:
        refuse_without("--both-ways", "given", "search")
    if shard and until_width:
        raise BadInput("--until-width stops a whole run early; a shard goes to its end: give one of them")
    if both_ways and (shard or until_width):
        raise BadInput("--both-ways is for a whole run: leave out --shard and --until-width")
    if update_suite and (shard or until_width):
        raise BadInput("--update-suite is for a whole run: leave out --shard and --until-width")
    if held_back is not None and (shard or until_width):
        raise BadInput("--held-back is for a whole run: leave out --shard and --until-width")
    if shard and engine.is_remote:
        raise BadInput("a cluster shares out the work by itself: leave out --shard, or --engine ray")
    if signals is None:
        info(
            "No --signals given: using the embedded starter suite (synthetic: it says nothing of recordings)."
        )
    suite = open_suite(signals)
    private = None if held_back is None else open_suite(held_back)
    named = named_tasks(suite, task_names)
    for each in (suite,) if private is None else (suite, private):
        require_something_to_hear(each, named)
    with engine.at_work(opening) as work:
        candidate = _Candidate(opening.resolve(model), opening, work)
        chosen = _chosen(candidate, suite, named, label_map)
        require_clips(suite, [task for task, _ in chosen])
        if update_suite:
            suite_verdicts.require_own(suite, candidate.checkpoint.ref, [task for task, _ in chosen])
        if shard:
            _judge_shard(candidate, suite, [task for task, _ in chosen], out, shard)
            return
        if private is not None:
            for task, _ in chosen:
                require_held_back(suite, private, task.name)
        judges = _judges(suite, [task for task, _ in chosen], given, opening) if both_ways else {}
        results = [
            _evaluated(candidate, suite, task, labels, out, until_width, as_json) for task, labels in chosen
        ]
        unpublished = [
            _evaluated(candidate, private, task, labels, out / ".held-back", None, quiet=True)
            for task, labels in chosen
            if private is not None
        ]
        outgoing = {
            task.name: _outgoing(candidate, labels, suite, task, judges[task.name], search, out, as_json)
            for task, labels in (chosen if both_ways else ())
        }
    (suite_verdicts.update if update_suite else suite_verdicts.offer)(suite, results, as_json)
    _told(candidate.checkpoint.ref.repo_id, results, unpublished, outgoing if both_ways else None, as_json)


def _told(
    model: str,
    results: list[tuple[Entry, Path]],
    unpublished: list[tuple[Entry, Path]],
    outgoing: dict[str, dict[str, Cell]] | None,
    as_json: bool,
) -> None:
    """Print what machines read, and refuse a reference that does not know its own signals."""
    import json

    from harness.errors import NotValid
    from harness.schemas import to_json

    private = {entry.task: (entry, folder) for entry, folder in unpublished}
    lifts = {
        entry.task: lifts_of((entry, folder), private[entry.task])
        for entry, folder in results
        if entry.task in private
    }
    if not as_json:
        for task, compared in lifts.items():
            show_lifts(model, task, compared)
    if as_json:
        entries = [{**json.loads(to_json(entry)), "folder": str(folder)} for entry, folder in results]
        for found in entries:
            if (task := found["task"]) in private:
                found["held_back"] = lifts_as_json(lifts[task], private[task][0].signals)
        if outgoing is not None:
            for found in entries:
                cells = outgoing[found["task"]]
                found["outgoing"] = {name: json.loads(to_json(cell)) for name, cell in cells.items()}
        click.echo(json.dumps({"model": model, "results": entries}))
    for entry, _ in (*results, *unpublished):
        if entry.scorecard.known_answer not in (None, 1.0):
            raise NotValid(
                f"{entry.model.repo_id} does not accept all of its own signals on {entry.task} "
                f"({entry.scorecard.known_answer:.6g} of them): its config, preprocessor or label order is "
                "not that of the reference, or this machine computes something else"
            )


@dataclass
class _Candidate:
    """A model that is pinned, and loaded when there is something to ask it."""

    checkpoint: Checkpoint
    opening: ModelOptions
    work: Backend
    _loaded: Classifier | None = None

    @property
    def classifier(self) -> Classifier:
        if self._loaded is None:
            self._loaded = self.work.open(self.checkpoint)
            for note in self._loaded.notes:
                info(f"Note: {self.checkpoint.ref.repo_id}: {note}")
        return self._loaded

    @property
    def class_names(self) -> tuple[str, ...]:
        return class_names_for(self.checkpoint, lambda _: self.classifier)


def _chosen(
    candidate: _Candidate, suite: Suite, named: list[Task], label_map: Path | None
) -> list[tuple[Task, LabelMap]]:
    """The tasks to evaluate: those named, or all of the suite whose labels the model speaks."""
    from harness.errors import BadLabels

    class_names, ref = candidate.class_names, candidate.checkpoint.ref
    if named:
        return [(task, label_map_for(class_names, ref, task, label_map)) for task in named]
    fitting, refusals = [], []
    for task in suite.tasks:
        try:
            fitting.append((task, label_map_for(class_names, ref, task, label_map)))
        except BadLabels as error:
            refusals.append(f"{task.name}: {error}")
    if not fitting:
        if len(refusals) == 1:
            raise BadLabels(refusals[0])
        some = ", ".join(map(repr, class_names[:4])) + (", ..." if len(class_names) > 4 else "")
        known = ", ".join(suite.task_names)
        raise BadLabels(
            f"the classes of {ref.repo_id} ({some}) fit no task of {suite.name} ({known}); "
            "name one with --task T to see why, or say how to read them with --label-map FILE"
        )
    return fitting


def _judges(
    suite: Suite, tasks: list[Task], given: tuple[str, ...], opening: ModelOptions
) -> dict[str, list[Checkpoint]]:
    """The references of each task, found before anything is computed."""
    resolved = [opening.resolve(name) for name in given]
    known = [record.model for task in tasks for record in suite.references(task.name)]
    require_references(resolved, known, suite.name)

    def of(task: Task) -> list[Checkpoint]:
        references = suite.references(task.name)
        return [checkpoint_of(r.model, resolved, suite, "--reference") for r in references]

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
    """See `both_ways.outgoing`."""
    from harness.cli.outgoing_transfer import outgoing
    from harness.schemas import entry_path

    ref = candidate.checkpoint.ref
    others = [judge for judge in judges if judge.ref.weights_sha256 != ref.weights_sha256]
    path = entry_path(ref, task.name, suite.ref(task.name).sha256)
    place = out / ".own" / f"{path}-{search}"
    found = outgoing(
        candidate.classifier, labels, suite, task, others, search, place, candidate.opening, candidate.work
    )
    if not quiet:
        show_outgoing(ref.repo_id, task.name, found)
    info(f"own signals and verdicts on them: {place}")
    return found


def _judge_shard(
    candidate: _Candidate, suite: Suite, tasks: list[Task], out: Path, shard: tuple[int, int]
) -> None:
    from harness.evaluation import runner

    for task in tasks:
        with live_table(f"{task.name}, shard {shard[0]} of {shard[1]}") as progress:
            n = runner.judge_shard(candidate.classifier, suite, task, out, shard, progress=progress)
        info(f"{task.name}: shard {shard[0]} of {shard[1]} is judged, {plural(n, 'unit')}")
    info("When all are, the same command without --shard merges them.")


def _evaluated(
    candidate: _Candidate,
    suite: Suite,
    task: Task,
    labels: LabelMap,
    out: Path,
    until_width: float | None,
    quiet: bool,
) -> tuple[Entry, Path]:
    from harness.cli.tables import show_text
    from harness.entries import store
    from harness.evaluation import runner
    from harness.journal import remove_stale_locks
    from harness.metrics.scorecard import polarity_warning
    from leaderboard.reports import entry_report

    asked = Asked()
    folder = None
    if until_width is None:
        folder = earlier_result(out, candidate.checkpoint.ref, labels, suite, task, candidate.opening)
    if folder is not None:
        info(f"{task.name}: evaluated before, and nothing has changed since")
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
                until_width=until_width,
                judge=candidate.work.judge,
                progress=asked.counting(progress),
            )
        folder, entry, verdicts = _saved(out, result), result.entry, result.frame()
    page = folder / _REPORT
    if warning := polarity_warning(verdicts, labels, task):
        info(f"Warning: {warning}")
    if not page.is_file():
        entry_report.write(page, entry, verdicts, suite)
    if not quiet:
        show(entry)
    if until_width is not None:
        (info if quiet else show_text)(asked.told(entry, until_width))
    if not quiet:
        info(f"report: {page}\n")
    return entry, folder


def _saved(out: Path, result: Result) -> Path:
    """Write an entry; one that was stopped early lies apart: it takes no place of a whole one."""
    from harness.entries import store

    root = out if result.entry.complete else out / ".partial"
    # What lies there is always of the entry beside it.
    (root / result.entry.path / _REPORT).unlink(missing_ok=True)
    return store.write(root, result.entry, result.verdicts)
