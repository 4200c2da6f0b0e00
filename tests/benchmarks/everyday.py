"""CPU seconds of everyday commands, in processes of their own, against the imports that they need.

    python -m tests.benchmarks.everyday [--runs N] [--out FOLDER]     (from the root; five minutes)

Commands and imports take turns. Compiled modules lie in a folder of their own, as after an installation, and
every command runs once before it is measured. Ratios are to `import torch, transformers` in the same run. A
valid entry is checked once: what ends with AGAIN is about one that was.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.starter.paths import SUITE
from tests.benchmarks.figures import RESULTS, Figure, write

N_ENTRIES = 3
MODEL = str(SUITE / "models" / "starter-emotion-ast")
HEAVY = "import torch, transformers"
MODEL_CLASS = "from transformers import ASTForAudioClassification"
MAIN = "from harness.cli import main; main()"

AGAIN = ", again"

TARGETS = {
    "study": 8.0,
    "leaderboard build": 4.0,
    "validate, three entries": 1.5,
    "export": 1.0,
    "evaluate, from cache": 1.5,
}
"""CPU seconds of commands that load no model."""
CHECK, CHECK_TARGET = "check", 1.5
"""One that does, against the imports."""


def commands(folder: Path) -> dict[str, list[str]]:
    """Arguments of Python for each command and each import; what they write lies below a folder."""
    entries = [str(path.parent) for path in sorted(SUITE.glob("signals/verdicts/*/*/*/entry.json"))]
    words = {
        CHECK: ["check", MODEL],
        "validate, three entries": ["validate", *entries[:N_ENTRIES]],
        f"validate, three entries{AGAIN}": ["validate", *entries[:N_ENTRIES]],
        "export": ["export", entries[0], "--as", "model-index"],
        f"export{AGAIN}": ["export", entries[0], "--as", "model-index"],
        "evaluate, from cache": ["evaluate", MODEL, "--out", str(folder / "results")],
        "study": ["study", "--out", str(folder / "study")],
        "leaderboard build": ["leaderboard", "build", "--out", str(folder / "site")],
    }
    imports = {"python": "pass", HEAVY: HEAVY, MODEL_CLASS: MODEL_CLASS}
    return {name: ["-c", code] for name, code in imports.items()} | {
        name: ["-c", MAIN, *arguments] for name, arguments in words.items()
    }


def seconds(arguments: Sequence[str], folder: Path) -> float:
    """CPU seconds of a new Python and of all processes that it starts."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
        "PYTHONPATH": os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH")))),
        "GOODENOUGH_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="CPU seconds of everyday commands.")
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "submissions").mkdir()
        rows = commands(folder)
        for run in range(args.runs + 1):
            for row, arguments in rows.items():
                if f"{row}{AGAIN}" in rows:
                    shutil.rmtree(folder / "cache" / "valid", ignore_errors=True)
                duration = seconds(arguments, folder)
                if run:  # the first fills caches
                    times.setdefault(row, []).append(duration)
    medians = {row: statistics.median(values) for row, values in times.items()}
    figures = []
    for row, median in medians.items():
        target = TARGETS.get(row.removesuffix(AGAIN))
        figures.append(Figure(row, median, "CPU s", target=target, n=args.runs))
        if row != HEAVY:
            target = CHECK_TARGET if row == CHECK else None
            figures.append(Figure(f"{row} / {HEAVY}", median / medians[HEAVY], target=target, n=args.runs))
    write(args.out, "everyday", figures, seconds=times)


if __name__ == "__main__":
    main()
