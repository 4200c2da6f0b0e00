"""A suite of seven short clips and two references, and a model that judges it: real files, no weights.

`toys/a` has levels, `toys/b` two draws of every signal; both give the clips the same classes, so that there
are `swap` controls.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness import audio
from harness.dataset import parquet_schema, suites, writer
from harness.domains import fft
from harness.evaluation.runner import evaluate
from harness.manifest import CorpusRef, ReferenceRecord
from harness.model_facts import ModelFacts
from harness.schemas import Entry, ReferenceCounts, RunSettings
from harness.tasks import TASKS
from harness.types import Clip, LabelMap, ModelRef, SufficientSignal, Verdict, signal_id
from tests.helpers.families import FAMILIES, MINIMAL, SURVIVAL, n_atoms

TASK = TASKS["deepfake"]
LABELS = LabelMap("deepfake", ("fake", "real", "music"), ("spoof", "bonafide", "other"), "names")
CLASSES = ("spoof", "bonafide", "spoof", "bonafide", "bonafide", "bonafide", "spoof")
"""What the references say of the clips; the last clip is longer than the others."""


class Loud:
    """Says `fake` to what has more energy above 4 kHz than below, `real` to the rest."""

    ref = ModelRef("toys/loud", "e" * 40, "f" * 64)
    facts = ModelFacts("Loud", 0, 16_000, None, None)
    device, dtype, batch_size, frontend = "cpu", "float32", 16, "none"
    settings_sha256, class_names = "d" * 64, LABELS.names

    def logits(self, waveforms: Sequence[Any], sample_rate_hz: int) -> Any:
        rows = []
        for x in waveforms:
            energy = np.abs(np.fft.rfft(x)) ** 2
            half = len(energy) // 2
            rows.append([energy[half:].sum(), energy[:half].sum(), 1e-12])
        return np.log(np.array(rows) + 1e-13).astype(np.float32)


def clip_of(i: int) -> Clip:
    n_samples = 600 if i == len(CLASSES) - 1 else 400
    noise = 0.1 * np.random.default_rng(i).normal(size=n_samples)
    return Clip(f"c{i}", "toys", CLASSES[i], noise.astype(np.float32), 16_000)


def signal_of(clip: Clip, repo_id: str, family: str, draw: int, levels: bool) -> SufficientSignal:
    n_samples = len(clip.waveform)
    rng = np.random.default_rng([int(clip.clip_id[1:]), draw, FAMILIES.index(family)])
    mask = rng.random(n_samples // 2 + 1) < 0.2
    waveform = fft.keep(fft.spectrum(clip.waveform), mask, n_samples)
    nested = None
    if levels:
        sizes = parquet_schema.level_sizes(int(mask.sum()), len(mask))
        nested = np.zeros(len(mask), dtype=np.uint8)
        for level, bins in enumerate(
            np.split(rng.permutation(np.flatnonzero(~mask)), sizes[1:-1] - sizes[0])
        ):
            nested[bins] = level + 1
    other = "bonafide" if clip.label == "spoof" else "spoof"
    p = {str(clip.label): 0.8, other: 0.2}
    return SufficientSignal(
        signal_id=signal_id(clip.clip_id, repo_id.replace("/", "__"), family, 0, draw),
        clip_id=clip.clip_id,
        family=family,
        draw=draw,
        reference=repo_id,
        truth=clip.label,
        expected=str(clip.label),
        p_clip=tuple(p[label] for label in sorted(p)),
        n_samples=n_samples,
        sample_rate_hz=16_000,
        mask=mask,
        guarantee="one_minimal",
        n_atoms=n_atoms(family, n_samples),
        p_whole=0.8,
        p_signal=0.7,
        margin=0.5,
        degenerate=False,
        search=f"{family}()",
        n_queries=40,
        seed=0,
        sha256=audio.sha256(waveform),
        survival=SURVIVAL,
        levels=nested,
    )


def add(root: Path, repo_id: str, n_draws: int = 1, levels: bool = False) -> None:
    """A reference of both families over all clips."""
    model = ModelRef(repo_id, "a" * 64, repo_id[-1] * 64)
    clips = [clip_of(i) for i in range(len(CLASSES))]
    found = [
        signal_of(clip, repo_id, family, draw, levels and family == MINIMAL)
        for clip, family, draw in itertools.product(clips, FAMILIES, range(1, n_draws + 1))
    ]
    counts = tuple(
        ReferenceCounts(model, f, len(clips) * n_draws, 0, "other", n_draws=n_draws) for f in FAMILIES
    )
    record = ReferenceRecord(
        task=TASK.name,
        model=model,
        facts=ModelFacts("Toy", 10, 16_000, None, None),
        label_map=LabelMap(TASK.name, ("fake", "real"), ("spoof", "bonafide"), "names"),
        corpus=CorpusRef("local/toys", "c" * 64, None, len(clips), 0, 0, 0, 0),
        searches=tuple(f"{f}()" for f in FAMILIES),
        counts=counts,
        skipped=(),
        run=RunSettings("0", {}, "toy", "cpu", "float32", 1, "toy", 0.0, "2026-01-01T00:00:00Z"),
    )
    writer.add_reference(root, TASK, record, clips, found)


def small_suite(root: Path) -> suites.Suite:
    """The suite, in a folder."""
    add(root, "toys/a", levels=True)
    add(root, "toys/b", n_draws=2)
    return suites.load(str(root))


def entry_on(suite: suites.Suite, out: Path) -> tuple[Entry, list[Verdict]]:
    """An entry of `Loud` and its verdicts."""
    result = evaluate(Loud(), LABELS, suite, TASK, out)  # type: ignore[arg-type]
    return result.entry, [Verdict(**{**row, "p": tuple(row["p"])}) for row in result.verdicts.to_pylist()]
