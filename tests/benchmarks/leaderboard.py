"""The site of a large board: 10, 1,000 and 10,000 candidates, 60 references; time and peak memory.

    python -m tests.benchmarks.leaderboard [N ...]     (from the root of the repository)

Times the pages alone, in seconds of a processor, of a board made up in memory: candidates share the cells of
one scorecard, which costs no less to write. Each size runs in a process of its own, builds the site, builds
it again unchanged, and once more with one candidate's place moved.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from harness.records import ModelRef
from leaderboard import site, table
from leaderboard.table import Board, Ranking, Row
from tests.entries import make_entry

SIZES = (10, 1000, 10_000)
N_REFERENCES, N_CLIPS = 60, 24


def made_up(n: int) -> Board:
    """A board of n candidates and the references, none of which has an entry of its own."""
    names = [f"toys/reference-{j:02}" for j in range(N_REFERENCES)]
    entry, _ = make_entry(references=names, n_clips=N_CLIPS)
    rows = []
    for i in range(n):
        model = ModelRef(f"org-{i % 97}/model-{i:05}", f"{i:040x}", f"{i + 1:064x}")
        facts = replace(entry.facts, n_parameters=10**6 + i)
        rows.append(
            Row(replace(entry, model=model, facts=facts), False, i + 1, max(1, i - 3), i + 5, 1 + i // 9)
        )
    matrices = tuple(table.matrix_of([row.entry for row in rows], f) for f in ("responsibility", "minimal"))
    return Board((Ranking(entry.task, entry.signals, entry.protocol, False, tuple(rows), (), matrices),))


def measure(n: int) -> None:
    """One size, printed as a row of a table."""
    board = made_up(n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "site"
        times = [_timed(out, board), _timed(out, board)]
        ranking = board.rankings[0]
        *others, last = ranking.rows
        moved = replace(ranking, rows=(*others, replace(last, rank_low=1)))
        times.append(_timed(out, Board((moved,))))
        size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first, again, one = (f"{t:.2f} s" for t in times)
    print(
        f"| {n:,} | {first} | {1000 * times[0] / n:.2f} ms | {again} | {one} | {size / 1e6:.0f} MB "
        f"| {before / 1024:.0f} MiB | {peak / 1024:.0f} MiB |"
    )


def _timed(out: Path, board: Board) -> float:
    start = time.process_time()
    site.write(out, board, None)
    return time.process_time() - start


def main(sizes: list[int]) -> None:
    """Each size in a process of its own, for its peak of memory."""
    print("| candidates | site | per candidate | again | one moved | size | board in memory | peak |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for n in sizes:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.leaderboard", f"--one={n}"], check=True)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("--one="):
        measure(int(sys.argv[1].removeprefix("--one=")))
    else:
        main([int(a) for a in sys.argv[1:]] or list(SIZES))
