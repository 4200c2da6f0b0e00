"""Run a parser over mutated files in child processes, so that aborts, hangs and memory are seen.

    python -m tests.fuzz.run [--inputs N] [--first I] [--seed S] [--show] [NAME ...]

A child that dies is started anew behind the file that it died of. Prints a table, and each fault with the
index that makes it again: --first I --inputs 1.

Public: Fault, Tally, run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.child import Outcome, make

SILENT_SECONDS = 120
"""Without a report, by the clock, after which a child is ended."""
MOST_KINDS = 20
"""Kinds of faults after which a run is given up."""
BAD = tuple(outcome for outcome in Outcome if outcome not in (Outcome.ACCEPTED, Outcome.REFUSED))
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Fault:
    """A file that a parser did not take well."""

    name: str
    """Of the target."""
    i: int
    """Index of the input."""
    outcome: Outcome
    """What became of it."""
    text: str
    """The end of a traceback, or a reason."""


@dataclass
class Tally:
    """What became of the files of one target."""

    name: str
    """Of the target."""
    counts: Counter[Outcome] = field(default_factory=Counter)
    """Files by outcome."""
    faults: dict[str, Fault] = field(default_factory=dict)
    """The first one of each kind."""
    seconds: float = 0.0
    """By the clock, the start of the child included."""


def run(name: str, n: int, *, first: int = 0, seed: int = 0) -> Tally:
    """Let a parser read n files.

    Args:
        name: of the target.
        n: files.
        first: index of the first one.
        seed: of all of them.

    Raises:
        RuntimeError: a child ended before its first file.
    """
    tally, start, following, end = Tally(name), time.perf_counter(), first, first + n
    with tempfile.TemporaryDirectory() as folder:
        while following < end and len(tally.faults) < MOST_KINDS:
            before = following
            following, died = _child(tally, Path(folder) / "run", seed, following, end)
            if died is not None:
                if died.startswith("start"):
                    raise RuntimeError(f"{name}: {died}")
                _count(tally, Fault(name, following, _of_death(died), died))
                following += 1
            assert following > before
    tally.seconds = time.perf_counter() - start
    return tally


def _count(tally: Tally, fault: Fault) -> None:
    tally.counts[fault.outcome] += 1
    last = fault.text.strip().splitlines()[-1:] or [""]
    tally.faults.setdefault(re.sub(r"'[^']*'|\d+|\"[^\"]*\"", "_", f"{fault.outcome} {last[0]}")[:80], fault)


def _of_death(text: str) -> Outcome:
    return Outcome.SLOW if "SIGPROF" in text or "silent" in text else Outcome.ABORT


def _child(tally: Tally, folder: Path, seed: int, first: int, end: int) -> tuple[int, str | None]:
    """The index after the last one that was reported, and how the child died if it did."""
    reading, writing = os.pipe()
    arguments = [str(each) for each in (writing, folder, seed, first, end, tally.name)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child", *arguments],
            pass_fds=(writing,),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        os.close(writing)
        try:
            following, silent = _reports(tally, reading, process, first)
        finally:
            os.close(reading)
            process.kill()
            process.wait()
        if following >= end or len(tally.faults) >= MOST_KINDS:
            return following, None
        errors.seek(0)
        last = " ".join(errors.read().decode(errors="replace").split())[-600:]
    code = process.returncode
    if code > 0:
        return following, f"start: {last}"
    return following, f"silent for {SILENT_SECONDS} s" if silent else f"{_signal(code)}: {last}"


def _reports(tally: Tally, reading: int, process: subprocess.Popen[bytes], first: int) -> tuple[int, bool]:
    rest, following = b"", first
    while len(tally.faults) < MOST_KINDS:
        if not select.select([reading], [], [], SILENT_SECONDS)[0]:
            return following, True
        if not (data := os.read(reading, 1 << 16)):
            process.wait()
            return following, False
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            i, outcome, text = json.loads(line)
            if Outcome(outcome) in BAD:
                _count(tally, Fault(tally.name, i, Outcome(outcome), text))
            else:
                tally.counts[Outcome(outcome)] += 1
            following = i + 1
    return following, False


def _signal(code: int) -> str:
    import signal

    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def main() -> None:
    """Run the targets that are named, or all."""
    from tests.fuzz.targets import ALL

    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[[], *ALL])
    parser.add_argument("--inputs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print the first file, and read nothing")
    args = parser.parse_args()
    for name in args.names or ALL:
        if args.show:
            sys.stdout.buffer.write(make(ALL[name], ALL[name].originals(), args.seed, args.first))
            continue
        try:
            tally = run(name, args.inputs, first=args.first, seed=args.seed)
        except RuntimeError as error:
            print(f"| {name} | {error} |", flush=True)
            continue
        shown = " | ".join(str(tally.counts[outcome]) for outcome in Outcome)
        print(
            f"| {name} | {tally.counts.total()} | {shown} | {tally.counts.total() / tally.seconds:.0f}/s |",
            flush=True,
        )
        for fault in tally.faults.values():
            print(f"  {fault.outcome} at {fault.i}: {fault.text}", flush=True)


if __name__ == "__main__":
    main()
