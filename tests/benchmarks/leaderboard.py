"""The leaderboard of many entries: 10, 1,000 and 10,000 candidates, 60 references; time and peak memory.

    python -m tests.benchmarks.leaderboard [N ...] [--keep DIR] [--out DIR]     (from the repository root)

Each size: `synthetic` makes a suite and entries, then in processes of their own the board is read and the
site written, twice, the second time with nothing changed, and once more with one entry gone. Wall time, the
CPU time of all processes that have ended, and the largest resident memory of one. "From nothing" has an empty
cache, which the next builds use. The entries of 10,000 candidates take some 6 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from inspect import signature
from pathlib import Path

from tests.benchmarks.figures import RESULTS, Figure, write

SIZES = (10, 1000, 10_000)
TARGETS = {"from nothing": 35.0, "unchanged": 8.0}
"""Seconds for the largest."""
N_REFERENCES, N_CLIPS = 60, 40
N_DISTINCT = 300
"""Candidates with answers of their own: the others have theirs, so that 10,000 are made in a minute."""


def build(root: Path) -> None:
    """One build, and what it took as JSON."""
    from harness.dataset.suites import Suite
    from leaderboard.board import ranking
    from leaderboard.site import builder

    # Older versions keep nothing.
    kept = {"cache": root / "cache"} if "cache" in signature(ranking.build).parameters else {}
    start = time.perf_counter()
    suite = Suite(root / "signals", "local/synthetic")
    board = ranking.build(root / "submissions", suite, **kept)
    read = time.perf_counter()
    builder.write(root / "site", board, suite, **kept)
    done = time.perf_counter()
    usages = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    took = {"board": read - start, "site": done - read, "mib": max(u.ru_maxrss for u in usages) / 1024}
    took["cpu"] = sum(u.ru_utime + u.ru_stime for u in usages)
    took["rows"] = sum(len(r.all_rows) for r in board.rankings)
    print(json.dumps(took))


def measure(n: int, root: Path) -> list[Figure]:
    """One size, printed as rows of a table."""
    from tests.benchmarks import synthetic

    if not (root / "submissions").is_dir():
        synthetic.make(root, n, N_REFERENCES, N_CLIPS, 0, N_DISTINCT)
    for name in ("site", "cache"):
        shutil.rmtree(root / name, ignore_errors=True)
    figures: list[Figure] = []
    for what in ("from nothing", "unchanged", "one entry gone"):
        if what == "one entry gone":
            last = sorted((root / "submissions").iterdir())[-1]
            last.rename(root / "gone")
        said = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.leaderboard", "--build", str(root)],
            capture_output=True,
            text=True,
            check=True,
        )
        if what == "one entry gone":
            (root / "gone").rename(last)
        took = json.loads(said.stdout)
        pages = list((root / "site").rglob("*.html"))
        size = sum(p.stat().st_size for p in pages) / 1e6
        print(
            f"| {n:,} | {what} | {took['board']:.1f} s | {took['site']:.1f} s | {took['cpu']:.1f} s "
            f"| {took['mib']:,.0f} MiB | {len(pages):,} pages, {size:,.0f} MB |",
            flush=True,
        )
        target = TARGETS.get(what) if n == max(SIZES) else None
        name = f"{n:,} candidates, {what}"
        figures += [
            Figure(name, took["board"] + took["site"], "s", target=target, n=1),
            Figure(f"{name}: peak of a process", took["mib"], "MiB", target=1536, n=1),
        ]
    return figures


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="The leaderboard of many entries.")
    parser.add_argument("sizes", nargs="*", type=int)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--build", type=Path)
    asked = parser.parse_args()
    if asked.build:
        build(asked.build)
        return
    print("| candidates | build | board | site | CPU | peak | made |")
    print("|---|---|---|---|---|---|---|", flush=True)
    figures = []
    for n in asked.sizes or SIZES:
        with tempfile.TemporaryDirectory() as folder:
            figures += measure(n, (asked.keep or Path(folder)) / str(n))
    write(asked.out, "leaderboard", figures)


if __name__ == "__main__":
    main()
