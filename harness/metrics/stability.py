"""How much signals differ between independent extractions of a clip (definitions: A signal).

A reference that was extracted with several draws has several signals of a clip, each certified. Two of them
can share hardly a bin. Each pair of draws of a clip is compared; pairs of one clip are averaged, or share its
weight, and count once, and clips are resampled. Degenerate signals stay out, as everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from harness.dataset.card import format_estimate, markdown_table
from harness.dataset.suites import Suite
from harness.metrics.acceptance import accepted, at_level_zero
from harness.metrics.estimates import ClipWeights, clustered, draws_of, from_draws, mean_of_references
from harness.metrics.likeness import copies
from harness.metrics.scorecard import resampling_weights
from harness.metrics.transfer_curve import median_over_clips
from harness.schemas import Entry
from harness.tasks import Task
from harness.types import Estimate, LabelMap, Mask, ModelRef

if TYPE_CHECKING:
    import pandas as pd


_HEADS = (
    *("reference", "family", "draws", "clips", "Jaccard of two masks, mean", "ratio of sizes, median"),
    *("verdicts of others changed", "transfer by draw"),
)


@dataclass(frozen=True)
class Stability:
    """How much the signals of one reference and family depend on the draw."""

    reference: ModelRef
    family: str
    n_draws: int
    """Draws of the clip that has most; 0 where there are no signals."""
    n_clips: int
    """Clips with two draws or more."""
    jaccard: Estimate
    """Mean over pairs of draws: bins that both masks keep over bins that either keeps, in [0, 1]."""
    size_ratio: Estimate
    """Median over pairs of draws: bins of the larger mask over bins of the smaller, at least 1."""
    verdicts_changed: Estimate
    """Share of other models' verdicts, accepted or not, that differ between two draws of a clip: mean over
    models, in [0, 1]."""
    transfer: tuple[Estimate, ...]
    """Transfer of draw 1, 2, ...: mean over the other models of the share of signals accepted."""

    @property
    def measured(self) -> bool:
        """Whether any clip has two draws; if not, only `transfer` has a value."""
        return self.n_clips > 0


def stability_of(
    suite: Suite,
    task: str,
    reference: ModelRef,
    family: str,
    judges: Sequence[tuple[ModelRef, LabelMap, pd.DataFrame]],
    weights: ClipWeights,
) -> Stability:
    """Compare the draws of each clip of a reference.

    The judges, with label maps and verdicts (`of_signals` of them) on this suite, are other models: those
    with the weights of the reference are passed over, near copies are for the caller to leave out. Weights
    are (draws, n_clips) of the task, over all of its clips in order of their ids.
    """
    clip_ids = sorted(line.clip_id for line in suite.clip_lines(task))
    of_clip = defaultdict(list)
    for line in sorted(suite.signal_lines(task, reference.slug), key=lambda line: line.draw):
        if line.family == family and not line.degenerate:
            of_clip[line.clip_id].append(line)
    at = {clip_id: i for i, clip_id in enumerate(clip_ids)}
    others = [judge for judge in judges if judge[0].weights_sha256 != reference.weights_sha256]
    acceptances = [_acceptance(frame, labels, family, reference.repo_id) for _, labels, frame in others]
    n_draws = max((draw.draw for draws in of_clip.values() for draw in draws), default=0)
    draws_of_clip = {clip_id: draws for clip_id, draws in of_clip.items() if len(draws) > 1}

    similarity = np.full((len(clip_ids), 1), np.nan)
    change_rates = np.full((len(clip_ids), len(others)), np.nan)
    by_draw = np.full((n_draws, len(clip_ids), len(others)), np.nan)
    ratios: list[float] = []
    ratio_clips: list[int] = []
    for clip_id, draws in draws_of_clip.items():
        pairs = list(combinations(draws, 2))
        masks = {d.draw: suite.mask(task, reference.slug, d.signal_id) for d in draws}
        similarity[at[clip_id]] = np.mean([jaccard(masks[a.draw], masks[b.draw]) for a, b in pairs])
        sizes = [sorted((a.n_kept, b.n_kept)) for a, b in pairs]
        ratios += [larger / max(smaller, 1) for smaller, larger in sizes]
        ratio_clips += [at[clip_id]] * len(pairs)
        for j, acceptance in enumerate(acceptances):
            answer_pairs = [(acceptance.get(a.signal_id), acceptance.get(b.signal_id)) for a, b in pairs]
            differs = [a != b for a, b in answer_pairs if a is not None and b is not None]
            if differs:
                change_rates[at[clip_id], j] = np.mean(differs)
    for clip_id, draws in of_clip.items():
        for draw in draws:
            for j, acceptance in enumerate(acceptances):
                by_draw[draw.draw - 1, at[clip_id], j] = acceptance.get(draw.signal_id, np.nan)
    value, samples = mean_of_references(similarity), draws_of(similarity, weights)
    return Stability(
        reference=reference,
        family=family,
        n_draws=n_draws,
        n_clips=len(draws_of_clip),
        jaccard=from_draws(value, samples, len(draws_of_clip), len(draws_of_clip), (0.0, 1.0)),
        size_ratio=median_over_clips(np.array(ratios), np.array(ratio_clips, dtype=np.int64), weights),
        verdicts_changed=clustered(change_rates, weights),
        transfer=tuple(clustered(values, weights) for values in by_draw),
    )


def stability_table(suite: Suite, task: Task, entries: Sequence[tuple[Entry, pd.DataFrame]]) -> str | None:
    """A table in Markdown, a row for each reference and family of which clips were extracted twice.

    Takes the entries and verdicts of references on any tasks; None where no clip of this task was extracted
    twice, or no reference judged these signals.
    """
    judges = [(entry, verdicts) for entry, verdicts in entries if entry.task == task.name]
    if not judges:
        return None
    weights = resampling_weights(judges[0][1], task)
    on_signals = [((e.model, e.label_map, of_signals(verdicts)), e.likeness) for e, verdicts in judges]
    rows = []
    for record in suite.references(task.name):
        name = record.model.repo_id
        others = [judge for judge, likeness in on_signals if name not in copies(likeness)]
        for family in suite.families(task.name):
            stability = stability_of(suite, task.name, record.model, family, others, weights)
            if stability.measured:
                rows.append(
                    [
                        record.model.repo_id.split("/")[-1],
                        family,
                        str(stability.n_draws),
                        f"{stability.n_clips:,}",
                        format_estimate(stability.jaccard),
                        format_estimate(stability.size_ratio),
                        format_estimate(stability.verdicts_changed),
                        "; ".join(map(format_estimate, stability.transfer)),
                    ]
                )
    return markdown_table(_HEADS, rows) if rows else None


def of_signals(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The verdicts on signals themselves, not on further levels or controls."""
    return verdicts[(verdicts["stimulus"] == "signal") & at_level_zero(verdicts)]


def jaccard(a: Mask, b: Mask) -> float:
    """Coefficients that two masks (N,) both keep over those that either keeps; 1 where neither keeps any."""
    n_union = int((a | b).sum())
    return float((a & b).sum() / n_union) if n_union else 1.0


def _acceptance(frame: pd.DataFrame, labels: LabelMap, family: str, reference: str) -> dict[str, float]:
    """By signal_id: 1 accepted, 0 not, of the signals of a reference whose class a judge knows."""
    is_of_reference = (
        (frame["family"] == family)
        & (frame["reference"] == reference)
        & frame["expected"].isin(sorted(labels.covered))
    )
    rows = frame.loc[is_of_reference, ["signal_id", "predicted", "expected"]]
    accepts = accepted(rows).astype(np.float64)
    return dict(zip(rows["signal_id"].to_numpy(dtype=object), accepts, strict=True))
