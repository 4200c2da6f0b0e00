"""One study: all models of a panel on all signals of a task, and what follows from it.

Everything is counted from verdicts and signals; nothing is asked of a model here. Means over pairs are
unweighted, their intervals resample clips jointly over all pairs; where many are tested, p-values are
adjusted (Benjamini-Hochberg).

Public: Answered, Study, FamilyStudy, PairStudy, Compared, Portrait, study_of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.dataset import schema
from harness.dataset.signals import Suite, spectrum_of
from harness.records import (
    FAMILIES,
    N_LEVELS,
    DatasetRef,
    Entry,
    Estimate,
    FloatArray,
    ModelRef,
    WholeClipScore,
)
from harness.score import information
from harness.score.curves import Curve, curve_of
from harness.score.estimates import clip_weights, clustered, paired_difference
from harness.score.flat_earth import FlatEarth, assess, benjamini_hochberg
from harness.score.judgements import Judgements, gather
from harness.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True)
class FamilyStudy:
    """One family of signals."""

    family: str
    n_signals: int
    """Signals judged, of all references together."""
    transfer: Estimate
    """Mean over all ordered pairs of a reference and another one: the paper's figure of a task."""
    floor: Estimate
    lift: Estimate
    agreeing_transfer: Estimate
    ceiling: Estimate
    outgoing: dict[str, Estimate]
    """By repo_id of a reference: how the others accept its signals."""
    incoming: dict[str, Estimate]
    """By repo_id of a model: how it accepts those of the others."""
    asymmetry: tuple[tuple[ModelRef, ModelRef, Estimate], ...]
    """For each two references: transfer from the first to the second minus the way back."""
    pairs: tuple[PairStudy, ...]
    compared: tuple[Compared, ...]
    flat_earth: tuple[FlatEarth, ...]


@dataclass(frozen=True)
class Portrait:
    """A reference as its signals of one family show it: medians over signals, and the use of mel bands."""

    model: ModelRef
    family: str
    n: int
    """Signals, degenerate ones left out."""
    sizes: tuple[float, ...]
    """Kept share of each signal."""
    entropies: tuple[float, ...]
    """Spectral entropy of each, in bits."""
    medians: information.OfSignal | None
    """Median of every measure."""
    mel: tuple[float, ...]
    """Distribution of kept bins over mel bands."""


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
    equal_error_rate: dict[str, float]
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
        _portrait(suite, task.name, r.model, family)
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
        families=tuple(_family(suite, task, in_order, family) for family in families),
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


def _family(suite: Suite, task: Task, answered: Sequence[Answered], family: str) -> FamilyStudy:
    panel = gather(
        [(entry.model, entry.label_map, frame) for entry, frame in answered],
        suite.counts(task.name),
        family,
    )
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
    frames = {entry.model.repo_id: frame for entry, frame in answered}
    levels = _levels(suite, task.name, panel) if family == "minimal" else {}
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
                paired_difference(
                    signal[:, [pairs.index((a, b))]],
                    signal[:, [pairs.index((b, a))]],
                    clip_weights(len(panel.clip_ids), (*seed, "asymmetry")),
                ),
            )
            for a, b in combinations(range(panel.n_references), 2)
            if (a, b) in pairs
        ),
        pairs=tuple(
            _pair(panel, foreign["signal"], f, g, frames[names[g]], levels.get(f), task, family)
            for f, g in pairs
        ),
        compared=_compared(panel, foreign["signal"], seed),
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


def _pair(
    panel: Judgements,
    accepted: FloatArray,
    f: int,
    g: int,
    frame: pd.DataFrame,
    levels: tuple[FloatArray, Any] | None,
    task: Task,
    family: str,
) -> PairStudy:
    rows = (panel.source == f) & ~np.isnan(accepted[:, g])
    seed = (task.name, family, panel.models[f].repo_id, panel.models[g].repo_id)
    verdict = panel.predicted[rows, g]
    curve = None
    if levels is not None and rows.any():
        curve = _curve(panel, rows, levels, frame, seed)
    told = information.mutual_information(panel.expected[rows], verdict, panel.clip[rows], seed)
    return PairStudy(panel.models[f], panel.models[g], told, curve)


def _levels(suite: Suite, task: str, panel: Judgements) -> dict[int, tuple[Any, Any]]:
    """By reference: ids of its signals that have levels, and (n, N_LEVELS) bins of each level."""
    found = {}
    for f, model in enumerate(panel.models[: panel.n_references]):
        ids, sizes = [], []
        for line in suite.signal_lines(task, model.slug):
            if line.has_levels and not line.degenerate:
                ids.append(line.signal_id)
                sizes.append(schema.level_sizes(line.n_kept, line.n_samples // 2 + 1))
        if ids:
            found[f] = np.array(ids, dtype=object), np.array(sizes)
    return found


def _curve(
    panel: Judgements, rows: Any, levels: tuple[Any, Any], frame: pd.DataFrame, seed: tuple[str, ...]
) -> Curve | None:
    ids, sizes = levels
    of = {name: i for i, name in enumerate(ids)}
    wanted = [i for i in np.flatnonzero(rows) if panel.signal_ids[i] in of]
    if not wanted:
        return None
    asked = frame[(frame["stimulus"] == "signal") & frame["level"].notna()]
    right = (asked["predicted"] == asked["expected"]).to_numpy(dtype=bool)
    said = dict(zip(zip(asked["signal_id"], asked["level"].astype(int), strict=True), right, strict=True))
    names = [panel.signal_ids[i] for i in wanted]
    accepted = np.array([[said[name, level] for level in range(N_LEVELS)] for name in names], dtype=float)
    return curve_of(accepted, sizes[[of[name] for name in names]], panel.clip[wanted], seed)


def _compared(panel: Judgements, accepted: FloatArray, seed: tuple[str, ...]) -> tuple[Compared, ...]:
    """Every two judges, on the signals that both judged."""
    from scipy.stats import binomtest

    weights = clip_weights(len(panel.clip_ids), (*seed, "compared"))
    found: list[Compared] = []
    for a, b in combinations(range(len(panel.models)), 2):
        both = ~np.isnan(accepted[:, a]) & ~np.isnan(accepted[:, b])
        if not both.any():
            continue
        one, other = (_of_both(panel, accepted[:, g], both) for g in (a, b))
        only_one = int(((accepted[:, a] == 1) & (accepted[:, b] == 0)).sum())
        only_other = int(((accepted[:, a] == 0) & (accepted[:, b] == 1)).sum())
        n = only_one + only_other
        p = float(binomtest(only_one, n).pvalue) if n else 1.0
        apart = paired_difference(one, other, weights)
        found.append(Compared(panel.models[a], panel.models[b], apart, only_one, only_other, p, p))
    adjusted = benjamini_hochberg([each.p for each in found])
    return tuple(replace(each, p_adjusted=q) for each, q in zip(found, adjusted, strict=True))


def _of_both(panel: Judgements, accepted: FloatArray, both: Any) -> FloatArray:
    """(n_clips, n_references) one judge's acceptance of the signals that two judged."""
    columns = np.unique(panel.source[both])
    values = np.full((len(panel.clip_ids), len(columns)), np.nan)
    values[panel.clip[both], np.searchsorted(columns, panel.source[both])] = accepted[both]
    return values


def _equal_error_rates(task: Task, answered: Sequence[Answered]) -> dict[str, float]:
    if len(task.labels) != 2:
        return {}
    found = {}
    for entry, frame in answered:
        whole = frame[(frame["stimulus"] == "whole") & frame["truth"].notna()]
        if len(whole):
            p = np.array([p[1] for p in whole["p"]], dtype=np.float64)
            rate = information.equal_error_rate(p, (whole["truth"] == task.labels[1]).to_numpy(dtype=bool))
            if rate is not None:
                found[entry.model.repo_id] = rate
    return found


def _portrait(suite: Suite, task: str, model: ModelRef, family: str) -> Portrait:
    measured, mel = [], np.zeros(information.N_MEL)
    for line in suite.signal_lines(task, model.slug):
        if line.family != family or line.degenerate:
            continue
        signal, _ = suite.signal(task, model.slug, line.signal_id)
        X = spectrum_of(suite.clip(task, signal.clip_id))
        if not signal.mask.any():
            continue
        of_one = information.of_signal(X, signal.mask, signal.n_samples, signal.sample_rate_hz)
        measured.append(of_one)
        mel += information.mel_use([signal.mask], signal.n_samples, signal.sample_rate_hz)
    n = len(measured)
    if not n:
        return Portrait(model, family, 0, (), (), None, ())
    names = list(vars(measured[0]))
    medians = {name: float(np.median([getattr(m, name) for m in measured])) for name in names}
    return Portrait(
        model=model,
        family=family,
        n=n,
        sizes=tuple(m.size for m in measured),
        entropies=tuple(m.entropy_bits for m in measured),
        medians=information.OfSignal(**medians),
        mel=tuple(float(x) for x in mel / n),
    )
