"""The same work on many things: in batches, and in as many processes as there are processors where it pays.

Conventions: what is handed over and back must be picklable. An interruption reaches this process alone; the
others end with it.

Public: Progress, quiet, batches.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from harness.errors import BadInput

T = TypeVar("T")
R = TypeVar("R")

Progress = Callable[[str, int, int], None]
"""Told what is being done, how many are done now, and how many there are."""


def quiet(what: str, n: int, total: int) -> None:
    """Say nothing of progress."""


TOGETHER = 50
"""Things in a batch; for fewer than four batches no process is started."""


@contextmanager
def batches(
    work: Callable[[Sequence[T]], R], things: Sequence[T], together: int = TOGETHER
) -> Iterator[Iterator[R]]:
    """What each batch comes to, in order; other processes go to work at once.

    Args:
        work: a function of a module, called with up to `together` of the things.
        things: all of them.
        together: things in a batch.

    Raises:
        BadInput: a process was killed.
    """
    parts = [things[i : i + together] for i in range(0, len(things), together)]
    if len(parts) < 4:
        yield map(work, parts)
        return
    with ProcessPoolExecutor(None, get_context("spawn"), _alone) as pool:
        try:
            with _uninterrupted():
                made = pool.map(work, parts)
            yield made
        except BrokenProcessPool:
            raise BadInput("a process of this command was killed, most likely as memory ran out") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _alone() -> None:
    """One of many: the others are on the other processors."""
    import pyarrow as pa

    pa.set_cpu_count(1)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """No interruption ever reaches a process that is started within; this one hears of it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
