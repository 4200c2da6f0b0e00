"""CPU seconds of everyday commands, in processes of their own, against the imports that they need.

    python -m tests.benchmarks.everyday      # ten minutes on two cores; results/everyday.json

Commands and imports take turns. Compiled modules lie in a folder of their own, as after an installation, and
every command runs once before it is measured. Ratios are to `import torch, transformers` in the same run.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.starter.paths import SUITE

RESULTS = Path(__file__).parent / "results" / "everyday.json"
RUNS = 5
N_ENTRIES = 3
MODEL = str(SUITE / "models" / "starter-emotion-ast")
HEAVY = "import torch, transformers"
MODEL_CLASS = "from transformers import ASTForAudioClassification"
MAIN = "from harness.cli import main; main()"

TARGETS: dict[str, tuple[str, str]] = {
    "check": ("1.5 x imports", "6.6 s"),
    "study": ("8 s", "23 s"),
    "leaderboard build": ("4 s", "17-19 s"),
    "validate, three entries": ("1.5 s", "5 s"),
    "export": ("1 s", "3 s"),
    "evaluate, from cache": ("1.5 s", ""),
}
"""Target and old figure of each command."""


def commands(folder: Path) -> dict[str, list[str]]:
    """Arguments of Python for each command and each import; what they write lies below a folder."""
    entries = [str(path.parent) for path in sorted(SUITE.glob("signals/verdicts/*/*/*/entry.json"))]
    words = {
        "check": ["check", MODEL],
        "validate, three entries": ["validate", *entries[:N_ENTRIES]],
        "export": ["export", entries[0], "--as", "model-index"],
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
    """Measure, store and print a table."""
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "submissions").mkdir()
        rows = commands(folder)
        for run in range(RUNS + 1):
            for row, arguments in rows.items():
                duration = seconds(arguments, folder)
                if run:  # the first fills caches
                    times.setdefault(row, []).append(duration)
    medians = {row: statistics.median(values) for row, values in times.items()}
    content = {
        "n": RUNS,
        "versions": {
            "python": platform.python_version(),
            **{
                name: importlib.metadata.version(name)
                for name in ("torch", "transformers", "numpy", "pandas")
            },
        },
        "rows": {
            row: {
                "cpu_seconds": round(median, 3),
                "ratio_to_imports": round(median / medians[HEAVY], 3),
                "all": [round(value, 3) for value in times[row]],
            }
            for row, median in medians.items()
        },
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n")
    print(f"| command | CPU s | `{HEAVY}` is 1 | target | before |\n| --- | --- | --- | --- | --- |")
    for row, median in medians.items():
        target, old = TARGETS.get(row, ("", ""))
        print(f"| `{row}` | {median:.2f} | {median / medians[HEAVY]:.2f} | {target} | {old} |")


if __name__ == "__main__":
    main()
