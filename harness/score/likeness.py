"""How like each reference a candidate answers: a copy with a few bits changed counts as that reference.

Counted from the candidate's verdicts and from what the suite says of each reference on whole clips. Nothing
is asked of a model.

Public: likeness_of, copies, LEAST.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.dataset.signals import Suite
from harness.documents import NearCopy
from harness.manifest import ReferenceRecord
from harness.records import FAMILIES, FloatArray, LabelMap
from harness.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

LEAST = 1e-6
"""Probabilities below it are taken for it: their logarithms are rounding."""


def likeness_of(
    verdicts: pd.DataFrame, task: Task, label_map: LabelMap, suite: Suite
) -> tuple[NearCopy, ...]:
    """How like each reference of a task a candidate answers, in order of their names.

    Args:
        verdicts: all answers of the candidate, with their probabilities.
        task: the task.
        label_map: how its classes are read.
        suite: what it was asked.
    """
    whole = verdicts[verdicts["stimulus"] == "whole"]
    predicted = dict(zip(whole["clip_id"], whole["predicted"], strict=True))
    p = dict(zip(whole["clip_id"], whole["p"], strict=True))
    signals = verdicts[
        (verdicts["stimulus"] == "signal")
        & (verdicts["family"] == FAMILIES[0])
        & verdicts["expected"].isin(sorted(label_map.covered))
    ]
    right = (signals["predicted"] == signals["expected"]).to_numpy(dtype=bool)
    of_reference = signals["reference"].to_numpy(dtype=object)
    likeness = []
    for reference in suite.references(task.name):
        name = reference.model.repo_id
        lines = suite.signal_lines(task.name, reference.model.slug)
        of_clip = {line.clip_id: line for line in lines if line.clip_id in predicted}
        asked = of_reference == name
        ours = np.array([p[clip_id] for clip_id in of_clip], dtype=np.float64)
        theirs = np.array([line.p_clip for line in of_clip.values()], dtype=np.float64)
        likeness.append(
            NearCopy(
                reference=reference.model,
                n_signals=int(asked.sum()),
                n_accepted=int((asked & right).sum()),
                n_clips=len(of_clip),
                n_agreed=sum(predicted[clip_id] == line.expected for clip_id, line in of_clip.items()),
                correlation=_correlation(ours, theirs, task, label_map, reference),
            )
        )
    return tuple(likeness)


def copies(likeness: Sequence[NearCopy]) -> frozenset[str]:
    """repo_ids of the references that a candidate counts as."""
    return frozenset(each.reference.repo_id for each in likeness if each.is_copy)


def _correlation(
    ours: FloatArray, theirs: FloatArray, task: Task, label_map: LabelMap, reference: ReferenceRecord
) -> float | None:
    """Pearson's, of log-probabilities of the labels that both know, over all clips.

    Args:
        ours: (n, n_labels) in the order of the task.
        theirs: (n, n_known) of the labels that the reference knows, in alphabetical order.
        task: the task.
        label_map: of the candidate.
        reference: the reference.
    """
    known = sorted(reference.label_map.covered)
    both = [label for label in known if label in label_map.covered]
    if len(ours) < 2 or not both:
        return None
    one = np.log(np.maximum(ours[:, [task.labels.index(label) for label in both]], LEAST)).ravel()
    other = np.log(np.maximum(theirs[:, [known.index(label) for label in both]], LEAST)).ravel()
    if np.ptp(one) < LEAST or np.ptp(other) < LEAST:
        return None
    return round(float(np.corrcoef(one, other)[0, 1]), 9)
