"""Queries of the searches `minimal` and `gradient` at single bins: the starter suite, and long recordings.

    python -m tests.benchmarks.minimal            (from the root of the repository; five minutes)

Writes `results/minimal.json`: the queries and kept bins of each pair of a model and a clip that is not
degenerate, with the first CLIPS clips of each task; and, where GOODENOUGH_REAL_AUDIO names recordings, with
RECORDINGS of each instrument as they are, and with some joined to clips of each of SECONDS. Prints a summary.
Counts, no times: they do not depend on the machine.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.dataset.query_counts import format_queries
from harness.extract.minimal import Gradient, Minimal
from harness.extract.search import Search
from harness.types import Clip
from tests.benchmarks.extract import Subject, extracted, one_thread, opened, recordings, subjects
from tests.benchmarks.figures import RESULTS

SEARCHES: dict[str, Search] = {"minimal": Minimal(), "gradient": Gradient()}
CLIPS = 8

RECORDINGS, N_SHUFFLED = 3, 200
"""Recordings of each instrument, and those shuffled of which they are the first."""

SECONDS = (10, 30)
MODELS = ("ast", "wav2vec2", "whisper")
"""Those that hear recordings, by their folder."""


def joined(clips: list[Clip], seconds: int) -> Clip:
    """Recordings one after the other, again from the first where they end, cut to a length."""
    n = seconds * clips[0].sample_rate_hz
    samples = np.resize(np.concatenate([clip.waveform for clip in clips]), n)
    name = f"{clips[0].label}, {seconds} s"
    return Clip(name, "recordings", clips[0].label, samples, clips[0].sample_rate_hz)


def long_subjects(folder: Path) -> Iterator[tuple[str, Subject]]:
    """Kinds of clips of recordings, with each model and its clips of that kind."""
    by_label: dict[str | None, list[Clip]] = defaultdict(list)
    for clip in recordings(folder / "instrument", N_SHUFFLED):
        by_label[clip.label].append(clip)
    kinds = {"recordings": [clip for clips in by_label.values() for clip in clips[:RECORDINGS]]}
    kinds |= {
        f"recordings, {seconds} s": [joined(clips, seconds) for clips in by_label.values()]
        for seconds in SECONDS
    }
    for kind, clips in kinds.items():
        for name in MODELS:
            model = str(folder / "models" / name)
            yield kind, Subject(f"recordings-{name}", model, None, False, tuple(clips))


def every_subject() -> Iterator[tuple[str, Subject]]:
    """The references of the starter suite, and recordings where there are some."""
    yield from (("starter suite", each) for each in subjects(CLIPS) if each.task is not None)
    if real := os.environ.get("GOODENOUGH_REAL_AUDIO"):
        yield from long_subjects(Path(real))


def measured() -> Iterator[dict[str, Any]]:
    """One line per search, model and clip."""
    one_thread()
    for kind, subject in every_subject():
        classifier, label_map = opened(subject)
        for name, search in SEARCHES.items():
            for clip, result in zip(
                subject.clips, extracted(classifier, label_map, subject.clips, [search]), strict=True
            ):
                for signal in result.signals:
                    if not signal.degenerate:
                        about = {"clips": kind, "by": name, "model": subject.name, "clip": clip.clip_id}
                        yield about | {"queries": signal.n_queries, "kept": signal.n_kept}


def summary(lines: list[dict[str, Any]]) -> str:
    """Queries of each kind of clips, search and model, in a table."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        model = line["model"] if line["clips"] != "starter suite" else "all"
        groups[line["clips"], line["by"], model].append(line)
    rows = [
        "| clips | search | model | pairs | queries | kept bins, median |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (kind, by, model), of_group in groups.items():
        queries = format_queries([line["queries"] for line in of_group])
        kept = np.median([line["kept"] for line in of_group])
        rows.append(f"| {kind} | {by} | {model} | {len(of_group)} | {queries} | {kept:g} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, write and print."""
    lines = list(measured())
    text = ",\n".join(map(json.dumps, lines))
    (RESULTS / "minimal.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
    print(summary(lines))


if __name__ == "__main__":
    main()
