"""Peak memory of an evaluation and of an extraction, in fresh processes, as their clips become more.

    python -m tests.benchmarks.memory [--out FOLDER] [--clips 100 300 1000]     (from the repository root)

Evaluation: a tiny model and 1,000 and 20,000 signals of 0.1 s, judged, and once more from the stored answers,
up to the entry on disk. Extraction: a classifier without a model and
clips of 30 s that are generated when they are read, a few queries for each and no check under completions,
which takes a second a clip and leaves nothing behind: what counts is what stays of a clip.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.completions import CHECKED
from harness.dataset.corpora import Corpus, Row
from harness.dataset.suites import Suite
from harness.extract import build_reference, certify, named
from harness.extract.search_task import Limits
from harness.seeds import generator
from harness.starter import paths
from harness.types import LabelMap, Waveform
from tests.benchmarks import evaluate
from tests.benchmarks.figures import RESULTS, Figure, write

SECONDS, BUDGET = 30, 4
ANSWERS = ("judged", "from stored answers")


class Reference(evaluate.Guesser):
    """A reference whose class is that of the loudest of four shares of the samples."""

    min_samples = 1

    def can_hear(self, n_samples: int, sample_rate_hz: int) -> bool:
        return True

    def logits(self, waveforms: Any, sample_rate_hz: int) -> Any:
        return np.stack(
            [[100 * float(np.abs(x[i::4]).mean()) for i in range(4)] for x in waveforms], dtype=np.float32
        )


def recording(i: int) -> tuple[Waveform, int, int]:
    """Noise of which one sample in four is louder."""
    rate = evaluate.TASK.sample_rate_hz
    samples = generator("benchmark", "memory", str(i)).standard_normal(SECONDS * rate, dtype=np.float32)
    samples[i % 4 :: 4] *= 3
    return 0.05 * samples, rate, 1


def extract(n_clips: int, folder: Path) -> None:
    """A signals folder of so many clips."""
    known = evaluate.KNOWN
    certify._survival = lambda *_: (1.0,) * len(CHECKED)  # type: ignore[assignment]
    rows = [Row(f"c{i:05}", known[i % 4], partial(recording, i)) for i in range(n_clips)]
    build_reference.add(
        Reference(),  # type: ignore[arg-type]
        LabelMap(evaluate.TASK.name, known, known, "names"),
        evaluate.TASK,
        Corpus("noise", None, None, rows),
        [named("responsibility", 1)],
        folder,
        limits=Limits(BUDGET),
        masks_only=True,
    )


def peak_mb() -> int:
    """Most memory that this process has taken, in MB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


def peak_of_extraction(n_clips: int, folder: Path) -> tuple[int, float]:
    """Peak in MB and CPU seconds of a process that extracts."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--extract", str(n_clips), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    mb, seconds = done.stdout.split()[-2:]
    return int(mb), float(seconds)


EVALUATION = """
import sys
from pathlib import Path
from harness import labels
from harness.dataset.suites import load
from harness.entries import store
from harness.evaluation import runner
from harness.models import loading
from harness.tasks import TASKS
from tests.benchmarks import memory
suite, model, out = load(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
classifier = loading.load(model, device="cpu", batch_size=64)
label_map = labels.harmonise(classifier.class_names, TASKS["emotion"])
result = runner.evaluate(classifier, label_map, suite, TASKS["emotion"], out)
older = not hasattr(result, "lazy_verdicts")
store.write(out, result.entry, result.verdicts if older else result.lazy_verdicts)
print(memory.peak_mb())
"""


def peak_of_evaluation(suite: Suite, model: Path, out: Path) -> int:
    """Most memory of a process that evaluates a tiny model, in MB."""
    command = [sys.executable, "-c", EVALUATION, str(suite.root), str(model), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def growth_of(evaluation: dict[str, int], answers: str) -> float:
    """Peak of 20,000 signals as a share of that of 1,000."""
    return evaluation[f"20,000 signals {answers}"] / evaluation[f"1,000 signals {answers}"]


def report(evaluation: dict[str, int], extraction: dict[str, tuple[int, float]]) -> str:
    growth = ", ".join(f"{answers} {growth_of(evaluation, answers) - 1:+.0%}" for answers in ANSWERS)
    return "\n".join(
        [
            "| evaluation | peak, MB |",
            "| --- | --- |",
            *(f"| {name} | {mb:,} |" for name, mb in evaluation.items()),
            "",
            f"Growth: {growth} (target: at most +10 %).",
            "",
            f"| extraction, clips of {SECONDS} s | their samples, MB | peak, MB | CPU s |",
            "| --- | --- | --- | --- |",
            *(
                f"| {n} | {int(n.replace(',', '')) * SECONDS * evaluate.TASK.sample_rate_hz * 4 / 2**20:,.0f}"
                f" | {mb:,} | {seconds:.0f} |"
                for n, (mb, seconds) in extraction.items()
            ),
            "",
        ]
    )


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="Peak memory of evaluation and extraction.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--extract", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.extract:
        extract(int(args.extract[0]), Path(args.extract[1]))
        print(peak_mb(), time.process_time())
        return
    tiny = paths.SUITE / "models" / "starter-emotion-wav2vec2"
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        extraction = {f"{n:,}": peak_of_extraction(n, work / f"clips-{n}") for n in args.clips}
        evaluation: dict[str, int] = {}
        for n_clips in (50, 1000):
            suite = evaluate.suite_of(work / str(n_clips), n_clips, 20, 1600)
            for answers in ANSWERS:
                peak = peak_of_evaluation(suite, tiny, work / f"peak-{n_clips}")
                evaluation[f"{20 * n_clips:,} signals {answers}"] = peak
    figures = [
        *(
            Figure(
                f"evaluation {answers}, 20,000 signals / 1,000 signals",
                growth_of(evaluation, answers),
                target=1.1,
                n=1,
            )
            for answers in ANSWERS
        ),
        *(Figure(f"evaluation, {name}", mb, "MiB", n=1) for name, mb in evaluation.items()),
        *(
            Figure(f"extraction, {n} clips of {SECONDS} s", mb, "MiB", target=1500, n=1)
            for n, (mb, _) in extraction.items()
        ),
    ]
    write(args.out, "memory", figures, extraction_mb_and_cpu_s=extraction)
    (args.out / "memory.md").write_text(report(evaluation, extraction))
    print(report(evaluation, extraction))


if __name__ == "__main__":
    main()
