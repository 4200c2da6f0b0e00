"""The extraction engine against ReX 0.4.1, QuickXplain and backward selection: same clips, models and run.

    python -m tests.benchmarks.extract [--clips N] [--out FOLDER]     (from the root of the repository)

Clips are the first N of each task of the starter suite, models its references; with GOODENOUGH_REAL_AUDIO set
also recordings and the models trained on them. Writes `extract.json.xz` (every pair of a model and a clip),
`extract.md` (the tables) and `extract.svg`; of fewer clips than ten only the figures, `extract.json`, of ReX
and the searches of this package.

Conventions: one thread on every side; a query is one signal put through a model, a slope counts as
`oracle.SLOPE_QUERIES`, a call is one batch. Clips whose class silence gets too are left out. Ratios are
geometric means over pairs, against ReX as shipped on the same pair, with 95 % intervals (percentile
bootstrap of clips: the pairs of one clip belong together). "Removable": share of the kept bins that
can go alone, on at most 100 of them drawn by the pair's seed; sufficient and removable are judged on the
audio as decoded from the bytes that would be published, by the plain argmax.
"""

from __future__ import annotations

import argparse
import csv
import json
import lzma
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from harness import audio, labels
from harness.dataset.query_counts import QUERIES, format_queries, queries_of
from harness.dataset.suites import load
from harness.domains import fft
from harness.extract import runner
from harness.extract.certify import Extracted
from harness.extract.minimal import Gradient, Minimal
from harness.extract.objectives import margin
from harness.extract.responsibility import Responsibility
from harness.extract.search import Search
from harness.extract.search_task import Limits
from harness.journal import Journal
from harness.models import classifiers, loading
from harness.seeds import generator
from harness.starter import paths
from harness.starter.recipes import RECIPES
from harness.tasks import TASKS
from harness.types import MIN_MARGIN, Clip, LabelMap, Mask, Waveform
from tests.benchmarks.baselines import BackwardSelection, QuickXplain
from tests.benchmarks.figures import RESULTS, Figure, write
from tests.benchmarks.rex import peer

STREAMED, _TOGETHER = ("starter-genre-wav2vec2", "starter-emotion-whisper"), 12
"""Models that hear many clips together, and how many of these are different: the deepest search counts."""

_FULL = 10
"""Clips of each task of which a run is worth keeping in full."""

SEARCHES: dict[str, Search] = {
    "minimal": Minimal(),
    "gradient": Gradient(),
    "responsibility": Responsibility(resolution="bins"),  # as ReX
    "QuickXplain": QuickXplain(),
    "backward selection, 32 bands": BackwardSelection(resolution="bands32"),
}
OURS = ["minimal", "gradient", "responsibility"]
"""Those that are measured with fewer than _FULL clips."""
BATCH, REMOVALS, BUDGET = 64, 100, 6000
"""Signals of a call; bins that are left out, at most; queries of one search on one clip."""

SUBSETS_OF = 12
"""Bins of a certified set, at most, of which every proper subset is asked."""

_COLOURS = {
    "ReX": "#D55E00",
    "ReX, index fixed": "#E69F00",
    "responsibility": "#56B4E9",
    "minimal": "#0072B2",
    "gradient": "#009E73",
}


@dataclass(frozen=True)
class Subject:
    """A model, and clips of its task."""

    name: str
    folder: str
    task: str | None
    hard: bool
    clips: tuple[Clip, ...]


@dataclass(frozen=True)
class Pair:
    """What one searcher made of one clip of one model."""

    model: str
    hard: bool
    clip: str
    by: str
    queries: int
    calls: int
    cpu_seconds: float
    kept: int
    n_bins: int
    sufficient: bool
    removable: float
    certified: bool
    subset_minimal: bool | None = None
    """Whether no proper subset is sufficient; None where there are more than SUBSETS_OF bins."""


class Meter:
    """A listener that counts what it passes on, and the time spent below it."""

    def __init__(self, classifier: classifiers.Classifier) -> None:
        self.classifier = classifier
        self.calls, self.seconds = 0, 0.0

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Any:
        start = time.perf_counter()
        found = self.classifier.logits(waveforms, sample_rate_hz)
        self.seconds += time.perf_counter() - start
        self.calls += -(-len(waveforms) // BATCH)
        return found

    def input_gradients(self, *args: Any) -> Any:
        start = time.perf_counter()
        found = self.classifier.input_gradients(*args)
        self.seconds += time.perf_counter() - start
        self.calls += 1
        return found


# ---- who is asked about what -----------------------------------------------------------------------


def subjects(n_clips: int) -> Iterator[Subject]:
    suite = load(str(paths.embedded()))
    for recipe in RECIPES:
        if recipe.role == "reference" and recipe.quirk != "flat-earther":
            clips = tuple(suite.clips(recipe.task).values())[:n_clips]
            folder = str(paths.SUITE / "models" / recipe.folder)
            yield Subject(recipe.folder, folder, recipe.task, recipe.quirk == "hard", clips)
    if real := os.environ.get("GOODENOUGH_REAL_AUDIO"):
        clips = tuple(recordings(Path(real) / "instrument", n_clips))
        for name in ("ast", "sew", "wav2vec2", "whisper"):
            yield Subject(f"recordings-{name}", str(Path(real) / "models" / name), None, False, clips)


def recordings(folder: Path, n_clips: int) -> Iterator[Clip]:
    with open(folder / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    for i in generator("benchmark", "recordings").permutation(len(rows))[:n_clips]:
        waveform, rate, _ = audio.read((folder / rows[i]["file_name"]).read_bytes())
        yield Clip(rows[i]["file_name"], "recordings", rows[i]["label"], waveform, rate)


def opened(subject: Subject) -> tuple[classifiers.Classifier, LabelMap]:
    classifier = loading.load(subject.folder, device="cpu", batch_size=BATCH)
    if subject.task is not None:
        return classifier, labels.harmonise(classifier.class_names, TASKS[subject.task])
    return classifier, LabelMap("instrument", classifier.class_names, classifier.class_names, "names")


# ---- pair by pair ----------------------------------------------------------------------------------


def measure(subject: Subject, searches: Sequence[str]) -> list[Pair]:
    """ReX and some of SEARCHES on every clip of a subject, one clip at a time."""
    one_thread()
    classifier, label_map = opened(subject)
    classifier.logits([subject.clips[0].waveform], subject.clips[0].sample_rate_hz)
    outcomes = {o.clip_id: o for o in peer.ask(Path(subject.folder), subject.clips)}
    pairs: list[Pair] = []
    for clip in subject.clips:
        outcome = outcomes[clip.clip_id]
        if outcome.degenerate:
            continue
        made: list[Pair] = []
        for name, variant in (("ReX", outcome.shipped), ("ReX, index fixed", outcome.index_fixed)):
            if variant.mask is not None:
                made.append(
                    judged(
                        subject,
                        classifier,
                        clip,
                        name,
                        variant.queries,
                        variant.calls,
                        variant.cpu_seconds,
                        variant.mask,
                    )
                )
        for name in searches:
            search = SEARCHES[name]
            meter, start = Meter(classifier), time.process_time()
            (found,) = extracted(meter, label_map, [clip], [search])
            seconds = time.process_time() - start
            if not found.signals:
                break
            (signal,) = found.signals
            done = signal.guarantee == "one_minimal"
            mask = signal.mask
            pair = judged(subject, classifier, clip, name, signal.n_queries, meter.calls, seconds, mask, done)
            if done and signal.n_atoms == len(mask) and signal.n_kept <= SUBSETS_OF:
                is_expected = np.array(label_map.canonical) == signal.expected
                strict = not subset_suffices(classifier, clip, mask, is_expected)
                pair = replace(pair, subset_minimal=strict)
            made.append(pair)
        else:
            pairs += made
    return pairs


def extracted(
    listener: Any, label_map: LabelMap, clips: Sequence[Clip], searches: Sequence[Search]
) -> Sequence[Extracted]:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal", {}, "")
        try:
            return runner.extract(
                listener, "benchmark", label_map, clips, searches, journal, limits=Limits(BUDGET)
            )
        finally:
            journal.remove()


def judged(
    subject: Subject,
    classifier: classifiers.Classifier,
    clip: Clip,
    by: str,
    queries: int,
    calls: int,
    seconds: float,
    mask: Mask,
    certified: bool = False,
) -> Pair:
    X, n = fft.spectrum(clip.waveform), len(clip.waveform)
    kept = np.flatnonzero(mask)
    rng = generator("benchmark", "removals", subject.name, clip.clip_id, by)
    without = np.repeat(mask[None], 2 + min(REMOVALS, len(kept)), axis=0)
    without[0] = True
    for row, bin_ in zip(without[2:], rng.permutation(kept), strict=False):
        row[bin_] = False
    decoded = [audio.read(audio.encode(x, clip.sample_rate_hz))[0] for x in fft.keep(X, without, n)]
    said = classifier.logits(decoded, clip.sample_rate_hz).argmax(axis=1)
    return Pair(
        subject.name,
        subject.hard,
        clip.clip_id,
        by,
        queries,
        calls,
        seconds,
        len(kept),
        len(mask),
        bool(said[1] == said[0]),
        float((said[2:] == said[0]).mean()) if len(kept) else 0.0,
        certified,
    )


def subset_suffices(classifier: classifiers.Classifier, clip: Clip, mask: Mask, is_expected: Mask) -> bool:
    """Whether any proper subset of a few bins, but the empty one, is sufficient by itself."""
    kept = np.flatnonzero(mask)
    X, n = fft.spectrum(clip.waveform), len(clip.waveform)
    numbers = np.arange(1, (1 << len(kept)) - 1)
    for some in np.array_split(numbers, -(-len(numbers) // 256)) if len(numbers) else []:
        masks = np.zeros((len(some), len(mask)), dtype=bool)
        masks[:, kept] = (some[:, None] >> np.arange(len(kept))) & 1
        said = classifier.logits(list(fft.keep(X, masks, n)), clip.sample_rate_hz)
        if any(margin(row, is_expected) >= MIN_MARGIN for row in said):
            return True
    return False


def one_thread() -> None:
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)


# ---- many clips together ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Together:
    """The engine on many clips of one model."""

    model: str
    n_clips: int
    seconds_together: float
    seconds_apart: float | None
    """One clip after the other; None where that was not measured."""
    calls_together: int
    overhead: float
    """Wall time of the run over that of the calls to the model in it."""


def together(subject: Subject, n_clips: int = 64, *, apart: bool = True) -> Together:
    """Clips of a subject, each several times, in one stream, and one after the other; by `minimal`."""
    classifier, label_map = opened(subject)
    clips = [
        Clip(f"{clip.clip_id}-{i}", clip.corpus, clip.label, clip.waveform, clip.sample_rate_hz)
        for i, clip in enumerate(np.resize(np.array(subject.clips, dtype=object), n_clips))
    ]
    classifier.logits([clips[0].waveform], clips[0].sample_rate_hz)
    meter, start = Meter(classifier), time.perf_counter()
    extracted(meter, label_map, clips, [Minimal()])
    all_at_once = time.perf_counter() - start
    seconds_apart = None
    if apart:
        start = time.perf_counter()
        for clip in clips:
            extracted(classifier, label_map, [clip], [Minimal()])
        seconds_apart = time.perf_counter() - start
    overhead = all_at_once / meter.seconds
    return Together(subject.name, n_clips, all_at_once, seconds_apart, meter.calls, overhead)


def base_sized(n_clips: int = 4, *, apart: bool = True) -> Together:
    """The engine over a model of the size of wav2vec2-base, 95 million weights that were never trained."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

    suite = load(str(paths.embedded()))
    clips = list(suite.clips("emotion").values())[:n_clips]
    names = dict(enumerate(TASKS["emotion"].labels))
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        config = Wav2Vec2Config(id2label=names, label2id={name: i for i, name in names.items()})
        Wav2Vec2ForSequenceClassification(config).save_pretrained(folder)
        Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
        subject = Subject("wav2vec2-base, untrained", folder, "emotion", False, tuple(clips))
        return together(subject, n_clips, apart=apart)


# ---- tables ----------------------------------------------------------------------------------------


def table(pairs: Sequence[Pair], title: str) -> str:
    """One row per searcher: figures, and ratios to ReX as shipped."""
    base = {(p.model, p.clip): p for p in pairs if p.by == "ReX"}
    head = (
        f"| searcher | {QUERIES} | ratio | CPU s, median | ratio | calls, ratio"
        " | kept bins, median | kept, ratio | sufficient | can go alone | certified |"
    )
    n_clips = len({clip for _, clip in base})
    rows = [
        f"### {title}: {len(base)} pairs of {n_clips} clips",
        "",
        head,
        "|" + " --- |" * head.count(" | ") + " --- |",
    ]
    for by in ["ReX", "ReX, index fixed", *SEARCHES]:
        mine = [p for p in pairs if p.by == by and (p.model, p.clip) in base]
        if not mine:
            continue

        queries = [p.queries for p in mine]

        def ratio(figure: Callable[[Pair], float], mine: Sequence[Pair] = mine, by: str = by) -> str:
            logs: dict[str, list[float]] = {clip: [] for clip in sorted({p.clip for p in mine})}
            for p in mine:
                logs[p.clip].append(np.log(max(figure(p), 1e-9) / figure(base[p.model, p.clip])))
            sums, sizes = (np.array([f(each) for each in logs.values()]) for f in (np.sum, len))
            drawn = generator("benchmark", title, by).integers(len(sums), size=(2000, len(sums)))
            means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
            value, *ends = np.exp([sums.sum() / sizes.sum(), *np.quantile(means, [0.025, 0.975])])
            if value < 1:
                return f"1/{1 / value:.1f} [1/{1 / ends[0]:.1f}, 1/{1 / ends[1]:.1f}]"
            return f"{value:.2f} [{ends[0]:.2f}, {ends[1]:.2f}]"

        rows.append(
            f"| {by} | {format_queries(queries)}"
            f" | {ratio(lambda p: p.queries)} | {median(p.cpu_seconds for p in mine):.2f}"
            f" | {ratio(lambda p: p.cpu_seconds)} | {ratio(lambda p: p.calls)}"
            f" | {median(p.kept for p in mine):,.0f} | {ratio(lambda p: p.kept)}"
            f" | {np.mean([p.sufficient for p in mine]):.0%} | {np.mean([p.removable for p in mine]):.1%}"
            f" | {np.mean([p.certified for p in mine]):.0%} |"
        )
    return "\n".join(rows)


def report(pairs: Sequence[Pair], stream: Sequence[Together]) -> str:
    real = [p for p in pairs if p.model.startswith("recordings")]
    parts = [table([p for p in pairs if p not in real], "All references of the starter suite")]
    parts.append(table([p for p in pairs if p.hard], "Hard references"))
    if real:
        parts.append(table(real, "Recordings"))
    parts.append("### Many clips together: `minimal`, one thread\n")
    parts.append(
        "| model | clips | together, s | one at a time, s | ratio | calls a clip | wall over model |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        + "\n".join(
            f"| {t.model} | {t.n_clips} | {t.seconds_together:.1f} | {t.seconds_apart:.1f}"
            f" | {t.seconds_apart / t.seconds_together:.1f} x | {t.calls_together / t.n_clips:.2f}"
            f" | {t.overhead:.2f} |"
            for t in stream
            if t.seconds_apart is not None
        )
    )
    for by in ("minimal", "gradient"):
        strict = [p.subset_minimal for p in pairs if p.by == by and p.subset_minimal is not None]
        parts.append(
            f"Of {len(strict)} signals of at most {SUBSETS_OF} bins found by `{by}`, {sum(strict)} have no"
            " sufficient proper subset at all."
        )
    return "\n\n".join(parts) + "\n"


def figures_of(pairs: Sequence[Pair], stream: Sequence[Together]) -> list[Figure]:
    """The figures that are compared with those of before."""
    base = {(p.model, p.clip): p for p in pairs if p.by == "ReX"}
    figures = []
    for by, of_queries, of_cpu in (("minimal", 1 / 20, 1 / 40), ("responsibility", 0.9, 0.3)):
        mine = [p for p in pairs if p.by == by and (p.model, p.clip) in base]
        for name, target, value in (
            ("queries", of_queries, lambda p: p.queries),
            ("CPU", of_cpu, lambda p: p.cpu_seconds),
        ):
            logs = [np.log(max(value(p), 1e-9) / value(base[p.model, p.clip])) for p in mine]
            figures.append(
                Figure(f"{by} / ReX: {name}", float(np.exp(np.mean(logs))), target=target, n=len(mine))
            )
    figures += _tail("minimal", [p.queries for p in pairs if p.by == "minimal"])
    for t in stream:
        calls = t.calls_together / t.n_clips
        if of_rex := [p.calls for p in pairs if p.by == "ReX" and p.model == t.model]:
            ratio, name = (
                calls / float(np.mean(of_rex)),
                f"{t.n_clips} clips together, {t.model}: calls / ReX",
            )
            figures.append(Figure(name, ratio, target=1 / 1000, n=len(of_rex)))
        figures += [
            Figure(f"{t.n_clips} clips together, {t.model}: calls a clip", calls, "calls", n=t.n_clips),
            Figure(f"{t.n_clips} clips together, {t.model}: wall / model", t.overhead, target=1.15, n=1),
        ]
    return figures


def figures_of_suite() -> list[Figure]:
    """The queries for the minimal signals of the starter suite, as they are stored with it."""
    suite = load(str(paths.embedded()))
    families = [
        by_family
        for task in suite.task_names
        for reference in suite.references(task)
        if (by_family := queries_of(suite, task, reference.model.slug))
    ]
    queries = [n for by_family in families for n in by_family.get("minimal@bins", ())]
    return _tail("starter suite, minimal", queries)


def _tail(name: str, queries: Sequence[int]) -> list[Figure]:
    return [
        Figure(
            f"{name}: {what} of queries", float(np.quantile(queries, level)), "queries", limit, n=len(queries)
        )
        for what, level, limit in (("median", 0.5, None), ("90 %", 0.9, 200.0), ("maximum", 1.0, None))
    ]


def picture(pairs: Sequence[Pair], path: Path) -> None:
    """Queries against kept bins, a point a pair."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), constrained_layout=True)
    for by, colour in _COLOURS.items():
        mine = [p for p in pairs if p.by == by]
        axes.scatter([p.queries for p in mine], [p.kept for p in mine], s=12, c=colour, label=by, alpha=0.7)
    axes.set(xscale="log", yscale="log", xlabel="queries", ylabel="kept bins")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="The extraction engine against ReX 0.4.1 and two baselines.")
    parser.add_argument("--clips", type=int, default=12, help="clips of each task")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    in_full = args.clips >= _FULL
    peer.environment()
    chosen = list(subjects(args.clips))
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        searches = [*SEARCHES] if in_full else OURS
        pairs = [pair for found in pool.map(partial(measure, searches=searches), chosen) for pair in found]
    one_thread()
    stream = [together(s, apart=in_full) for s in subjects(_TOGETHER) if s.name in STREAMED]
    stream.append(base_sized(apart=in_full))
    write(args.out, "extract", [*figures_of(pairs, stream), *figures_of_suite()])
    if not in_full:
        return
    record = {
        "versions": {
            name: version(name) for name in ("goodenough", "torch", "transformers", "numpy", "scipy")
        },
        "rex": peer.ENVIRONMENT,
        "searches": {name: repr(search) for name, search in SEARCHES.items()},
        "pairs": [asdict(p) for p in pairs],
        "together": [asdict(t) for t in stream],
    }
    content = (json.dumps(record, indent=1) + "\n").encode()
    (args.out / "extract.json.xz").write_bytes(lzma.compress(content, preset=9))
    (args.out / "extract.md").write_text(report(pairs, stream))
    picture(pairs, args.out / "extract.svg")
    print(report(pairs, stream))


if __name__ == "__main__":
    main()
