"""Facts about a reference beyond its scorecard.

Whether it is a flat-earther, at which frequencies its signals lie, how often it accepts signals that grow.

Conventions: computed as in a study, over the references of one task (`metrics.flat_earth`,
`metrics.signal_measures`); the panel is those whose own entries are on the board.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.dataset import parquet_io, parquet_schema
from harness.dataset.paths import signals_path
from harness.dataset.suites import Suite
from harness.domains import DOMAINS
from harness.entries import store
from harness.errors import BadSignals
from harness.families import parse_family
from harness.metrics import flat_earth, signal_measures
from harness.metrics.acceptance import accepted
from harness.metrics.estimates import ClipWeights, clip_weights, clustered, median
from harness.metrics.likeness import copies
from harness.metrics.panel_acceptance import build_acceptance
from harness.metrics.scorecard import resampling_weights
from harness.schemas import Entry
from harness.types import N_LEVELS, Estimate, FloatArray, ModelRef
from leaderboard.board import entries
from leaderboard.board.matrix import short_names

if TYPE_CHECKING:
    import pandas as pd


class Mark(NamedTuple):
    """The badge of a reference that the test of flat-earthers flags."""

    words: str
    """`flat-earther`, or `rejects sparse sound` where `matched` controls explain it."""
    evidence: str
    """A sentence with n, interval and p."""


@dataclass(frozen=True)
class ReferenceProfile:
    """The facts about one reference."""

    flagged: bool
    """The test of flat-earthers flags it, whether or not `matched` controls explain it."""
    verdict: str
    """`a flat-earther`, `rejects sparse sound`, `no flat-earther` or `not assessed`."""
    evidence: str
    """The evidence for that, in a sentence with n, interval and p."""
    mel: tuple[float, ...]
    """Distribution of what its signals keep, over mel bands; zeros where they keep all frequencies alike."""
    others: tuple[float, ...]
    """The same of the other references, their mean."""
    n_signals: int
    """Signals behind `mel`."""
    size: Estimate
    """Median of the kept share of the coefficients."""
    curve: tuple[Estimate, ...]
    """Acceptance of the others' minimal signals at each level; empty where there are no levels."""
    curve_of_others: tuple[float, ...]
    """The mean of the other references' curves."""
    top_hz: float
    """The highest frequency of a clip."""

    @property
    def mark(self) -> Mark | None:
        """Its badge in a ranking; None where it is not flagged."""
        if not self.flagged:
            return None
        return Mark(self.verdict.removeprefix("a "), self.evidence)


def evidence_key(suite: Suite, task: str) -> str:
    """A hash of everything that the traits and the sounds of a task depend on."""
    digest = hashlib.sha256(suite.ref(task).sha256.encode())
    for _, entry in entries.references_of(suite, task):
        digest.update(f"{entry.model.weights_sha256} {entry.verdicts_sha256}\n".encode())
    return digest.hexdigest()


def of_task(
    suite: Suite, task: str, models_on_board: Collection[ModelRef]
) -> dict[ModelRef, ReferenceProfile]:
    """The traits of every reference whose own entry is on the board."""
    entry_verdicts = [
        (entry, store.verdicts(folder))
        for folder, entry in entries.references_of(suite, task)
        if entry.model in models_on_board
    ]
    if not entry_verdicts:
        return {}
    models = [entry.model for entry, _ in entry_verdicts]
    names = short_names(models)
    by_family = {f: _flat_earth(suite, task, entry_verdicts, f) for f in suite.families(task)}
    assessments = by_family.get(suite.headline(task), {})
    uses = {model: _use(suite, task, model) for model in models}
    curves = {
        entry.model: _curve(entry, frame, resampling_weights(frame, suite.task(task)))
        for entry, frame in entry_verdicts
    }
    profiles = {}
    for model in models:
        mel, sizes, top_hz = uses[model]
        other_distributions = [uses[other][0] for other in models if other != model and uses[other][0].any()]
        other_curves = [
            [estimate.value or 0.0 for estimate in curves[other]]
            for other in models
            if other != model and curves[other]
        ]
        assessment = assessments.get(model)
        profiles[model] = ReferenceProfile(
            flagged=assessment is not None and assessment.flagged,
            verdict="not assessed" if assessment is None else assessment.verdict,
            evidence=_evidence(
                names[model], {f: each[model] for f, each in by_family.items() if model in each}
            ),
            mel=tuple(mel.tolist()),
            others=tuple(np.mean(other_distributions, axis=0).tolist()) if other_distributions else (),
            n_signals=len(sizes),
            size=median(sizes),
            curve=curves[model],
            curve_of_others=tuple(np.mean(other_curves, axis=0).tolist()) if other_curves else (),
            top_hz=top_hz,
        )
    return profiles


def _evidence(name: str, by_family: Mapping[str, flat_earth.FlatEarth]) -> str:
    """The evidence of the first family, and that of the others where they disagree."""
    if not by_family:
        return f"{name}: not assessed."
    sentences = {family: assessment.sentence(name) for family, assessment in by_family.items()}
    if len({assessment.verdict for assessment in by_family.values()}) == 1:
        return next(iter(sentences.values()))
    parts = " ".join(f"Family {family}: {sentence}" for family, sentence in sentences.items())
    return f"The families disagree. {parts}"


def _flat_earth(
    suite: Suite, task: str, entry_verdicts: Sequence[tuple[Entry, pd.DataFrame]], family: str
) -> dict[ModelRef, flat_earth.FlatEarth]:
    panel = [(entry.model, entry.label_map, frame) for entry, frame in entry_verdicts]
    copies_by_model = {entry.model.repo_id: copies(entry.likeness) for entry, _ in entry_verdicts}
    try:
        acceptance = build_acceptance(panel, suite.counts(task), family, copies_by_model)
    except ValueError:
        return {}  # not all judged the same stimuli
    if not len(acceptance.signal_ids):
        return {}
    weights = clip_weights(len(acceptance.clip_ids), (task,))
    assessments = flat_earth.assess(acceptance, weights, (task, family))
    return {assessment.model: assessment for assessment in assessments}


def _use(suite: Suite, task: str, model: ModelRef) -> tuple[FloatArray, list[float], float]:
    """Distribution over mel bands, kept share of each signal, highest frequency; see `ReferenceProfile`."""
    mel, sizes, top_hz = np.zeros(signal_measures.N_MEL), [], 0.0
    path = suite.file(signals_path(task, model.slug))
    names = ("family", "degenerate", "mask", "n_samples", "sample_rate_hz")
    for row in parquet_io.read_rows(path, parquet_schema.SIGNALS, names):
        if row["family"] != suite.headline(task) or row["degenerate"]:
            continue
        try:
            mask = parquet_schema.mask_of(row)
        except ValueError as error:
            raise BadSignals(f"{path}: {error}") from None
        if mask.any():
            resolution = parse_family(row["family"]).resolution
            domain = DOMAINS[resolution.domain](row["n_samples"], row["sample_rate_hz"])
            if domain.shape[1] > 1:
                mel += signal_measures.mel_use(mask, domain)
            sizes.append(float(mask.mean()))
            top_hz = max(top_hz, row["sample_rate_hz"] / 2)
    return mel / max(len(sizes), 1), sizes, top_hz


def _curve(entry: Entry, frame: pd.DataFrame, weights: ClipWeights) -> tuple[Estimate, ...]:
    """Acceptance at each level, an unweighted mean over the other references; draws of a clip averaged."""
    cells = [cell for score in entry.scorecard.families for cell in score.cells]
    is_own = frame["reference"].isin([cell.reference.repo_id for cell in cells if cell.own])
    is_growing_signal = (frame["stimulus"] == "signal") & frame["level"].notna() & ~is_own
    rows = frame[is_growing_signal & frame["expected"].isin(sorted(entry.label_map.covered))]
    if rows.empty:
        return ()
    keys = [rows["level"].astype(int), rows["clip_id"], rows["reference"]]
    table = rows.assign(accepts=accepted(rows).astype(float)).groupby(keys)["accepts"].mean().unstack()
    levels = set(table.index.get_level_values(0))
    if levels != set(range(N_LEVELS)):
        return ()
    clip_ids = sorted(frame["clip_id"][frame["stimulus"] == "whole"])
    return tuple(
        clustered(table.loc[level].reindex(clip_ids).to_numpy(float), weights) for level in range(N_LEVELS)
    )
