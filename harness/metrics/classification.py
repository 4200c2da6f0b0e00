"""The usual classification measures on whole clips with a known class, shown next to transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.metrics.estimates import ClipWeights, from_draws, resampled_sums, wilson
from harness.schemas import WholeClipScore
from harness.tasks import Task
from harness.types import Estimate, FloatArray

if TYPE_CHECKING:
    import pandas as pd


def clips_of_known_truth(verdicts: pd.DataFrame, covered: frozenset[str]) -> pd.DataFrame:
    """Whole clips of known truth whose label the candidate knows, by clip_id."""
    rows = verdicts[(verdicts["stimulus"] == "whole") & verdicts["truth"].isin(sorted(covered))]
    return rows.sort_values("clip_id")


def score(
    verdicts: pd.DataFrame, task: Task, covered: frozenset[str], weights: ClipWeights
) -> WholeClipScore:
    """Accuracy, and macro precision, recall and F1 over the true labels; OTHER is simply wrong.

    Takes the labels that the candidate knows, and weights (draws, n_clips) of all whole clips, in order of
    their ids.
    """
    clips = clips_of_known_truth(verdicts, covered)
    truth, predicted = (clips[name].to_numpy(dtype=str) for name in ("truth", "predicted"))
    n = len(clips)
    labels = sorted(set(truth))
    accuracy = wilson(int((truth == predicted).sum()), n)
    if n == 0:
        return WholeClipScore(accuracy, *(from_draws(None, np.empty(0), 0, 0, (0.0, 1.0)),) * 3)
    is_label, says_label = (
        labels_of_clips[:, None] == np.array(labels) for labels_of_clips in (truth, predicted)
    )
    clip_ids = sorted(verdicts["clip_id"][verdicts["stimulus"] == "whole"])
    columns = np.searchsorted(clip_ids, clips["clip_id"].to_numpy(dtype=str))
    points = _macro(is_label, says_label, np.ones((1, n)))
    is_all = np.array_equal(columns, np.arange(weights.shape[1]))
    draws = _macro(is_label, says_label, weights, None if is_all else columns)
    macro: list[Estimate] = [
        from_draws(float(point[0]), sample, n, n, (0.0, 1.0))
        for point, sample in zip(points, draws, strict=True)
    ]
    return WholeClipScore(accuracy, *macro)


def _macro(is_label: Any, says_label: Any, weights: ClipWeights, clips: Any = None) -> list[FloatArray]:
    """Macro precision, recall and F1, (draws,) each, over the labels in a sample; NaN where it has none.

    Truth and prediction are bool (n_clips, n_labels); `clips` are their columns of the weights, None for all.
    """
    flags = (is_label & says_label, is_label, says_label)
    hits, n_true, n_predicted = resampled_sums(weights, *(f.astype(np.float64) for f in flags), clips=clips)
    is_present = n_true > 0

    def mean(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
        share = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
        n_labels = is_present.sum(axis=1)
        out = np.full(len(n_labels), np.nan)
        np.divide(np.where(is_present, share, 0.0).sum(axis=1), n_labels, out=out, where=n_labels > 0)
        return out

    return [mean(hits, n_predicted), mean(hits, n_true), mean(2 * hits, n_true + n_predicted)]
