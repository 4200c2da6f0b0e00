"""How long the command line takes to begin: help, version and completion, against an empty click program.

python -m tests.benchmarks.start [--out FOLDER]     (from the root of the repository)
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.figures import RESULTS, Figure, write

PEER = "import click; click.command()(lambda: None).main(['--help'], standalone_mode=False)"
MAIN = "import sys; sys.argv = ['goodenough', *{words!r}]; from harness.cli import main; main()"
RUNS = 15


def seconds(code: str, environment: dict[str, str]) -> float:
    """Median CPU seconds of a new Python that runs a line."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return statistics.median(once() for _ in range(RUNS))


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="How long the command line takes to begin.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    plain = dict(os.environ)
    completing = plain | {
        "_GOODENOUGH_COMPLETE": "bash_complete",
        "COMP_WORDS": "goodenough evaluate --task emo",
        "COMP_CWORD": "3",
    }
    peer = seconds(PEER, plain)
    figures = []
    for name, words, environment in (
        ("--help", ["--help"], plain),
        ("--version", ["--version"], plain),
        ("evaluate --help", ["evaluate", "--help"], plain),
        ("completion of a task", [], completing),
    ):
        own = seconds(MAIN.format(words=words), environment)
        figures.append(Figure(name, own, "CPU s", target=0.3, n=RUNS))
        figures.append(Figure(f"{name} / an empty click program", own / peer, n=RUNS))
    write(args.out, "start", figures)


if __name__ == "__main__":
    main()
