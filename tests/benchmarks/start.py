"""How long the command line takes to begin: help, version and completion, against an empty click program.

python -m tests.benchmarks.start
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys

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
    """Print a table."""
    plain = dict(os.environ)
    completing = plain | {
        "_GOODENOUGH_COMPLETE": "bash_complete",
        "COMP_WORDS": "goodenough evaluate --task emo",
        "COMP_CWORD": "3",
    }
    peer = seconds(PEER, plain)
    print("| command | CPU s | an empty click program is 1 |\n| --- | --- | --- |")
    for name, words, environment in (
        ("--help", ["--help"], plain),
        ("--version", ["--version"], plain),
        ("evaluate --help", ["evaluate", "--help"], plain),
        ("completion of a task", [], completing),
    ):
        own = seconds(MAIN.format(words=words), environment)
        print(f"| `{name}` | {own:.2f} | {own / peer:.1f} |")


if __name__ == "__main__":
    main()
