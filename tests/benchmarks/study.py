"""A study at full size: 60 references, 1,000 clips, 32 million verdicts on signals and controls.

    python -m tests.benchmarks.study [--clips N] [--out FOLDER]     (from the root; five minutes)

Everything `metrics.study` counts of one family, from answers made up by chance; time and peak memory.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd

from harness.metrics.study import family_study
from harness.schemas import Entry, ReferenceCounts
from harness.seeds import generator
from harness.tasks import TASKS
from harness.types import N_MATCHED, N_SWAPS, LabelMap, ModelRef, signal_id
from tests.benchmarks.figures import RESULTS, Figure, write
from tests.helpers.entries import make_entry
from tests.helpers.families import HEADLINE

TASK = TASKS["emotion"]
N_REFERENCES, N_CLIPS = 60, 1000
CLASSES = np.array(TASK.labels[:4], dtype=object)


def answers(
    judge: int, entry: Entry, models: list[ModelRef], frame: pd.DataFrame
) -> tuple[Entry, pd.DataFrame]:
    """One judge's verdicts: right in two thirds of the cases."""
    rng = generator("benchmark", "study", str(judge))
    expected = frame["expected"].fillna("angry").to_numpy(dtype=object)
    said = np.where(rng.random(len(frame)) < 0.65, expected, rng.choice(CLASSES, len(frame)))
    own = ((frame["reference"] == models[judge].repo_id) & (frame["stimulus"] == "signal")).to_numpy(
        dtype=bool
    )
    said = np.where(own, expected, said)
    return entry, frame.assign(predicted=pd.Series(said, dtype="str"))


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="A study at full size.")
    parser.add_argument("--clips", type=int, default=N_CLIPS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    template, _ = make_entry(n_clips=4, n_degenerate=0)
    models = [ModelRef(f"toys/r{j:02}", f"{j:040x}", f"{j:064x}") for j in range(N_REFERENCES)]
    counts = [ReferenceCounts(m, HEADLINE, args.clips, 0, "angry") for m in models]
    classes = generator("benchmark", "classes").choice(CLASSES, args.clips)
    clips = [f"c{i:04}" for i in range(args.clips)]
    of_reference = [
        pd.DataFrame(
            {
                "reference": m.repo_id,
                "family": HEADLINE,
                "draw": 1,
                "level": None,
                "clip_id": clips,
                "signal_id": [signal_id(c, m.slug, HEADLINE, 0, 1) for c in clips],
                "stimulus": stimulus,
                "replicate": replicate,
                "expected": classes,
                "robust": True,
            }
        )
        for m in models
        for stimulus, n in (("signal", 1), ("swap", N_SWAPS), ("matched", N_MATCHED), ("largest", 1))
        for replicate in range(n)
    ]
    whole = pd.DataFrame({"clip_id": clips, "stimulus": "whole", "expected": None})
    frame = pd.concat([*of_reference, whole], ignore_index=True)
    labels = LabelMap(TASK.name, tuple(CLASSES), tuple(CLASSES), "names")
    made = []
    for j, model in enumerate(models):
        entry = Entry(**{**vars(template), "model": model, "label_map": labels})
        made.append(answers(j, entry, models, frame))
    start = time.perf_counter()
    found = family_study(TASK, counts, made, HEADLINE, {})
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024
    size, in_full = f"{N_REFERENCES} references, {args.clips:,} clips", args.clips == N_CLIPS
    figures = [
        Figure(size, seconds, "s", target=60 if in_full else None, n=1),
        Figure(f"{size}: peak, verdicts included", peak, "MiB", target=4096 if in_full else None, n=1),
    ]
    write(
        args.out,
        "study",
        figures,
        verdicts_on_signals=found.transfer.n,
        pairs=len(found.pairs),
        comparisons_of_judges=len(found.compared),
    )


if __name__ == "__main__":
    main()
