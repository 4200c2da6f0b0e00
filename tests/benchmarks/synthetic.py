"""A board of any size in seconds: a suite without sound, and entries whose answers are drawn by chance.

    python -m tests.benchmarks.synthetic OUT --entries 1000 --references 60 --clips 40

Conventions: an entry has the shape, the size and the rows of a real one, and every rate of its scorecard
follows from its verdicts; its intervals are normal approximations, so that no bootstrap is needed to make it,
and `goodenough validate` would say so. The suite opens as any other; its references have no entries of their
own, and its clips no sound. The same arguments give the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.completions import CHECKED
from harness.dataset import parquet_io, parquet_schema
from harness.dataset.paths import MANIFEST, clips_path, signals_path
from harness.dataset.suites import Suite
from harness.entries import store
from harness.evaluation.units import units_of
from harness.manifest import CorpusRef, Manifest, ReferenceRecord
from harness.metrics import estimates, panels
from harness.model_facts import ModelFacts
from harness.schemas import (
    BatchProof,
    Cell,
    Entry,
    FamilyScore,
    NearCopy,
    Rates,
    ReferenceCounts,
    RunSettings,
    Scorecard,
    WholeClipScore,
    to_json,
)
from harness.seeds import generator
from harness.tasks import TASKS, task_record
from harness.types import (
    N_LEVELS,
    N_MATCHED,
    N_SWAPS,
    PROTOCOL,
    DatasetRef,
    Estimate,
    LabelMap,
    ModelRef,
    signal_id,
)
from tests.helpers.families import FAMILIES, n_atoms

TASK = TASKS["emotion"]
NAME = "local/synthetic"
"""What the suite is called: a folder, which its revision is the hash of."""

LABELS = ("angry", "happy", "neutral", "sad")
"""The classes of every model; silence is the first of them."""

N_SAMPLES = 800
REPLICATES = {"signal": 1, "swap": N_SWAPS, "matched": N_MATCHED, "largest": 1, "complement": 1}
"""Stimuli made of a signal, and how many there are of each."""

KINDS = tuple(f"{name} {k}" for name, n in REPLICATES.items() for k in range(n))
RATES = tuple(field.name for field in fields(Rates))
DIFFERENCES = ("lift", "placement", "beyond_largest")
ARCHITECTURES = ("Wav2Vec2ForSequenceClassification", "ASTForAudioClassification", "WhisperForAudio")
LICENCES = ("apache-2.0", "mit", "cc-by-nc-4.0", None)
RUN = RunSettings(
    *("0.1.0", {"python": "3.11.9", "torch": "2.13.0", "transformers": "5.23.0"}, "Linux x86_64", "cpu"),
    *("float32", 16, "Wav2Vec2FeatureExtractor (numpy)", 12.5, "2026-11-22T10:00:00Z"),
)


def make(
    root: Path, n_entries: int, n_references: int, n_clips: int, seed: int, n_distinct: int | None = None
) -> tuple[Path, Path]:
    """Make a suite and entries that answer it.

    Args:
        root: an empty folder, made if need be.
        n_entries: candidates.
        n_references: models whose signals they judge, in both families.
        n_clips: clips; each has a signal of each reference in each family.
        seed: of everything.
        n_distinct: entries with answers of their own; those after them have the answers of one of these, by
            another model, and take a twentieth of the time to make. All have their own when None.

    Returns:
        The folder of the entries, and that of the signals.
    """
    submissions, signals = root / "submissions", root / "signals"
    submissions.mkdir(parents=True, exist_ok=True)
    truth = generator("synthetic", str(seed), "truth").integers(len(LABELS), size=n_clips)
    references = [model(f"lab{i % 7}/reference-{i:02d}", seed) for i in range(n_references)]
    _suite(signals, references, truth)
    suite = Suite(signals, NAME)
    others = {unit.signal_id: unit.others for unit in units_of(suite, TASK)}
    n_distinct = n_entries if n_distinct is None else min(n_distinct, n_entries)
    work = _Work(submissions, seed, truth, suite.ref(TASK.name), suite.counts(TASK.name), others, n_distinct)
    if n_entries < 100:
        _entries(work, range(n_entries))
        return submissions, signals
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for numbers in (range(n_distinct), range(n_distinct, n_entries)):
            parts = [numbers[i : i + 50] for i in range(0, len(numbers), 50)]
            for done in [pool.submit(_entries, work, part) for part in parts]:
                done.result()
    return submissions, signals


def model(repo_id: str, seed: int) -> ModelRef:
    """A model with a made-up commit and made-up weights."""
    digest = hashlib.sha256(f"{repo_id} {seed}".encode()).hexdigest()
    return ModelRef(repo_id, digest[:40], digest)


@dataclass(frozen=True)
class _Work:
    """What every entry is made from."""

    submissions: Path
    seed: int
    truth: Any
    """(n_clips,) index of each clip's label."""
    signals: DatasetRef
    references: tuple[ReferenceCounts, ...]
    others: dict[str, tuple[str, ...]]
    """Clips of the `swap` controls of each signal."""
    n_distinct: int
    """Entries that have answers of their own."""


def _suite(root: Path, references: list[ModelRef], truth: Any) -> None:
    n = len(truth)
    names, labels = _clip_ids(n), [LABELS[i] for i in truth]
    made = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    rate, sound = TASK.sample_rate_hz, pa.nulls(n, parquet_schema.CLIPS.field("audio").type)
    files = {
        clips_path(TASK.name): pa.table(
            [names, ["synthetic"] * n, labels, sound, [rate] * n, [N_SAMPLES] * n, made],
            schema=parquet_schema.clips_schema([]),
        )
    }
    n_bins = N_SAMPLES // 2 + 1
    sizes = parquet_schema.level_sizes(3, n_bins)
    levels = np.searchsorted(sizes, np.arange(n_bins), side="right").astype(np.uint8).tobytes()
    for reference in references:
        rows = []
        for family in FAMILIES:
            minimal = family == FAMILIES[1]
            columns = {
                "signal_id": [signal_id(name, reference.slug, family, 0, 1) for name in names],
                "clip_id": names,
                "truth": labels,
                "expected": labels,
                "audio": pa.nulls(n, parquet_schema.SIGNALS.field("audio").type),
                "p_clip": [[1 / len(LABELS)] * len(LABELS)] * n,
                "mask": [[0, 3] if minimal else [0, 120]] * n,
                "sha256": made,
            }
            same = {
                "draw": 1,
                "family": family,
                "reference": reference.repo_id,
                "n_samples": N_SAMPLES,
            }
            same |= {"sample_rate_hz": rate, "n_kept": 3 if minimal else 120, "p_whole": 0.9, "p_signal": 0.8}
            same |= {"levels": levels if minimal else None, "margin": 0.5, "seed": 0, "rest_clip": None}
            same |= {"n_atoms": n_atoms(family, N_SAMPLES, rate), "survival": [1.0] * len(CHECKED)}
            same |= {"guarantee": "one_minimal" if minimal else "prefix_minimal", "degenerate": False}
            same |= {"search": f"{family}()", "n_queries": 64}
            columns |= {name: [value] * n for name, value in same.items()}
            rows.append(
                pa.table({c: columns[c] for c in parquet_schema.SIGNALS.names}, schema=parquet_schema.SIGNALS)
            )
        files[signals_path(TASK.name, reference.slug)] = pa.concat_tables(rows)
    for path, table in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, root / path, compression="zstd")
    corpus = CorpusRef("local/synthetic", "c" * 64, "CC0-1.0", n, 0, 0, 0, 0)
    records = tuple(
        ReferenceRecord(
            *(TASK.name, r, _facts(0), _label_map(), corpus, tuple(f"{f}()" for f in FAMILIES)),
            *(tuple(ReferenceCounts(r, f, n, 0, "other") for f in FAMILIES), (), RUN),
        )
        for r in references
    )
    hashes = {path: parquet_io.sha256_of(root / path) for path in files}
    (root / MANIFEST).write_text(
        to_json(Manifest(PROTOCOL, (task_record(TASK),), records, {TASK.name: FAMILIES[0]}, hashes))
    )


def _entries(work: _Work, which: range) -> None:
    """Candidates by number, each with its entry."""
    if which.start < work.n_distinct:
        questions = _questions(work)
        for i in which[: work.n_distinct - which.start]:
            _entry(work, _candidate(work, i), i, questions)
    for i in which:
        if i >= work.n_distinct:
            _entry_like(work, i, i % work.n_distinct)


def _candidate(work: _Work, number: int) -> ModelRef:
    return model(f"org{number % 101:03d}/candidate-{number:05d}", work.seed)


def _entry_like(work: _Work, number: int, other: int) -> None:
    """The entry of a candidate that answers as another one."""
    folders = (work.submissions / _candidate(work, other).slug).glob(f"*/*/{store.ENTRY}")
    (source,) = (path.parent for path in folders)
    entry = replace(store.read(source), model=_candidate(work, number), facts=_facts(number))
    folder = work.submissions / entry.path
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / store.VERDICTS, folder / store.VERDICTS)
    (folder / store.ENTRY).write_text(to_json(entry))


def _entry(work: _Work, candidate: ModelRef, number: int, questions: pa.Table) -> None:
    rng = generator("synthetic", str(work.seed), candidate.repo_id)
    accept, control, whole = rng.uniform(0.2, 0.95), rng.uniform(0.1, 0.6), rng.uniform(0.5, 0.98)
    n_clips, names = len(work.truth), list(dict.fromkeys(r.model.repo_id for r in work.references))
    heard = rng.random(n_clips) < whole
    size = (len(names), n_clips)
    answers = {
        family: {
            kind: rng.random(size) < (accept if kind == "signal 0" else control)
            for kind in (*KINDS, *_levels(family))
        }
        for family in FAMILIES
    }
    right = [heard, np.zeros(1, dtype=bool)]
    right += [answers[f][k].ravel() for f in FAMILIES for k in (*KINDS, *_levels(f))]
    families = tuple(_family(work, f, answers[f], heard, candidate) for f in FAMILIES)
    whole_score = WholeClipScore(*(_estimate(heard[:, None], "accuracy") for _ in range(4)))
    card = Scorecard(whole_score, FAMILIES[0], families, None, True, None)
    buffer = io.BytesIO()
    table = _answered(work, questions, np.concatenate(right))
    pq.write_table(table, buffer, compression="zstd")
    entry = Entry(
        *(PROTOCOL, TASK.name, candidate, _facts(number), work.signals, work.references, _label_map(), card),
        *(
            RUN,
            BatchProof(8, 16, 1e-6, 0),
            _likeness(work, answers[FAMILIES[0]], heard),
            True,
            table.num_rows,
        ),
        hashlib.sha256(buffer.getvalue()).hexdigest(),
    )
    folder = work.submissions / entry.path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / store.VERDICTS).write_bytes(buffer.getvalue())
    (folder / store.ENTRY).write_text(to_json(entry))


def _likeness(work: _Work, said: dict[str, Any], heard: Any) -> tuple[NearCopy, ...]:
    """The probabilities of the references are all the same, so that there is nothing to correlate."""
    offered = [r for r in work.references if r.family == FAMILIES[0]]
    accepted, n = said["signal 0"].sum(axis=1).tolist(), len(work.truth)
    return tuple(NearCopy(r.model, n, accepted[j], n, int(heard.sum()), None) for j, r in enumerate(offered))


def _levels(family: str) -> tuple[str, ...]:
    return tuple(f"level {j}" for j in range(1, N_LEVELS)) if family == FAMILIES[1] else ()


def _questions(work: _Work) -> pa.Table:
    """Everything that is asked: the columns that are the same in every entry."""
    n, names = len(work.truth), list(dict.fromkeys(r.model.repo_id for r in work.references))
    clips, labels = np.array(_clip_ids(n), dtype=object), np.array(LABELS, dtype=object)[work.truth]
    blocks: list[dict[str, Any]] = [
        {"clip_id": clips, "stimulus": "whole", "truth": labels, "at": work.truth},
        {"stimulus": "silence", "at": np.ones(1, dtype=int)},
    ]
    for family in FAMILIES:
        for kind in (*KINDS, *_levels(family)):
            stimulus, number = kind.split()
            zero = 0 if _levels(family) and stimulus == "signal" else None
            for name in names:
                ids = [signal_id(clip, name.replace("/", "__"), family, 0, 1) for clip in clips]
                block = {"reference": name, "family": family, "draw": 1, "clip_id": clips}
                block |= {"signal_id": np.array(ids), "level": int(number) if stimulus == "level" else zero}
                block |= {"stimulus": "signal" if stimulus == "level" else stimulus}
                if stimulus in ("swap", "matched"):
                    block |= {"replicate": int(number)}
                if stimulus == "swap":
                    block |= {"other_clip": np.array([work.others[one][int(number)] for one in ids])}
                blocks.append(block | {"truth": labels, "expected": labels, "at": work.truth})
    asked = parquet_schema.VERDICTS.names[: parquet_schema.VERDICTS.names.index("predicted_raw")]
    columns: dict[str, list[Any]] = {name: [] for name in (*asked, "at") if name not in ("task", "n_samples")}
    for block in blocks:
        for name, values in columns.items():
            value = block.get(name)
            many = value if isinstance(value, np.ndarray) else np.full(len(block["at"]), value, dtype=object)
            values.append(many)
    made = {name: np.concatenate(values) for name, values in columns.items()}
    total = len(made["at"])
    arrays = {name: pa.array(made[name].tolist(), _type(name)) for name in made}
    arrays["task"] = pa.array([TASK.name] * total)
    arrays["n_samples"] = pa.array(np.full(total, N_SAMPLES, dtype=np.int32))
    arrays["seconds_seen"] = pa.array(np.full(total, N_SAMPLES / TASK.sample_rate_hz, dtype=np.float32))
    arrays["energy_seen"] = pa.array(np.ones(total, dtype=np.float32))
    has_signal = arrays["family"].is_valid()
    arrays["robust"] = pc.if_else(has_signal, pa.scalar(True), pa.scalar(None, pa.bool_()))
    return pa.table(arrays)


def _type(name: str) -> pa.DataType:
    return pa.int64() if name == "at" else parquet_schema.VERDICTS.field(name).type


def _answered(work: _Work, questions: pa.Table, right: Any) -> pa.Table:
    """The verdicts: the class that was expected where it is right, else the next one."""
    at = questions["at"].to_numpy()
    said = np.where(right, at, (at + 1) % len(LABELS))
    said[len(work.truth)] = 0  # silence
    places = np.array([TASK.labels.index(label) for label in LABELS])[said]
    p = np.zeros((len(said), len(TASK.labels)), dtype=np.float32)
    p[np.arange(len(said)), places] = 1
    offsets = pa.array(np.arange(len(said) + 1, dtype=np.int32) * len(TASK.labels))
    words = pa.array(LABELS).take(pa.array(said))
    expected = questions["expected"].combine_chunks()
    made = {
        "predicted_raw": words,
        "predicted": words,
        "p_expected": pa.array((said == at).astype(np.float32), mask=expected.is_null().to_numpy(False)),
        "p": pa.ListArray.from_arrays(offsets, pa.array(p.ravel())),
    }
    columns = [made[n] if n in made else questions[n] for n in parquet_schema.VERDICTS.names]
    return pa.table(columns, schema=parquet_schema.VERDICTS)


def _family(work: _Work, family: str, said: dict[str, Any], heard: Any, candidate: ModelRef) -> FamilyScore:
    shape = said["signal 0"].shape
    silent = np.broadcast_to(work.truth == 0, shape)
    whole = np.broadcast_to(heard, shape)

    def mean(stimulus: str, of: dict[str, Any] = said) -> Any:
        """(n_references, n_clips) over the replicates of a stimulus."""
        return np.mean([of[f"{stimulus} {k}"] for k in range(REPLICATES[stimulus])], axis=0)

    signal, swap, matched, largest = (mean(name) for name in panels.RATE_STIMULI)
    values = {
        "coverage": np.ones(shape),
        "transfer": signal,
        "agreeing_transfer": np.where(whole, signal, np.nan),
        "swap": swap,
        "lift": signal - swap,
        "matched": matched,
        "placement": signal - matched,
        "largest": largest,
        "beyond_largest": signal - largest,
        "silence": silent.astype(float),
        "agreement": whole.astype(float),
    }
    first = {kind: (right & (work.truth == 0)) | (~right & (work.truth == 3)) for kind, right in said.items()}
    as_silence = {name: _estimate(mean(name, first).T, "transfer") for name in panels.RATE_STIMULI}
    means = Rates(**{name: _estimate(values[name].T, name) for name in RATES})
    by_class = {
        label: _estimate(signal[:, work.truth == i].T, "transfer")
        for i, label in enumerate(LABELS)
        if (work.truth == i).any()
    }
    by_cell = {name: _by_reference(values[name], name) for name in RATES}
    offered = [r for r in work.references if r.family == family]
    cells = tuple(
        Cell(
            *(r.model, r.model.weights_sha256 == candidate.weights_sha256, False, r.n_signals, 0, shape[1]),
            *(0, 0),
            Rates(**{name: by_cell[name][j] for name in RATES}),
        )
        for j, r in enumerate(offered)
    )
    return FamilyScore(family, means, means, means, by_class, as_silence, cells)


def _estimate(values: Any, name: str) -> Estimate:
    """Mean over references of (n_clips, n_references), with an interval that is about right."""
    value = estimates.mean_of_references(values)
    by_clip = np.nanmean(values, axis=1) if not np.isnan(values).all(axis=1).any() else values.ravel()
    half = 1.96 * float(np.nanstd(by_clip)) / max(len(values), 1) ** 0.5
    lowest = -1.0 if name in DIFFERENCES else 0.0
    if value is None:
        return Estimate(None, None, None, 0.95, estimates.BOOTSTRAP, 0)
    n = int((~np.isnan(values)).sum())
    return Estimate(value, max(lowest, value - half), min(1.0, value + half), 0.95, estimates.BOOTSTRAP, n)


def _by_reference(values: Any, name: str) -> list[Estimate]:
    """The same of each row of (n_references, n_clips)."""
    n = (~np.isnan(values)).sum(axis=1)
    mean = np.where(np.isnan(values), 0, values).sum(axis=1) / np.maximum(n, 1)
    half = 1.96 * np.sqrt((1 - np.minimum(mean**2, 1)) / np.maximum(n, 1)) / 2
    method = estimates.ADJUSTED_WALD if name in DIFFERENCES else estimates.WILSON
    low, high = np.maximum(mean - half, -1.0 if name in DIFFERENCES else 0.0), np.minimum(mean + half, 1.0)
    return [
        Estimate(v, lo, hi, 0.95, method, k) if k else Estimate(None, None, None, 0.95, method, 0)
        for v, lo, hi, k in zip(mean.tolist(), low.tolist(), high.tolist(), n.tolist(), strict=True)
    ]


def _clip_ids(n: int) -> list[str]:
    return [f"clip-{i:04d}" for i in range(n)]


def _label_map() -> LabelMap:
    return LabelMap(TASK.name, LABELS, LABELS, "names")


def _facts(number: int) -> ModelFacts:
    kind = ARCHITECTURES[number % len(ARCHITECTURES)]
    return ModelFacts(kind, 1_000_000 * (1 + number % 300), 16_000, None, LICENCES[number % len(LICENCES)])


def main() -> None:
    """Make one from the command line."""
    parser = argparse.ArgumentParser(description="Make a suite and entries that answer it, by chance.")
    parser.add_argument("out", type=Path)
    for name, default in (("entries", 1000), ("references", 60), ("clips", 40), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    for folder in make(given.out, given.entries, given.references, given.clips, given.seed):
        print(folder)


if __name__ == "__main__":
    main()
