"""The card: tests on a device, and what evaluation and extraction take there beside the bare forward passes.

    python -m tests.gpu [--device cuda] [--out FOLDER]     # sized for eight minutes on an H100; not run yet
    python -m tests.gpu --device cpu --quick               # the same program on a processor

Runs the tests of this folder, then measures AST-base and wav2vec2-base with random weights on clips of 5 and
10 s, and starter models on their suite: wall time of an evaluation (features, forward passes and making the
stimuli), of the questions of an extraction (masks, inverse FFT, features, forward passes), of the forward
passes alone, of `transformers.pipeline` on the same device, and of an evaluation on the processor; peak
memory; and how many stimuli get another class than by the extractor on the processor, in float32 and in
bfloat16. Writes `gpu.json` and `gpu.md`; a quick run writes nothing unless --out is given.

Conventions: the better of two runs; models are warm. On the processor only the first stimuli are asked, and
its time is that of as many as on the device.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from harness.dataset.suites import Suite, load
from harness.evaluation import predict
from harness.evaluation.units import evaluation_order, units_of
from harness.extract import oracle
from harness.extract.oracle import SearchState
from harness.families import parse_family
from harness.models import heads, loading
from harness.seeds import generator
from harness.starter import paths
from harness.tasks import TASKS, Task
from harness.types import Clip, Waveform
from tests.benchmarks.evaluate import STARTERS, TASK, Recorder, base_sized, batches_of, best, suite_of

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
PIPELINE_BATCH = 8


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is measured."""

    batch_size: int
    layers: int
    frames: int
    """What they have of layers, and what an AST takes of spectrogram frames."""
    seconds: tuple[int, ...]
    """Lengths of their clips."""
    n_clips: int
    n_blocks: int
    """Clips of the starter suite."""
    n_masks: int
    on_processor: int
    """Stimuli asked on the processor, at most, of base-sized models."""


FULL, QUICK = Size(32, 12, 1024, (5, 10), 20, 40, 64, 8), Size(4, 1, 98, (1,), 1, 1, 8, 4)


@dataclasses.dataclass(frozen=True)
class Row:
    """Seconds for the same stimuli, and for masked signals; how answers differ."""

    model: str
    clip_seconds: float
    frontend: str
    n_stimuli: int
    evaluation: float
    making: float
    """Of the evaluation, for reading the suite and making the stimuli."""
    bare: float
    pipeline: float
    on_processor: float
    n_masked: int
    extraction: float
    extraction_bare: float
    peak_mb: int
    """Memory of the card; without one, of the process."""
    differs: float
    """Largest difference of a logit from that by the extractor on the processor."""
    flips: int
    differs_bf16: float
    flips_bf16: int
    n_compared: int
    """Stimuli whose classes are compared."""


class Silent:
    """Answers without listening."""

    def __init__(self, classifier: heads.Head) -> None:
        self.facts, self._n = classifier.facts, len(classifier.class_names)

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> Any:
        return np.zeros((len(waveforms), self._n), dtype=np.float32)


def opened(folder: Path, device: str, size: Size, *, in_torch: bool, dtype: str = "float32") -> heads.Head:
    """A model whose features are made in torch, or by its extractor."""
    classifier = loading.load(str(folder), device=device, batch_size=size.batch_size, dtype=dtype)
    assert isinstance(classifier, heads.Head)
    if in_torch:
        classifier.use_torch_features()
    return classifier


def measure(name: str, folder: Path, suite: Suite, task: Task, device: str, size: Size, limit: int) -> Row:
    """One model on the stimuli of the first clips of a suite."""
    import torch

    rate = task.sample_rate_hz
    blocks = list(evaluation_order(units_of(suite, task), task))[: size.n_blocks + 1]
    model = opened(folder, device, size, in_torch=True)

    def evaluate(candidate: Any) -> Any:
        for _ in predict.judge(candidate, suite, task, blocks):
            pass
        return candidate

    on_card = device.startswith("cuda")
    if on_card:
        torch.cuda.reset_peak_memory_stats()
    asked = evaluate(Recorder(model)).asked
    evaluation = best(lambda: evaluate(model))
    making = best(lambda: evaluate(Silent(model)))
    bare = bare_seconds(model, asked)
    clips = [unit for block in blocks for unit in block if unit.clip_id is not None][: size.n_clips]
    sounds = [suite.clip(task.name, unit.clip_id or "") for unit in clips[:4]]
    extraction, masked = masked_signals(model, sounds, size.n_masks)
    peak = torch.cuda.max_memory_allocated() if on_card else resident()
    piped = best(pipeline_of(model, asked, rate, device))
    some = asked[:limit]
    reference = opened(folder, "cpu", size, in_torch=False)
    expected = reference.logits(some, rate)
    on_processor = best(lambda: reference.logits(some, rate)) * len(asked) / len(some)
    halves = opened(folder, device, size, in_torch=True, dtype="bfloat16")
    logits, rounded = model.logits(some, rate), halves.logits(some, rate)

    def flips(other: Any) -> int:
        return int((other.argmax(axis=1) != expected.argmax(axis=1)).sum())

    return Row(
        model=name,
        clip_seconds=len(asked[-1]) / rate,
        frontend=model.frontend,
        n_stimuli=len(asked),
        evaluation=evaluation,
        making=making,
        bare=bare,
        pipeline=piped,
        on_processor=on_processor + making,
        n_masked=len(masked),
        extraction=extraction,
        extraction_bare=bare_seconds(model, masked),
        peak_mb=peak // 10**6,
        differs=float(np.abs(logits - expected).max()),
        flips=flips(logits),
        differs_bf16=float(np.abs(rounded - expected).max()),
        flips_bf16=flips(rounded),
        n_compared=len(some),
    )


def bare_seconds(model: heads.Head, waveforms: Sequence[Any]) -> float:
    """Of the forward passes of the very batches, their features made before."""
    batches = batches_of(waveforms, model.batch_size, fixed_length=False)
    features = [model._features(batch) for batch in batches]

    def run() -> None:
        for batch, inputs in zip(batches, features, strict=True):
            model._forward(batch, inputs)

    return best(run)


def masked_signals(model: heads.Head, clips: Sequence[Clip], n_masks: int) -> tuple[float, list[Waveform]]:
    """Seconds of an oracle for random masks of some clips, and the signals that the model hears then."""
    rate = clips[0].sample_rate_hz
    is_expected = np.arange(len(model.class_names)) == 0
    questions = []
    for clip in clips:
        atoms = parse_family("minimal@bins").resolution.atoms(len(clip.waveform), rate)
        rng = generator("gpu", clip.clip_id)
        questions.append((clip, atoms, rng.random((n_masks, len(atoms))) < rng.random((n_masks, 1))))

    def ask() -> list[tuple[SearchState, Any]]:
        asked = [(SearchState(clip, is_expected, atoms), masks) for clip, atoms, masks in questions]
        oracle.ask(model, asked)
        return asked

    rows = [row for state, masks in ask() for row in state.signals(masks, model)]
    return best(ask), rows


def pipeline_of(model: heads.Head, asked: Sequence[Waveform], rate: int, device: str) -> Any:
    from transformers import pipeline

    classify = pipeline(
        "audio-classification", model=model._eager, feature_extractor=model._extractor, device=device
    )

    def run() -> None:
        given = [{"raw": x, "sampling_rate": rate} for x in asked]
        for _ in classify(given, batch_size=PIPELINE_BATCH, top_k=None):
            pass

    return run


def resident() -> int:
    """Most bytes that this process ever took."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rows(work: Path, device: str, size: Size) -> Iterator[Row]:
    """Starter models, then base-sized ones."""
    starter = load(str(paths.embedded()))
    for name in STARTERS:
        task = TASKS["music-genre" if "genre" in name else "emotion"]
        yield measure(name, paths.SUITE / "models" / name, starter, task, device, size, 10**9)
    for seconds in size.seconds:
        suite = suite_of(work / f"{seconds}s", size.n_clips, 1, seconds * TASK.sample_rate_hz)
        for name, folder in base_sized(work, size.layers, size.frames):
            yield measure(name, folder, suite, TASK, device, size, size.on_processor)


def table(measured: Sequence[Row]) -> str:
    """Markdown; a ratio to the bare forward passes, the pipeline or the processor above 1 is slower."""
    head = (
        "| model | clips | stimuli | evaluation, s | / bare | / pipeline | / processor | masked signals"
        " | extraction, s | / bare | peak, MB | logit differs | flips | bf16: logit differs | flips |"
    )
    return "\n".join(
        [
            head,
            "|" + " --- |" * (head.count("|") - 1),
            *(
                f"| {r.model} | {r.clip_seconds:.0f} s | {r.n_stimuli:,} | {r.evaluation:.2f}"
                f" | {r.evaluation / r.bare:.2f} | {r.evaluation / r.pipeline:.2f}"
                f" | {r.evaluation / r.on_processor:.3f} | {r.n_masked} | {r.extraction:.2f}"
                f" | {r.extraction / r.extraction_bare:.2f} | {r.peak_mb:,} | {r.differs:.1g}"
                f" | {r.flips} of {r.n_compared:,}"
                f" | {r.differs_bf16:.1g} | {r.flips_bf16} of {r.n_compared:,} |"
                for r in measured
            ),
        ]
    )


def machine(device: str) -> str:
    import torch

    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    return (
        f"{name}, {os.cpu_count()} cores, torch {version('torch')}, transformers {version('transformers')}."
    )


def main() -> int:
    """Test and measure, and write what was measured; the exit status of the tests."""
    parser = argparse.ArgumentParser(description="Tests and figures of a device.")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="Small models, few clips.")
    parser.add_argument("--out", type=Path, help=f"[{RESULTS.name}, unless it is quick]")
    args = parser.parse_args()
    start = time.monotonic()
    chosen = ["-m", "not slow"] if args.quick else []
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-k", args.device.split(":")[0], *chosen]
    ).returncode
    print(f"tests: exit status {tests}, {time.monotonic() - start:.0f} s", flush=True)
    measured = []
    with tempfile.TemporaryDirectory() as work:
        for row in rows(Path(work), args.device, QUICK if args.quick else FULL):
            measured.append(row)
            print(f"{row.model}, {row.clip_seconds:.0f} s: {row}", flush=True)
    text = f"{table(measured)}\n\n{machine(args.device)}\n"
    print(f"\n{text}\n{time.monotonic() - start:.0f} s in all")
    out = args.out or (None if args.quick else RESULTS)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        record = {
            "machine": machine(args.device),
            "tests": tests,
            "rows": [dataclasses.asdict(r) for r in measured],
        }
        (out / "gpu.md").write_text(text)
        (out / "gpu.json").write_text(json.dumps(record, indent=1) + "\n")
    return tests


if __name__ == "__main__":
    sys.exit(main())
