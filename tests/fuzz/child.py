"""A process that lets parsers read what strangers might send, and reports after every file.

    python -m tests.fuzz.child REPORT FOLDER SEED [NAME FIRST END]...

Input i of a target is a function of the seed, its name and i alone. Each report is one line of JSON on the
file descriptor REPORT. The process may die of an input: the one after the last that was reported.
"""

from __future__ import annotations

import enum
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from harness.errors import GoodenoughError
from tests.fuzz.target import Refused, Target

SLOW_SECONDS = 1.0
"""Of a processor; on a machine that others use, time by the clock says nothing of a parser."""
SLOW_CLOCK_SECONDS = 60.0
"""By the clock, for parsers that wait for another process."""
HANG_SECONDS = 10
"""Of a processor, after which the process is ended."""
MEMORY_BYTES = 256 * 2**20
"""That one file may cost at most."""
LIMIT_BYTES = 2 * 2**30
"""Address space beyond that of the imported modules."""


class Outcome(enum.StrEnum):
    """What became of a file."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INVALID = "accepted-invalid"
    TRACEBACK = "traceback"
    SLOW = "over 1 s"
    MEMORY = "memory"
    ABORT = "abort"


def make(target: Target, originals: Sequence[bytes], seed: int, i: int) -> bytes:
    """Input i of a target."""
    generator = random.Random(f"{seed}/{target.name}/{i}")
    return target.mutate(generator, generator.choice(originals))


def judge(target: Target, path: Path, data: bytes) -> tuple[Outcome, str]:
    """Let a parser read a file.

    Args:
        target: the parser.
        path: where the file is put.
        data: its content.

    Returns:
        What became of it, and a text about it.
    """
    path.write_bytes(data)
    clock, cpu, peak = time.perf_counter(), _cpu(), _peak()
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        outcome, text = _read(target, path, data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    cpu, clock = _cpu() - cpu, time.perf_counter() - clock
    if outcome in (Outcome.ACCEPTED, Outcome.REFUSED):
        if cpu > SLOW_SECONDS or clock > SLOW_CLOCK_SECONDS:
            return Outcome.SLOW, f"{cpu:.2f} s of a processor, {clock:.2f} s by the clock; {text}"
        if _peak() - peak > MEMORY_BYTES:
            return Outcome.MEMORY, f"{(_peak() - peak) / 2**20:.0f} MiB; {text}"
    return outcome, text


def _read(target: Target, path: Path, data: bytes) -> tuple[Outcome, str]:
    try:
        value = target.read(path)
    except (GoodenoughError, Refused) as error:
        text = str(error)
        lines = text.split("\n") if isinstance(error, Refused) else [text]
        odd = [line for line in lines if not line.strip() or not line.isprintable() or len(line) > 2000]
        return (Outcome.TRACEBACK, f"no plain line: {odd[0][:200]!r}") if odd else (Outcome.REFUSED, text)
    except BaseException as error:
        return Outcome.TRACEBACK, "".join(traceback.format_exception(error, limit=-3)).strip()[-700:]
    try:
        why = target.invalid(value, data)
    except BaseException as error:
        why = "".join(traceback.format_exception(error, limit=-3)).strip()[-700:]
    return (Outcome.ACCEPTED, "") if why is None else (Outcome.INVALID, why[:700])


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak() -> int:
    """Bytes; of this process and of those that it has waited for."""
    return 1024 * max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def main() -> None:
    """Read, and report."""
    from tests.fuzz.targets import ALL

    report, folder, seed, *work = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, first, end in zip(work[::3], work[1::3], work[2::3], strict=True):
        _run(ALL[name], int(report), Path(folder), int(seed), int(first), int(end))


def _run(target: Target, report: int, folder: Path, seed: int, first: int, end: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path, originals = target.place(folder), target.originals()
    for data in originals:
        path.write_bytes(data)
        outcome, text = _read(target, path, data)  # which imports what it needs
        if outcome is not Outcome.ACCEPTED:
            raise SystemExit(f"{target.name} does not accept an original: {outcome}: {text}")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES, resource.RLIM_INFINITY))
    for i in range(first, end):
        outcome, text = judge(target, path, make(target, originals, seed, i))
        shown = "" if outcome in (Outcome.ACCEPTED, Outcome.REFUSED) else text
        os.write(report, json.dumps([target.name, i, outcome, shown]).encode() + b"\n")


if __name__ == "__main__":
    main()
