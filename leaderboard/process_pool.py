"""Maps a function over batches of items, in as many processes as there are processors where that is faster.

Conventions: items and results must be picklable. An interrupt reaches only this process; the others end with
it. joblib is not used: after an interrupt it warns of cancelled tasks, and a thread of its own may print a
traceback.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

import pyarrow as pa

from harness.errors import BadInput

T = TypeVar("T")
R = TypeVar("R")

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many were done just now, and how many there are."""


def quiet(what: str, n: int, total: int) -> None:
    """Report no progress."""


BATCH_SIZE = 50
"""Items in a batch; for fewer than four batches no process is started."""


@contextmanager
def batches(
    function: Callable[[Sequence[T]], R], items: Sequence[T], batch_size: int = BATCH_SIZE
) -> Iterator[Iterator[R]]:
    """The result for each batch of items, in order; other processes start at once.

    Raises:
        BadInput: a process was killed.
    """
    chunks = [items[i : i + batch_size] for i in range(0, len(items), batch_size)]
    if len(chunks) < 4:
        yield map(function, chunks)
        return
    # Arrow uses one thread in each of them: the other processors are busy.
    with ProcessPoolExecutor(None, get_context("spawn"), pa.set_cpu_count, (1,)) as pool:
        try:
            with _block_interrupts():
                results = pool.map(function, chunks)
            yield results
        except BrokenProcessPool:
            raise BadInput("a process of this command was killed, most likely as memory ran out") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def without_cycle_collection() -> Iterator[None]:
    """Look for no garbage in cycles while many records are made, nor among these later.

    Every record would be looked at again and again, which takes most of the time. What nothing refers to is
    freed all the same, but cycles of garbage that there are when the block ends stay until the process ends.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Block SIGINT: processes that are started within never get it, and this one gets it afterwards."""
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
