"""Progress on stderr: a bar on a terminal, elsewhere one plain line every 30 seconds.

Shorter work prints nothing to a pipe. With GOODENOUGH_PROGRESS=lines there is a line every second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from harness.plurals import plural

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from harness.evaluation.runner import Progress
    from harness.evaluation.running_score import RunningScore, Snapshot

_write = partial(click.echo, err=True)

SECONDS = 30.0
"""Between two lines."""

_INTERVAL = 1.0
"""Seconds between two updates of the estimates, and between two lines with GOODENOUGH_PROGRESS=lines."""

_LINES = "GOODENOUGH_PROGRESS"
"""Environment variable that asks for lines."""

_PERIOD = 300.0
"""Seconds over which a rate is taken: it follows work that gets slower."""


class _Pace:
    """Counts steps, and units beside them with a rate of their own: two rows of a bar, one of them visible.

    Rates count from the first report on, which may include what an earlier run did.
    """

    def __init__(self, bar: Bar, title: str, total: int | None, unit: str, steps: str = "") -> None:
        self.note = ""
        self._bar, self._title, self._unit, self._steps = bar, title, unit, steps
        bar.add_task(title, total=total, rate="")
        bar.add_task("", total=None, visible=False, rate="")
        self._task, self._extra = bar.tasks[-2:]

    @property
    def is_done(self) -> bool:
        """Whether no step is left."""
        return self._task.finished

    def step(self, n_done: int, n_extra: int, total: int | None = None) -> None:
        """Add what was done since the last call; `total`, if given, is the number of steps in all."""
        self._bar.update(self._extra.id, advance=n_extra)
        self._bar.update(self._task.id, advance=n_done, total=total, rate=self._rate())

    def line(self) -> str:
        """Steps done, rate and remaining time."""
        task = self._task
        if task.total is None:
            state = f"{duration(task.elapsed or 0)} so far"
        else:
            state = f"{task.completed:,.0f} of {task.total:,.0f}{self._steps and f' {self._steps}'}"
        left = f"{duration(task.time_remaining)} left" if task.time_remaining else ""
        return ", ".join(filter(None, (f"{self._title}: {state}", self._rate(), left, self.note)))

    def _rate(self) -> str:
        if not (speed := self._extra.speed):
            return ""
        number = f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"
        return f"{number} {self._unit}/s"


def duration(seconds: float) -> str:
    """A time in words: `40 s`, `12 min`, `5 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def _print_lines(paces: list[_Pace]) -> Iterator[None]:
    """Print a line for the last counter at intervals, and one at the end if there was any."""
    interval = _INTERVAL if os.environ.get(_LINES) == "lines" else SECONDS
    stop, any_line = threading.Event(), False

    def run() -> None:
        nonlocal any_line
        while not stop.wait(interval):
            if paces and not paces[-1].is_done:
                any_line = True
                _write(paces[-1].line())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        if paces and paces[-1].is_done and (any_line or interval == _INTERVAL):
            _write(paces[-1].line())


@contextmanager
def _counters(*, transient: bool = False) -> Iterator[Callable[..., _Pace]]:
    """Yields a function that adds a counter: a bar on a terminal, else lines. For arguments see `_Pace`."""
    console, paces = _console(), list[_Pace]()
    bar = _bar(console, transient=transient)

    def add(*args: Any) -> _Pace:
        paces.append(_Pace(bar, *args))
        return paces[-1]

    with bar if console.is_terminal else _print_lines(paces):
        yield add


@contextmanager
def progress_bar(description: str, total: int, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Rate and remaining time; yields a function of (steps, extra units) done since the last call.

    The extra count, e.g. of `queries`, is shown with its own rate.
    """
    with _counters() as add:
        yield add(description, total, unit).step


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Work in parts; yields a function of (part, steps done since the last call, steps in all).

    A part is shown from the first time it is named on, and no bar is left when all are done.
    """
    paces: dict[str, _Pace] = {}
    with _counters(transient=True) as add:

        def step(part: str, n_done: int, total: int) -> None:
            if part not in paces:
                paces[part] = add(part, total, "steps")
            paces[part].step(n_done, n_done)

        yield step


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Work of unknown length: a moving bar, or lines with the elapsed time."""
    with _counters(transient=True) as add:
        add(title, None, "")
        yield


@contextmanager
def live_table(title: str) -> Iterator[Progress]:
    """A bar over a table of estimates, or lines with the lift; yields what `runner.evaluate` calls."""
    from rich.console import Group
    from rich.live import Live as Screen

    console, last_update = _console(), 0.0
    bar = _bar(console)
    pace = _Pace(bar, title, None, "units", "units")
    screen = Screen(bar, console=console, refresh_per_second=4)

    def step(n: int, total: int, score: RunningScore | None) -> None:
        nonlocal last_update
        pace.step(n, n, total)
        if score is None or time.monotonic() - last_update < _INTERVAL:
            return
        last_update = time.monotonic()
        if console.is_terminal:
            screen.update(Group(bar, _estimates(score.now(), console.width)))
        else:
            pace.note = _lift(score.now())

    with screen if console.is_terminal else _print_lines([pace]):
        yield step


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _bar(console: Console, *, transient: bool = False) -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    rate = TextColumn("{task.fields[rate]}", markup=False)
    return Progress(
        *columns,
        rate,
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        speed_estimate_period=_PERIOD,
    )


def _lift(snapshot: Snapshot) -> str:
    from leaderboard.formatting import interval, text

    lift = snapshot.lift
    return "" if lift.value is None else f"lift {text(lift, 'difference')} ({interval(lift, 'difference')})"


_MIN_WIDTH = 60
"""Columns of a terminal that are needed for the number of clips beside the estimates."""


def _estimates(snapshot: Snapshot, width: int) -> Any:
    from rich.table import Table

    from leaderboard.formatting import Kind, interval, text

    table = Table.grid(padding=(0, 2))
    kinds: dict[str, Kind] = {"transfer": "rate", "swap": "rate", "lift": "difference"}
    for name, kind in kinds.items():
        estimate = getattr(snapshot, name)
        clips = [plural(snapshot.n_clips, "clip")] if width >= _MIN_WIDTH else []
        table.add_row(name, text(estimate, kind), interval(estimate, kind), *clips)
    return table
