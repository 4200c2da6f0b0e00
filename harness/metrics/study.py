"""One study: all models of a panel on all signals of a task, and what follows from it.

Everything is computed from verdicts and signals; no model is run here. Means over pairs are
unweighted, and hold for this panel of references; all intervals of a task resample its whole clips, with one
set of weights (`estimates.clip_weights`), jointly over all pairs. A model that is a near copy of a reference
counts as that reference. Differences need MIN_SIGNALS signals of a pair, as in a scorecard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.dataset import parquet_schema
from harness.dataset.suites import Suite
from harness.metrics import information, likeness
from harness.metrics.acceptance import accepted
from harness.metrics.estimates import (
    ClipWeights,
    clip_weights,
    clustered,
    draws_of_columns,
    from_draws,
    paired_difference,
)
from harness.metrics.flat_earth import FlatEarth, assess
from harness.metrics.paired_evidence import PairedEvidence, evidence_of
from harness.metrics.pairwise import Compared, compare_judges
from harness.metrics.panel_acceptance import PanelAcceptance, build_acceptance
from harness.metrics.reference_profile import ReferenceProfile, profiles_of
from harness.metrics.stability import Stability, of_signals, stability_of
from harness.metrics.transfer_curve import Curve, curve_of
from harness.schemas import Entry, ReferenceCounts, WholeClipScore
from harness.tasks import Task
from harness.types import MIN_SIGNALS, N_LEVELS, DatasetRef, Estimate, FloatArray, ModelRef

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
    """One family of signals; rates are named as in `schemas.Rates`, and are means as `transfer` is."""

    family: str
    n_signals: int
    """Signals judged, of all references together."""
    transfer: Estimate
    """Mean over all ordered pairs of a reference and another one: the paper's figure of a task."""
    swap: Estimate
    lift: Estimate
    matched: Estimate
    placement: Estimate
    largest: Estimate
    beyond_largest: Estimate
    agreeing_transfer: Estimate
    agreement: Estimate
    outgoing: dict[str, Estimate]
    """By repo_id of a reference: how the others accept its signals."""
    incoming: dict[str, Estimate]
    """By repo_id of a model: how it accepts those of the others."""
    asymmetry: tuple[tuple[ModelRef, ModelRef, Estimate], ...]
    """For each two references with MIN_SIGNALS clips that both are judged on: transfer from the first to the
    second minus the way back, in [-1, 1]."""
    n_asymmetry_left_out: int
    """Further two references, with fewer."""
    pairs: tuple[PairStudy, ...]
    """Every reference with every other model."""
    compared: tuple[Compared, ...]
    """Every two models as judges, over the references that both are judged on."""
    flat_earth: tuple[FlatEarth, ...]
    """Every model, in the order of the panel."""


@dataclass(frozen=True)
class Study:
    """The study of one task."""

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
    stability: tuple[Stability, ...]
    """Every reference in every family: how alike its independent extractions of a clip are."""
    portraits: tuple[ReferenceProfile, ...]
    divergence: dict[str, dict[str, float]]
    """By family and `a|b`: Jensen-Shannon divergence of the band use of two references, in bits."""
    paired_evidence: tuple[PairedEvidence, ...] | None = None
    """Whether the references' signals lie where a copy differs from its original; None without pairs."""


@dataclass(frozen=True)
class SuiteMeasures:
    """What a study measures of the signals of a task alone, whoever judges them."""

    portraits: tuple[ReferenceProfile, ...]
    """Of every reference in every family, by family."""
    paired_evidence: tuple[PairedEvidence, ...] | None
    """See `evidence_of`."""


def measure_suite(suite: Suite, task: str) -> SuiteMeasures:
    """Measure all signals of a task."""
    return SuiteMeasures(profiles_of(suite, task), evidence_of(suite, task))


def study_of(
    suite: Suite, task: Task, answers: Sequence[Answered], measures: SuiteMeasures | None = None
) -> Study:
    """Count everything: of every reference, and others, each with all verdicts on this suite.

    The `measures` are those of `measure_suite`, made here where they are not given.

    Raises:
        ValueError: the models were not asked the same signals.
    """
    measures = measure_suite(suite, task.name) if measures is None else measures
    counts = suite.counts(task.name)
    weights = clip_weights(sum(1 for _ in suite.clip_lines(task.name)), (task.name,))
    families = suite.families(task.name)
    names = {r.model.repo_id for r in suite.references(task.name)}
    in_order = sorted(answers, key=lambda a: (a[0].model.repo_id not in names, a[0].model.repo_id))
    portraits = measures.portraits
    copies = {entry.model.repo_id: likeness.copies(entry.likeness) for entry, _ in in_order}
    on_signals = [(entry.model, entry.label_map, of_signals(frame)) for entry, frame in in_order]
    return Study(
        task=task.name,
        signals=suite.ref(task.name),
        models=tuple(entry.model for entry, _ in in_order),
        n_references=sum(entry.model.repo_id in names for entry, _ in in_order),
        n_clips=sum(1 for _ in suite.clip_lines(task.name)),
        backbones={entry.model.repo_id: entry.facts.architecture for entry, _ in in_order},
        whole={entry.model.repo_id: entry.scorecard.whole for entry, _ in in_order},
        equal_error_rate=_equal_error_rates(task, in_order, weights),
        families=tuple(
            family_study(task, counts, in_order, family, _levels(suite, task.name, family))
            for family in families
        ),
        stability=tuple(
            stability_of(
                suite,
                task.name,
                r.model,
                family,
                [judge for judge in on_signals if r.model.repo_id not in copies[judge[0].repo_id]],
                weights,
            )
            for family in families
            for r in suite.references(task.name)
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
        paired_evidence=measures.paired_evidence,
    )


def family_study(
    task: Task,
    counts: Sequence[ReferenceCounts],
    answers: Sequence[Answered],
    family: str,
    levels: Mapping[str, IntArray],
) -> FamilyStudy:
    """Everything about one family of signals; see `study_of`.

    `levels` are by signal_id, (N_LEVELS,) bins of each level, where there are levels.
    """
    copies = {entry.model.repo_id: likeness.copies(entry.likeness) for entry, _ in answers}
    judges = [(entry.model, entry.label_map, frame) for entry, frame in answers]
    panel = build_acceptance(judges, counts, family, copies)
    weights = clip_weights(len(panel.clip_ids), (task.name,)).astype(np.float64)  # once, not in every sum
    names = [model.repo_id for model in panel.models]
    foreign = {name: panel.of_others(panel.source, values) for name, values in panel.acceptance.items()}
    pairs = [(f, g) for f in range(panel.n_references) for g in range(len(names)) if not panel.is_self[f, g]]
    by_clip = {name: _by_clip(panel, values, pairs) for name, values in foreign.items()}
    reference_pairs = [i for i, (_, g) in enumerate(pairs) if g < panel.n_references]
    agreeing = np.where(by_clip["whole"] == 1, by_clip["signal"], np.nan)
    signal = by_clip["signal"]

    def rate(values: FloatArray, columns: list[int] = reference_pairs) -> Estimate:
        return clustered(values[:, columns], weights)

    def beyond(control: str) -> Estimate:
        values = (signal - by_clip[control])[:, reference_pairs]
        has_enough = (~np.isnan(values)).sum(axis=0) >= MIN_SIGNALS
        return clustered(values[:, has_enough], weights, "difference")

    at = {pair: i for i, pair in enumerate(pairs)}
    draws = draws_of_columns(signal, weights)

    def asymmetry_of(a: int, b: int) -> Estimate:
        there, back = at[a, b], at[b, a]
        both = signal[:, [there]], signal[:, [back]]
        return paired_difference(*both, weights, (-1.0, 1.0), (draws[there], draws[back]))

    asymmetry = [
        (panel.models[a], panel.models[b], asymmetry_of(a, b))
        for a, b in combinations(range(panel.n_references), 2)
        if (a, b) in at and (b, a) in at
    ]
    values_of_models = {"transfer": foreign["signal"], "lift": foreign["signal"] - foreign["swap"]}
    codes = _Codes.of(panel)
    level_answers = {entry.model.repo_id: _by_level(frame, levels) for entry, frame in answers}
    return FamilyStudy(
        family=family,
        n_signals=len(panel.signal_ids),
        transfer=rate(signal),
        swap=rate(by_clip["swap"]),
        lift=beyond("swap"),
        matched=rate(by_clip["matched"]),
        placement=beyond("matched"),
        largest=rate(by_clip["largest"]),
        beyond_largest=beyond("largest"),
        agreeing_transfer=rate(agreeing),
        agreement=rate(by_clip["whole"]),
        outgoing={
            names[f]: rate(signal, [i for i in reference_pairs if pairs[i][0] == f])
            for f in range(panel.n_references)
        },
        incoming={
            names[g]: rate(signal, [i for i, pair in enumerate(pairs) if pair[1] == g])
            for g in range(len(names))
        },
        asymmetry=tuple(item for item in asymmetry if item[2].n >= MIN_SIGNALS),
        n_asymmetry_left_out=sum(item[2].n < MIN_SIGNALS for item in asymmetry),
        pairs=tuple(
            _pair(panel, codes, foreign["signal"], f, g, levels, level_answers[names[g]], weights)
            for f, g in pairs
        ),
        compared=compare_judges(panel, values_of_models, weights),
        flat_earth=tuple(assess(panel, weights, (task.name, family))),
    )


def _by_clip(panel: PanelAcceptance, values: FloatArray, pairs: Sequence[tuple[int, int]]) -> FloatArray:
    """(n_clips, n_pairs) what a judge says of the signal that a reference has on a clip; NaN for none."""
    sources, judges = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return np.ascontiguousarray(panel.by_clip(values)[judges, :, sources].T)


@dataclass(frozen=True, eq=False)
class _Codes:
    """Texts of a panel as numbers, in order of the texts."""

    rows: Sequence[IntArray]
    """Of each reference, which rows are its own."""
    expected: IntArray
    """(n,) class of each row."""
    predicted: IntArray
    """(n, n_models) verdict on it; -1 for none."""

    @classmethod
    def of(cls, panel: PanelAcceptance) -> _Codes:
        import pandas as pd

        rows = [np.flatnonzero(panel.source == f) for f in range(panel.n_references)]
        expected, predicted = (
            pd.factorize(texts.ravel(), sort=True)[0].reshape(texts.shape)
            for texts in (panel.expected, panel.predicted)
        )
        return cls(rows, expected, predicted)


def _pair(
    panel: PanelAcceptance,
    codes: _Codes,
    acceptance: FloatArray,
    f: int,
    g: int,
    levels: Mapping[str, IntArray],
    level_answers: Mapping[str, pd.DataFrame],
    weights: ClipWeights,
) -> PairStudy:
    rows = codes.rows[f]
    rows = rows[~np.isnan(acceptance[rows, g])]
    clip = panel.clip[rows]
    measure = information.mutual_information(codes.expected[rows], codes.predicted[rows, g], clip)
    curve = None
    own_levels = level_answers.get(panel.models[f].repo_id)
    if own_levels is not None:
        own_levels = own_levels[own_levels.index.isin(panel.clip_ids[clip], level="clip_id")]
        if len(own_levels):
            clip_ids, signal_ids = (own_levels.index.get_level_values(n) for n in ("clip_id", "signal_id"))
            clips = np.searchsorted(panel.clip_ids, clip_ids.to_numpy(dtype=str)).astype(np.int64)
            sizes = np.array([levels[signal_id] for signal_id in signal_ids])
            curve = curve_of(own_levels.to_numpy(dtype=np.float64), sizes, weights, clips)
    return PairStudy(panel.models[f], panel.models[g], measure, curve)


def _levels(suite: Suite, task: str, family: str) -> dict[str, IntArray]:
    """By signal_id: (N_LEVELS,) coefficients of each level, of those signals that have levels."""
    return {
        line.signal_id: parquet_schema.level_sizes(line.n_kept, line.n_coefficients)
        for reference in suite.references(task)
        for line in suite.signal_lines(task, reference.model.slug)
        if line.family == family and line.has_levels and not line.degenerate
    }


def _by_level(frame: pd.DataFrame, levels: Mapping[str, IntArray]) -> dict[str, pd.DataFrame]:
    """By repo_id of a reference: 1 or 0 for each level of its signals of which all levels were asked."""
    rows = frame[(frame["stimulus"] == "signal") & frame["level"].notna()] if levels else frame.iloc[:0]
    rows = rows[rows["signal_id"].isin(list(levels))]
    keys = [rows["reference"], rows["clip_id"], rows["signal_id"], rows["level"].astype(int)]
    wide = rows.assign(accepts=accepted(rows).astype(float)).groupby(keys)["accepts"].first().unstack()
    if wide.shape[1] != N_LEVELS:
        return {}
    return {str(reference): group for reference, group in wide.dropna().groupby(level="reference")}


def _equal_error_rates(task: Task, answers: Sequence[Answered], weights: ClipWeights) -> dict[str, Estimate]:
    if len(task.labels) != 2:
        return {}
    estimates = {}
    for entry, frame in answers:
        clips = frame[frame["stimulus"] == "whole"].sort_values("clip_id")
        has_truth = clips["truth"].notna().to_numpy(dtype=bool)
        p = np.array([p[1] for p in clips["p"][has_truth]], dtype=np.float64)
        is_last = (clips["truth"][has_truth] == task.labels[1]).to_numpy(dtype=bool)
        rate, n = information.equal_error_rate(p, is_last), len(p)
        if rate is None:
            continue
        draws = information.equal_error_rates(p, is_last, weights[:, has_truth])
        estimates[entry.model.repo_id] = from_draws(rate, draws, n, n, (0.0, 1.0))
    return estimates
