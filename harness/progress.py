"""Progress on stderr: a bar on a terminal, elsewhere one plain line every 30 seconds.

Shorter work prints nothing to a pipe. With GOODENOUGH_PROGRESS=lines there is a line every second.

Public: progress_bar, progress_bars, live_table, waiting, duration.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
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

_MAX_MARKS = 10
"""Lines over which a rate is taken: it follows work that gets slower."""


class _Pace:
    """Counts steps, and measures their rate.

    Rates count from the first report on, which may include what an earlier run did.
    """

    def __init__(self, title: str, total: int | None, unit: str, steps: str = "") -> None:
        """Begin with nothing done.

        Args:
            title: what is being done.
            total: number of steps; None where it is not known.
            unit: what is counted beside the steps, with a rate of its own.
            steps: what a step is.
        """
        self.title, self.total, self.note = title, total, ""
        self._unit, self._steps = unit, steps
        self._n_done = self._n_extra = 0
        self._start_time = time.monotonic()
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=_MAX_MARKS)

    @property
    def is_done(self) -> bool:
        """Whether no step is left."""
        return self.total is not None and self._n_done >= self.total

    def step(self, n_done: int, n_extra: int) -> None:
        """Add what was done since the last call."""
        self._n_done += n_done
        self._n_extra += n_extra
        if not self._marks:
            self._add_mark()

    def rate(self) -> str:
        """Units a second since the oldest mark, in words; empty where none are known."""
        seconds, _, n_extra = self._since()
        return f"{_number(n_extra / seconds)} {self._unit}/s" if seconds and n_extra else ""

    def line(self) -> str:
        """Steps done, rate and remaining time."""
        seconds, n_done, _ = self._since()
        parts = [f"{self.title}: {self._so_far()}", self.rate()]
        if self.total is not None and n_done and not self.is_done:
            parts.append(f"{duration((self.total - self._n_done) * seconds / n_done)} left")
        self._add_mark()
        return ", ".join(part for part in (*parts, self.note) if part)

    def _so_far(self) -> str:
        if self.total is None:
            return f"{duration(time.monotonic() - self._start_time)} so far"
        return f"{self._n_done:,} of {self.total:,}{self._steps and f' {self._steps}'}"

    def _since(self) -> tuple[float, int, int]:
        """Seconds, steps and units since the oldest mark."""
        if not self._marks:
            return 0.0, 0, 0
        time_of_mark, n_done, n_extra = self._marks[0]
        return time.monotonic() - time_of_mark, self._n_done - n_done, self._n_extra - n_extra

    def _add_mark(self) -> None:
        self._marks.append((time.monotonic(), self._n_done, self._n_extra))


def duration(seconds: float) -> str:
    """A time in words: `40 s`, `12 min`, `5 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


@contextmanager
def _print_lines(paces: Callable[[], list[_Pace]]) -> Iterator[None]:
    """Print a line for each counter at intervals, and one at the end if there was any."""
    interval = _INTERVAL if os.environ.get(_LINES) == "lines" else SECONDS
    stop, any_line = threading.Event(), False

    def run() -> None:
        nonlocal any_line
        while not stop.wait(interval):
            for pace in paces():
                if not pace.is_done:
                    any_line = True
                    _write(pace.line())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        for pace in paces():
            if pace.is_done and (any_line or interval == _INTERVAL):
                _write(pace.line())


@contextmanager
def progress_bar(description: str, total: int, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Rate and remaining time; yields a function of (steps, extra units) done since the last call.

    Args:
        description: what is being done.
        total: number of steps.
        unit: what the extra count counts, e.g. `queries`; shown with its own rate.
    """
    console, pace = _console(), _Pace(description, total, unit)
    if not console.is_terminal:
        with _print_lines(lambda: [pace]):
            yield pace.step
        return
    with _bar(console) as bar:
        row = bar.add_task(description, total=total, rate="")

        def step(n_done: int, n_extra: int) -> None:
            pace.step(n_done, n_extra)
            bar.update(row, advance=n_done, rate=pace.rate())

        yield step


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Work in parts; yields a function of (part, steps done since the last call, steps in all).

    A part is shown from the first time it is named on, and no bar is left when all are done.
    """
    console, paces = _console(), dict[str, _Pace]()

    def pace_of(part: str, total: int) -> _Pace:
        return paces.setdefault(part, _Pace(part, total, "steps"))

    if not console.is_terminal:
        with _print_lines(lambda: list(paces.values())[-1:]):
            yield lambda part, n_done, total: pace_of(part, total).step(n_done, n_done)
        return
    with _bar(console, transient=True) as bar:
        rows: dict[str, Any] = {}

        def step(part: str, n_done: int, total: int) -> None:
            if part not in rows:
                rows[part] = bar.add_task(part, total=total, rate="")
            pace_of(part, total).step(n_done, n_done)
            bar.update(rows[part], advance=n_done, rate=paces[part].rate())

        yield step


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Work of unknown length: a moving bar, or lines with the elapsed time."""
    console, pace = _console(), _Pace(title, None, "")
    if not console.is_terminal:
        with _print_lines(lambda: [pace]):
            yield
        return
    with _bar(console, transient=True) as bar:
        bar.add_task(title, total=None, rate="")
        yield


@contextmanager
def live_table(title: str) -> Iterator[Progress]:
    """A bar over a table of estimates, or lines with the current lift.

    Yields:
        The progress callback for `runner.evaluate`.
    """
    from rich.console import Group
    from rich.live import Live as Screen

    console, pace, last_update = _console(), _Pace(title, None, "units", "units"), 0.0

    def is_due(score: RunningScore | None) -> bool:
        nonlocal last_update
        if score is None or time.monotonic() - last_update < _INTERVAL:
            return False
        last_update = time.monotonic()
        return True

    def count(n: int, total: int) -> None:
        pace.total = total
        pace.step(n, n)

    if not console.is_terminal:

        def quiet_step(n: int, total: int, score: RunningScore | None) -> None:
            count(n, total)
            if score is not None and is_due(score):
                pace.note = _lift(score.now())

        with _print_lines(lambda: [pace]):
            yield quiet_step
        return
    bar = _bar(console)
    row = bar.add_task(title, total=None, rate="")
    with Screen(bar, console=console, refresh_per_second=4) as screen:

        def step(n: int, total: int, score: RunningScore | None) -> None:
            count(n, total)
            bar.update(row, advance=n, total=total, rate=pace.rate())
            if score is not None and is_due(score):
                screen.update(Group(bar, _estimates(score.now(), console.width)))

        yield step


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=True)


def _bar(console: Console, *, transient: bool = False) -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    rate = TextColumn("{task.fields[rate]}", markup=False)
    return Progress(*columns, rate, TimeRemainingColumn(), console=console, transient=transient)


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
