"""One study: all models of a panel on all signals of a task, and what follows from it.

Everything is counted from verdicts and signals; nothing is asked of a model here. Means over pairs are
unweighted, their intervals resample clips jointly over all pairs; where many are tested, p-values are
adjusted (Benjamini-Hochberg).

Public: Answered, Study, FamilyStudy, PairStudy, study_of, family_study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset import schema
from harness.dataset.signals import Suite
from harness.documents import Entry, ReferenceCounts, WholeClipScore
from harness.records import FAMILIES, N_LEVELS, DatasetRef, Estimate, FloatArray, ModelRef
from harness.score import information
from harness.score.comparisons import Compared, compared
from harness.score.curves import Curve, curve_of
from harness.score.estimates import DRAWS, clip_weights, clustered, from_draws, paired_difference
from harness.score.flat_earth import FlatEarth, assess
from harness.score.judgements import Judgements, gather
from harness.score.portraits import Portrait, portrait_of
from harness.seeds import generator
from harness.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]
Answered = tuple[Entry, "pd.DataFrame"]
"""A model's entry and its verdicts."""


@dataclass(frozen=True)
class PairStudy:
    """One reference's signals and one judge; the rates are those of the judge's scorecard cell."""

    reference: ModelRef
    judge: ModelRef
    information: information.Information
    """What the judge's verdicts say of the classes of these signals."""
    curve: Curve | None
    """Over the levels; in family `minimal` alone, and where levels are published."""


@dataclass(frozen=True)
class FamilyStudy:
    """One family of signals."""

    family: str
    """One of FAMILIES."""
    n_signals: int
    """Signals judged, of all references together."""
    transfer: Estimate
    """Mean over all ordered pairs of a reference and another one: the paper's figure of a task."""
    floor: Estimate
    """The same mean of the acceptance of the `permuted` controls."""
    lift: Estimate
    """The same mean of transfer minus floor, paired by signal."""
    agreeing_transfer: Estimate
    """Transfer where both give the whole clip the class."""
    ceiling: Estimate
    """Acceptance of the whole clips."""
    outgoing: dict[str, Estimate]
    """By repo_id of a reference: how the others accept its signals."""
    incoming: dict[str, Estimate]
    """By repo_id of a model: how it accepts those of the others."""
    asymmetry: tuple[tuple[ModelRef, ModelRef, Estimate], ...]
    """For each two references: transfer from the first to the second minus the way back."""
    pairs: tuple[PairStudy, ...]
    """Every reference with every other model."""
    compared: tuple[Compared, ...]
    """Every two models as judges."""
    flat_earth: tuple[FlatEarth, ...]
    """Every model, in the order of the panel."""


@dataclass(frozen=True)
class Study:
    """What is known of one task."""

    task: str
    signals: DatasetRef
    models: tuple[ModelRef, ...]
    """The panel: references by name, then others."""
    n_references: int
    n_clips: int
    backbones: dict[str, str]
    """By repo_id: the architecture; models of one share more than a task."""
    whole: dict[str, WholeClipScore]
    """By repo_id: the usual measures on whole clips."""
    equal_error_rate: dict[str, Estimate]
    """By repo_id, of a binary task: on whole clips of known truth, for its last label."""
    families: tuple[FamilyStudy, ...]
    portraits: tuple[Portrait, ...]
    divergence: dict[str, dict[str, float]]
    """By family and `a|b`: Jensen-Shannon divergence of the band use of two references, in bits."""


def study_of(suite: Suite, task: Task, answered: Sequence[Answered]) -> Study:
    """Count everything.

    Args:
        suite: the signals.
        task: the task.
        answered: every reference, and others, each with all verdicts on this suite.

    Raises:
        ValueError: the models were not asked the same signals.
    """
    counts = suite.counts(task.name)
    families = [f for f in FAMILIES if any(c.family == f for c in counts)]
    names = {r.model.repo_id for r in suite.references(task.name)}
    in_order = sorted(answered, key=lambda a: (a[0].model.repo_id not in names, a[0].model.repo_id))
    portraits = tuple(
        portrait_of(suite, task.name, r.model, family)
        for family in families
        for r in suite.references(task.name)
    )
    return Study(
        task=task.name,
        signals=suite.ref(task.name),
        models=tuple(entry.model for entry, _ in in_order),
        n_references=sum(entry.model.repo_id in names for entry, _ in in_order),
        n_clips=sum(1 for _ in suite.clip_lines(task.name)),
        backbones={entry.model.repo_id: entry.facts.architecture for entry, _ in in_order},
        whole={entry.model.repo_id: entry.scorecard.whole for entry, _ in in_order},
        equal_error_rate=_equal_error_rates(task, in_order),
        families=tuple(
            family_study(task, counts, in_order, family, _levels(suite, task.name, family))
            for family in families
        ),
        portraits=portraits,
        divergence={
            family: {
                f"{a.model.repo_id}|{b.model.repo_id}": information.divergence(
                    np.array(a.mel), np.array(b.mel)
                )
                for a, b in combinations([p for p in portraits if p.family == family and p.n], 2)
            }
            for family in families
        },
    )


def family_study(
    task: Task,
    counts: Sequence[ReferenceCounts],
    answered: Sequence[Answered],
    family: str,
    levels: Mapping[str, IntArray],
) -> FamilyStudy:
    """Everything about one family of signals.

    Args:
        task: the task.
        counts: whose signals were asked.
        answered: see `study_of`.
        family: one of FAMILIES.
        levels: by signal_id, (N_LEVELS,) bins of each level, where there are levels.
    """
    panel = gather([(entry.model, entry.label_map, frame) for entry, frame in answered], counts, family)
    seed = (task.name, family)
    names = [model.repo_id for model in panel.models]
    foreign = {name: _foreign(panel, values) for name, values in panel.accepted.items()}
    pairs = [
        (f, g)
        for f in range(panel.n_references)
        for g in range(len(names))
        if panel.models[f].weights_sha256 != panel.models[g].weights_sha256
    ]
    by_clip = {name: _by_clip(panel, values, pairs) for name, values in foreign.items()}
    among = [i for i, (_, g) in enumerate(pairs) if g < panel.n_references]
    agreeing = np.where(by_clip["whole"] == 1, by_clip["signal"], np.nan)

    def mean(values: FloatArray, columns: list[int], *what: str, of: Any = "rate") -> Estimate:
        return clustered(values[:, columns], (*seed, *what), of)

    signal, lift = by_clip["signal"], by_clip["signal"] - by_clip["permuted"]
    weights = clip_weights(len(panel.clip_ids), seed)
    of_signals = _Weights(weights)
    at = {pair: i for i, pair in enumerate(pairs)}
    frames = {entry.model.repo_id: frame for entry, frame in answered}
    asked = {name: _by_level(frame) if levels else {} for name, frame in frames.items()}
    return FamilyStudy(
        family=family,
        n_signals=len(panel.signal_ids),
        transfer=mean(signal, among, "transfer"),
        floor=mean(by_clip["permuted"], among, "floor"),
        lift=mean(lift, among, "lift", of="difference"),
        agreeing_transfer=mean(agreeing, among, "agreeing"),
        ceiling=mean(by_clip["whole"], among, "ceiling"),
        outgoing={
            names[f]: mean(signal, [i for i in among if pairs[i][0] == f], "outgoing", names[f])
            for f in range(panel.n_references)
        },
        incoming={
            names[g]: mean(signal, [i for i, pair in enumerate(pairs) if pair[1] == g], "incoming", names[g])
            for g in range(len(names))
        },
        asymmetry=tuple(
            (
                panel.models[a],
                panel.models[b],
                paired_difference(signal[:, [at[a, b]]], signal[:, [at[b, a]]], weights),
            )
            for a, b in combinations(range(panel.n_references), 2)
            if (a, b) in at
        ),
        pairs=tuple(
            _pair(panel, foreign["signal"], f, g, asked[names[g]], levels, of_signals, seed) for f, g in pairs
        ),
        compared=compared(panel, foreign["signal"], weights),
        flat_earth=tuple(assess(panel, seed)),
    )


def _foreign(panel: Judgements, values: FloatArray) -> FloatArray:
    return np.where(np.isnan(panel.foreign), np.nan, values)


def _by_clip(panel: Judgements, values: FloatArray, pairs: Sequence[tuple[int, int]]) -> FloatArray:
    """(n_clips, n_pairs) what a judge says of the signal that a reference has on a clip; NaN for none."""
    found = np.full((len(panel.clip_ids), len(pairs)), np.nan)
    for f in range(panel.n_references):
        rows = panel.source == f
        columns = [i for i, pair in enumerate(pairs) if pair[0] == f]
        judges = [pairs[i][1] for i in columns]
        found[np.ix_(panel.clip[rows], columns)] = values[np.ix_(rows, judges)]
    return found


class _Weights:
    """Bootstrap weights of clips, spread over signals; kept for the next judge of the same reference."""

    def __init__(self, of_clips: FloatArray) -> None:
        self._of_clips = of_clips
        self._last: tuple[bytes, FloatArray] = b"", np.empty(0)

    def of(self, clip: IntArray) -> FloatArray:
        """(draws, n) for signals of these clips."""
        key = clip.tobytes()
        if self._last[0] != key:
            self._last = key, self._of_clips[:, clip]
        return self._last[1]


def _pair(
    panel: Judgements,
    accepted: FloatArray,
    f: int,
    g: int,
    asked: Mapping[str, FloatArray],
    levels: Mapping[str, IntArray],
    weights: _Weights,
    seed: tuple[str, ...],
) -> PairStudy:
    rows = np.flatnonzero((panel.source == f) & ~np.isnan(accepted[:, g]))
    drawn = weights.of(panel.clip[rows])
    told = information.mutual_information(panel.expected[rows], panel.predicted[rows, g], drawn)
    names = [panel.signal_ids[i] for i in rows]
    with_levels = [i for i, name in enumerate(names) if name in levels and name in asked]
    curve = None
    if with_levels:
        some = [names[i] for i in with_levels]
        sizes, said = (np.array([of[name] for name in some]) for of in (levels, asked))
        place = (*seed, panel.models[f].repo_id, panel.models[g].repo_id)
        curve = curve_of(said, sizes, drawn[:, with_levels], place)
    return PairStudy(panel.models[f], panel.models[g], told, curve)


def _levels(suite: Suite, task: str, family: str) -> dict[str, IntArray]:
    """By signal_id: (N_LEVELS,) bins of each level, of those signals that have levels."""
    return {
        line.signal_id: schema.level_sizes(line.n_kept, line.n_samples // 2 + 1)
        for reference in suite.references(task)
        for line in suite.signal_lines(task, reference.model.slug)
        if line.family == family and line.has_levels and not line.degenerate
    }


def _by_level(frame: pd.DataFrame) -> dict[str, FloatArray]:
    """By signal_id: (N_LEVELS,) acceptance of each level, of those signals of which all were asked."""
    rows = frame[(frame["stimulus"] == "signal") & frame["level"].notna()]
    right = (rows["predicted"] == rows["expected"]).astype(float)
    wide = right.groupby([rows["signal_id"], rows["level"].astype(int)]).first().unstack()
    wide = wide.dropna() if wide.shape[1] == N_LEVELS else wide.iloc[:0]
    return dict(zip(wide.index, wide.to_numpy(), strict=True))


def _equal_error_rates(task: Task, answered: Sequence[Answered]) -> dict[str, Estimate]:
    if len(task.labels) != 2:
        return {}
    found = {}
    for entry, frame in answered:
        whole = frame[(frame["stimulus"] == "whole") & frame["truth"].notna()]
        p = np.array([p[1] for p in whole["p"]], dtype=np.float64)
        is_last = (whole["truth"] == task.labels[1]).to_numpy(dtype=bool)
        rate, n = information.equal_error_rate(p, is_last), len(p)
        if rate is None:
            continue
        rng = generator("equal error rate", task.name)
        drawn = (rng.integers(n, size=n) for _ in range(DRAWS))
        rates = [information.equal_error_rate(p[some], is_last[some]) for some in drawn]
        draws = np.array([np.nan if each is None else each for each in rates])
        found[entry.model.repo_id] = from_draws(rate, draws, n, n, (0.0, 1.0))
    return found
