"""Queries of the searches `minimal` and `gradient` at single bins, on clips of the starter suite.

    python -m tests.benchmarks.minimal            (from the root of the repository; three minutes)

Writes `results/minimal.json`: the queries and kept bins of each pair of a model and a clip that is not
degenerate, with the first CLIPS clips of each task. Counts, no times: they do not depend on the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from harness.extract.minimal import Gradient, Minimal
from harness.extract.search import Search
from tests.benchmarks.extract import extracted, one_thread, opened, subjects
from tests.benchmarks.figures import RESULTS

SEARCHES: dict[str, Search] = {"minimal": Minimal(), "gradient": Gradient()}
CLIPS = 8


def measured() -> Iterator[dict[str, Any]]:
    """One line per search, model and clip."""
    one_thread()
    for subject in subjects(CLIPS):
        if subject.task is None:
            continue  # recordings, where there are some
        classifier, label_map = opened(subject)
        for name, search in SEARCHES.items():
            for clip, result in zip(
                subject.clips, extracted(classifier, label_map, subject.clips, [search]), strict=True
            ):
                for signal in result.signals:
                    if not signal.degenerate:
                        about = {"by": name, "model": subject.name, "clip": clip.clip_id}
                        yield about | {"queries": signal.n_queries, "kept": signal.n_kept}


if __name__ == "__main__":
    text = ",\n".join(map(json.dumps, measured()))
    (RESULTS / "minimal.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
