"""From verdicts to a scorecard: every rate of definitions.md, "Transfer", and the usual measures.

Conventions: verdicts are a DataFrame, one row per `types.Verdict`, in any order; rows of level 1 and above
belong to other questions and are passed over. What comes of them (`panels.Panel.table`) is (n_clips,
n_references), with a row for each whole clip of the task. Every rate is a mean over references
(`estimates.mean_of_references`); a cell is the same over one.
Nothing here is random: all numbers of a task are resampled by one set of clips (`estimates.clip_weights`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.families import in_order
from harness.metrics import classification
from harness.metrics.acceptance import accepted, at_level_zero
from harness.metrics.estimates import ClipWeights, clip_weights, clustered, wilson
from harness.metrics.panels import (
    METRICS,
    RATE_STIMULI,
    Metric,
    Panel,
    clip_answers,
    clip_ids,
    concatenate,
    panel_of,
)
from harness.schemas import Cell, FamilyScore, Rates, ReferenceCounts, Scorecard
from harness.tasks import Task
from harness.types import MIN_COVERAGE, MIN_SIGNALS, Estimate, FloatArray, LabelMap, ModelRef

if TYPE_CHECKING:
    import pandas as pd


def summarise(
    verdicts: pd.DataFrame,
    task: Task,
    candidate: ModelRef,
    references: Sequence[ReferenceCounts],
    label_map: LabelMap,
    headline: str,
    copies: Collection[str] = (),
) -> Scorecard:
    """Everything counted about one candidate on one task, from its answers, `whole` and `silence` included.

    `headline` is the family that ranks; `copies` are repo_ids of references that the candidate is a near copy
    of.

    Raises:
        ValueError: a stimulus with two verdicts, or a signal of a clip without a verdict.
    """
    tally = Tally(verdicts, task, candidate, references, label_map, headline)
    tally.add(verdicts)
    return tally.scorecard(copies)


class Tally:
    """Verdicts counted a part at a time: what `summarise` says of all of them together."""

    def __init__(
        self,
        clips: pd.DataFrame,
        task: Task,
        candidate: ModelRef,
        references: Sequence[ReferenceCounts],
        label_map: LabelMap,
        headline: str,
    ) -> None:
        """Begin with the verdicts on all whole clips and silences; others among them are passed over.

        The other arguments are those of `summarise`.

        Raises:
            ValueError: a whole clip or a silence with two verdicts.
        """
        self._clips = clips[clips["stimulus"].isin(["whole", "silence"])]
        self._answers = clip_answers(self._clips)
        self._task, self._candidate, self._label_map = task, candidate, label_map
        self._references, self._headline = references, headline
        families = in_order((r.family for r in references), headline)
        self._of_family = {family: [r for r in references if r.family == family] for family in families}
        self._panels: dict[str, list[Panel]] = {
            family: [] for family, of_family in self._of_family.items() if of_family
        }
        self._n_own = self._n_own_accepted = 0

    def add(self, verdicts: pd.DataFrame) -> None:
        """Count all verdicts on some signals.

        Raises:
            ValueError: a stimulus with two verdicts among them, or a signal of a clip without a verdict.
        """
        for family, panels in self._panels.items():
            of_family, covered = self._of_family[family], self._label_map.covered
            panels.append(panel_of(verdicts, family, of_family, covered, self._answers))
        accepts = _accepts_own(verdicts, self._candidate, self._references)
        self._n_own += len(accepts)
        self._n_own_accepted += int(accepts.sum())

    def scorecard(self, copies: Collection[str] = ()) -> Scorecard:
        """Everything counted so far; there was at least one part."""
        task, covered, headline = self._task, self._label_map.covered, self._headline
        weights = resampling_weights(self._clips, task)
        families = tuple(
            _family_score(
                concatenate(panels), task, family, self._candidate, self._of_family[family], copies, weights
            )
            for family, panels in self._panels.items()
        )
        known_answer = self._n_own_accepted / self._n_own if self._n_own else None
        reason = _unranked_because(families, headline, known_answer)
        reason = reason or _imbalance(self._references, headline, task)
        return Scorecard(
            whole=classification.score(self._clips, task, covered, weights),
            headline_family=headline,
            families=families,
            known_answer=known_answer,
            ranked=reason is None,
            unranked_because=reason,
        )


def resampling_weights(verdicts: pd.DataFrame, task: Task) -> ClipWeights:
    """(draws, n_clips) the set of resampled clips that all numbers of a task are made of."""
    return clip_weights(int((verdicts["stimulus"] == "whole").sum()), (task.name,))


def lift_by_clip(
    verdicts: pd.DataFrame,
    family: str,
    references: Sequence[ReferenceCounts],
    candidate: ModelRef,
    covered: frozenset[str],
    copies: Collection[str] = (),
) -> pd.DataFrame:
    """The paired differences behind the lift, for comparing candidates over the same clips.

    References of other families are passed over; `covered` are the canonical labels that the candidate knows.

    Returns:
        Index clip_id, every whole clip, sorted; one column per reference that counts in the lift, named by
        its repo_id; acceptance of the signal minus that of its `swap` controls, in [-1, 1], NaN where not
        applicable.
    """
    import pandas as pd

    of_family = [r for r in references if r.family == family]
    metric = METRICS["lift"]
    panel = panel_of(verdicts, family, of_family, covered)
    table = panel.table(metric.of(panel))
    columns = _counting_columns(table, of_family, candidate, metric, copies)
    return pd.DataFrame(
        table[:, columns],
        index=pd.Index(clip_ids(verdicts), name="clip_id", dtype="str"),
        columns=[of_family[j].model.repo_id for j in columns],
    )


def polarity_warning(verdicts: pd.DataFrame, label_map: LabelMap, task: Task) -> str | None:
    """A warning when two labels of the map look exchanged, judged by whole clips of known truth.

    Of the clips whose truth is one of the two, exchanging them must raise accuracy beyond both Wilson
    intervals, and must do so for either label: a model that always says one of them is no reversed map.
    """
    clips = classification.clips_of_known_truth(verdicts, label_map.covered)
    truth, predicted = (clips[name].to_numpy(dtype=object) for name in ("truth", "predicted"))
    lines: list[tuple[float, str]] = []
    for a, b in combinations([label for label in task.labels if label in label_map.covered], 2):
        is_a, is_b = truth == a, truth == b
        says_a, says_b = predicted == a, predicted == b
        if (is_a & says_b).sum() <= (is_a & says_a).sum():
            continue
        if (is_b & says_a).sum() <= (is_b & says_b).sum():
            continue
        n = int((is_a | is_b).sum())
        current = wilson(int((is_a & says_a).sum() + (is_b & says_b).sum()), n)
        after_exchange = wilson(int((is_a & says_b).sum() + (is_b & says_a).sum()), n)
        if (after_exchange.low or 0.0) > (current.high or 0.0):
            gain = (after_exchange.value or 0.0) - (current.value or 0.0)
            line = (
                f"the label map for {task.name} looks reversed: on {n} whole clips of the two, exchanging "
                f"{a!r} and {b!r} raises accuracy from {current.value:.2f} to {after_exchange.value:.2f}; "
                "check the model's class names and give the right ones with --label-map"
            )
            lines.append((gain, line))
    return max(lines, key=lambda f: f[0])[1] if lines else None


def _family_score(
    panel: Panel,
    task: Task,
    family: str,
    candidate: ModelRef,
    references: list[ReferenceCounts],
    copies: Collection[str],
    weights: ClipWeights,
) -> FamilyScore:
    values = {name: metric.of(panel) for name, metric in METRICS.items()}
    applicable = panel.applicable
    tables = {name: panel.table(array) for name, array in values.items()}
    means = {n: _counting_columns(tables[n], references, candidate, m, copies) for n, m in METRICS.items()}
    rates = rates_of(tables, means, weights)

    def rates_where(is_counted: NDArray[np.bool_]) -> Rates:
        """The same over some of the signals."""
        if not ((panel.knows_class == 1) & ~is_counted).any():
            return rates
        some = {n: panel.table(np.where(is_counted, array, np.nan)) for n, array in values.items()}
        return rates_of(some, means, weights)

    def of_others(per_signal: FloatArray) -> Estimate:
        return clustered(panel.table(per_signal)[:, means["transfer"]], weights)

    def of_class(label: str) -> FloatArray:
        return np.where(panel.expected == label, values["transfer"], np.nan)

    def without(stimulus: str) -> NDArray[np.intp]:
        missing = np.isnan(panel.acceptance[stimulus])
        return np.asarray((panel.table(np.where(panel.knows_class == 1, missing, np.nan)) == 1).sum(axis=0))

    others = np.isin(panel.reference, means["transfer"]) & (panel.knows_class == 1)
    n_unswapped, n_unmatched = without("swap"), without("matched")
    cells = tuple(
        Cell(
            reference=reference.model,
            same_weights=_is_itself(reference, candidate),
            near_copy=not _is_itself(reference, candidate) and reference.model.repo_id in copies,
            n_signals=reference.n_signals,
            n_degenerate=reference.n_degenerate,
            n_applicable=int(applicable[j]),
            n_unswapped=int(n_unswapped[j]),
            n_unmatched=int(n_unmatched[j]),
            rates=rates_of(
                tables,
                {name: [j] if _has_enough(tables[name], m)[j] else [] for name, m in METRICS.items()},
                weights,
            ),
        )
        for j, reference in enumerate(references)
    )
    return FamilyScore(
        family=family,
        rates=rates,
        visible=rates_where(panel.visible),
        robust=rates_where(panel.robust),
        by_class={
            label: of_others(of_class(label))
            for label in task.labels
            if (others & (panel.expected == label)).any()
        },
        as_silence={name: of_others(panel.as_silence[name]) for name in RATE_STIMULI},
        cells=cells,
    )


def rates_of(
    tables: Mapping[str, FloatArray], columns: Mapping[str, Sequence[int]], weights: ClipWeights
) -> Rates:
    """The rates over the references whose columns are given, by name of a metric.

    Tables are (n_clips, n_references), weights (draws, n_clips).
    """
    return Rates(
        **{
            name: clustered(tables[name][:, list(columns[name])], weights, metric.kind)
            for name, metric in METRICS.items()
        }
    )


def _is_itself(reference: ReferenceCounts, candidate: ModelRef) -> bool:
    return reference.model.weights_sha256 == candidate.weights_sha256


def _counting_columns(
    table: FloatArray,
    references: Sequence[ReferenceCounts],
    candidate: ModelRef,
    metric: Metric,
    copies: Collection[str],
) -> list[int]:
    """Columns of the references that count in the mean: other models, with enough signals."""
    has_enough = _has_enough(table, metric)
    return [
        j
        for j, reference in enumerate(references)
        if not _is_itself(reference, candidate) and reference.model.repo_id not in copies and has_enough[j]
    ]


def _has_enough(table: FloatArray, metric: Metric) -> NDArray[np.bool_]:
    """(n_references,) whether a reference has as many values as a metric needs."""
    return np.asarray((~np.isnan(table)).sum(axis=0) >= metric.min_signals)


def _accepts_own(
    verdicts: pd.DataFrame, candidate: ModelRef, references: Sequence[ReferenceCounts]
) -> NDArray[np.bool_]:
    """(n,) which of the candidate's own signals it accepts, of all families."""
    own = {
        (r.model.repo_id, r.family) for r in references if r.model.weights_sha256 == candidate.weights_sha256
    }
    rows = verdicts[(verdicts["stimulus"] == "signal") & at_level_zero(verdicts)]
    is_own = [key in own for key in zip(rows["reference"], rows["family"], strict=True)]
    return accepted(rows[np.array(is_own, dtype=bool)])


def _unranked_because(
    families: tuple[FamilyScore, ...], headline_family: str, known_answer: float | None
) -> str | None:
    headline = next((f for f in families if f.family == headline_family), None)
    if headline is None:
        return f"No signals of the family {headline_family} were judged."
    if known_answer is not None and known_answer < 1:
        return (
            f"The model accepts only {known_answer:.6g} of its own signals, where all are expected: "
            "this run does not reproduce the reference."
        )
    coverage = headline.rates.coverage.value
    if coverage is None:
        return "There are no signals of a reference other than the model itself."
    if coverage < MIN_COVERAGE:
        return f"The model knows the classes of {coverage:.6g} of the signals; {MIN_COVERAGE} is the least."
    if headline.rates.lift.value is None:
        return (
            f"No reference other than the model itself offers {MIN_SIGNALS} signals "
            "of classes that the model knows."
        )
    return None


def _imbalance(references: Sequence[ReferenceCounts], headline: str, task: Task) -> str | None:
    """A panel of a binary task needs two references of either silence class (definitions: Lift)."""
    if len(task.labels) != 2:
        return None
    silence_classes = [r.silence_class for r in references if r.family == headline]
    for label in task.labels:
        if silence_classes.count(label) < 2:
            return (
                f"Of two classes one is that of silence: {silence_classes.count(label)} references of the"
                f" panel call silence {label}, and two are needed for a fair mean."
            )
    return None
