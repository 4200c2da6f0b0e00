"""Compares lift on published signals with lift on unpublished ones: was a model fitted to the published ones?

The two suites have the same references and no clip in common, so that their bootstrap samples are
independent: the difference is taken draw by draw, the clips of the held-back suite being resampled by a set
of their own. Hesterberg's expanded percentiles (see `estimates`) take the number of clips; that of a
difference is one more than its degrees of freedom by Welch (1947, Biometrika 34) and Satterthwaite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.metrics.estimates import clip_weights, clustered, draws_of, from_draws
from harness.metrics.likeness import copies
from harness.metrics.scorecard import lift_by_clip
from harness.schemas import Entry
from harness.types import STRICT, Estimate, FloatArray

if TYPE_CHECKING:
    import pandas as pd

_NONE = 1e-24
"""Variances below it are rounding."""


@dataclass(frozen=True)
class LiftComparison:
    """The lift of a candidate on published and on held-back signals."""

    __pydantic_config__ = STRICT

    references: tuple[str, ...]
    """repo_ids of the references that count in both, sorted."""
    n_clips: int
    """Whole clips of the published suite."""
    n_held_back_clips: int
    """Whole clips of the held-back suite."""
    lift: Estimate
    """On the published signals of these references."""
    held_back_lift: Estimate
    """On their held-back signals."""
    difference: Estimate
    """lift - held_back_lift, in [-2, 2]: above 0 where a model was fitted to the published signals."""


def compare(
    public: tuple[Entry, pd.DataFrame], held_back: tuple[Entry, pd.DataFrame]
) -> LiftComparison | None:
    """Compare two entries of one candidate, each with its verdicts, over the references that count in both.

    Returns:
        The two lifts and their difference; None where no reference counts in both.
    """
    near_copies = copies(public[0].likeness) | copies(held_back[0].likeness)
    tables = [
        lift_by_clip(
            *(frame, entry.signals.headline, entry.references),
            *(entry.model, entry.label_map.covered, near_copies),
        )
        for entry, frame in (public, held_back)
    ]
    references = sorted({*tables[0].columns} & {*tables[1].columns})
    if not references:
        return None
    one, other = (table[references].to_numpy(dtype=np.float64) for table in tables)
    return lifts_of(one, other, references, public[0].task)


def lifts_of(one: FloatArray, other: FloatArray, references: Sequence[str], task: str) -> LiftComparison:
    """The two lifts of a candidate and their difference.

    Takes acceptance of each published signal minus that of its `swap` controls, (n_clips, n_references) in
    [-1, 1], NaN where there is none, and the same of the held-back ones; every reference, named by repo_id,
    has some.
    """
    values = (one, other)
    # Not one set for both: of as many clips it would have the same samples, and they would move together.
    weights = [clip_weights(len(one), (task,)), clip_weights(len(other), (task, "held back"))]
    estimates = [clustered(table, w, "difference") for table, w in zip(values, weights, strict=True)]
    draws = [draws_of(table, w) for table, w in zip(values, weights, strict=True)]
    a, b = estimates[0].value, estimates[1].value
    n_clips = [int((~np.isnan(table)).any(axis=1).sum()) for table in values]
    difference = from_draws(
        None if a is None or b is None else a - b,
        draws[0] - draws[1],
        _effective_clips(draws, n_clips),
        sum(e.n for e in estimates),
        (-2.0, 2.0),
    )
    return LiftComparison(tuple(references), len(one), len(other), estimates[0], estimates[1], difference)


def _effective_clips(draws: Sequence[FloatArray], n_clips: Sequence[int]) -> int:
    """Clips that a difference of two independent samples is worth: its degrees of freedom and one."""
    variances = [float(np.nanvar(sample)) for sample in draws]
    if sum(variances) < _NONE:
        return min(n_clips)
    denominator = sum(v**2 / max(n - 1, 1) for v, n in zip(variances, n_clips, strict=True))
    return max(2, int(sum(variances) ** 2 / denominator) + 1)
