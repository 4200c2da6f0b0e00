"""All benchmarks with one command, and a table of their figures beside those of before.

    python -m tests.benchmarks [NAME ...] [--out FOLDER] [--against COMMIT]      (make bench)

Each runs in a process of its own, one after the other, small enough that all take half an hour. Its figures
are compared with those of the last commit: ratios and counts, which mean the same on any machine; what is
worse by more than 15 % is in bold. With `--out` nothing of the repository is touched; without it results and
the table in the README of this folder are written.

`--against COMMIT` runs the same benchmarks on the code of that commit too, each before the code of today, and
keeps its figures as those of before (`results/before.json`). A benchmark that does not run there has none.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures import RESULTS, Figure, read, table

BENCHMARKS: dict[str, tuple[str, ...]] = {
    "start": (),
    "everyday": ("--runs", "3"),
    "evaluate": ("--starter",),
    "memory": ("--clips", "60"),
    "extract": ("--clips", "2"),
    "planted": ("--clips", "2"),
    "isolated": ("--runs", "6"),
    "study": ("--clips", "200"),
    "leaderboard": ("1000", "10000"),
    "pages": (),
}
"""Arguments with which each fits into the half hour."""

MODULES = ("harness/dataset/query_counts.py",)
"""Of this package, needed by the benchmarks: an older version gets those that it lacks."""

ROOT = Path(__file__).parents[2]
README = Path(__file__).parent / "README.md"
BEFORE = "before.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def main() -> None:
    """Run, compare, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="All benchmarks.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default"
    )
    parser.add_argument("--out", type=Path, help="write results here and leave the repository as it is")
    parser.add_argument("--against", metavar="COMMIT", help="run the code of this commit too")
    args = parser.parse_args()
    names = args.names or list(BENCHMARKS)
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        parser.error(f"no benchmark {unknown[0]!r}: {', '.join(BENCHMARKS)}")
    out = args.out or RESULTS
    with tempfile.TemporaryDirectory() as folder:
        old_tree = tree_of(args.against, Path(folder) / "tree") if args.against else None
        for name in names:
            if old_tree and run(name, old_tree, Path(folder) / "results"):
                note_before(out, args.against, name, Path(folder) / "results")
            if not run(name, ROOT, out):
                sys.exit(f"{name} failed: see above.")
    figures = {name: read((out / f"{name}.json").read_text()) for name in names}
    print("\n" + table(figures, before_of(out), {name: committed(name) for name in names}))
    if args.out is None:
        write_table()


def run(name: str, root: Path, out: Path) -> bool:
    """Run a benchmark on the code that lies in a folder; whether it went well."""
    print(f"--- {name} ({'this code' if root == ROOT else 'the code of before'})", flush=True)
    start = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        f"tests.benchmarks.{name}",
        *BENCHMARKS[name],
        "--out",
        str(out.resolve()),
    ]
    done = subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
    print(f"--- {name}: {time.perf_counter() - start:.0f} s", flush=True)
    return done.returncode == 0


def tree_of(commit: str, folder: Path) -> Path:
    """The code of a commit with the benchmarks of today."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    shutil.rmtree(folder / "tests")
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for module in MODULES:
        if not (folder / module).exists():
            shutil.copyfile(ROOT / module, folder / module)
    return folder


def committed(name: str) -> dict[str, float]:
    """Figures of a benchmark in the last commit; none where it had no such benchmark."""
    path = (RESULTS / f"{name}.json").relative_to(ROOT)
    shown = subprocess.run(
        ["git", "show", f"HEAD:{path.as_posix()}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return _values(read(shown.stdout)) if shown.returncode == 0 else {}


def note_before(out: Path, commit: str, name: str, results: Path) -> None:
    """Keep the figures of an older version."""
    old = before_of(out)
    old[name] = _values(read((results / f"{name}.json").read_text()))
    record = {"commit": commit, "figures": old}
    (out / BEFORE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def before_of(out: Path) -> dict[str, dict[str, float]]:
    """Figures of an older version, by benchmark and figure."""
    path = out / BEFORE
    figures: dict[str, dict[str, float]] = json.loads(path.read_text())["figures"] if path.exists() else {}
    return figures


def write_table() -> None:
    """Put the table of all results that are there between its marks in the README of this folder."""
    figures: dict[str, Sequence[Figure]] = {
        name: read((RESULTS / f"{name}.json").read_text())
        for name in BENCHMARKS
        if (RESULTS / f"{name}.json").exists()
    }
    README.write_text(with_table(README.read_text(), table(figures, before_of(RESULTS))), encoding="utf-8")


def with_table(text: str, rows: str) -> str:
    """A text with a table between its marks."""
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    return f"{text[:start]}\n{rows}\n{text[end:]}"


def _values(figures: Sequence[Figure]) -> dict[str, float]:
    return {figure.name: figure.value for figure in figures}


if __name__ == "__main__":
    main()
