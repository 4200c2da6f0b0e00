"""What the verbs share: options, messages and the table of an entry.

Messages and progress go to stderr; tables and JSON are data and go to stdout.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import BadInput, BadLabels

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.models.checkpoints import Checkpoint
    from harness.models.classifiers import Classifier
    from harness.schemas import Cell, Entry, Rates, WholeClipScore
    from harness.tasks import Task
    from harness.types import Estimate, LabelMap, ModelRef


@dataclass(frozen=True)
class ModelOptions:
    """How a model is opened: the options of every verb that does."""

    revision: str | None
    device: str | None
    batch_size: int
    dtype: str
    trust_remote_code: bool

    def resolve(self, model: str) -> Checkpoint:
        """Find and pin it."""
        from harness.models import checkpoints

        return checkpoints.resolve(model, self.revision, trust_remote_code=self.trust_remote_code)

    def open(self, checkpoint: Checkpoint) -> Classifier:
        """Load it."""
        from harness.models import classifiers

        return classifiers.open_checkpoint(
            checkpoint, device=self.device, batch_size=self.batch_size, dtype=self.dtype
        )


def given() -> dict[str, click.Parameter]:
    """The parameters of this run that are on the command line, by name."""
    from click.core import ParameterSource

    context = click.get_current_context()
    return {
        name: parameter
        for parameter in context.command.params
        if (name := parameter.name) and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def command_line(*omit: str) -> str:
    """The command line of this run without some parameters, for a message that suggests the next command."""
    context = click.get_current_context()
    words = context.command_path.split()
    for name, parameter in given().items():
        if name in omit:
            continue
        option = [parameter.opts[0]] if isinstance(parameter, click.Option) else []
        value = context.params[name]
        for v in value if isinstance(value, tuple) else (value,):
            words += option if v is True else [*option, str(v)]
    return shlex.join(words)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def bundle(name: str, record: type, *options: Decorator) -> Decorator:
    """A decorator that adds options to a verb; those that are fields of a record reach it as one parameter.

    Args:
        name: of the parameter.
        record: a dataclass.
        *options: in the order of the help.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_record(**params: Any) -> Any:
            values = {field.name: params.pop(field.name) for field in fields(record)}
            return command(**{name: record(**values)}, **params)

        decorated: Callable[..., Any] = with_record
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
tasks_option = click.option(
    "--task", "task_names", multiple=True, metavar="T", help="Task, repeatable; default: all."
)
task_files_option = click.option(
    "--task", "task_files", metavar="FILE", multiple=True, help="Definition of a task that is not built in."
)
signals_option = click.option(
    "--signals", metavar="SOURCE", help="Signals folder or Hub dataset ORG/NAME[@REVISION]."
)
model_options = bundle(
    "opening",
    ModelOptions,
    click.option("--revision", metavar="R", help="Branch, tag or commit of a Hub model."),
    click.option(
        "--trust-remote-code",
        is_flag=True,
        help="Run Python code that comes with the model; for a Hub model only with a full --revision.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        show_default=True,
        help="Floating-point type that the model runs in.",
    ),
    click.option(
        "--label-map",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="JSON file that maps the model's class names to labels of the task.",
    ),
    click.option(
        "--batch-size", type=click.IntRange(1), default=16, show_default=True, help="Largest batch size."
    ),
    click.option("--device", metavar="D", help="cpu, cuda, cuda:1, mps; default: a GPU if there is one."),
    json_option,
)
"""The options of every verb that opens a model."""


def known_tasks(task_files: Sequence[str]) -> list[Task]:
    """The built-in tasks, and those of files."""
    from harness.tasks import TASKS, find

    return [*TASKS.values(), *map(find, task_files)]


def info(message: str) -> None:
    """Print a message on stderr."""
    click.echo(message, err=True)


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
        raise BadLabels(f"{error}; to start a label map: {_template(task)} > labels.json") from None


def _template(task: Task) -> str:
    """The command that prints a label map to begin with, for the model and the task of this run."""
    from harness import tasks

    context = click.get_current_context(silent=True)
    params = {} if context is None else context.params
    names = [params.get("task_name"), *params.get("task_names", ())]
    files = [n for n in names if n and n.endswith((".yaml", ".yml")) and tasks.find(n).name == task.name]
    words = ["goodenough", "check", params.get("model") or "MODEL", "--task", *(files or [task.name])[:1]]
    words += ["--revision", params["revision"]] if params.get("revision") else []
    words += ["--trust-remote-code"] if params.get("trust_remote_code") else []
    return shlex.join([*words, "--template"])


def checkpoint_of(model: ModelRef, candidates: Sequence[Checkpoint], suite: Suite, option: str) -> Checkpoint:
    """The checkpoint of a reference: of the candidates that `option` names, the starter suite or the Hub.

    Raises:
        BadInput: it is a local folder that was not named.
        BadModel: it cannot be fetched.
    """
    from harness.models import checkpoints

    for checkpoint in candidates:
        if checkpoint.ref.weights_sha256 == model.weights_sha256:
            return checkpoint
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


def show(entry: Entry) -> None:
    """The scorecard of an entry as a table on stdout: a section per family, and one for whole clips."""
    from harness.cli.tables import Column, Row, section, show_table, show_text
    from harness.dataset.synthetic import SYNTHETIC, of_synthetic
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
    rows += section("whole clips", rows_of(board.WHOLE, scorecard.whole))
    show_table(f"{entry.model.repo_id} on {entry.task}", columns, rows)
    if panel := remarks.n_panel(entry):
        show_text(f"Rates and intervals are {remarks.panel(panel)}: unweighted means over them.")
    if of_synthetic(entry.signals):
        show_text(SYNTHETIC)
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
    if not entry.complete:
        show_text("Partial: only the headline family; it cannot be submitted.")
    if not scorecard.ranked:
        show_text(f"Not ranked: {remarks.unranked(entry)}")


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
