"""ReX 0.4.1 on classifiers whose evidence was planted; run as `runner` is, by the python of its environment.

    python -m tests.benchmarks.rex.planted_runner CASES.npz OUT.json      (from the root of the repository)

CASES.npz holds what CLIPS.npz of `runner` does and, for each clip by its position, `cues_<i>` float64
(n_cues, n) and `n_needed` int (n_clips,): each clip has a classifier of its own. OUT.json is that of `runner`
without `model` and `revision`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.types import ModelRef, Waveform
from tests.benchmarks.rex.runner import one_thread, outcomes, write
from tests.helpers.planted_evidence import PlantedEvidence

_REF = ModelRef("local/planted", "0" * 40, "0" * 64)


@dataclass(frozen=True)
class PlantedModel:
    """Planted evidence as a model with a name; see `runner.Model`."""

    evidence: PlantedEvidence
    ref: ModelRef = _REF
    class_names: tuple[str, ...] = ("there", "not there")

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """Those of the evidence."""
        return self.evidence.logits(waveforms, sample_rate_hz)


def main() -> None:
    """Answer a file of cases."""
    parser = argparse.ArgumentParser(description="ReX 0.4.1 on classifiers whose evidence was planted.")
    for name in ("cases", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    one_thread()
    with np.load(args.cases, allow_pickle=False) as stored:
        rate = int(stored["sample_rate_hz"])
        clips = [
            outcomes(
                PlantedModel(PlantedEvidence(stored[f"cues_{i}"], int(stored["n_needed"][i]))),
                str(clip_id),
                stored[f"waveform_{i}"],
                rate,
            )
            for i, clip_id in enumerate(stored["clip_ids"])
        ]
    write(args.out, rate, clips)


if __name__ == "__main__":
    main()
