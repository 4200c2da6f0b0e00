"""Progress of an evaluation on a terminal, with the estimates as they stand; talk, so on stderr.

Whoever reads stderr from a pipe gets nothing, or with GOODENOUGH_PROGRESS=lines a plain line now and then.

Public: live_table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.score.evaluation import Progress
    from harness.score.live import Live, Now

_SECONDS = 1.0
"""Between two looks at the estimates."""

_LINES = "GOODENOUGH_PROGRESS"
"""Variable that asks for plain lines."""


@contextmanager
def live_table(title: str) -> Iterator[Progress]:
    """A bar with rate and remaining time over a table of estimates; nothing where nobody looks.

    Yields:
        What `evaluation.evaluate` tells its progress.
    """
    from rich.console import Console, Group
    from rich.live import Live as Screen
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title) if os.environ.get(_LINES) == "lines" else lambda n, total, live: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Bar(*columns, TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=console)
    row = bar.add_task(title, total=None, rate="")
    with Screen(bar, console=console, refresh_per_second=4) as screen:
        started, looked, counted = time.monotonic(), 0.0, 0

        def step(n: int, total: int, live: Live | None) -> None:
            nonlocal looked, counted
            counted += n
            rate = counted / max(time.monotonic() - started, 1e-9)
            bar.update(row, advance=n, total=total, rate=f"{rate:,.0f} units/s")
            if live is not None and time.monotonic() - looked > _SECONDS:
                screen.update(Group(bar, _estimates(live.now())))
                looked = time.monotonic()

        yield step


def _lines(title: str) -> Progress:
    """Now and then a line: how far it is, and the lift as it stands."""
    from harness.cli.terminal import say
    from leaderboard.wording import interval, text

    looked, counted = 0.0, 0

    def step(n: int, total: int, live: Live | None) -> None:
        nonlocal looked, counted
        counted += n
        if time.monotonic() - looked < _SECONDS and counted < total:
            return
        line = f"{title}: {counted:,} of {total:,} units"
        if live is not None and (lift := live.now().lift).value is not None:
            line += f", lift {text(lift, 'difference')} ({interval(lift, 'difference')})"
        say(line)
        looked = time.monotonic()

    return step


def _estimates(now: Now) -> Any:
    from rich.table import Table

    from leaderboard.wording import Kind, interval, text

    table = Table.grid(padding=(0, 2))
    kinds: dict[str, Kind] = {"transfer": "rate", "swap": "rate", "lift": "difference"}
    for name, kind in kinds.items():
        estimate = getattr(now, name)
        table.add_row(name, text(estimate, kind), interval(estimate, kind), f"{now.n_clips:,} clips")
    return table
