"""`goodenough evaluate`: a model's transferability, on the terminal and as an entry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.backends import EngineOptions, PinnedModel, engine_options
from harness.cli.cached_evaluation import earlier_result
from harness.cli.common import info, print_json, show, show_outgoing
from harness.cli.held_back import lifts_as_json, lifts_of, require_held_back, show_lifts
from harness.cli.options import ModelOptions, refuse_without
from harness.cli.selection import named_tasks, require_clips, require_something_to_hear
from harness.dataset.paths import REPORT
from harness.errors import BadInput, BadLabels, NotValid
from harness.plurals import plural
from harness.progress import live_table
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.evaluation.runner import Progress
    from harness.evaluation.running_score import RunningScore
    from harness.models.classifiers import Classifier
    from harness.schemas import Cell, Entry
    from harness.tasks import Task
    from harness.types import LabelMap


@click.command()
@click.argument("model")
@options.repeatable("--task", "task_names", metavar="T", help="Task, repeatable; default: all that fit.")
@options.signals
@options.out(default="results")
@options.ci_width(help="Stop when the lift is known to plus or minus W; such an entry cannot be submitted.")
@click.option(
    "--shard",
    type=options.Shard(),
    metavar="I/N",
    help="Evaluate part I of N; afterwards the command without --shard merges the parts.",
)
@click.option(
    "--held-back",
    metavar="PRIVATE",
    help="Held-back signals of the same references: also evaluate on them and compare the lifts.",
)
@options.flag("--update-suite", help="Copy the verdicts of a reference into its signals folder.")
@options.flag("--outgoing", "with_outgoing", help="Also let the references judge the model's own signals.")
@click.option(
    "--search",
    type=click.Choice(["minimal", "gradient", "responsibility"]),
    default="minimal",
    show_default=True,
    help="Search for --outgoing.",
)
@options.repeatable("--reference", "given", metavar="M", help="Folder of a local reference, for --outgoing.")
@engine_options
@options.model
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
    from harness.cli import outgoing_transfer, suite_verdicts

    if not with_outgoing:
        refuse_without("--outgoing", "given", "search")
    if shard and ci_width:
        raise BadInput(
            "--ci-width stops a whole run early, and a shard always runs to its end: give one of them"
        )
    whole_runs = {"--outgoing": with_outgoing, "--update-suite": update_suite, "--held-back": held_back}
    for option, value in whole_runs.items():
        if value and (shard or ci_width):
            raise BadInput(f"{option} is for a whole run: leave out --shard and --ci-width")
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
        tasks = [task for task, _ in task_labels]
        require_clips(suite, tasks)
        if update_suite:
            suite_verdicts.require_own(suite, candidate.checkpoint.ref, tasks)
        if shard:
            _judge_shard(candidate, suite, tasks, out, shard)
            return
        if private is not None:
            for task in tasks:
                require_held_back(suite, private, task.name)
        judges = outgoing_transfer.judges_of(suite, tasks, given, opening) if with_outgoing else {}
        results = [
            _evaluate(candidate, suite, task, labels, out, ci_width, as_json) for task, labels in task_labels
        ]
        private_results = [
            _evaluate(candidate, private, task, labels, out / ".held-back", None, quiet=True)
            for task, labels in task_labels
            if private is not None
        ]
        outgoing = {}
        for task, labels in task_labels if with_outgoing else ():
            cells = outgoing_transfer.outgoing(candidate, labels, suite, task, judges[task.name], search, out)
            outgoing[task.name] = cells
            if not as_json:
                show_outgoing(candidate.checkpoint.ref.repo_id, task.name, cells)
    (suite_verdicts.update if update_suite else suite_verdicts.offer)(suite, results, as_json)
    _report(candidate.checkpoint.ref.repo_id, results, private_results, outgoing, as_json)


def _report(
    model: str,
    results: list[tuple[Entry, Path]],
    private_results: list[tuple[Entry, Path]],
    outgoing: dict[str, dict[str, Cell]],
    as_json: bool,
) -> None:
    """Print lifts or JSON, and refuse a reference that does not accept its own signals."""
    private = {entry.task: (entry, folder) for entry, folder in private_results}
    lifts = {
        entry.task: lifts_of((entry, folder), private[entry.task])
        for entry, folder in results
        if entry.task in private
    }
    if as_json:
        records = []
        for entry, folder in results:
            record = {**vars(entry), "folder": str(folder)}
            if entry.task in lifts:
                record["held_back"] = lifts_as_json(lifts[entry.task], private[entry.task][0].signals)
            if entry.task in outgoing:
                record["outgoing"] = outgoing[entry.task]
            records.append(record)
        print_json({"model": model, "results": records})
    else:
        for task, comparison in lifts.items():
            show_lifts(model, task, comparison)
    for entry, _ in (*results, *private_results):
        if entry.scorecard.known_answer not in (None, 1.0):
            raise NotValid(
                f"{entry.model.repo_id} does not accept all of its own signals on {entry.task} "
                f"({entry.scorecard.known_answer:.6g} of them): its config, preprocessor or label order is "
                "not that of the reference, or this machine computes something else"
            )


class _Candidate(PinnedModel):
    """Prints the notes on the model when it is loaded."""

    @cached_property
    def classifier(self) -> Classifier:
        classifier = super().classifier
        for note in classifier.notes:
            info(f"Note: {self.checkpoint.ref.repo_id}: {note}")
        return classifier


def _select_tasks(
    candidate: _Candidate, suite: Suite, tasks: list[Task], label_map: Path | None
) -> list[tuple[Task, LabelMap]]:
    """The tasks to evaluate: those named, or all of the suite that fit the model's labels."""
    if tasks:
        return [(task, candidate.labels(task, label_map)) for task in tasks]
    suitable, errors = [], []
    for task in suite.tasks:
        try:
            suitable.append((task, candidate.labels(task, label_map)))
        except BadLabels as error:
            errors.append(f"{task.name}: {error}")
    if not suitable:
        if len(errors) == 1:
            raise BadLabels(errors[0])
        names, model = candidate.class_names, candidate.checkpoint.ref.repo_id
        class_text = ", ".join(map(repr, names[:4])) + (", ..." if len(names) > 4 else "")
        raise BadLabels(
            f"the classes of {model} ({class_text}) fit no task of {suite.name}"
            f" ({', '.join(suite.task_names)}); name one with --task T to see why, or say how to read them"
            " with --label-map FILE"
        )
    return suitable


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
                *(candidate.classifier, labels, suite, task, out),
                ci_width=ci_width,
                judge=candidate.backend.judge,
                progress=counter.counting(progress),
            )
        root = out if result.entry.complete else out / ".partial"
        # A report must be of the entry beside it.
        (root / result.entry.path / REPORT).unlink(missing_ok=True)
        folder = store.write(root, result.entry, result.verdicts)
        entry, verdicts = result.entry, result.frame()
    if warning := polarity_warning(verdicts, labels, task):
        info(f"Warning: {warning}")
    report = folder / REPORT
    if not report.is_file():
        entry_report.write(report, entry, verdicts, suite)
    if not quiet:
        show(entry)
    if ci_width is not None:
        (info if quiet else show_text)(counter.summary(entry, ci_width))
    if not quiet:
        info(f"report: {report}\n")
    return entry, folder


@dataclass
class UnitCounter:
    """Counts the units of an evaluation that were judged, or known before."""

    n: int = 0
    total: int = 0

    def counting(self, progress: Progress) -> Progress:
        """Wrap a progress callback so that units are counted."""

        def step(n: int, total: int, score: RunningScore | None) -> None:
            self.n, self.total = self.n + n, total
            progress(n, total, score)

        return step

    def summary(self, entry: Entry, width: float) -> str:
        """The result of the early stop, in one line; `width` is half of the interval that was asked for."""
        from leaderboard.formatting import TOO_FEW, half_width

        family = entry.scorecard.headline
        low, high = (None, None) if family is None else (family.rates.lift.low, family.rates.lift.high)
        half = None if low is None or high is None else (high - low) / 2
        lift = TOO_FEW if half is None else f"known to {half_width(half)}"
        target, units = half_width(width), plural(self.total, "unit")
        if self.n < self.total:
            return f"Stopped early, after {self.n:,} of {units}: lift {lift}, asked for {target}."
        if half is not None:
            lift += ", as asked for" if half <= width else f" only, not to the {target} asked for"
        return f"Not stopped early: {self.total:,} of {units} judged; lift {lift}."
