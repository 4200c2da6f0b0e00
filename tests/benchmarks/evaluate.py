"""Evaluation against its own forward passes and `transformers.pipeline`, on the same stimuli, in one run.

    python -m tests.benchmarks.evaluate [--out FOLDER] [--starter]     (from the root of the repository)

Speed: base-sized models with random weights on clips of 5 and 10 s, and starter models on their suite. The
engine judges units of a suite; what it put to the model is then put to `pipeline(batch_size=8)`, and the very
batches, their features made before, to the bare model: the limit. Early stop: how many of 20,000 signals are
asked until the lift is known to +- 0.05.

With `--starter` the first of these on starter models alone: a minute, where all takes a quarter of an hour.

Conventions: wall time, all cores; the three are timed one after the other, twice, and the faster counts.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from harness.dataset import writer
from harness.dataset.suites import Suite, load
from harness.evaluation import predict, runner
from harness.evaluation.units import evaluation_order, units_of
from harness.manifest import CorpusRef, ReferenceRecord
from harness.model_facts import ModelFacts
from harness.models import classifiers, heads, loading
from harness.models.feature_extractors import quiet
from harness.provenance import run_settings
from harness.schemas import ReferenceCounts
from harness.seeds import generator
from harness.starter import paths
from harness.tasks import TASKS, Task
from harness.types import Clip, LabelMap, ModelRef, SufficientSignal, Waveform
from tests.benchmarks.figures import RESULTS, Figure, write
from tests.helpers.families import HEADLINE, SURVIVAL, n_atoms

TASK = TASKS["emotion"]
KNOWN = ("angry", "happy", "neutral", "sad")
STARTERS = ("starter-genre-ast", "starter-genre-wav2vec2", "starter-emotion-whisper")
PIPELINE_BATCH, BATCH, TIMES = 8, 8, 2


# ---- suites made up --------------------------------------------------------------------------------


def suite_of(folder: Path, n_clips: int, n_references: int, n_samples: int) -> Suite:
    """Noise, and of each clip a signal of each reference: a tenth of the bins, at random."""
    rng = generator("benchmark", "suite", str(n_clips), str(n_samples))
    clips = [
        Clip(
            f"c{i:05}",
            "noise",
            KNOWN[i % 4],
            (0.1 * rng.standard_normal(n_samples)).astype(np.float32),
            TASK.sample_rate_hz,
        )
        for i in range(n_clips)
    ]
    for j in range(n_references):
        repo_id = f"noise/reference-{j}"
        ref = ModelRef(repo_id, f"{j:040x}", f"{j:064x}")
        counts = ReferenceCounts(ref, HEADLINE, n_clips, 0, KNOWN[j % 4])
        record = ReferenceRecord(
            task=TASK.name,
            model=ref,
            facts=ModelFacts("Noise", 0, TASK.sample_rate_hz, None, None),
            label_map=LabelMap(TASK.name, KNOWN, KNOWN, "names"),
            corpus=CorpusRef("noise", "0" * 64, None, n_clips, 0, 0, 0, 0),
            searches=("noise",),
            counts=(counts,),
            skipped=(),
            run=run_settings("cpu", "float32", 1, "none", 0.0),
        )
        signals = [signal_of(clip, repo_id, j) for clip in clips]
        writer.add_reference(folder, TASK, record, clips, signals, masks_only=True)
    return load(str(folder))


def signal_of(clip: Clip, repo_id: str, j: int) -> SufficientSignal:
    n = len(clip.waveform)
    mask = generator("benchmark", clip.clip_id, repo_id).random(n // 2 + 1) < 0.1
    return SufficientSignal(
        signal_id=f"{clip.clip_id}:{repo_id.replace('/', '__')}:{HEADLINE}",
        clip_id=clip.clip_id,
        family=HEADLINE,
        draw=0,
        reference=repo_id,
        truth=clip.label,
        expected=KNOWN[(j + int(clip.clip_id[1:])) % 4],
        p_clip=(0.25,) * 4,
        n_samples=n,
        sample_rate_hz=clip.sample_rate_hz,
        mask=mask,
        guarantee="prefix_minimal",
        n_atoms=n_atoms(HEADLINE, n, clip.sample_rate_hz),
        p_whole=1.0,
        p_signal=1.0,
        margin=1.0,
        degenerate=False,
        search="noise",
        n_queries=0,
        seed=0,
        sha256="0" * 64,
        survival=SURVIVAL,
    )


# ---- speed -----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Speed:
    """Seconds for the same stimuli."""

    model: str
    clip_seconds: float
    n_stimuli: int
    engine: float
    making: float
    """Of the engine, for reading the suite and making the stimuli: the others get them as they are."""
    bare: float
    pipeline: float


class Recorder:
    """A candidate that keeps what it is asked."""

    def __init__(self, classifier: classifiers.Classifier) -> None:
        self.classifier, self.facts = classifier, classifier.facts
        self.asked: list[Waveform] = []

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Any:
        self.asked += waveforms
        return self.classifier.logits(waveforms, sample_rate_hz)


def speed(name: str, folder: Path, suite: Suite, task: Task, most: int | None = None) -> Speed:
    """Engine, bare forward passes and pipeline on the stimuli of the first clips of a suite."""
    import torch
    from transformers import pipeline

    classifier = loading.load(str(folder), device="cpu", batch_size=BATCH)
    assert isinstance(classifier, heads.Head)
    blocks = list(evaluation_order(units_of(suite, task), task))[:most]

    class Deaf:
        """Answers without listening."""

        facts = classifier.facts

        def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Any:
            return np.zeros((len(waveforms), len(classifier.class_names)), dtype=np.float32)

    def making() -> None:
        for _ in predict.judge(Deaf(), suite, task, blocks):
            pass

    def engine() -> Recorder:
        recorder = Recorder(classifier)
        for _ in predict.judge(recorder, suite, task, blocks):
            pass
        return recorder

    asked = engine().asked
    rate = task.sample_rate_hz
    batches = batches_of(asked, BATCH, classifier._fixed_length)
    features = [classifier._extractor(b, sampling_rate=rate, return_tensors="pt") for b in batches]
    inputs = [{k: v for k, v in f.items() if k in classifier._inputs} for f in features]

    def bare() -> None:
        with torch.inference_mode():
            for each in inputs:
                classifier._model(**each)

    classify = pipeline(
        "audio-classification", model=classifier._model, feature_extractor=classifier._extractor, device="cpu"
    )

    def piped() -> None:
        given = [{"raw": x, "sampling_rate": rate} for x in asked]
        for _ in classify(given, batch_size=PIPELINE_BATCH, top_k=None):
            pass

    seconds = len(asked[-1]) / rate
    return Speed(name, seconds, len(asked), *(best(work) for work in (engine, making, bare, piped)))


def batches_of(waveforms: Sequence[Any], size: int, fixed_length: bool) -> list[list[Any]]:
    """Batches of at most so many, of one length where a model does not bring all to one."""
    batches: list[list[Any]] = []
    for x in sorted(waveforms, key=len):
        has_room = batches and len(batches[-1]) < size
        if has_room and (fixed_length or len(batches[-1][0]) == len(x)):
            batches[-1].append(x)
        else:
            batches.append([x])
    return batches


def best(work: Callable[[], object]) -> float:
    """Seconds of the faster of some runs."""
    found = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def base_sized(folder: Path, layers: int = 12, frames: int = 1024) -> Iterator[tuple[str, Path]]:
    """wav2vec2-base and AST-base as they are built, with random weights; `frames` are those of the AST."""
    import torch
    from transformers import (
        ASTConfig,
        ASTFeatureExtractor,
        ASTForAudioClassification,
        Wav2Vec2Config,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForSequenceClassification,
    )

    names = dict(enumerate(KNOWN))
    settings = {
        "id2label": names,
        "label2id": {name: i for i, name in names.items()},
        "num_hidden_layers": layers,
    }
    torch.manual_seed(0)
    for name, model, extractor in (
        (
            "wav2vec2-base",
            Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**settings)),
            Wav2Vec2FeatureExtractor(),
        ),
        (
            "AST-base",
            ASTForAudioClassification(ASTConfig(max_length=frames, **settings)),
            ASTFeatureExtractor(max_length=frames),
        ),
    ):
        with quiet():
            model.save_pretrained(folder / name)
            extractor.save_pretrained(folder / name)
        yield name, folder / name


# ---- asking less -----------------------------------------------------------------------------------


class Guesser:
    """A candidate without a model, whose answers are as good as chance."""

    ref = ModelRef("noise/guesser", "f" * 40, "f" * 64)
    facts = ModelFacts("Guesser", 0, TASK.sample_rate_hz, None, None)
    device, dtype, batch_size, frontend = "cpu", "float32", BATCH, "none"
    settings_sha256, class_names = "e" * 64, KNOWN

    def __init__(self) -> None:
        self.n_asked = 0

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Any:
        self.n_asked += len(waveforms)
        return np.stack(
            [[float(np.abs(x[i::7]).sum()) for i in range(len(KNOWN))] for x in waveforms]
        ).astype(np.float32)


def early_stop(suite: Suite, folder: Path) -> tuple[int, int, float]:
    """Forward passes of a full run, and of one that stops at +- 0.05; the half width then."""
    label_map = LabelMap(TASK.name, KNOWN, KNOWN, "names")
    asked, half = [], 0.0
    for width in (None, 0.05):
        guesser = Guesser()
        entry = runner.evaluate(
            guesser,  # type: ignore[arg-type]
            label_map,
            suite,
            TASK,
            folder / str(width),
            ci_width=width,
        ).entry
        asked.append(guesser.n_asked)
        headline = entry.scorecard.headline
        assert headline is not None
        lift = headline.rates.lift
        half = ((lift.high or 0) - (lift.low or 0)) / 2
    return asked[0], asked[1], half


# ---- all of it -------------------------------------------------------------------------------------


def report(speeds: Sequence[Speed], stop: tuple[int, int, float] | None) -> str:
    rows = [
        "| model | clips | stimuli | engine, s | of it making stimuli, s | bare forward, s | pipeline, s"
        " | engine / bare | scoring / pipeline |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {s.model} | {s.clip_seconds:.0f} s | {s.n_stimuli:,} | {s.engine:.2f} | {s.making:.2f}"
            f" | {s.bare:.2f} | {s.pipeline:.2f} | {s.engine / s.bare:.2f}"
            f" | {(s.engine - s.making) / s.pipeline:.2f} |"
            for s in speeds
        ),
    ]
    lines = []
    if stop is not None:
        full, some, half = stop
        lines = [
            f"Early stop at 20,000 signals: {some:,} forward passes of {full:,} ({some / full:.0%}) until the"
            f" lift is known to +- {half:.3f}.",
            "",
        ]
    return "\n".join(
        [
            *rows,
            "",
            *lines,
            f"{platform.machine()}, {os.cpu_count()} cores, torch {version('torch')},"
            f" transformers {version('transformers')}.",
            "",
        ]
    )


def main() -> None:
    """Measure, and write what was measured."""
    parser = argparse.ArgumentParser(description="Evaluation against its own forward passes and a pipeline.")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--starter", action="store_true", help="starter models alone")
    args = parser.parse_args()
    stop = None
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        starter, speeds = load(str(paths.embedded())), []
        for model in STARTERS:
            task = TASKS["music-genre" if "genre" in model else "emotion"]
            speeds.append(speed(model, paths.SUITE / "models" / model, starter, task, most=21))
        for seconds in () if args.starter else (5, 10):
            suite = suite_of(work / f"{seconds}s", 2, 1, seconds * TASK.sample_rate_hz)
            for model, folder in base_sized(work):
                speeds.append(speed(model, folder, suite, TASK))
        if not args.starter:
            stop = early_stop(suite_of(work / "20000", 1000, 20, 1600), work / "early")
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "evaluate.md").write_text(report(speeds, stop))
    figures = [
        figure
        for each in speeds
        for figure in (
            Figure(
                f"{each.model}, {each.clip_seconds:.0f} s: engine / bare forward",
                each.engine / each.bare,
                target=1.05 if each.model.endswith("-base") else 2,
                n=TIMES,
            ),
            Figure(
                f"{each.model}, {each.clip_seconds:.0f} s: scoring / pipeline",
                (each.engine - each.making) / each.pipeline,
                target=1,
                n=TIMES,
            ),
        )
    ]
    if stop is not None:
        share = stop[1] / stop[0]
        figures.append(Figure("early stop at 20,000 signals: share asked", share, "", target=0.25, n=1))
    write(
        args.out,
        "evaluate",
        figures,
        speed=[dataclasses.asdict(s) for s in speeds],
        early_stop=stop,
    )
    print(report(speeds, stop))


if __name__ == "__main__":
    main()
