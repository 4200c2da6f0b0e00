"""One of the models of `goodenough evaluate`: its entries, and what is shown of them on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cache_folder
from harness.cli.backends import PinnedModel
from harness.cli.cached_evaluation import earlier_result
from harness.cli.common import info, known_tasks, show, show_outgoing
from harness.cli.held_back import lifts_as_json, lifts_of, require_held_back, show_lifts
from harness.cli.options import ModelOptions
from harness.cli.selection import require_clips
from harness.dataset.paths import PARTIAL, REPORT
from harness.entries.untrusted_text import one_line
from harness.errors import BadLabels, BadModel, GoodenoughError, NotValid
from harness.plurals import plural
from harness.progress import live_table

if TYPE_CHECKING:
    from harness.cli.backends import Backend
    from harness.dataset.suites import Suite
    from harness.evaluation.runner import Progress
    from harness.evaluation.running_score import RunningScore
    from harness.metrics.held_back import LiftComparison
    from harness.models.classifiers import Classifier
    from harness.schemas import Cell, Entry
    from harness.tasks import Task
    from harness.types import LabelMap


@dataclass(frozen=True)
class Run:
    """What is done with every model."""

    suite: Suite
    private: Suite | None
    tasks: list[Task]
    """Those named; none stands for all that fit."""
    out: Path
    limit: int | None
    ci_width: float | None
    shard: tuple[int, int] | None
    update_suite: bool
    outgoing: tuple[str, tuple[str, ...]] | None
    """Search and local references."""
    label_map: Path | None
    as_json: bool

    def clip_limit(self, task: Task) -> int | None:
        """How many clips are judged; None where that is no fewer than there are."""
        if self.limit is None or self.limit >= sum(1 for _ in self.suite.clip_lines(task.name)):
            return None
        return self.limit


@dataclass
class ModelResult:
    """What came of one model."""

    model: str
    """As given; the id in its entries once it was found."""
    results: list[tuple[Entry, Path]] = field(default_factory=list)
    private_results: list[tuple[Entry, Path]] = field(default_factory=list)
    outgoing: dict[str, dict[str, Cell]] = field(default_factory=dict)
    error: GoodenoughError | None = None

    @property
    def error_line(self) -> str:
        """What is wrong with it, with its name."""
        text = str(self.error)
        return one_line(text if text.startswith(self.model) else f"{self.model}: {text}", 10_000)

    @cached_property
    def lifts(self) -> dict[str, LiftComparison | None]:
        """By task: the lift on public and on held-back signals."""
        private = {entry.task: (entry, folder) for entry, folder in self.private_results}
        return {
            entry.task: lifts_of((entry, folder), private[entry.task])
            for entry, folder in self.results
            if entry.task in private
        }

    def as_json(self) -> dict[str, Any]:
        """What --json prints of it."""
        signals = {entry.task: entry.signals for entry, _ in self.private_results}
        records = []
        for entry, folder in self.results:
            record = {**vars(entry), "folder": str(folder)}
            if entry.task in self.lifts:
                record["held_back"] = lifts_as_json(self.lifts[entry.task], signals[entry.task])
            if entry.task in self.outgoing:
                record["outgoing"] = self.outgoing[entry.task]
            records.append(record)
        return {"model": self.model, "results": records}


def evaluate_model(result: ModelResult, run: Run, opening: ModelOptions, backend: Backend) -> None:
    """Evaluate a model on its tasks; what was done before a fault is in the result.

    Raises:
        BadInput: it cannot be loaded, or its classes fit no task.
        NotValid: its answers depend on the batch.
    """
    from harness.cli import outgoing_transfer, suite_verdicts

    name, suite, private = result.model, run.suite, run.private
    candidate = _Candidate(opening.resolve(name), opening, backend)
    result.model = candidate.source.ref.repo_id
    task_labels = _select_tasks(candidate, suite, run.tasks, run.label_map)
    tasks = [task for task, _ in task_labels]
    require_clips(suite, tasks)
    if run.update_suite:
        suite_verdicts.require_own(suite, candidate.source.ref, tasks)
    if run.shard:
        _judge_shard(candidate, suite, tasks, run.out, run.shard)
        return
    if private is not None:
        for task in tasks:
            require_held_back(suite, private, task.name)
    search, given = run.outgoing or ("", ())
    judges = outgoing_transfer.judges_of(suite, tasks, given, opening) if run.outgoing else {}
    for task, labels in task_labels:
        result.results.append(_evaluate(candidate, task, labels, run))
    for task, labels in task_labels if private is not None else ():
        result.private_results.append(_evaluate(candidate, task, labels, run, private))
    for task, labels in task_labels if run.outgoing else ():
        cells = outgoing_transfer.outgoing(candidate, labels, suite, task, judges[task.name], search, run.out)
        result.outgoing[task.name] = cells
        if not run.as_json:
            show_outgoing(result.model, task.name, cells)
    if run.update_suite:
        suite_verdicts.update(suite, result.results, run.as_json)
    elif run.limit is None and run.ci_width is None:
        suite_verdicts.offer(suite, result.results, name, run.as_json)
    if not run.as_json:
        for task_name, comparison in result.lifts.items():
            show_lifts(result.model, task_name, comparison)
    result.error = _unlike_itself([entry for entry, _ in (*result.results, *result.private_results)])


def _unlike_itself(entries: Sequence[Entry]) -> NotValid | None:
    """The error of a reference that does not accept its own signals."""
    for entry in entries:
        if entry.scorecard.known_answer not in (None, 1.0):
            return NotValid(
                f"{entry.model.repo_id} does not accept all of its own signals on {entry.task} "
                f"({entry.scorecard.known_answer:.6g} of them): its config, preprocessor or label order is "
                "not that of the reference, or this machine computes something else"
            )
    return None


class _Candidate(PinnedModel):
    """Prints the notes on the model when it is loaded."""

    @cached_property
    def classifier(self) -> Classifier:
        classifier = super().classifier
        for note in classifier.notes:
            info(f"Note: {self.source.ref.repo_id}: {note}")
        return classifier


def _select_tasks(
    candidate: _Candidate, suite: Suite, tasks: list[Task], label_map: Path | None
) -> list[tuple[Task, LabelMap]]:
    """The tasks to evaluate: those named, or all of the suite that fit the model's labels."""
    from harness.labels import nearly_fits

    if tasks:
        return [(task, candidate.labels(task, label_map)) for task in tasks]
    suitable, errors, near_errors = [], [], []
    for task in suite.tasks:
        try:
            suitable.append((task, candidate.labels(task, label_map)))
        except BadLabels as error:
            errors.append(f"{task.name}: {error}")
            if label_map is None and nearly_fits(candidate.class_names, task):
                near_errors.append(errors[-1])
    if suitable:
        for line in near_errors:
            cause, *_, hint = line.split("; ")
            info(f"Left out, {cause}; {hint}")
    else:
        if len(near_errors or errors) == 1:
            raise BadLabels(*(near_errors or errors))
        names, model = candidate.class_names, candidate.source.ref.repo_id
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
    candidate: _Candidate, task: Task, labels: LabelMap, run: Run, private: Suite | None = None
) -> tuple[Entry, Path]:
    """The entry of a task and its folder; on held-back signals nothing is shown."""
    from harness.cli.tables import show_text
    from harness.entries import store
    from harness.entries.validate_adapter import refusal
    from harness.evaluation import runner
    from harness.journal import remove_stale_locks
    from harness.metrics.scorecard import polarity_warning
    from leaderboard.board import provisional_rank, remarks
    from leaderboard.reports import entry_report

    suite, out = (run.suite, run.out) if private is None else (private, run.out / ".held-back")
    quiet = run.as_json or private is not None
    ci_width, limit = (run.ci_width, run.clip_limit(task)) if private is None else (None, None)
    counter = UnitCounter()
    folder = None
    if ci_width is None and limit is None:
        folder = earlier_result(out, candidate.source.ref, labels, suite, task, candidate.opening)
    is_new = folder is None
    if folder is not None:
        info(f"{task.name}: already evaluated, and nothing has changed since")
        remove_stale_locks(out / ".answers" / candidate.source.ref.slug, f"*/{task.name}.*lock")
        entry, verdicts = store.read(folder), store.verdicts(folder)
    else:
        classifier = candidate.classifier
        if line := refusal(classifier.ref, classifier.facts, classifier.class_names, suite.name):
            raise BadModel(line)
        with live_table(task.name) as progress:
            result = runner.evaluate(
                *(candidate.classifier, labels, suite, task, out),
                ci_width=ci_width,
                limit=limit,
                judge=candidate.backend.judge,
                progress=counter.counting(progress),
            )
        root = out if result.entry.complete else out / PARTIAL
        # A report must be of the entry beside it.
        (root / result.entry.path / REPORT).unlink(missing_ok=True)
        folder = store.write(root, result.entry, result.lazy_verdicts)
        entry, verdicts = result.entry, result.frame()
    if warning := polarity_warning(verdicts, labels, task):
        info(f"Warning: {warning}")
    report = folder / REPORT
    if not report.is_file():
        entry_report.write(report, entry, verdicts, suite)
    if is_new and entry.complete and private is None:
        _check(folder, task)
    partial = remarks.partial(entry, verdicts, suite)
    if not quiet:
        show(entry, suite, remarks.as_other(verdicts), partial)
    elif partial:
        info(partial)
    if ci_width is not None:
        (info if quiet else show_text)(counter.summary(entry, ci_width))
    if not quiet:
        if sentence := provisional_rank.sentence(entry, suite):
            show_text(sentence)
        info(f"report: {report}")
        info("")
    return entry, folder


def _check(folder: Path, task: Task) -> None:
    """Check an entry as `validate` does, which need not check it again; say what is wrong with it.

    Those of other tasks than the built-in ones are left to `validate`, which has to be given their files.
    """
    from harness.entries.valid_marks import problems_of, validator_marks

    tasks = known_tasks(())
    if task in tasks:
        for line in problems_of(folder, tasks, validator_marks(cache_folder.cache())):
            info(f"Warning: {one_line(line, 10_000)}: the entry cannot be submitted")


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
