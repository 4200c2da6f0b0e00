"""What the verbs share: options, messages and the table of an entry.

Messages and progress go to stderr; tables and JSON are data and go to stdout.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.entries.untrusted_text import printable
from harness.errors import BadInput, BadLabels

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.models.checkpoints import Checkpoint
    from harness.models.loading import ModelSource
    from harness.schemas import Cell, Entry, Rates, WholeClipScore
    from harness.tasks import Task
    from harness.types import Estimate, LabelMap, ModelRef


def known_tasks(task_files: Sequence[str]) -> list[Task]:
    """The built-in tasks, and those of files."""
    from harness.tasks import TASKS, find

    return [*TASKS.values(), *map(find, task_files)]


def info(message: str) -> None:
    """Print a message on stderr, one line: names of folders and the like may hold anything."""
    click.echo(printable(message), err=True)


def print_json(content: object, indent: int | None = None) -> None:
    """Print a JSON document on stdout; a dataclass becomes an object of its fields."""
    click.echo(json.dumps(content, default=asdict, indent=indent))


def label_map_for(
    class_names: Sequence[str], model: ModelRef, task: Task, label_map: Path | None
) -> LabelMap:
    """Read a model's class names by name, or by an explicit file.

    Raises:
        BadLabels: they cannot be mapped to the task.
    """
    from harness import labels

    if label_map is not None:
        return labels.from_file(label_map, class_names, task, model)
    try:
        return labels.harmonise(class_names, task)
    except BadLabels as error:
        raise BadLabels(f"{error}; to start a label map: {_template(task, model)} > labels.json") from None


def _template(task: Task, model: ModelRef) -> str:
    """The command that prints a label map to begin with, for the model and the task of this run."""
    from harness import tasks

    context = click.get_current_context(silent=True)
    params = {} if context is None else context.params
    names = [params.get("task_name"), *params.get("task_names", ())]
    files = [n for n in names if n and n.endswith((".yaml", ".yml")) and tasks.find(n).name == task.name]
    given = [params["model"]] if params.get("model") else [*params.get("models", ())]
    last_name = model.repo_id.split("/")[-1]
    name = next((name for name in given if len(given) == 1 or Path(name).name == last_name), "MODEL")
    words = ["goodenough", "check", name, "--task", *(files or [task.name])[:1]]
    words += ["--revision", params["revision"]] if params.get("revision") else []
    words += ["--trust-remote-code"] if params.get("trust_remote_code") else []
    words += [word for argument in params.get("adapter_args", ()) for word in ("--adapter-arg", argument)]
    words += ["--env", str(params["env"])] if params.get("env") else []
    return shlex.join([*words, "--template"])


def source_of(model: ModelRef, candidates: Sequence[ModelSource], suite: Suite, option: str) -> ModelSource:
    """What a reference is opened from: of the candidates that `option` names, the starter suite or the Hub.

    Raises:
        BadInput: it is a local folder that was not named.
        BadModel: it cannot be fetched.
    """
    from harness.models import checkpoints

    for source in candidates:
        if source.ref.weights_sha256 == model.weights_sha256:
            return source
    if not model.repo_id.startswith("local/"):
        return checkpoints.resolve(model.repo_id, model.revision)
    name = model.repo_id.removeprefix("local/")
    if starter := starter_checkpoint(name):
        return starter
    raise BadInput(
        f"{suite.name} needs its reference {model.repo_id}, which is a local folder; give it"
        f" with {option} path/to/{name}"
    )


def starter_checkpoint(name: str) -> Checkpoint | None:
    """A model that comes with the starter suite; None if it has none of this name."""
    from harness.models import checkpoints
    from harness.starter import paths

    folder = paths.SUITE / "models" / name
    return checkpoints.resolve(str(folder)) if folder.is_dir() else None


def show(entry: Entry, suite: Suite, *about_verdicts: str | None) -> None:
    """The scorecard of an entry as a table on stdout: a section per family, and one for whole clips.

    Args:
        entry: the entry.
        suite: the signals it was judged on.
        *about_verdicts: further remarks, which follow from its verdicts; None is passed over.
    """
    from harness.cli.tables import Column, Row, section, show_table, show_text
    from harness.dataset.suite_notes import note_of_signals
    from harness.types import OTHER
    from leaderboard.board import columns as board
    from leaderboard.board import remarks
    from leaderboard.formatting import TOO_FEW, format_estimate, interval, text

    scorecard = entry.scorecard
    columns = (Column("", folds=True), Column("value"), Column("95 % interval", 1), Column("n", 2))

    def rows_of(board_columns: Sequence[board.Column], scores: Rates | WholeClipScore) -> list[Row]:
        estimates: list[Estimate] = [getattr(scores, column.key) for column in board_columns]
        return [
            Row((f"  {c.header}", text(e, c.kind), interval(e, c.kind), f"{e.n:,}"))
            for c, e in zip(board_columns, estimates, strict=True)
        ]

    main_rates = [column for column in board.RATES if column.key in ("lift", "transfer", "swap")]
    rows = []
    for score in scorecard.families:
        title = f"{score.family} signals"
        rows += section(title, rows_of(board.RATES, score.rates))
        if score.visible != score.rates:
            rows += section(f"{title} within its window and band", rows_of(main_rates, score.visible))
        if score.robust != score.rates:
            rows += section(f"{score.family}, robust signals", rows_of(main_rates, score.robust))
    rows += section("whole clips", rows_of(board.WHOLE, scorecard.whole))
    show_table(f"{entry.model.repo_id} on {entry.task}", columns, rows)
    if panel := remarks.n_panel(entry):
        show_text(f"Rates and intervals are {remarks.panel(panel)}: unweighted means over them.")
    if suite_note := note_of_signals(entry.signals, suite):
        show_text(suite_note)
    for line in filter(None, (*remarks.likenesses(entry), remarks.silence_classes(entry))):
        show_text(line)
    for share in remarks.as_silence(entry):
        show_text(
            f"Answered as silence: {format_estimate(share.estimate, 'rate')} of its answers to"
            f" {share.stimulus} of family {share.family}."
        )
    if any(score.rates.lift.value is None for score in scorecard.families):
        show_text(f"A lift or placement without a value is {TOO_FEW} of any reference.")
    labels = zip(entry.label_map.names, entry.label_map.canonical, strict=True)
    if other_names := [name for name, label in labels if label == OTHER]:
        show_text(f"Not a label of the task, so never correct: {', '.join(other_names)}")
    for line in filter(None, about_verdicts):
        show_text(line)
    if not scorecard.ranked:
        show_text(f"Not ranked: {remarks.unranked(entry)}")


def show_models(entries: Sequence[Entry]) -> None:
    """One row for each entry, of several models, as a table on stdout."""
    from harness.cli.tables import Column, Row, show_table
    from leaderboard.formatting import interval, text

    columns = (
        *(Column("Model", folds=True), Column("Task", folds=True), Column("Lift")),
        *(Column("95 % interval", 1), Column("Transfer", 3), Column("Swap", 4), Column("n", 2)),
    )
    rows = []
    for entry in entries:
        if (score := entry.scorecard.headline) is not None:
            rates = score.rates
            lift = (text(rates.lift, "difference"), interval(rates.lift, "difference"))
            shares = (text(rates.transfer, "rate"), text(rates.swap, "rate"))
            rows.append(Row((entry.model.repo_id, entry.task, *lift, *shares, f"{rates.lift.n:,}")))
    show_table("All models", columns, rows)


def show_outgoing(model: str, task: str, cells_by_judge: dict[str, Cell]) -> None:
    """How the references judge a model's own signals, as a table on stdout."""
    from harness.cli.tables import Column, Row, show_table, show_text
    from leaderboard.formatting import interval, text

    if not cells_by_judge:
        show_text(f"{model} on {task}: no reference judged its own signals, so there is no table of them.")
        return
    columns = (
        *(Column("judged by", folds=True), Column("transfer"), Column("95 % interval", 1)),
        *(Column("swap", 3), Column("lift"), Column("placement", 4), Column("n", 2)),
    )
    rows = []
    for name, cell in cells_by_judge.items():
        rates = cell.rates
        whole = (text(rates.transfer, "rate"), interval(rates.transfer, "rate"), text(rates.swap, "rate"))
        differences = (text(rates.lift, "difference"), text(rates.placement, "difference"))
        rows.append(Row((name, *whole, *differences, f"{rates.transfer.n:,}")))
    show_table(f"{model} on {task}: its own signals", columns, rows)
