"""A small invented world: one task, three references with real signals files, candidates with drawn verdicts.

Nothing here runs a model: a model is two numbers, how often it accepts a signal and how often a control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from harness import audio, seeds
from harness.dataset import parquet_io, parquet_schema
from harness.dataset.paths import MANIFEST, VERDICTS, clips_path, signals_path
from harness.dataset.suites import Suite
from harness.domains import fft
from harness.entries import store
from harness.evaluation.units import units_of
from harness.manifest import CorpusRef, Manifest, ReferenceRecord
from harness.metrics import scorecard
from harness.metrics.likeness import copies, likeness_of
from harness.model_facts import ModelFacts
from harness.schemas import BatchProof, Entry, ReferenceCounts, RunSettings, to_json
from harness.tasks import Task, task_record
from harness.types import (
    N_LEVELS,
    N_MATCHED,
    OTHER,
    PROTOCOL,
    Clip,
    DatasetRef,
    FloatArray,
    LabelMap,
    Levels,
    Mask,
    ModelRef,
    SufficientSignal,
    Verdict,
    signal_id,
)
from leaderboard.board.types import Board
from tests.helpers.families import FAMILIES, HEADLINE, MINIMAL, SURVIVAL, n_atoms

LABELS = ("low", "middle", "high")
TASK = Task("tone", LABELS, MappingProxyType(dict.fromkeys(LABELS, ())), 8000, 5.0, "Invented tones.")
N_CLIPS, N_SAMPLES = 36, 4000
FACTS = ModelFacts("Wav2Vec2ForSequenceClassification", 94_371_712, 16_000, None, "mit")
RUN = RunSettings(
    goodenough="0.1.0",
    versions={"python": "3.11.9", "torch": "2.13.0", "transformers": "5.23.0"},
    platform="Linux x86_64",
    device="cpu",
    dtype="float32",
    batch_size=16,
    frontend="Wav2Vec2FeatureExtractor (numpy)",
    seconds=12.5,
    created="2026-11-22T10:00:00Z",
)
REFERENCES = ("lab/alpha", "lab/beta", "lab/gamma")


@dataclass(frozen=True)
class Manner:
    """How an invented model answers."""

    signal: float
    """Share of signals it accepts."""
    control: float
    """Share of controls it accepts."""
    whole: float = 0.9
    """Share of whole clips it gives the truth."""


def model(repo_id: str) -> ModelRef:
    """A model with a made-up commit, of a folder a made-up hash; the same id gives the same one."""
    digest = f"{seeds.seed_of('model', repo_id):016x}" * 4
    return ModelRef(repo_id, digest if repo_id.startswith("local/") else digest[:40], digest)


def label_map(names: Sequence[str] = LABELS) -> LabelMap:
    """The map of a model with these classes."""
    canonical = tuple(n.lower() if n.lower() in LABELS else OTHER for n in names)
    return LabelMap(TASK.name, tuple(names), canonical, "names")


@lru_cache(maxsize=1)
def clips() -> list[Clip]:
    """Tones in noise."""
    made = []
    for i in range(N_CLIPS):
        rng = seeds.generator("clip", str(i))
        tone = np.sin(2 * np.pi * (200, 800, 2400)[i % 3] * np.arange(N_SAMPLES) / TASK.sample_rate_hz)
        noise = rng.normal(size=N_SAMPLES) * np.linspace(0.3, 0.02, N_SAMPLES)
        wave = (0.3 * tone + noise).astype(np.float32)
        made.append(Clip(f"clip-{i:02d}", "local/tones", LABELS[i % 3], wave, TASK.sample_rate_hz))
    return made


@lru_cache
def signals(reference: ModelRef) -> list[SufficientSignal]:
    """Both families; the first clip's are degenerate."""
    made = []
    for n, clip in enumerate(clips()):
        energy = fft.bin_energy(fft.spectrum(clip.waveform), N_SAMPLES)
        for family in FAMILIES:
            name = signal_id(clip.clip_id, reference.slug, family, 0, 1)
            rng = seeds.generator("mask", name)
            k = 3 if family == MINIMAL else 120
            mask = np.zeros(len(energy), dtype=bool)
            mask[np.argsort(-energy * rng.uniform(0.2, 1, len(energy)))[:k]] = True
            levels = _levels(mask, energy) if family == MINIMAL and n else None
            wave = fft.keep(fft.spectrum(clip.waveform), mask, N_SAMPLES)
            made.append(
                SufficientSignal(
                    signal_id=name,
                    clip_id=clip.clip_id,
                    family=family,
                    draw=1,
                    reference=reference.repo_id,
                    truth=clip.label,
                    expected=clip.label or "",
                    p_clip=tuple(0.9 if label == clip.label else 0.05 for label in sorted(LABELS)),
                    n_samples=N_SAMPLES,
                    sample_rate_hz=clip.sample_rate_hz,
                    mask=mask,
                    guarantee="one_minimal" if family == MINIMAL else "prefix_minimal",
                    n_atoms=n_atoms(family, N_SAMPLES, clip.sample_rate_hz),
                    p_whole=0.9,
                    p_signal=0.8,
                    margin=0.5,
                    degenerate=n == 0,
                    search="responsibility(repetitions=20)",
                    n_queries=64,
                    seed=n,
                    sha256=audio.sha256(wave),
                    survival=None if n == 0 else SURVIVAL,
                    levels=levels,
                )
            )
    return made


def _levels(mask: Mask, energy: FloatArray) -> Levels:
    """Nested levels: the mask, then the other bins by falling energy."""
    order = np.argsort(-np.where(mask, np.inf, energy), kind="stable")
    sizes = parquet_schema.level_sizes(int(mask.sum()), len(mask))
    levels = np.empty(len(mask), dtype=np.uint8)
    levels[order] = np.searchsorted(sizes, np.arange(len(mask)), side="right")
    return levels


def make_suite(root: Path) -> Suite:
    """A finished signals folder with three references, without their verdicts."""
    of = clips()
    files, records = [clips_path(TASK.name)], []
    parquet_io.write_rows(root / files[0], map(parquet_schema.clip_row, of), parquet_schema.CLIPS)
    for repo_id in REFERENCES:
        reference = model(repo_id)
        waves = {c.clip_id: fft.spectrum(c.waveform) for c in of}
        rows = (
            parquet_schema.signal_row(s, fft.keep(waves[s.clip_id], s.mask, N_SAMPLES))
            for s in signals(reference)
        )
        files.append(signals_path(TASK.name, reference.slug))
        parquet_io.write_rows(root / files[-1], rows, parquet_schema.SIGNALS)
        counts = tuple(ReferenceCounts(reference, f, N_CLIPS, 1, "other") for f in FAMILIES)
        corpus = CorpusRef("local/tones", "c" * 64, "CC0-1.0", N_CLIPS, 0, 0, 0, 0)
        searches = ("responsibility(repetitions=20)", "minimal()")
        records.append(
            ReferenceRecord(TASK.name, reference, FACTS, label_map(), corpus, searches, counts, (), RUN)
        )
    hashes = {path: parquet_io.sha256_of(root / path) for path in files}
    manifest = Manifest(PROTOCOL, (task_record(TASK),), tuple(records), {TASK.name: HEADLINE}, hashes)
    (root / MANIFEST).write_text(to_json(manifest))
    return Suite(root, "local/tones")


def verdicts(suite: Suite, candidate: ModelRef, manner: Manner, known: LabelMap) -> list[Verdict]:
    """Drawn per item; a reference accepts all of its own signals. They pass `validate`."""
    rows = []
    wrong = {label: LABELS[(i + 1) % 3] for i, label in enumerate(LABELS)}

    def answer(truth: str, share: float, *names: str, **where: str | int | None) -> Verdict:
        yes = seeds.generator("answer", candidate.repo_id, *names).uniform() < share
        said = truth if yes else wrong[truth]
        if said not in known.covered:
            said = OTHER
        place = {"reference": None, "family": None, "level": None, "clip_id": None, "p_expected": None}
        place |= {"draw": None, "replicate": None, "other_clip": None, "robust": None}
        place |= {"signal_id": None, "stimulus": names[0], "truth": truth, "expected": None, **where}
        if place["expected"] is not None:
            place["p_expected"] = float(said == truth)
        return Verdict(
            task=TASK.name,
            n_samples=N_SAMPLES,
            predicted_raw=known.names[known.canonical.index(said)],
            predicted=said,
            p=tuple(1.0 if label == said else 0.0 for label in LABELS),
            seconds_seen=N_SAMPLES / TASK.sample_rate_hz,
            energy_seen=1.0,
            **place,
        )

    for clip in clips():
        rows.append(answer(clip.label or "", manner.whole, "whole", clip.clip_id, clip_id=clip.clip_id))
    rows.append(replace(answer(LABELS[0], 1.0, "silence"), truth=None))
    units = {unit.signal_id: unit for unit in units_of(suite, TASK)}
    for reference in suite.references(TASK.name):
        own = reference.model == candidate
        for signal in signals(reference.model):
            if signal.degenerate:
                continue
            level_zero = None if signal.levels is None else 0
            asked: list[tuple[str, float, dict[str, str | int | None]]] = [
                ("signal", 1.0 if own else manner.signal, {"level": level_zero})
            ]
            for k, other in enumerate(units[signal.signal_id].others):
                asked.append(("swap", manner.control, {"replicate": k, "other_clip": other}))
            asked += [("matched", manner.control, {"replicate": k}) for k in range(N_MATCHED)]
            asked.append(("largest", (manner.signal + manner.control) / 2, {}))
            asked.append(("complement", manner.control, {}))
            if signal.levels is not None:
                asked += [("signal", 0.5, {"level": level}) for level in range(1, N_LEVELS)]
            for stimulus, share, which in asked:
                further = which.get("replicate") or which.get("level")
                rows.append(
                    answer(
                        signal.expected,
                        share,
                        stimulus,
                        signal.signal_id + (f" {further}" if further else ""),
                        reference=signal.reference,
                        family=signal.family,
                        draw=signal.draw,
                        clip_id=signal.clip_id,
                        signal_id=signal.signal_id,
                        expected=signal.expected,
                        robust=units[signal.signal_id].robust,
                        **which,
                    )
                )
    return rows


def add_entry(
    root: Path,
    suite: Suite,
    repo_id: str,
    manner: Manner,
    names: Sequence[str] = LABELS,
    created: str = RUN.created,
    signals_ref: DatasetRef | None = None,
) -> Path:
    """Evaluate an invented model and file its entry below `root`."""
    candidate, known = model(repo_id), label_map(names)
    rows = verdicts(suite, candidate, manner, known)
    counts = suite.counts(TASK.name)
    frame = parquet_schema.verdict_table(rows).to_pandas()
    likeness = likeness_of(frame, TASK, known, suite)
    entry = Entry(
        protocol=PROTOCOL,
        task=TASK.name,
        model=candidate,
        facts=FACTS,
        signals=signals_ref or suite.ref(TASK.name),
        references=counts,
        label_map=known,
        scorecard=scorecard.summarise(frame, TASK, candidate, counts, known, HEADLINE, copies(likeness)),
        run=replace(RUN, created=created),
        proof=BatchProof(8, 16, 1e-6, 0),
        likeness=likeness,
        complete=True,
        n_verdicts=0,
        verdicts_sha256="",
    )
    return store.write(root, entry, rows)


@lru_cache
def made(root: Path) -> tuple[Suite, Path]:
    """The world of a test session, made by whoever asks first; nobody changes it."""
    return make_world(root)


def make_world(root: Path) -> tuple[Suite, Path]:
    """A suite with its references' verdicts, and submissions: three ranked, one unranked, one stale."""
    suite = make_suite(root / "signals")
    for repo_id, manner in zip(
        REFERENCES, (Manner(0.6, 0.3), Manner(0.5, 0.3), Manner(0.4, 0.35)), strict=True
    ):
        add_entry(suite.root / VERDICTS, suite, repo_id, manner)
    submissions = root / "submissions"
    add_entry(submissions, suite, "acme/echo", Manner(0.9, 0.1, 0.95))
    add_entry(submissions, suite, "acme/wav2vec2-large-xlsr-53-tone-recognition", Manner(0.55, 0.5, 0.8))
    add_entry(submissions, suite, "someone/constant", Manner(0.3, 0.3, 0.33))
    add_entry(submissions, suite, "someone/half-deaf", Manner(0.9, 0.1), ("low", "noise"))
    stale = DatasetRef("local/tones", "d" * 64, TASK.name, "test", "d" * 64, HEADLINE)
    add_entry(
        submissions, suite, "acme/echo", Manner(0.7, 0.2), created="2026-01-01T00:00:00Z", signals_ref=stale
    )
    return suite, submissions


@dataclass(frozen=True)
class World:
    suite: Suite
    submissions: Path
    board: Board
