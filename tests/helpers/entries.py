"""Entries of made-up models over a made-up panel, from seeded answers instead of models: fast, of any size.

The panel (clips, signals, their classes) depends on `seed` alone, so that candidates with the same seed
were asked the same; each candidate's answers are its own. A candidate that is one of the references accepts
its own signals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from harness.dataset.parquet_io import sha256_of
from harness.dataset.parquet_schema import verdict_table
from harness.entries import store
from harness.entries.verification import KnownAnswer, Verification
from harness.evaluation.stimuli import swap_clips
from harness.metrics.likeness import copies
from harness.metrics.scorecard import summarise
from harness.model_facts import AdapterFacts, Kind, ModelFacts
from harness.schemas import BatchProof, Entry, NearCopy, ReferenceCounts, RunSettings
from harness.seeds import generator
from harness.tasks import TASKS, Task
from harness.types import (
    N_MATCHED,
    OTHER,
    PROTOCOL,
    DatasetRef,
    LabelMap,
    ModelRef,
    Verdict,
    signal_id,
)
from tests.helpers.families import FAMILIES, HEADLINE, MINIMAL

CONTROLS = ("swap", "matched", "largest", "complement")
"""Stimuli made for each signal."""

_SINGLE = (("largest", None), ("complement", None))

SECONDS = (1, 2)
"""Lengths of the clips, in turn."""

LEVELS = (0,)
"""Levels asked of the signals of family `minimal`."""


def model_ref(repo_id: str) -> ModelRef:
    """A model whose revision and weights are hashes of its name."""
    return ModelRef(repo_id, _sha256("revision", repo_id)[:40], _sha256("weights", repo_id))


def make_entry(
    *,
    repo_id: str = "toys/candidate",
    references: Sequence[str] = ("toys/first", "toys/second"),
    task: str | Task = "emotion",
    n_clips: int = 24,
    n_degenerate: int = 2,
    acceptance: float = 0.7,
    control_acceptance: float = 0.3,
    whole_accuracy: float = 0.8,
    silence: str | None = None,
    labels: Sequence[str] | None = None,
    families: Sequence[str] = FAMILIES,
    levels: Sequence[int] = LEVELS,
    n_draws: int = 1,
    n_matched: int = N_MATCHED,
    correlation: float | None = 0.5,
    seed: int = 0,
) -> tuple[Entry, list[Verdict]]:
    """An entry that holds together; `n_verdicts` and its hash stay blank until `store.write`.

    Args:
        repo_id: the candidate.
        references: whose signals it was asked; it may be one of them.
        task: a built-in task by name, or any other.
        n_clips: clips, each with `n_draws` signals per reference and family.
        n_degenerate: of these, per reference: the first so many clips have no verdicts on their signals.
        acceptance: chance that a signal is given its class.
        control_acceptance: the same for each control, each replicate by itself.
        whole_accuracy: chance that a whole clip is given its true label, by a candidate or a reference.
        silence: what the candidate says of silence; the last of its labels if None.
        labels: canonical labels of clips and candidate; the first four of the task if None.
        families: which families are published.
        levels: levels asked of the family `minimal`, 0 among them.
        n_draws: extractions of each clip.
        n_matched: `matched` controls of each signal.
        correlation: with the references that it is not, of log-probabilities on whole clips.
        seed: of the panel.
    """
    of_task = TASKS[task] if isinstance(task, str) else task
    known = tuple(labels or of_task.labels[:4])
    panel = str(seed)
    label_map = LabelMap(of_task.name, (*(k.title() for k in known), "Applause"), (*known, OTHER), "names")
    rate = of_task.sample_rate_hz
    silence = known[-1] if silence is None else silence

    def verdict(
        stimulus: str,
        predicted: str,
        seconds: int,
        *,
        reference: str | None = None,
        family: str | None = None,
        draw: int | None = None,
        level: int | None = None,
        replicate: int | None = None,
        other_clip: str | None = None,
        clip_id: str | None = None,
        truth: str | None = None,
        expected: str | None = None,
    ) -> Verdict:
        p = {label: 0.3 / len(known) if label in known else 0.0 for label in of_task.labels}
        if predicted != OTHER:
            p[predicted] = 0.7
        name = None if reference is None else name_of(clip_id, reference, family, draw)
        return Verdict(
            task=of_task.name,
            reference=reference,
            family=family,
            draw=draw,
            level=level,
            clip_id=clip_id,
            signal_id=name,
            stimulus=stimulus,
            replicate=replicate,
            other_clip=other_clip,
            n_samples=seconds * rate,
            truth=truth,
            expected=expected,
            predicted_raw=label_map.names[label_map.canonical.index(predicted)],
            predicted=predicted,
            p_expected=None if expected is None else p[expected],
            p=tuple(p.values()),
            seconds_seen=float(seconds),
            energy_seen=1.0,
            robust=None if name is None else bool(generator("robust", name).random() < 0.75),
        )

    def name_of(clip_id: str | None, reference: str, family: str | None, draw: int | None) -> str:
        return signal_id(clip_id or "", reference.replace("/", "__"), family or "", 0, draw or 0)

    def some_label(rng: np.random.Generator, of_which: Sequence[str]) -> str:
        return of_which[int(rng.integers(len(of_which)))]

    def given(rng: np.random.Generator, label: str, chance: float) -> str:
        others = [x for x in (*known, OTHER) if x != label]
        return label if rng.random() < chance else some_label(rng, others)

    verdicts = [verdict("silence", silence, seconds) for seconds in SECONDS[: min(n_clips, 2)]]
    clips = {f"clip-{i:04d}": SECONDS[i % 2] for i in range(n_clips)}
    truths = {clip_id: known[i % len(known)] for i, clip_id in enumerate(clips)}
    classes: dict[str, dict[str, str]] = {name: {} for name in (*references, repo_id)}
    for name, of_clip in classes.items():
        for clip_id, truth in truths.items():
            rng = generator("whole", panel, clip_id, name)
            of_clip[clip_id] = truth if rng.random() < whole_accuracy else some_label(rng, known)

    def others_of(name: str, reference: str, clip_id: str) -> tuple[str, ...]:
        """Clips of the `swap` controls of a signal, as `evaluation.units` settles them."""
        of_clip = classes[reference]
        others = sorted(other for other in clips if of_clip[other] != of_clip[clip_id])
        return swap_clips(name, [o for o in others if clips[o] == clips[clip_id]] or others)

    for i, (clip_id, seconds) in enumerate(clips.items()):
        truth = truths[clip_id]
        verdicts.append(verdict("whole", classes[repo_id][clip_id], seconds, clip_id=clip_id, truth=truth))
        if i < n_degenerate:
            continue
        for reference in references:
            expected = classes[reference][clip_id]
            for family in families:
                for draw in range(1, n_draws + 1):
                    which = (panel, clip_id, repo_id, reference, *([str(draw)] if draw > 1 else ()))
                    rng, of_levels = generator("answers", *which, family), generator("levels", *which)
                    of_control = generator("controls", *which, family)
                    asked = {"reference": reference, "family": family, "draw": draw}
                    asked |= {"clip_id": clip_id, "truth": truth, "expected": expected}
                    of_signal, further = [], []
                    for level in levels if family == MINIMAL else (None,):
                        answer = given(of_levels if level else rng, expected, acceptance)
                        if reference == repo_id and not level:
                            answer = expected
                        row = verdict("signal", answer, seconds, level=level, **asked)
                        (further if level else of_signal).append(row)
                    others = others_of(name_of(clip_id, reference, family, draw), reference, clip_id)
                    for k, other in enumerate(others):
                        answer = given(of_control, expected, control_acceptance)
                        swap = {"replicate": k, "other_clip": other}
                        of_signal.append(verdict("swap", answer, clips[other], **swap, **asked))
                    for control, k in (*(("matched", k) for k in range(n_matched)), *_SINGLE):
                        answer = given(of_control, expected, control_acceptance)
                        of_signal.append(verdict(control, answer, seconds, replicate=k, **asked))
                    verdicts += [*of_signal, *further]
    n_degenerate = min(n_clips, n_degenerate)
    counts = tuple(
        ReferenceCounts(
            model_ref(reference),
            family,
            n_clips * n_draws,
            n_degenerate * n_draws,
            of_task.labels[i // 2 % 2],
            n_draws=n_draws,
        )
        for i, reference in enumerate(references)
        for family in families
    )
    headline = [v for v in verdicts if v.stimulus == "signal" and v.family == FAMILIES[0]]
    likeness = []
    for reference in references:
        of_reference = [v for v in headline if v.reference == reference]
        same = [classes[reference][clip_id] == classes[repo_id][clip_id] for clip_id in clips]
        likeness.append(
            NearCopy(
                reference=model_ref(reference),
                n_signals=len(of_reference),
                n_accepted=sum(v.predicted == v.expected for v in of_reference),
                n_clips=n_clips,
                n_agreed=sum(same),
                correlation=1.0 if reference == repo_id else correlation,
            )
        )
    content = _sha256("signals", panel, of_task.name, *references)
    entry = Entry(
        protocol=PROTOCOL,
        task=of_task.name,
        model=model_ref(repo_id),
        facts=ModelFacts("ToyForAudioClassification", 1234, rate, None, "apache-2.0"),
        signals=DatasetRef("toys/signals", content[:40], of_task.name, "test", content, HEADLINE),
        references=counts,
        label_map=label_map,
        scorecard=summarise(
            frame(verdicts), of_task, model_ref(repo_id), counts, label_map, HEADLINE, copies(likeness)
        ),
        run=RunSettings(
            goodenough="0.1.0",
            versions={"python": "3.11.0", "torch": "2.10.0"},
            platform="Linux x86_64",
            device="cpu",
            dtype="float32",
            batch_size=16,
            frontend="ToyFeatureExtractor (numpy)",
            seconds=1.5,
            created="2026-01-02T03:04:05Z",
        ),
        proof=BatchProof(8, 16, 1e-6, 0),
        likeness=tuple(likeness),
        complete=True,
        n_verdicts=0,
        verdicts_sha256="",
    )
    return entry, verdicts


def made_verification(folder: Path) -> Verification:
    """A verification that speaks of the entry in a folder, and holds."""
    entry = store.read(folder)
    return Verification(
        protocol=PROTOCOL,
        kind="replayed",
        entry=entry.path,
        entry_sha256=sha256_of(folder / store.ENTRY),
        verdicts_sha256=entry.verdicts_sha256,
        base="0123456789" * 4,
        n_asked=min(40, entry.n_verdicts),
        n_same=min(40, entry.n_verdicts),
        n_ties=1,
        max_difference=1e-6,
        tolerance=1e-3,
        mismatches=(),
        n_scorecard_differences=None,
        known_answer=KnownAnswer(model_ref("toys/first"), 16, 16),
        no_known_answer_because=None,
        holds=True,
        run=entry.run,
    )


def frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts as `entries.store.verdicts` would read them."""
    return verdict_table(verdicts).to_pandas()


def _sha256(*names: str) -> str:
    return hashlib.sha256("\0".join(names).encode()).hexdigest()


ADAPTER = AdapterFacts(
    name="aasist.py:Aasist",
    code={"aasist.py": "c" * 64},
    weights={"aasist.safetensors": "d" * 64},
    arguments={"checkpoint": "aasist.safetensors"},
    packages={"torch": "2.13.0+cpu"},
)
DETECTOR = replace(
    ADAPTER,
    prompts_sha256="e" * 64,
    threshold=0.5173892,
    above="Bonafide",
    threshold_source="equal error rate on ASVspoof 2019 LA dev",
)
"""With one score."""


def by_adapter(
    entry: Entry, adapter: AdapterFacts = ADAPTER, kind: Kind = "adapter", name: str = "aasist"
) -> Entry:
    """The same entry, of a model that is reached through an adapter."""
    facts = replace(entry.facts, kind=kind, adapter=adapter, n_parameters=None)
    model = ModelRef(f"local/{name}", adapter.revision, adapter.weights_sha256)
    return replace(entry, model=model, facts=facts)


def with_two_classes(entry: Entry, verdicts: list[Verdict]) -> tuple[Entry, list[Verdict]]:
    """The same without the class that is no label; no verdict may have it."""
    label_map = replace(
        entry.label_map, names=entry.label_map.names[:-1], canonical=entry.label_map.canonical[:-1]
    )
    assert not any(verdict.predicted == OTHER for verdict in verdicts)
    return replace(entry, label_map=label_map), verdicts
