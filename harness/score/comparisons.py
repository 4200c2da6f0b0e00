"""Two judges on the same signals, those of neither: who accepts more, and is that more than chance.

Public: Compared, compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from harness.records import Estimate, FloatArray, ModelRef
from harness.score.estimates import from_draws
from harness.score.flat_earth import benjamini_hochberg
from harness.score.judgements import Judgements


@dataclass(frozen=True)
class Compared:
    """Two judges on the same signals, those of neither."""

    first: ModelRef
    second: ModelRef
    transfer: Estimate
    """Transfer of the first minus that of the second, both resampled over the same clips."""
    only_first: int
    """Signals that the first alone accepts."""
    only_second: int
    """Signals that the second alone accepts."""
    p: float
    """McNemar's test, exact; signals of one clip count as independent there, unlike in the interval."""
    p_adjusted: float
    """Benjamini-Hochberg over all pairs of judges."""


def compared(panel: Judgements, accepted: FloatArray, weights: FloatArray) -> tuple[Compared, ...]:
    """Every two judges of a panel.

    Args:
        panel: the panel.
        accepted: (n, n_models) acceptance of the signals of others.
        weights: (draws, n_clips) of the bootstrap.
    """
    from scipy.stats import binomtest

    known = ~np.isnan(accepted)
    right = known & (accepted == 1)
    draws = [_draws(panel, accepted, f, weights) for f in range(panel.n_references)]
    found: list[Compared] = []
    for a, b in combinations(range(len(panel.models)), 2):
        both = known[:, a] & known[:, b]
        sources = [f for f in range(panel.n_references) if both[panel.source == f].any()]
        if not sources:
            continue
        only_a, only_b = (int((right[both, g] & ~right[both, h]).sum()) for g, h in ((a, b), (b, a)))
        n = only_a + only_b
        p = float(binomtest(only_a, n).pvalue) if n else 1.0
        found.append(
            Compared(
                panel.models[a],
                panel.models[b],
                _apart(panel, accepted, a, b, both, sources, draws, weights),
                only_a,
                only_b,
                p,
                p,
            )
        )
    adjusted = benjamini_hochberg([each.p for each in found])
    return tuple(replace(each, p_adjusted=q) for each, q in zip(found, adjusted, strict=True))


def _draws(panel: Judgements, accepted: FloatArray, f: int, weights: FloatArray) -> FloatArray:
    """(draws, n_models) mean acceptance of a reference's signals in each bootstrap sample."""
    rows = panel.source == f
    values, drawn = accepted[rows], weights[:, panel.clip[rows]]
    counts = drawn @ (~np.isnan(values)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(drawn @ np.nan_to_num(values) / counts)


def _apart(
    panel: Judgements,
    accepted: FloatArray,
    a: int,
    b: int,
    both: Any,
    sources: list[int],
    draws: Sequence[FloatArray],
    weights: FloatArray,
) -> Estimate:
    """Transfer of one judge minus that of another, mean over the references whose signals both judged."""
    used = np.isin(panel.source, sources)
    n_clips = len(np.unique(panel.clip[both]))
    means = [np.mean([accepted[both & (panel.source == f), g].mean() for f in sources]) for g in (a, b)]
    value = float(means[0] - means[1])
    if np.array_equal(np.isnan(accepted[used, a]), np.isnan(accepted[used, b])):
        samples = np.mean([draws[f][:, a] - draws[f][:, b] for f in sources], axis=0)
    else:  # they know other classes: the samples are those of the signals that both judged
        masked = np.where(both[:, None], accepted[:, [a, b]], np.nan)
        of_both = [_draws(panel, masked, f, weights) for f in sources]
        samples = np.nanmean([d[:, 0] - d[:, 1] for d in of_both], axis=0)
    return from_draws(value, samples, n_clips, int(both.sum()), (-1.0, 1.0))
