"""Flat-earthers: models that hear what nobody else hears (definitions: Flat-earther).

`rejects_alone`, R_in(g): of the signals of others that every other member of the panel accepts, the share
that g rejects. `rejected_by_all`, R_out(g): of g's own signals, the share that no other member accepts.

Tests. R_in: within each signal the verdicts of all members but its source are shuffled, SHUFFLES times. Such
a shuffle leaves R_out as it is, because how many accept a signal does not change; there the mark "nobody
accepts it" is shuffled among the signals of one clip instead, that is among their sources (ours). All
p-values of a panel are adjusted together (Benjamini-Hochberg). A model is flagged when an adjusted p is below
ALPHA and the lower end of the 95 % interval of R(g) minus the median R of the others is above EXCESS; clips
are resampled for it.

Public: FlatEarth, Share, assess, benjamini_hochberg, ALPHA, EXCESS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.records import MIN_SIGNALS, FloatArray, ModelRef
from harness.score.estimates import clip_weights
from harness.score.judgements import Judgements
from harness.seeds import generator

ALPHA = 0.05
"""Adjusted p below which a model may be flagged."""

EXCESS = 0.1
"""What the lower end of the interval of R(g) - median R(others) must pass."""

SHUFFLES = 10_000
"""Shuffles of a test."""

MIN_MODELS = 4
"""Members of a panel below which nothing is assessed."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """One of the two shares of a model, and what its test says."""

    kind: str
    """`rejects alone` or `rejected by all`."""
    k: int
    """Signals counted."""
    n: int
    """Signals that qualify; below MIN_SIGNALS nothing is assessed."""
    p: float | None
    """Of the shuffles, before adjustment; None where not assessed."""
    p_adjusted: float | None
    """Benjamini-Hochberg, over all shares of the panel."""
    excess: float | None
    """Share minus the median share of the other models that are assessed."""
    low: float | None
    """Lower end of its 95 % interval."""
    robust_z: float | None
    """Excess in units of 1.4826 times the median absolute deviation of the panel; None where that is 0."""

    @property
    def value(self) -> float | None:
        """Share, k / n."""
        return self.k / self.n if self.n else None

    @property
    def flagged(self) -> bool:
        """Whether this makes the model a flat-earther."""
        return (
            self.p_adjusted is not None
            and self.low is not None
            and self.p_adjusted < ALPHA
            and self.low > EXCESS
        )


@dataclass(frozen=True)
class FlatEarth:
    """What is said of one model."""

    model: ModelRef
    """The model."""
    rejects_alone: Share
    """Of the signals of others."""
    rejected_by_all: Share
    """Of its own signals."""

    @property
    def flagged(self) -> bool:
        """By either share."""
        return self.rejects_alone.flagged or self.rejected_by_all.flagged

    def sentence(self, name: str) -> str:
        """The evidence in words; with n, interval and p."""
        alone, ignored = self.rejects_alone, self.rejected_by_all
        if alone.p is None and ignored.p is None:
            n = f"{alone.n} and {ignored.n} signals qualify, {MIN_SIGNALS} are needed"
            return f"{name}: not assessed ({n})."
        parts = []
        if alone.p is not None:
            parts.append(f"it alone rejects {_told(alone)} of the signals that all other judges accept")
        if ignored.p is not None:
            parts.append(f"{_told(ignored)} of its own signals are accepted by nobody else")
        verdict = "a flat-earther" if self.flagged else "no flat-earther"
        return f"{name}: {verdict}: {'; '.join(parts)}."


def _told(share: Share) -> str:
    low = "" if share.low is None else f", excess {share.excess:+.2f} [from {share.low:+.2f}]"
    return f"{share.k} of {share.n} (adjusted p = {share.p_adjusted:.2g}{low})"


def assess(panel: Judgements, seed_names: tuple[str, ...] = ()) -> list[FlatEarth]:
    """Both shares of every model of a panel.

    Args:
        panel: its judgements.
        seed_names: what the panel is about; seeds shuffles and resampling.
    """
    said = panel.foreign
    judged = ~np.isnan(said)
    rejected = judged & (said == 0)
    weights = clip_weights(len(panel.clip_ids), (*seed_names, "flat earth"))
    qualifies = judged & ((rejected.sum(axis=1)[:, None] - rejected) == 0) & (judged.sum(axis=1)[:, None] > 1)
    own, ignored = _own(panel, judged, said)
    enough = len(panel.models) >= MIN_MODELS
    kinds = (
        ("rejects alone", qualifies, rejected, _p_alone(judged, rejected, qualifies, seed_names)),
        ("rejected by all", own, ignored, _p_ignored(panel, own, ignored, seed_names)),
    )
    shares = {
        kind: _shares(kind, among, hits & among, p, panel.clip, weights, enough)
        for kind, among, hits, p in kinds
    }
    adjusted = _adjusted([s for kind in shares.values() for s in kind])
    n = len(panel.models)
    return [FlatEarth(panel.models[j], adjusted[j], adjusted[n + j]) for j in range(n)]


def _own(panel: Judgements, judged: BoolArray, said: FloatArray) -> tuple[BoolArray, BoolArray]:
    """(n, n_models) whether a signal is the model's own and another judged it; whether nobody accepts it."""
    own = (panel.source[:, None] == np.arange(len(panel.models))) & judged.any(axis=1, keepdims=True)
    return own, own & ~(said == 1).any(axis=1, keepdims=True)


def _p_alone(
    judged: BoolArray, rejected: BoolArray, qualifies: BoolArray, seed_names: tuple[str, ...]
) -> FloatArray:
    """(n_models,) share of shuffles in which a model rejects at least as many alone.

    A signal counts when all accept it, wherever the verdicts go, or when one judge rejects it: then it counts
    for the judge to whom the shuffle hands that rejection, each of m judges with a chance of 1 / m.
    """
    single = np.flatnonzero(rejected.sum(axis=1) == 1)
    rows = judged[single]
    chance = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    return _reached(chance, (qualifies & rejected).sum(axis=0), "alone", seed_names)


def _p_ignored(
    panel: Judgements, own: BoolArray, ignored: BoolArray, seed_names: tuple[str, ...]
) -> FloatArray:
    """(n_models,) share of shuffles of "nobody accepts it" among the sources of a clip that reach as many.

    Of s signals of a clip with m such marks each gets one with a chance of m / s.
    """
    n_clips = len(panel.clip_ids)
    signals = np.bincount(panel.clip, own.any(axis=1), minlength=n_clips)
    marks = np.bincount(panel.clip, ignored.any(axis=1), minlength=n_clips)
    chance = own * (marks / np.maximum(signals, 1))[panel.clip, None]
    return _reached(chance, ignored.sum(axis=0), "ignored", seed_names)


def _reached(chance: FloatArray, found: Any, what: str, seed_names: tuple[str, ...]) -> FloatArray:
    """(n_models,) share of shuffles that give a model at least what was found.

    A shuffle deals with each signal by itself, so that what a model gets in it is a sum of independent draws:
    those are drawn, and not the whole shuffle for all models.

    Args:
        chance: (n, n_models) that a shuffle gives a signal to a model.
        found: (n_models,) how many it has.
        what: which share; seeds the draws.
        seed_names: what the panel is about.
    """
    p = np.ones(chance.shape[1])
    for j in range(chance.shape[1]):
        rng = generator("flat earth", what, str(j), *seed_names)
        kinds, counts = np.unique(chance[chance[:, j] > 0, j], return_counts=True)
        drawn = np.zeros(SHUFFLES, dtype=np.int64)
        for kind, n in zip(kinds, counts, strict=True):
            drawn += rng.binomial(n, min(kind, 1.0), SHUFFLES)
        p[j] = (1 + (drawn >= found[j]).sum()) / (1 + SHUFFLES)
    return p


def _shares(
    kind: str,
    among: BoolArray,
    hits: BoolArray,
    p: FloatArray,
    clip: NDArray[np.int64],
    weights: FloatArray,
    enough: bool,
) -> list[Share]:
    n, k = among.sum(axis=0), hits.sum(axis=0)
    assessed = enough & (n >= MIN_SIGNALS)
    n_clips = weights.shape[1]
    by_clip = [
        np.stack([np.bincount(clip, some[:, j], minlength=n_clips) for j in range(some.shape[1])], axis=1)
        for some in (hits, among)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(assessed, k / n, np.nan)
        draws = (weights @ by_clip[0]) / (weights @ by_clip[1])
    found = []
    for j in range(len(n)):
        others = assessed & (np.arange(len(n)) != j)
        if not assessed[j] or not others.any():
            found.append(Share(kind, int(k[j]), int(n[j]), None, None, None, None, None))
            continue
        excess = value[j] - np.median(value[others])
        apart = draws[:, j] - np.nanmedian(draws[:, others], axis=1)
        low = float(np.nanquantile(apart, 0.025))
        spread = 1.4826 * float(np.median(np.abs(value[assessed] - np.median(value[assessed]))))
        z = float(excess / spread) if spread > 0 else None
        found.append(Share(kind, int(k[j]), int(n[j]), float(p[j]), None, float(excess), low, z))
    return found


def _adjusted(shares: list[Share]) -> list[Share]:
    """The same with adjusted p-values."""
    adjusted = iter(benjamini_hochberg([share.p for share in shares if share.p is not None]))
    return [share if share.p is None else replace(share, p_adjusted=next(adjusted)) for share in shares]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57)."""
    from scipy.stats import false_discovery_control

    return [float(q) for q in false_discovery_control(p)] if p else []
