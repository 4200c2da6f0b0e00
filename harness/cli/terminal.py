"""What the verbs share: options, talk, progress bars and the table of an entry.

Talk and progress go to stderr; tables and JSON are data and go to stdout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from harness.dataset.signals import Suite
    from harness.models import Classifier
    from harness.records import Entry, Estimate, LabelMap, Rates, WholeClipScore
    from harness.tasks import Task

Command = TypeVar("Command", bound=Callable[..., Any])


def model_options(command: Command) -> Command:
    """The options of every verb that loads a model."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
        click.option("--device", metavar="D", help="cpu, cuda, cuda:1, mps; default: a GPU if there is one."),
        click.option(
            "--batch-size", type=click.IntRange(1), default=16, show_default=True, help="Largest batch."
        ),
        click.option(
            "--label-map",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            metavar="FILE",
            help="Explicit reading of the model's class names.",
        ),
        click.option("--revision", metavar="R", help="Branch, tag or commit of a Hub model."),
    ):
        command = option(command)
    return command


def say(message: str) -> None:
    """A line of talk on stderr."""
    click.echo(message, err=True)


def open_suite(source: str | None) -> Suite:
    """A signals folder or Hub dataset; without a source the embedded suite."""
    from harness.dataset import signals
    from harness.starter.root import embedded

    if source is not None:
        return signals.load(source)
    return signals.Suite(embedded(), "embedded/starter")


def label_map_for(classifier: Classifier, task: Task, label_map: Path | None) -> LabelMap:
    """Read a model's class names by name, or by an explicit file.

    Raises:
        BadLabels: they cannot be mapped to the task.
    """
    from harness import labels

    if label_map is not None:
        return labels.from_file(label_map, classifier.class_names, task, classifier.ref)
    return labels.harmonise(classifier.class_names, task)


@contextmanager
def progress_bar(description: str, total: int, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and remaining time; yields a function of (steps, extra units) done since the last call.

    Args:
        description: what is being done.
        total: number of steps.
        unit: what the extra count counts, e.g. `queries`; shown with its own rate.
    """
    import time

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    started, counted = time.monotonic(), 0
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task_id = bar.add_task(description, total=total, rate="")

        def step(n_done: int, n_extra: int) -> None:
            nonlocal counted
            counted += n_extra
            rate = counted / max(time.monotonic() - started, 1e-9)
            bar.update(task_id, advance=n_done, rate=f"{rate:,.0f} {unit}/s")

        yield step


def show(entry: Entry) -> None:
    """The scorecard of an entry as a table on stdout: a section per family, and one for whole clips."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from harness.records import OTHER
    from leaderboard.columns import RATES, WHOLE, Column, interval, text

    card = entry.scorecard
    table = Table(title=f"{entry.model.repo_id} on {entry.task}", title_justify="left", box=SIMPLE_HEAD)
    for header in ("", "value", "95 % interval", "n"):
        table.add_column(header, justify="right" if header else "left", no_wrap=True)

    def section(title: str, columns: Sequence[Column], scores: Rates | WholeClipScore) -> None:
        table.add_row(title, style="bold")
        for column in columns:
            estimate: Estimate = getattr(scores, column.key)
            value = text(estimate, column.kind)
            table.add_row(f"  {column.header}", value, interval(estimate, column.kind), f"{estimate.n:,}")
        table.add_section()

    for score in card.families:
        section(f"{score.family} signals", RATES, score.rates)
    section("whole clips", WHOLE, card.whole)
    Console().print(table)
    if unread := [
        n for n, c in zip(entry.label_map.names, entry.label_map.canonical, strict=True) if c == OTHER
    ]:
        click.echo(f"No label of the task, so never right: {', '.join(unread)}")
    if not card.ranked:
        click.echo(f"Not ranked: {card.unranked_because}")
