"""How similar a candidate's answers are to each reference's: a near copy counts as that reference.

Computed from the candidate's verdicts and from what the suite records about each reference on whole clips. No
model is run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.metrics.acceptance import accepted
from harness.schemas import NearCopy
from harness.tasks import Task
from harness.types import NEAR_COPY_CORRELATION, NEAR_COPY_PERCENT, FloatArray, LabelMap

if TYPE_CHECKING:
    import pandas as pd

    from harness.dataset.suites import Suite
    from harness.manifest import ReferenceRecord

LEAST = 1e-6
"""Smaller probabilities are set to this: their logarithms are rounding."""

FEW = 0.1
"""Share of the clips without which a candidate is looked at again for likeness."""


def likeness_of(
    verdicts: pd.DataFrame, task: Task, label_map: LabelMap, suite: Suite
) -> tuple[NearCopy, ...]:
    """How similar a candidate's answers are to those of each reference of a task, in order of their names.

    The verdicts are all answers of the candidate to the suite, with their probabilities.
    """
    counts = SignalCounts(label_map.covered, suite.headline(task.name))
    counts.add(verdicts)
    return likeness_of_counts(verdicts, counts, task, label_map, suite)


class SignalCounts:
    """Signals of the headline family and of classes that a candidate knows, and those it accepts."""

    def __init__(self, covered: frozenset[str], headline: str) -> None:
        """Begin without any; `covered` are the labels that the candidate knows."""
        self._covered, self._headline = sorted(covered), headline
        self.n_signals: Counter[str] = Counter()
        """By repo_id of the reference."""
        self.n_accepted: Counter[str] = Counter()
        """Of these, accepted."""

    def add(self, verdicts: pd.DataFrame) -> None:
        """Count some verdicts."""
        signals = verdicts[
            (verdicts["stimulus"] == "signal")
            & (verdicts["family"] == self._headline)
            & verdicts["expected"].isin(self._covered)
        ]
        references = signals["reference"].to_numpy(dtype=object)
        self.n_signals.update(references)
        self.n_accepted.update(references[accepted(signals)])


def likeness_of_counts(
    clips: pd.DataFrame, counts: SignalCounts, task: Task, label_map: LabelMap, suite: Suite
) -> tuple[NearCopy, ...]:
    """`likeness_of`, from the verdicts on whole clips, with their probabilities, and counts of signals."""
    whole = clips[clips["stimulus"] == "whole"].set_index("clip_id")
    likeness = []
    for reference in suite.references(task.name):
        clip_ids, agrees, ours, theirs = _on_clips(whole, task, label_map, suite, reference)
        likeness.append(
            NearCopy(
                reference=reference.model,
                n_signals=counts.n_signals[reference.model.repo_id],
                n_accepted=counts.n_accepted[reference.model.repo_id],
                n_clips=len(clip_ids),
                n_agreed=int(agrees.sum()),
                correlation=_correlation(ours, theirs),
            )
        )
    return tuple(likeness)


def suspects(verdicts: pd.DataFrame, task: Task, label_map: LabelMap, suite: Suite) -> frozenset[str]:
    """Whole clips without which a candidate would answer like a copy of a reference: FEW of all, at most.

    To make a copy look like another model, answers to one or two clips have to be forged: these stand out.
    The arguments are those of `likeness_of`.
    """
    whole = verdicts[verdicts["stimulus"] == "whole"].set_index("clip_id")
    suspect_ids: set[str] = set()
    for reference in suite.references(task.name):
        clip_ids, agrees, ours, theirs = _on_clips(whole, task, label_map, suite, reference)
        distance = np.abs(ours - theirs).max(axis=1, initial=0.0)
        order = np.lexsort((-distance, agrees))
        rest = order[math.ceil(FEW * len(order)) :]
        r = _correlation(ours[rest], theirs[rest])
        n_agreed = 100 * int(agrees[rest].sum())
        if r is not None and r >= NEAR_COPY_CORRELATION and n_agreed >= NEAR_COPY_PERCENT * len(rest):
            suspect_ids.update(clip_ids[i] for i in order[: len(order) - len(rest)])
    return frozenset(suspect_ids)


def copies(likeness: Sequence[NearCopy]) -> frozenset[str]:
    """repo_ids of the references that a candidate counts as."""
    return frozenset(near_copy.reference.repo_id for near_copy in likeness if near_copy.is_copy)


def _on_clips(
    whole: pd.DataFrame, task: Task, label_map: LabelMap, suite: Suite, reference: ReferenceRecord
) -> tuple[list[str], NDArray[np.bool_], FloatArray, FloatArray]:
    """What two models say of the whole clips that the reference gave a class.

    Their clip_ids; (n,) whether the candidate gives them the same; and of candidate and reference the
    log-probabilities of the labels that both know, (n, n_labels). `whole` is by clip_id.
    """
    lines = suite.signal_lines(task.name, reference.model.slug)
    of_clip = {line.clip_id: line for line in lines if line.clip_id in whole.index}
    clip_ids = list(of_clip)
    predicted = whole["predicted"].reindex(clip_ids).to_numpy(dtype=object)
    agrees = predicted == np.array([line.expected for line in of_clip.values()], dtype=object)
    reference_labels = sorted(reference.label_map.covered)
    common_labels = [label for label in reference_labels if label in label_map.covered]
    n = len(clip_ids)
    ours = np.array(whole["p"].reindex(clip_ids).tolist(), dtype=np.float64).reshape(n, len(task.labels))
    theirs = np.array([line.p_clip for line in of_clip.values()], dtype=np.float64).reshape(
        n, len(reference_labels)
    )
    one = ours[:, [task.labels.index(label) for label in common_labels]]
    other = theirs[:, [reference_labels.index(label) for label in common_labels]]
    return (
        clip_ids,
        np.asarray(agrees, dtype=bool),
        np.log(np.maximum(one, LEAST)),
        np.log(np.maximum(other, LEAST)),
    )


def _correlation(ours: FloatArray, theirs: FloatArray) -> float | None:
    """Pearson's, over all clips and labels; None for fewer than two clips, no labels, or one value alone."""
    if len(ours) < 2 or not ours.size:
        return None
    if np.ptp(ours) < LEAST or np.ptp(theirs) < LEAST:
        return None
    return round(float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]), 9)
