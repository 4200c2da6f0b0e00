"""Ranks with simultaneous intervals: every two models compared over the references that both are judged on.

Conventions: a model comes as `values`, float (n_clips, n_references) with NaN where not applicable, as in
`estimates`, and with the names of its references. Models of one board have the same clips in the same order,
and share the resampled clips, `weights` (draws, n_clips). A reference is not judged on its own signals, so
two models may have different references: each pair is compared over those that both have, and a pair without
a common one is not told apart.

Method. All differences are tested at once: a pair differs when |d| > c se, with c the 95 % quantile, over the
resampled clips, of the largest |d* - d| / se of any pair (max-|t|; Romano and Wolf 2005, JASA 100; Hothorn,
Bretz and Westfall 2008, Biometrical Journal 50). Where no two models differ, some pair does on at most 5 % of
boards. From these tests follow simultaneous rank intervals: a model stands behind those that are better than
it and before those that it is better than (Mogstad, Romano, Shaikh and Wilhelm 2024, Review of Economic
Studies 91). **Ours**:

- d* - d is its linear part in how often each clip is drawn (infinitesimal jackknife), whose variance is se^2;
  a mean over references of means over clips differs from it by terms of order 1 / n_clips. That makes one
  matrix product of what would be ten thousand bootstraps.
- To se^2 is added what one signal of +1 and one of -1 would bring (Bonett and Price 2012 do so for one
  reference): two models that differ on a clip or two have no variance to be measured by.
- The quantile of 2,000 samples is off by half a percent of probability, one standard error: it is taken two
  of these above 95 %.
- c is expanded for few clips, sqrt(n / (n - 1)) t(n - 1), as `estimates` expands its percentiles.
- Beyond MOST_AT_ONCE models, whose pairs would take minutes, c is Bonferroni's, which is never smaller than
  it must be: at 1,000 models 5.3 where independent ones would need 5.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.acceptance import divide
from harness.metrics.estimates import LEVEL, ClipWeights
from harness.types import FloatArray

MOST_AT_ONCE = 500
"""Models up to which all pairs are resampled."""

_SAME = 1e-12  # numbers that differ by less share a rank
_CHUNK = 500  # models compared with all others in one product


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models of one board, ready to be compared two by two."""

    numbers: FloatArray
    """(n_models, n_sets) the number of each model over the references that it shares with each set; NaN for
    none. A set is one that some model is judged on."""
    parts: NDArray[np.float32]
    """(n_models, n_sets, n_clips) by how much a further draw of each clip moves that number; sums to 0."""
    n_shared: NDArray[np.int64]
    """(n_sets, n_sets) references that two sets share."""
    own: NDArray[np.intp]
    """(n_models,) the set of each model."""
    critical: FloatArray
    """(n_models,) standard errors beyond which a difference from a model with as many clips counts."""

    def __len__(self) -> int:
        return len(self.own)

    def differences(self, models: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Differences of some models, which have the same `own`, from all.

        Returns:
            (n_some, n_models) number of the one minus number of the other, NaN where they share no reference;
            and its variance, above 0.
        """
        of = self.own[models[0]]
        difference = np.empty((len(models), len(self)), dtype=np.float32)
        variance = np.empty_like(difference)
        for other in np.unique(self.own):
            members = np.flatnonzero(self.own == other)
            ours, theirs = self.parts[models, other], self.parts[members, of]
            squares = [(parts**2).sum(axis=1) for parts in (ours, theirs)]
            block = squares[0][:, None] + squares[1]
            block -= 2 * ours @ theirs.T
            np.maximum(block, 0, out=block)  # rounding can leave a little below 0 where two answer alike
            block += 2 / max(1, self.n_shared[of, other] * self.parts.shape[2]) ** 2
            variance[:, members] = block
            difference[:, members] = self.numbers[models, other][:, None] - self.numbers[members, of]
        return difference, variance

    def better(self, models: NDArray[np.intp]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether some models, in one set, are told apart from all.

        Returns:
            (n_some, n_models) whether the one is better than the other; and whether it is worse.
        """
        difference, variance = self.differences(models)
        critical = self.critical.astype(np.float32)
        variance *= np.maximum(critical[models, None], critical) ** 2
        differs = difference**2 > variance
        return differs & (difference > 0), differs & (difference < 0)

    def in_sets(self) -> Iterator[NDArray[np.intp]]:
        """Indices of all models, those of each set together, up to _CHUNK at once."""
        for of in np.unique(self.own):
            members = np.flatnonzero(self.own == of)
            for start in range(0, len(members), _CHUNK):
                yield members[start : start + _CHUNK]


def compare(
    tables: Sequence[NDArray[np.floating[Any]]], references: Sequence[tuple[str, ...]], weights: ClipWeights
) -> Comparison:
    """Make models, at least one, ready to be compared.

    Takes `values` (n_clips, n_references) of each, the names of its columns, and weights (draws, n_clips).
    """
    names = sorted(set().union(*references))
    column = {name: j for j, name in enumerate(names)}
    sets: dict[frozenset[str], int] = {}
    own = np.array([sets.setdefault(frozenset(of), len(sets)) for of in references], dtype=np.intp)
    membership = np.zeros((len(sets), len(names)))
    for of, i in sets.items():
        membership[i, [column[name] for name in of]] = 1
    numbers = np.full((len(tables), len(sets)), np.nan)
    parts = np.zeros((len(tables), len(sets), weights.shape[1]), dtype=np.float32)
    n_clips = np.empty(len(tables), dtype=np.int64)
    for i, (table, model_references) in enumerate(zip(tables, references, strict=True)):
        means, linear_parts, n_clips[i] = _linear(table)
        common = membership[:, [column[name] for name in model_references]]
        count = common.sum(axis=1)
        has_common = count > 0
        share = common[has_common] / count[has_common, None]
        numbers[i, has_common] = share @ means
        parts[i, has_common] = share @ linear_parts.T
    shared_by = (membership @ membership.T).astype(np.int64)
    draft = Comparison(numbers, parts, shared_by, own, np.zeros(len(tables)))
    return replace(draft, critical=_expand(_critical(draft, weights), n_clips))


def rank_intervals(comparison: Comparison) -> list[tuple[int, int]]:
    """Simultaneous 95 % intervals of the ranks.

    Returns:
        (best, worst) rank of each model: 1 plus the models that are better; all but those it is better than.
    """
    best = np.ones(len(comparison), dtype=np.int64)
    worst = np.full(len(comparison), len(comparison), dtype=np.int64)
    for models in comparison.in_sets():
        better, worse = comparison.better(models)
        best[models] += worse.sum(axis=1)
        worst[models] -= better.sum(axis=1)
    return list(zip(best.tolist(), worst.tolist(), strict=True))


def tie_groups(comparison: Comparison, values: FloatArray) -> list[int]:
    """(n_models,) groups of models that the data do not tell from the best of their group, 1 for the best.

    From the highest value down, a model stays in the group while the group's best is not better than it; the
    first that it is better than opens the next group.
    """
    groups = [0] * len(values)
    group, is_worse = 0, np.ones(len(values), dtype=np.bool_)
    for model in np.argsort(-np.asarray(values), kind="stable").tolist():
        if is_worse[model]:
            group, is_worse = group + 1, comparison.better(np.array([model]))[0][0]
        groups[model] = group
    return groups


def ranks(values: FloatArray) -> NDArray[np.int64]:
    """(n,) rank of each value, 1 for the highest; equal ones share the best rank, NaN has none, 0."""
    has_value = ~np.isnan(values)
    positions = np.searchsorted(np.sort(-values[has_value]), -values - _SAME, side="left")
    return np.where(has_value, 1 + positions, 0)


def ranks_without(
    tables: Sequence[NDArray[np.floating[Any]]], references: Sequence[tuple[str, ...]]
) -> list[tuple[int, int] | None]:
    """How the ranks depend on single references: each is left out of the means of all models in turn.

    Takes `values` (n_clips, n_references) of each model and the names of its columns.

    Returns:
        Best and worst rank of each model over all references left out; None for a model that is never ranked,
        since without its only reference it has no number, or where all models have one and the same only.
    """
    names = sorted(set().union(*references)) if references else []
    column = {name: j for j, name in enumerate(names)}
    means = np.full((len(tables), len(names)), np.nan)
    for i, (table, of) in enumerate(zip(tables, references, strict=True)):
        means[i, [column[name] for name in of]] = _means(table)
    counts, sums = (~np.isnan(means)).sum(axis=1), np.nansum(means, axis=1)
    best = np.full(len(tables), len(tables) + 1)
    worst = np.zeros(len(tables), dtype=np.int64)
    for j in range(len(names)):
        has_value = ~np.isnan(means[:, j])
        rank = ranks(divide(sums - np.where(has_value, means[:, j], 0.0), counts - has_value))
        best = np.where(rank > 0, np.minimum(best, rank), best)
        worst = np.maximum(worst, rank)
    return [
        (int(low), int(high)) if high else None
        for low, high in zip(best.tolist(), worst.tolist(), strict=True)
    ]


def _means(values: NDArray[np.floating[Any]]) -> FloatArray:
    """(n_references,) means over clips; NaN for none."""
    has_value = ~np.isnan(values)
    return divide(np.where(has_value, values, 0).sum(axis=0, dtype=np.float64), has_value.sum(axis=0))


def _linear(values: NDArray[np.floating[Any]]) -> tuple[FloatArray, FloatArray, int]:
    """Means (n_references,) or 0; what a further draw adds, (n_clips, n_references); clips with a value."""
    has_value = ~np.isnan(values)
    counts = np.maximum(has_value.sum(axis=0), 1)
    values_or_zero = np.where(has_value, values, 0).astype(np.float64)
    means = values_or_zero.sum(axis=0) / counts
    return means, np.where(has_value, values_or_zero - means, 0.0) / counts, int(has_value.any(axis=1).sum())


def _critical(draft: Comparison, weights: ClipWeights) -> float:
    """The 95 % quantile of the largest |t| of any pair, before it is expanded."""
    from scipy.special import ndtri

    n = len(draft)
    if n < 2:
        return float(ndtri((1 + LEVEL) / 2))
    if n > MOST_AT_ONCE:
        return float(-ndtri((1 - LEVEL) / (n * (n - 1))))
    largest = np.zeros(len(weights), dtype=np.float32)
    counts = weights.astype(np.float32)
    for of in np.unique(draft.own):
        theirs = draft.parts[:, of] @ counts.T
        members = np.flatnonzero(draft.own == of)
        error = np.sqrt(draft.differences(members)[1])
        for row, i in enumerate(members.tolist()):
            ours = (draft.parts[i] @ counts.T)[draft.own[i + 1 :]]
            if len(ours):
                t = np.abs(ours - theirs[i + 1 :]) / error[row, i + 1 :, None]
                np.maximum(largest, t.max(axis=0), out=largest)
    quantile_margin = 2 * np.sqrt(LEVEL * (1 - LEVEL) / len(weights))
    return float(np.quantile(largest, min(LEVEL + quantile_margin, 1.0)))


def _expand(critical: float, n_clips: NDArray[np.int64]) -> FloatArray:
    """(n_models,) the same for so many clips; infinite for fewer than two."""
    from scipy.special import ndtr, stdtrit

    n = np.maximum(n_clips, 2)
    # Of the lower tail, which has digits where the upper one is 1.
    t = -stdtrit(n - 1, ndtr(-critical))
    return np.where(n_clips > 1, np.sqrt(n / (n - 1)) * t, np.inf)
