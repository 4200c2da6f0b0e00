"""Signals folders of a few records, written by hand."""

import numpy as np

from harness import audio
from harness.dataset import parquet_schema, writer
from harness.domains import fft
from harness.manifest import CorpusRef, ReferenceRecord
from harness.model_facts import ModelFacts
from harness.schemas import ReferenceCounts, RunSettings
from harness.tasks import TASKS
from harness.types import Clip, LabelMap, ModelRef, Skipped, SufficientSignal, signal_id
from tests.helpers.families import FAMILIES, MINIMAL, SURVIVAL, n_atoms

TASK = TASKS["deepfake"]


def clip_of(i, seed=None):
    rng = np.random.default_rng(i if seed is None else seed)
    return Clip(f"c{i}", "toys", "spoof", (0.1 * rng.normal(size=400)).astype(np.float32), 16_000)


def signal_of(clip, repo_id, family, seed=0, levels=False):
    mask = np.random.default_rng([seed, int(clip.clip_id[1:])]).random(201) < 0.2
    waveform = fft.keep(fft.spectrum(clip.waveform), mask, 400)
    return SufficientSignal(
        signal_id=signal_id(clip.clip_id, repo_id.replace("/", "__"), family, 0, 1),
        clip_id=clip.clip_id,
        family=family,
        draw=1,
        reference=repo_id,
        truth=clip.label,
        expected="spoof",
        p_clip=(0.125, 0.875),
        n_samples=400,
        sample_rate_hz=16_000,
        mask=mask,
        guarantee="one_minimal",
        n_atoms=n_atoms(family, 400),
        p_whole=0.9,
        p_signal=0.7,
        margin=0.5,
        degenerate=False,
        search=f"{family}()",
        n_queries=40,
        seed=seed,
        sha256=audio.sha256(waveform),
        survival=SURVIVAL,
        levels=levels_of(mask, seed) if levels and family == MINIMAL else None,
    )


def record_of(repo_id, families, n_clips=3, revision="a" * 64):
    model = ModelRef(repo_id, revision, "b" * 64)
    return ReferenceRecord(
        task=TASK.name,
        model=model,
        facts=ModelFacts("Toy", 10, 16_000, None, None),
        label_map=LabelMap(TASK.name, ("fake", "real"), ("spoof", "bonafide"), "names"),
        corpus=CorpusRef("local/toys", "c" * 64, None, n_clips, 0, 0, 0, 0),
        searches=tuple(f"{f}()" for f in families),
        counts=tuple(ReferenceCounts(model, f, n_clips, 0, "other") for f in families),
        skipped=(Skipped("c9", "because"),),
        run=RunSettings("0", {}, "toy", "cpu", "float32", 1, "toy", 0.0, "2026-01-01T00:00:00Z"),
    )


def add(root, repo_id="toys/a", families=FAMILIES, clips=range(3), levels=False, seed=0, **options):
    made = [clip_of(i) for i in clips]
    found = [signal_of(c, repo_id, f, seed, levels=levels) for c in made for f in families]
    writer.add_reference(root, TASK, record_of(repo_id, families, len(made)), made, found, **options)
    return made, found


def levels_of(mask, seed):
    """Levels as they must be, the bins beside the mask in random order."""
    sizes = parquet_schema.level_sizes(int(mask.sum()), len(mask))
    levels = np.zeros(len(mask), dtype=np.uint8)
    others = np.random.default_rng(seed).permutation(np.flatnonzero(~mask))
    for bins in np.split(others, sizes[:-1] - sizes[0])[1:]:
        levels[bins] = levels.max() + 1
    return levels
