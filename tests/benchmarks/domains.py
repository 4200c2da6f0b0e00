"""What signals are made of, and what it does to them: domains and resolutions, on every task.

    python -m tests.benchmarks.domains                      (the starter suite; hours on two cores)
    python -m tests.benchmarks.domains --real FOLDER        (real recordings, as GOODENOUGH_REAL_AUDIO names)

Each reference extracts signals of the same clips at each resolution, with the settings of the starter suite,
and the other references judge them and their controls. What was measured is kept in a JSON file, a row for
each task, search and resolution; the same command continues, and writes the table into docs/domains.md.
Intervals: bootstrap over clips, conditional on the references.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness import tasks
from harness.completions import CHECKED
from harness.dataset import parquet_io, parquet_schema
from harness.dataset.corpora import open_corpus
from harness.dataset.query_counts import QUERIES
from harness.evaluation import stimuli
from harness.extract import SEARCHES
from harness.extract.runner import extract
from harness.extract.search import Search
from harness.extract.search_task import Draws, Limits, family_of
from harness.families import n_atoms_kept, parse_family
from harness.journal import Journal, replace_file
from harness.labels import harmonise
from harness.metrics.stability import jaccard
from harness.models import classifiers, loading
from harness.seeds import generator
from harness.starter import paths
from harness.starter.recipes import RECIPES
from harness.tasks import Task
from harness.types import Clip, LabelMap, SufficientSignal
from tests.helpers.instruments import INSTRUMENTS

FAMILIES = (
    *("responsibility@bins", "responsibility@bands1024", "responsibility@bands256"),
    *("responsibility@bands128", "responsibility@bands64", "responsibility@bands32"),
    *("responsibility@bands24", "responsibility@bands16", "responsibility@mel64", "responsibility@erb64"),
    *("responsibility@mel32", "responsibility@blocks10ms", "responsibility@blocks50ms"),
    *("responsibility@tiles2x4", "responsibility@tiles8x16", "responsibility@tiles16x8"),
    *("minimal@bins", "minimal@bands64", "minimal@mel32", "minimal@blocks50ms", "minimal@tiles8x16"),
)
RESULTS = Path(__file__).parent / "results" / "domains.json"
PAGE = Path(__file__).parents[2] / "docs" / "domains.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_N_BOOTSTRAP = 2000

Model = tuple[classifiers.Classifier, LabelMap]


def main() -> None:
    """Measure what is missing, and print all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of real recordings and models")
    parser.add_argument("--task", action="append", help="only this task, repeatable")
    parser.add_argument("--family", action="append", help="only this family, repeatable")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    settings = {k: getattr(options, k) for k in ("clips", "draws", "repetitions", "splits")}
    rows = json.loads(options.results.read_text()) if options.results.is_file() else []
    worlds = _real(options.real) if options.real else _starter(options.task)
    for task, models, clips in worlds:
        for family in options.family or FAMILIES:
            key = {"task": task.name, "family": family, **settings}
            if any(row.items() >= key.items() for row in rows):
                continue
            rows.append({**key, **_measure(family, task, models, clips[: options.clips], settings)})
            replace_file(options.results, json.dumps(rows, indent=1).encode())
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    _renew(PAGE, table(rows))


def _renew(page: Path, table_: str) -> None:
    """Replace the table of a page."""
    before, rest = page.read_text("utf-8").split(_BEGIN)
    replace_file(page, f"{before}{_BEGIN}\n{table_}\n{_END}{rest.split(_END)[1]}".encode())


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All of it in Markdown."""
    heads = (
        *(
            "task",
            "family",
            "clips, draws",
            "n",
            "kept of all atoms",
            "T",
            "swap",
            "lift",
            "placement",
            "Jaccard",
        ),
        *(QUERIES, "CPU s a signal"),
        *(f"keep their class: {completion}" for completion in CHECKED[1:]),
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    order = [*tasks.TASKS, "instrument"]
    ordered = sorted(rows, key=lambda row: (order.index(row["task"]), FAMILIES.index(row["family"])))
    return "\n".join([*lines, *map(_line, ordered)])


def _line(row: Mapping[str, Any]) -> str:
    def estimate(name: str) -> str:
        value, low, high = row[name]
        return "" if value is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"

    cells = (
        *(
            row["task"],
            row["family"],
            f"{row['clips']}, {row['draws']}",
            f"{row['n']}",
            f"{row['kept']:,g} of {row['atoms']:,}",
        ),
        *map(estimate, ("transfer", "swap", "lift", "placement", "jaccard")),
        *(
            "{:.0f} ({})".format(row["queries"][0], ", ".join(f"{n:.0f}" for n in row["queries"][1:])),
            f"{row['cpu_s']:.2f}",
        ),
        *(f"{share:.2f}" for share in row["survival"][1:]),
    )
    return f"| {' | '.join(cells)} |"


def _starter(names: Sequence[str] | None) -> Iterator[tuple[Task, list[Model], list[Clip]]]:
    for name in names or tasks.TASKS:
        task = tasks.find(name)
        path = paths.embedded() / f"{name}_clips"
        (path,) = path.glob("*.parquet")
        rows = parquet_io.read_rows(path, parquet_schema.CLIPS)
        clips = [parquet_schema.clip_of(row) for row in rows]
        folders = [
            paths.SUITE / "models" / recipe.folder
            for recipe in RECIPES
            if recipe.role == "reference" and recipe.task == name
        ]
        yield task, _load(folders, task), _spread(clips)


def _real(root: Path) -> Iterator[tuple[Task, list[Model], list[Clip]]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instrument.yaml"
        path.write_text(INSTRUMENTS)
        task = tasks.find(str(path))
        corpus = open_corpus(str(root / "instrument"), task, split="test")
        yield task, _load(sorted((root / "models").iterdir()), task), _spread(list(corpus.clips(task)))


def _load(folders: Sequence[Path], task: Task) -> list[Model]:
    models = [loading.load(str(folder), batch_size=64) for folder in folders]
    return [(model, harmonise(model.class_names, task)) for model in models]


def _spread(clips: Sequence[Clip]) -> list[Clip]:
    """The classes in turn, each in a seeded order."""
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.clip_id):
        by_label[str(clip.label)].append(clip)
    for label, of_label in by_label.items():
        generator("domains", label).shuffle(of_label)  # type: ignore[arg-type]
    longest = max(map(len, by_label.values()))
    return [c[i] for i in range(longest) for _, c in sorted(by_label.items()) if i < len(c)]


def _measure(
    family: str, task: Task, models: Sequence[Model], clips: Sequence[Clip], settings: Mapping[str, int]
) -> dict[str, Any]:
    search = _search(family, settings)
    start = time.process_time()
    signals = [_extract(model, task, clips, search, settings["draws"]) for model in models]
    n_all = sum(map(len, signals))
    cpu_s = (time.process_time() - start) / max(n_all, 1)
    by_clip = {clip.clip_id: clip for clip in clips}
    values: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for i, of_model in enumerate(signals):
        class_of = {signal.clip_id: signal.expected for signal in of_model}
        for signal in of_model:
            if not signal.degenerate:
                judges = [model for j, model in enumerate(models) if j != i]
                for name, value in _judge(signal, by_clip, class_of, judges).items():
                    values[name][signal.clip_id].append(value)
    counted = [s for of_model in signals for s in of_model if not s.degenerate]
    for of_model in signals:
        for pair in _pairs(of_model):
            values["jaccard"][pair[0].clip_id].append([jaccard(pair[0].mask, pair[1].mask)])
    n_queries = [signal.n_queries for signal in counted]
    n_kept = [n_atoms_kept(signal) for signal in counted]
    return {
        "n": len(counted),
        "atoms": int(np.median([signal.n_atoms for signal in counted])),
        "kept": float(np.median(n_kept)),
        "queries": [float(np.median(n_queries)), float(np.percentile(n_queries, 90)), float(max(n_queries))],
        "cpu_s": cpu_s,
        "survival": np.mean([signal.survival for signal in counted], axis=0).tolist(),
        **{name: _estimate(values[name], name) for name in _MEASURES},
    }


_MEASURES = ("transfer", "swap", "lift", "matched", "placement", "jaccard")


def _search(family: str, settings: Mapping[str, int]) -> Search:
    parsed = parse_family(family)
    changes: dict[str, Any] = {"resolution": str(parsed.resolution)}
    if parsed.kind == "responsibility":
        changes |= {"repetitions": settings["repetitions"], "splits": settings["splits"]}
    search: Any = dataclasses.replace(SEARCHES[parsed.kind], **changes)  # type: ignore[type-var]
    return search  # type: ignore[no-any-return]


def _extract(
    model: Model, task: Task, clips: Sequence[Clip], search: Search, n_draws: int
) -> list[SufficientSignal]:
    classifier, labels = model
    draws = Draws(by_family=((str(family_of(search)), n_draws),))
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal", {}, "")
        arguments = (classifier, classifier.ref.repo_id, labels, clips, [search], journal)
        results = extract(*arguments, limits=Limits(budget=1200), draws=draws)
        journal.close()
    return [signal for result in results for signal in result.signals]


def _judge(
    signal: SufficientSignal,
    by_clip: Mapping[str, Clip],
    class_of: Mapping[str, str],
    judges: Sequence[Model],
) -> dict[str, list[float]]:
    """Of each judge: acceptance of the signal and of its controls, and their differences."""
    clip = by_clip[signal.clip_id]
    eligible = sorted(name for name, other in class_of.items() if other != signal.expected)
    same = [name for name in eligible if len(by_clip[name].waveform) == signal.n_samples]
    others = [by_clip[name] for name in stimuli.swap_clips(signal.signal_id, same or eligible)]
    asked = [s for s in stimuli.of_signal(signal, clip, others) if s.name in ("signal", "swap", "matched")]
    asked = [s for s in asked if not s.level]
    sounds = stimuli.sounds(asked)
    result: dict[str, list[float]] = defaultdict(list)
    for classifier, labels in judges:
        if signal.expected not in labels.covered:
            continue
        logits = classifier.logits(sounds, signal.sample_rate_hz)
        accepts = np.array([labels.canonical[int(row.argmax())] == signal.expected for row in logits])
        mean = {
            name: float(
                np.mean([a for a, s in zip(accepts, asked, strict=True) if s.name == name] or [np.nan])
            )
            for name in ("signal", "swap", "matched")
        }
        result["transfer"].append(mean["signal"])
        result["swap"].append(mean["swap"])
        result["matched"].append(mean["matched"])
        result["lift"].append(mean["signal"] - mean["swap"])
        result["placement"].append(mean["signal"] - mean["matched"])
    return result


def _pairs(signals: Sequence[SufficientSignal]) -> Iterator[tuple[SufficientSignal, SufficientSignal]]:
    by_clip = defaultdict(list)
    for signal in signals:
        if not signal.degenerate:
            by_clip[signal.clip_id].append(signal)
    for of_clip in by_clip.values():
        if len(of_clip) > 1:
            yield of_clip[0], of_clip[1]


def _estimate(by_clip: Mapping[str, list[list[float]]], name: str) -> list[float | None]:
    """Mean over all, with the ends of a 95 % interval over clips."""
    sums = []
    for of_clip in by_clip.values():
        flat = [value for values in of_clip for value in values if not np.isnan(value)]
        sums.append((sum(flat), len(flat)))
    if not sums or not sum(n for _, n in sums):
        return [None, None, None]
    table_ = np.array(sums)
    rng = generator("domains", name)
    draws = table_[rng.integers(len(table_), size=(_N_BOOTSTRAP, len(table_)))].sum(axis=1)
    low, high = np.percentile(draws[:, 0] / np.maximum(draws[:, 1], 1), (2.5, 97.5))
    return [float(table_[:, 0].sum() / table_[:, 1].sum()), float(low), float(high)]


if __name__ == "__main__":
    main()
