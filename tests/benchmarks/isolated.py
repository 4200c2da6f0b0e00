"""An adapter in a process of its own against the same one in this process.

    python -m tests.benchmarks.isolated [--runs N] [--out FOLDER]     (from the root of the repository)

wav2vec2 of base size with random weights on four clips of 5 s in one call; and one that does nothing, on 5
and 10 s, which shows what the pipe takes. Both run in the interpreter of this process, on the same number of
threads.

Conventions: wall time; the two take turns, after one call each that does not count. The ratio is the median
of those of the turns, with its 95 % interval between order statistics.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness.metrics.estimates import median
from harness.models.external import answers, imports
from harness.models.external.isolated import open_isolated
from harness.seeds import generator
from tests.benchmarks.figures import RESULTS, Figure, write

RATE, N_CLIPS, TIMES = 16_000, 4, 11
ADAPTERS = """
import numpy as np
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification


class Base:
    class_names = ("angry", "happy", "neutral", "sad")
    sample_rate_hz = 16_000

    def __init__(self):
        torch.manual_seed(0)
        self.model = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=4)).eval()

    def logits(self, waveforms):
        return self.model(torch.from_numpy(np.stack(waveforms))).logits


class Nothing(Base):
    def __init__(self):
        pass

    def logits(self, waveforms):
        return np.zeros((len(waveforms), 4), dtype=np.float32)
"""


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="An adapter in a process of its own against one in this.")
    parser.add_argument("--runs", type=int, default=TIMES, help="measured calls of each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "adapters.py"
        file.write_text(ADAPTERS)
        module = imports.import_file(file)
        for name, lengths in (("Nothing", (5, 10)), ("Base", (5,))):
            here = getattr(module, name)()
            with open_isolated(file, name, {}, command=[sys.executable]) as there:
                for seconds in lengths:
                    rng = generator("benchmark", "isolated", str(seconds))
                    clips = [
                        (0.1 * rng.standard_normal(seconds * RATE)).astype(np.float32) for _ in range(N_CLIPS)
                    ]
                    asked = (lambda: answers.ask(here.logits, clips), lambda: there.logits(clips))  # noqa: B023
                    times: tuple[list[float], list[float]] = ([], [])
                    logits = [work() for work in asked]
                    for _ in range(args.runs):
                        for work, taken in zip(asked, times, strict=True):
                            start = time.perf_counter()
                            work()
                            taken.append(time.perf_counter() - start)
                    inside, isolated = map(statistics.median, times)
                    ratio = median([b / a for a, b in zip(*times, strict=True)])
                    rows.append(
                        {
                            "adapter": name,
                            "clips": N_CLIPS,
                            "clip_seconds": seconds,
                            "in_process_s": round(inside, 4),
                            "isolated_s": round(isolated, 4),
                            "ratio": [ratio.value, ratio.low, ratio.high],
                            "n": args.runs,
                            "same_to_the_last_bit": logits[0].tobytes() == logits[1].tobytes(),
                        }
                    )
                    print(rows[-1], flush=True)
    figures = [
        Figure(
            f"isolated / in this process, {row['clip_seconds']} s",
            row["ratio"][0],
            target=1.1,
            n=args.runs,
            interval=(row["ratio"][1], row["ratio"][2]),
        )
        for row in rows
        if row["adapter"] == "Base"
    ]
    write(args.out, "isolated", figures, rows=rows)


if __name__ == "__main__":
    main()
