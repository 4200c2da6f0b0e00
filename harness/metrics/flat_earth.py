"""Flat-earthers: models that reject what all others accept, or whose signals nobody else accepts.

`rejects_alone`, R_in(g): of the signals of others that every other member of the panel accepts, the share
that g rejects. `rejected_by_all`, R_out(g): of g's own signals, the share that no other member accepts
(definitions: Flat-earther). Counted on the first draw of each clip, because "all accept" has no mean.

Panels. References are judged among the references alone; each other model in the panel of the references and
itself, so that no other model changes a finding about a reference. The shares of the others, to which g's is
compared, are counted in the panel without g: a model that rejects everything would empty their denominators.

Tests. R_in: within each signal the verdicts of all members but its source are shuffled, SHUFFLES times. Such
a shuffle leaves R_out as it is, because how many accept a signal does not change; there the mark "nobody
accepts it" is shuffled among the signals of one clip instead, that is among their sources (ours). The
p-values of the references are adjusted together, those of the other models together (Benjamini-Hochberg). A
model is flagged when an adjusted p is below ALPHA and the lower end of the 95 % interval of R(g) minus the
median R of the others is above EXCESS; clips are resampled for it.

Sparse sound (ours). Beside each share stands the same share on `matched` controls: equally loud places of the
same clips, which carry no signal. A flag says something about signals only where the share is larger on them:
where the lower end of the interval of the difference is at most SPARSE, the words are "rejects sparse sound".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.metrics.acceptance import divide
from harness.metrics.estimates import ClipWeights, from_draws, resampled_sums
from harness.metrics.panel_acceptance import BoolArray, PanelAcceptance, Single
from harness.number_format import number
from harness.plurals import plural
from harness.seeds import generator
from harness.types import MIN_SIGNALS, Estimate, FloatArray, ModelRef

ALPHA = 0.05
"""Adjusted p below which a model may be flagged."""

EXCESS = 0.25
"""What the lower end of the interval of R(g) - median R(others) must pass."""

SPARSE = 0.1
"""What the lower end of the interval of a share minus that on `matched` controls must pass, for the share to
say something of signals."""

SHUFFLES = 10_000
"""Shuffles of a test."""

MIN_MODELS = 4
"""Members of a panel below which nothing is assessed."""

FLAT_EARTHER = "a flat-earther"
SPARSE_SOUND = "rejects sparse sound"
NOT_ASSESSED = "not assessed"

_POSSIBLE = (-1.0, 1.0)


@dataclass(frozen=True)
class Share:
    """One of the two shares of a model, and what its test says."""

    kind: str
    """`rejects alone` or `rejected by all`."""
    k: int
    """Signals counted."""
    n: int
    """Signals that qualify; below MIN_SIGNALS nothing is assessed."""
    n_others: int
    """Other models with as many, counted without this one: those to whose median it is compared."""
    p: float | None
    """Of the shuffles, before adjustment; None where not assessed."""
    p_adjusted: float | None
    """Benjamini-Hochberg, over all shares of the references, or of the other models."""
    excess: Estimate | None
    """Share minus the median share of the others, in [-1, 1]; None where not assessed."""
    robust_z: float | None
    """Excess in units of 1.4826 times the median absolute deviation of the others; None where that is 0."""
    k_matched: int
    """`matched` controls counted in the same way."""
    n_matched: int
    """`matched` controls that qualify."""
    beyond_matched: Estimate | None
    """Share minus that on `matched` controls, in [-1, 1]; None where fewer than MIN_SIGNALS qualify."""
    not_assessed_because: str | None
    """Why not, in a clause; None where assessed."""

    @property
    def value(self) -> float | None:
        """Share, k / n."""
        return self.k / self.n if self.n else None

    @property
    def flagged(self) -> bool:
        """Whether the test singles the model out."""
        return (
            self.p_adjusted is not None
            and self.excess is not None
            and self.excess.low is not None
            and self.p_adjusted < ALPHA
            and self.excess.low > EXCESS
        )

    @property
    def sparse(self) -> bool:
        """Whether `matched` controls are treated alike: then the share says nothing of signals."""
        difference = self.beyond_matched
        return difference is not None and difference.low is not None and difference.low <= SPARSE


@dataclass(frozen=True)
class FlatEarth:
    """What is known of one model."""

    model: ModelRef
    rejects_alone: Share
    """Of the signals of others."""
    rejected_by_all: Share
    """Of its own signals."""

    @property
    def flagged(self) -> bool:
        """By either share."""
        return self.rejects_alone.flagged or self.rejected_by_all.flagged

    @property
    def is_flat_earther(self) -> bool:
        """Flagged by a share that `matched` controls do not explain."""
        return any(s.flagged and not s.sparse for s in (self.rejects_alone, self.rejected_by_all))

    @property
    def verdict(self) -> str:
        """`a flat-earther`, `rejects sparse sound`, `no flat-earther` or `not assessed`."""
        if self.flagged:
            return FLAT_EARTHER if self.is_flat_earther else SPARSE_SOUND
        is_assessed = self.rejects_alone.p is not None or self.rejected_by_all.p is not None
        return "no flat-earther" if is_assessed else NOT_ASSESSED

    def sentence(self, name: str) -> str:
        """The evidence in words; with n, interval and p, and which share was not tested."""
        inward, outward = self.rejects_alone, self.rejected_by_all
        parts = (
            _clause(
                inward, f"it alone rejects {_count_text(inward)} of the signals that all other judges accept"
            ),
            _clause(outward, f"{_count_text(outward)} of its own signals are accepted by nobody else"),
        )
        return f"{name}: {self.verdict}: {'; '.join(parts)}."


def _with_sign(value: float | None) -> str:
    return "unknown" if value is None else number(value, 2, signed=True)


def _count_text(share: Share) -> str:
    return f"{share.k:,} of {share.n:,}"


def _clause(share: Share, words: str) -> str:
    if share.not_assessed_because is not None:
        subject = (
            "R_in, what it alone rejects," if share.kind == "rejects alone" else "R_out, its own signals,"
        )
        return f"{subject} was not tested ({share.not_assessed_because})"
    e = share.excess
    excess = (
        "" if e is None or e.low is None else f", excess {_with_sign(e.value)} [from {_with_sign(e.low)}]"
    )
    z = "" if share.robust_z is None else f", robust z = {number(share.robust_z, 1)}"
    evidence = f"{words} (adjusted p = {share.p_adjusted:.2g}{excess}{z})"
    if not share.flagged:
        return evidence
    controls = f"{share.k_matched:,} of {share.n_matched:,} matched controls"
    if share.beyond_matched is None:
        return f"{evidence}, and {controls}, which are too few to compare"
    comparison = (
        "as often or nearly so: sparse sound, not the signals, explains it" if share.sparse else "less often"
    )
    return f"{evidence}, and {controls}, {comparison}"


@dataclass(frozen=True, eq=False)
class _Sound:
    """Stimuli of one kind, answered by the members of one panel."""

    clip: NDArray[np.int64]
    """(n,) the clip of each."""
    own: BoolArray
    """(n, n_members) whether a member is its source."""
    has_verdict: BoolArray
    """(n, n_members) whether a member that is not its source has a verdict on it."""
    accepts: BoolArray
    """(n, n_members)."""

    @property
    def rejects(self) -> BoolArray:
        return self.has_verdict & ~self.accepts

    def without(self, g: int) -> _Sound:
        """The panel without a member and its stimuli."""
        rows, members = ~self.own[:, g], np.arange(self.own.shape[1]) != g
        return _Sound(
            self.clip[rows],
            *(table[np.ix_(rows, members)] for table in (self.own, self.has_verdict, self.accepts)),
        )

    def counts(self, kind: str) -> tuple[BoolArray, BoolArray]:
        """(n, n_members) what qualifies for each member's share, and what of it counts."""
        if kind == "rejects alone":
            rejects, n_judges = self.rejects, self.has_verdict.sum(axis=1, keepdims=True)
            qualifies = self.has_verdict & (n_judges > 1)
            qualifies &= (rejects.sum(axis=1, keepdims=True) - rejects) == 0
            return qualifies, qualifies & rejects
        own = self.own & self.has_verdict.any(axis=1, keepdims=True)
        return own, own & ~self.accepts.any(axis=1, keepdims=True)


def assess(panel: PanelAcceptance, weights: ClipWeights, seed_names: tuple[str, ...] = ()) -> list[FlatEarth]:
    """Both shares of every model of a panel, in its order.

    Takes the weights of the task, (draws, n_clips); `seed_names`, what the panel is about, seed the shuffles.
    """
    references = list(range(panel.n_references))
    reference_shares = _assess_each(panel, references, references, weights, seed_names)
    other_shares = []
    for g in range(panel.n_references, len(panel.models)):
        other_shares += _assess_each(panel, [*references, g], [g], weights, seed_names)
    shares = [*_adjust(reference_shares), *_adjust(other_shares)]
    return [FlatEarth(panel.models[j], *shares[2 * j : 2 * j + 2]) for j in range(len(panel.models))]


def _assess_each(
    panel: PanelAcceptance,
    members: list[int],
    of: list[int],
    weights: ClipWeights,
    seed_names: tuple[str, ...],
) -> list[Share]:
    """Both shares, p not adjusted, of some members of a panel made of these members."""
    sounds = [_sound(panel, stimuli, members) for stimuli in (panel.signals, panel.matched)]
    tests = {"rejects alone": _chance_alone(sounds[0]), "rejected by all": _chance_ignored(sounds[0])}
    counts = {kind: [sound.counts(kind) for sound in sounds] for kind in tests}
    shares = []
    for g in of:
        panel_without = sounds[0].without(members.index(g))
        for kind, chance in tests.items():
            seed = (*seed_names, kind, panel.models[g].repo_id)
            shares.append(
                _share(kind, members.index(g), sounds, counts[kind], panel_without, chance, weights, seed)
            )
    return shares


def _sound(panel: PanelAcceptance, stimuli: Single, members: list[int]) -> _Sound:
    values = panel.of_others(stimuli.source, stimuli.acceptance)[:, members]
    own = stimuli.source[:, None] == np.array(members)
    return _Sound(stimuli.clip, own, ~np.isnan(values), values == 1)


def _share(
    kind: str,
    g: int,
    sounds: Sequence[_Sound],
    counts_of_sounds: Sequence[tuple[BoolArray, BoolArray]],
    panel_without: _Sound,
    chance: FloatArray,
    weights: ClipWeights,
    seed: tuple[str, ...],
) -> Share:
    """A share of one member, compared to those of the others in the panel without it."""
    (qualifies, hits), (qualifies_matched, hits_matched) = (
        tuple(flags[:, g] for flags in counts) for counts in counts_of_sounds
    )
    others, hits_of_others = panel_without.counts(kind)
    has_enough = others.sum(axis=0) >= MIN_SIGNALS
    k, n = int(hits.sum()), int(qualifies.sum())
    k_matched, n_matched = int(hits_matched.sum()), int(qualifies_matched.sum())
    counts = (kind, k, n, int(has_enough.sum()))
    matched_counts = (k_matched, n_matched)
    has_any = kind == "rejects alone" or bool(sounds[0].own[:, g].any())
    reason = _reason_not_assessed(chance.shape[1], n, int(has_enough.sum())) if has_any else "it offers none"
    if reason is not None:
        return Share(*counts, None, None, None, None, *matched_counts, None, reason)
    values = hits_of_others.sum(axis=0)[has_enough] / others.sum(axis=0)[has_enough]
    median_share = float(np.median(values))
    draws = _draws(sounds[0].clip, qualifies[:, None], hits[:, None], weights)[:, 0]
    draws_of_others = _draws(
        panel_without.clip, others[:, has_enough], hits_of_others[:, has_enough], weights
    )
    with np.errstate(invalid="ignore"):
        excess_draws = draws - np.nanmedian(draws_of_others, axis=1)
    n_clips = len(np.unique(sounds[0].clip[qualifies]))
    excess = from_draws(k / n - median_share, excess_draws, n_clips, n, _POSSIBLE)
    spread = 1.4826 * float(np.median(np.abs(values - median_share)))
    beyond_matched = None
    if n_matched >= MIN_SIGNALS:
        matched_draws = _draws(sounds[1].clip, qualifies_matched[:, None], hits_matched[:, None], weights)[
            :, 0
        ]
        difference = k / n - k_matched / n_matched
        beyond_matched = from_draws(difference, draws - matched_draws, n_clips, n, _POSSIBLE)
    p = _p_value(chance[:, g], k, seed)
    z = (k / n - median_share) / spread if spread > 0 else None
    return Share(*counts, p, None, excess, z, *matched_counts, beyond_matched, None)


def _reason_not_assessed(n_models: int, n: int, n_others: int) -> str | None:
    if n_models < MIN_MODELS:
        return f"the panel has {plural(n_models, 'model')}, and {MIN_MODELS} are needed"
    clause = f"{plural(n, 'signal')} {'qualifies' if n == 1 else 'qualify'}"
    if n < MIN_SIGNALS:
        return f"{clause}, and {MIN_SIGNALS} are needed"
    if n_others == 0:
        return f"{clause}, but fewer than {MIN_SIGNALS} for each other model"
    return None


def _draws(
    clip: NDArray[np.int64], qualifies: BoolArray, hits: BoolArray, weights: ClipWeights
) -> FloatArray:
    """(draws, n_members) the share in each sample of clips; NaN where nothing qualifies in it."""
    hit_counts, qualifying_counts = (_by_clip(clip, flags, weights.shape[1]) for flags in (hits, qualifies))
    return divide(*resampled_sums(weights, hit_counts, qualifying_counts))


def _by_clip(clip: NDArray[np.int64], flags: BoolArray, n_clips: int) -> FloatArray:
    """(n_clips, n_members) how many flags are set; few of them are."""
    rows, members = np.nonzero(flags)
    n_members = flags.shape[1]
    counts = np.bincount(clip[rows] * n_members + members, minlength=n_clips * n_members)
    return counts.astype(np.float64).reshape(n_clips, n_members)


def _chance_alone(sound: _Sound) -> FloatArray:
    """(n, n_members) that a shuffle gives a signal to a member's count.

    A signal counts when all accept it, wherever the verdicts go, or when one judge rejects it: then it counts
    for the judge to whom the shuffle hands that rejection, each of m judges with a chance of 1 / m.
    """
    is_single = sound.rejects.sum(axis=1, keepdims=True) == 1
    n_judges = sound.has_verdict.sum(axis=1, keepdims=True)
    has_several = n_judges > 1
    return np.asarray((sound.has_verdict & is_single & has_several) / np.maximum(n_judges, 1))


def _chance_ignored(sound: _Sound) -> FloatArray:
    """(n, n_members) that a shuffle of "nobody accepts it" among the sources of a clip marks a signal.

    Of s signals of a clip with m such marks each gets one with a chance of m / s.
    """
    own, is_ignored = sound.counts("rejected by all")
    n_clips = int(sound.clip.max(initial=-1)) + 1
    signals, marks = (np.bincount(sound.clip, flags.any(axis=1), n_clips) for flags in (own, is_ignored))
    return np.asarray(own * (marks / np.maximum(signals, 1))[sound.clip, None])


def _p_value(chance: FloatArray, k: int, seed: tuple[str, ...]) -> float:
    """Share of shuffles that give a member at least k, where one gives it each signal with its chance (n,).

    A shuffle deals with each signal by itself, so that what a member gets in it is a sum of independent
    draws: those are drawn, and not the whole shuffle for all.
    """
    rng = generator("flat earth", *seed)
    counts = np.zeros(SHUFFLES, dtype=np.int64)
    for kind, n in zip(*np.unique(chance[chance > 0], return_counts=True), strict=True):
        counts += rng.binomial(n, min(kind, 1.0), SHUFFLES)
    return float((1 + (counts >= k).sum()) / (1 + SHUFFLES))


def _adjust(shares: list[Share]) -> list[Share]:
    """The same with adjusted p-values."""
    p_values = iter(benjamini_hochberg([share.p for share in shares if share.p is not None]))
    return [share if share.p is None else replace(share, p_adjusted=next(p_values)) for share in shares]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57)."""
    values = np.array(p, dtype=np.float64)
    order = np.argsort(values)
    scaled = values[order] * (len(p) / np.arange(1, len(p) + 1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return [float(q) for q in np.clip(adjusted, 0.0, 1.0)]
