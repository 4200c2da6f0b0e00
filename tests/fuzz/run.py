"""Run a parser over mutated files in child processes, so that aborts, hangs and memory are seen.

    python -m tests.fuzz.run [--inputs N] [--first I] [--seed S] [--show] [NAME ...]

A child that dies is started anew behind the file that it died of. Prints a table, and each fault with the
index that makes it again: --first I --inputs 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.child import Outcome, make
from tests.helpers.repository import ROOT

SILENT_SECONDS = 300
"""Without a report, by the clock, after which a child is ended."""
BAD = tuple(outcome for outcome in Outcome if outcome not in (Outcome.ACCEPTED, Outcome.REFUSED))
CHILD = ("-m", "tests.fuzz.child")
"""What Python is told to run."""


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
    """By the clock, with the start of the children."""


def run(names: Sequence[str], n: int, *, first: int = 0, seed: int = 0) -> list[Tally]:
    """Let parsers read n files each.

    Args:
        names: of the targets.
        n: files.
        first: index of the first one.
        seed: of all of them.

    Raises:
        RuntimeError: a child ended by itself before it was done.
    """
    tallies = [Tally(name) for name in names]
    with tempfile.TemporaryDirectory() as folder:
        work = dict.fromkeys(names, (first, first + n))
        while work:
            start = time.perf_counter()
            died = _child({tally.name: tally for tally in tallies}, Path(folder) / "run", seed, work)
            work = {name: span for name, span in work.items() if span[0] < span[1]}
            if died is not None:
                name, (i, end) = next(iter(work.items()))
                tally = next(tally for tally in tallies if tally.name == name)
                _count(tally, Fault(name, i, _of_death(died), died))
                tally.seconds += time.perf_counter() - start
                work[name] = i + 1, end
    return tallies


def _count(tally: Tally, fault: Fault) -> None:
    tally.counts[fault.outcome] += 1
    last = fault.text.strip().splitlines()[-1:] or [""]
    kind = re.sub(r"'[^']*'|\d+|\"[^\"]*\"", "_", f"{fault.outcome} {last[0]}")[:80]
    tally.faults.setdefault(kind, fault)


def _of_death(text: str) -> Outcome:
    return Outcome.SLOW if "SIGPROF" in text or "silent" in text else Outcome.ABORT


def _child(
    tallies: dict[str, Tally], folder: Path, seed: int, work: dict[str, tuple[int, int]]
) -> str | None:
    """Start a child; `work` is left with what it did not report. Returns how it died, if it did."""
    reading, writing = os.pipe()
    spans = (each for name, (first, end) in work.items() for each in (name, first, end))
    arguments = [str(each) for each in (writing, folder, seed, *spans)]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, *CHILD, *arguments],
            pass_fds=(writing,),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        os.close(writing)
        try:
            silent = _reports(tallies, reading, process, work)
        finally:
            os.close(reading)
            process.kill()
            process.wait()
        if silent:
            return f"silent for {SILENT_SECONDS} s"
        if process.returncode == 0:
            return None
        errors.seek(0)
        last = " ".join(errors.read().decode(errors="replace").split())[-600:]
    if process.returncode > 0:
        raise RuntimeError(f"a child ended with exit code {process.returncode}: {last}")
    return f"{signal.Signals(-process.returncode).name}: {last}"


def _reports(
    tallies: dict[str, Tally],
    reading: int,
    process: subprocess.Popen[bytes],
    work: dict[str, tuple[int, int]],
) -> bool:
    """Count what a child reports until it ends; whether it had to be given up."""
    rest, before = b"", time.perf_counter()
    while select.select([reading], [], [], SILENT_SECONDS)[0]:
        if not (data := os.read(reading, 1 << 16)):
            process.wait()
            return False
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            name, i, outcome, text = json.loads(line)
            if Outcome(outcome) in BAD:
                _count(tallies[name], Fault(name, i, Outcome(outcome), text))
            else:
                tallies[name].counts[Outcome(outcome)] += 1
            work[name] = i + 1, work[name][1]
        if lines:
            tallies[name].seconds += time.perf_counter() - before
            before = time.perf_counter()
    return True


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
            (tally,) = run([name], args.inputs, first=args.first, seed=args.seed)
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
