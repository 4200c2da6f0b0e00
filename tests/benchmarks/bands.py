"""Queries of the search `responsibility` by its resolution, on the pairs of `extract.json.xz`.

    python -m tests.benchmarks.bands            (from the root of the repository)

Writes `results/bands.json`: the queries of each pair of a model and a clip at each number of bands. Counts of
queries, no times: they do not depend on the machine. The file that is there holds ten of the pairs.
"""

from __future__ import annotations

import json
import lzma
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from harness.dataset.suites import load
from harness.extract.responsibility import Responsibility
from harness.starter import paths
from harness.types import Clip
from tests.benchmarks.extract import Subject, extracted, one_thread, opened

RESULTS = Path(__file__).parent / "results"
RESOLUTIONS = ("bands32",)
"""Resolutions that are measured."""


def measured(clips: Mapping[str, Mapping[str, Clip]]) -> list[dict[str, object]]:
    """One line per pair and resolution.

    Args:
        clips: by task and clip_id.
    """
    one_thread()
    pairs = json.loads(lzma.decompress((RESULTS / "extract.json.xz").read_bytes()))["pairs"]
    of_model = defaultdict(list)
    for pair in pairs:
        if pair["by"] == "responsibility" and pair["model"].startswith("starter"):
            of_model[pair["model"]].append(pair["clip"])
    lines: list[dict[str, object]] = []
    for model, clip_ids in of_model.items():
        task = next(name for name in clips if clip_ids[0].startswith(name))
        chosen = tuple(clips[task][clip_id] for clip_id in clip_ids if clip_id in clips[task])
        folder = str(paths.SUITE / "models" / model)
        classifier, label_map = opened(Subject(model, folder, task, False, chosen))
        for resolution in RESOLUTIONS:
            for found in extracted(classifier, label_map, chosen, [Responsibility(resolution=resolution)]):
                for signal in found.signals:
                    if not signal.degenerate:
                        line = {"model": model, "clip": signal.clip_id, "resolution": resolution}
                        lines.append({**line, "queries": signal.n_queries, "kept": signal.n_kept})
    return lines


if __name__ == "__main__":
    suite = load(str(paths.embedded()))
    found = measured({task.name: suite.clips(task.name) for task in suite.tasks})
    text = ",\n".join(json.dumps(line) for line in found)
    (RESULTS / "bands.json").write_text(f"[\n{text}\n]\n")
