"""From verdicts to a scorecard: every rate of definitions.md, "Transfer", and the usual measures beside them.

Conventions: verdicts are a DataFrame, one row per `records.Verdict`, in any order; rows of level 1 and above
belong to other questions and are passed over. A panel holds one candidate's answers to one family of signals
as arrays (n_clips, n_references): 1 accepted, 0 not, NaN where there is no signal or the candidate does not
know its class. Every rate is a mean over references (`estimates.mean_of_references`); a cell is the same over
one.
Nothing here is random: bootstrap samples are seeded by task, family and metric.

Public: METRICS, summarise, lift_by_clip, polarity_warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.documents import Cell, FamilyScore, Rates, ReferenceCounts, Scorecard
from harness.records import FAMILIES, MIN_COVERAGE, MIN_SIGNALS, VISIBLE, FloatArray, LabelMap, ModelRef
from harness.score import whole_clips
from harness.score.estimates import clustered, wilson
from harness.tasks import Task

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Panel:
    """One candidate's answers to one family; every array is (n_clips, n_references)."""

    clip_ids: tuple[str, ...]
    """Clips with a signal of any reference, sorted."""
    expected: Any
    """Class of each signal; None where there is no signal."""
    known: FloatArray
    """1 where the candidate knows the class, 0 where not, NaN where there is no signal."""
    accepted: Mapping[str, FloatArray]
    """Acceptance of each stimulus, NaN where not applicable."""
    visible: Any
    """bool, where VISIBLE of the signal's energy reaches the candidate."""

    @property
    def applicable(self) -> Any:
        """(n_references,) signals whose class the candidate knows."""
        return (self.known == 1).sum(axis=0)


@dataclass(frozen=True)
class Metric:
    """One rate: what it means and how a panel gives it."""

    meaning: str
    kind: Literal["rate", "difference"]
    of: Callable[[Panel], FloatArray]
    min_signals: int = 0
    """Applicable signals below which a reference stays out of the mean."""


def _agreeing(panel: Panel) -> FloatArray:
    return np.where(panel.accepted["whole"] == 1, panel.accepted["signal"], np.nan)


def _lift(panel: Panel) -> FloatArray:
    return panel.accepted["signal"] - panel.accepted["permuted"]


# fmt: off
METRICS: MappingProxyType[str, Metric] = MappingProxyType({
    "coverage": Metric("share of signals whose class the candidate knows", "rate", lambda p: p.known),
    "transfer": Metric("acceptance of the signals", "rate", lambda p: p.accepted["signal"]),
    "agreeing_transfer": Metric("the same where the whole clip is given the class, too", "rate", _agreeing),
    "floor": Metric("acceptance of the permuted control", "rate", lambda p: p.accepted["permuted"]),
    "lift": Metric("transfer - floor, paired by signal", "difference", _lift, MIN_SIGNALS),
    "largest": Metric("acceptance of the largest bins", "rate", lambda p: p.accepted["largest"]),
    "silence": Metric("acceptance of silence", "rate", lambda p: p.accepted["silence"]),
    "ceiling": Metric("acceptance of the whole clips", "rate", lambda p: p.accepted["whole"]),
})
"""The fields of `documents.Rates`, one line each."""
# fmt: on


def summarise(
    verdicts: pd.DataFrame,
    task: Task,
    candidate: ModelRef,
    references: Sequence[ReferenceCounts],
    label_map: LabelMap,
) -> Scorecard:
    """Everything counted about one candidate on one task.

    Args:
        verdicts: the candidate's answers, `whole` and `silence` included.
        task: the task they are about.
        candidate: who answered.
        references: whose signals were asked, one per reference and family.
        label_map: how the candidate's classes were read.

    Raises:
        ValueError: a stimulus with two verdicts.
    """
    families = tuple(
        _family_score(verdicts, task, family, candidate, offered, label_map.covered)
        for family in FAMILIES
        if (offered := [r for r in references if r.family == family])
    )
    known_answer = _known_answer(verdicts, candidate, references)
    reason = _unranked_because(families, known_answer) or _lopsided(references, task)
    return Scorecard(
        whole=whole_clips.score(verdicts, task, label_map.covered),
        families=families,
        known_answer=known_answer,
        ranked=reason is None,
        unranked_because=reason,
    )


def lift_by_clip(
    verdicts: pd.DataFrame,
    family: str,
    references: Sequence[ReferenceCounts],
    candidate: ModelRef,
    covered: frozenset[str],
) -> pd.DataFrame:
    """The paired differences behind the lift, for comparing candidates over the same clips.

    Args:
        verdicts: the candidate's answers.
        family: one of FAMILIES.
        references: whose signals were asked; those of other families are passed over.
        candidate: who answered.
        covered: canonical labels it knows.

    Returns:
        Index clip_id, sorted; one column per reference that counts in the lift, named by its repo_id;
        accepted(signal) - accepted(permuted) in -1, 0, 1, NaN where not applicable.
    """
    import pandas as pd

    offered = [r for r in references if r.family == family]
    metric = METRICS["lift"]
    panel = _panel(verdicts, family, offered, covered)
    columns = _counting(panel, offered, candidate, metric)
    return pd.DataFrame(
        metric.of(panel)[:, columns],
        index=pd.Index(panel.clip_ids, name="clip_id", dtype="str"),
        columns=[offered[j].model.repo_id for j in columns],
    )


def polarity_warning(verdicts: pd.DataFrame, label_map: LabelMap, task: Task) -> str | None:
    """A line when two labels of the map look exchanged, judged by whole clips of known truth.

    Of the clips whose truth is one of the two, exchanging them must raise accuracy beyond both Wilson
    intervals, and must do so for either label: a model that always says one of them is no reversed map.
    """
    clips = whole_clips.known(verdicts, label_map.covered)
    truth, predicted = (clips[name].to_numpy(dtype=object) for name in ("truth", "predicted"))
    found: list[tuple[float, str]] = []
    for a, b in combinations([label for label in task.labels if label in label_map.covered], 2):
        is_a, is_b = truth == a, truth == b
        says_a, says_b = predicted == a, predicted == b
        if (is_a & says_b).sum() <= (is_a & says_a).sum():
            continue
        if (is_b & says_a).sum() <= (is_b & says_b).sum():
            continue
        n = int((is_a | is_b).sum())
        now = wilson(int((is_a & says_a).sum() + (is_b & says_b).sum()), n)
        exchanged = wilson(int((is_a & says_b).sum() + (is_b & says_a).sum()), n)
        if (exchanged.low or 0.0) > (now.high or 0.0):
            gain = (exchanged.value or 0.0) - (now.value or 0.0)
            line = (
                f"the label map for {task.name} looks reversed: on {n} whole clips of the two, exchanging "
                f"{a!r} and {b!r} raises accuracy from {now.value:.2f} to {exchanged.value:.2f}; "
                "check the model's class names and give the right ones with --label-map"
            )
            found.append((gain, line))
    return max(found, key=lambda f: f[0])[1] if found else None


def _family_score(
    verdicts: pd.DataFrame,
    task: Task,
    family: str,
    candidate: ModelRef,
    references: list[ReferenceCounts],
    covered: frozenset[str],
) -> FamilyScore:
    panel = _panel(verdicts, family, references, covered)
    values = {name: metric.of(panel) for name, metric in METRICS.items()}

    def rates(columns: dict[str, list[int]], among: Any = True) -> Rates:
        return Rates(
            **{
                name: clustered(
                    np.where(among, values[name], np.nan)[:, columns[name]],
                    (task.name, family, name),
                    metric.kind,
                )
                for name, metric in METRICS.items()
            }
        )

    means = {name: _counting(panel, references, candidate, metric) for name, metric in METRICS.items()}
    over_all = rates(means)
    hidden = (panel.known == 1) & ~panel.visible
    transfer, expected = (some[:, means["transfer"]] for some in (values["transfer"], panel.expected))
    by_class = {
        label: clustered(
            np.where(expected == label, transfer, np.nan), (task.name, family, "by_class", label)
        )
        for label in task.labels
        if (~np.isnan(transfer) & (expected == label)).any()
    }
    cells = tuple(
        Cell(
            reference=reference.model,
            same_weights=reference.model.weights_sha256 == candidate.weights_sha256,
            n_signals=reference.n_signals,
            n_degenerate=reference.n_degenerate,
            n_applicable=int(panel.applicable[j]),
            rates=rates({name: [j] for name in METRICS}),
        )
        for j, reference in enumerate(references)
    )
    visible = rates(means, panel.visible) if hidden.any() else over_all
    return FamilyScore(family, over_all, visible, by_class, cells)


def _panel(
    verdicts: pd.DataFrame,
    family: str,
    references: Sequence[ReferenceCounts],
    covered: frozenset[str],
) -> Panel:
    names = [reference.model.repo_id for reference in references]
    rows = verdicts[
        (verdicts["family"] == family) & verdicts["reference"].isin(names) & _level_zero(verdicts)
    ]
    signals = rows[rows["stimulus"] == "signal"]
    clip_ids = sorted(set(signals["clip_id"]))

    def spread(stimulus: str, column: str) -> Any:
        """(n_clips, n_references) text; None where there is no row."""
        some = rows[rows["stimulus"] == stimulus]
        wide = some.pivot(index="clip_id", columns="reference", values=column)
        wide = wide.reindex(index=clip_ids, columns=names).astype(object)
        return wide.where(wide.notna(), None).to_numpy()

    expected = spread("signal", "expected")
    known = np.array([np.nan if c is None else float(c in covered) for c in expected.ravel()])
    known = known.reshape(expected.shape)

    def acceptance(predicted: Any) -> FloatArray:
        answered = (known == 1) & (predicted != None)  # noqa: E711 - by element
        return np.where(answered, (predicted == expected).astype(np.float64), np.nan)

    def asked_once(stimulus: str, key: str, keys: Sequence[Any]) -> FloatArray:
        """Acceptance of a stimulus that has one answer for all references."""
        answers = _answers(verdicts, stimulus, key)
        said = np.array([answers.get(k) for k in keys], dtype=object)
        return acceptance(np.broadcast_to(said[:, None], expected.shape))

    length = dict(zip(signals["clip_id"], signals["n_samples"], strict=True))
    accepted = {
        "signal": acceptance(spread("signal", "predicted")),
        "permuted": acceptance(spread("permuted", "predicted")),
        "largest": acceptance(spread("largest", "predicted")),
        "whole": asked_once("whole", "clip_id", clip_ids),
        "silence": asked_once("silence", "n_samples", [length[c] for c in clip_ids]),
    }
    visible = spread("signal", "energy_seen")
    visible = np.array([share is not None and share >= VISIBLE for share in visible.ravel()], dtype=bool)
    return Panel(tuple(clip_ids), expected, known, accepted, visible.reshape(expected.shape))


def _counting(
    panel: Panel, references: Sequence[ReferenceCounts], candidate: ModelRef, metric: Metric
) -> list[int]:
    """Columns of the references that count in the mean: other weights, enough applicable signals."""
    return [
        j
        for j, reference in enumerate(references)
        if reference.model.weights_sha256 != candidate.weights_sha256
        and panel.applicable[j] >= metric.min_signals
    ]


def _level_zero(verdicts: pd.DataFrame) -> Any:
    import pandas as pd

    return ~(pd.to_numeric(verdicts["level"]).astype("Float64") >= 1).fillna(False).astype(bool)


def _answers(verdicts: pd.DataFrame, stimulus: str, key: str) -> dict[Any, str]:
    """Predicted class of the stimulus by clip_id or n_samples."""
    rows = verdicts[verdicts["stimulus"] == stimulus]
    if rows[key].duplicated().any():
        twice = rows[key][rows[key].duplicated()].iloc[0]
        raise ValueError(f"two {stimulus} verdicts for {key} {twice!r}")
    return dict(zip(rows[key], rows["predicted"], strict=True))


def _known_answer(
    verdicts: pd.DataFrame, candidate: ModelRef, references: Sequence[ReferenceCounts]
) -> float | None:
    """Share of the candidate's own signals that it accepts, over all families."""
    own = {
        (r.model.repo_id, r.family) for r in references if r.model.weights_sha256 == candidate.weights_sha256
    }
    rows = verdicts[(verdicts["stimulus"] == "signal") & _level_zero(verdicts)]
    mine = [key in own for key in zip(rows["reference"], rows["family"], strict=True)]
    rows = rows[mine]
    return float((rows["predicted"] == rows["expected"]).mean()) if len(rows) else None


def _unranked_because(families: tuple[FamilyScore, ...], known_answer: float | None) -> str | None:
    headline = next((f for f in families if f.family == FAMILIES[0]), None)
    if headline is None:
        return f"No signals of the family {FAMILIES[0]} were judged."
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


def _lopsided(references: Sequence[ReferenceCounts], task: Task) -> str | None:
    """A panel of a binary task needs two references of either silence class (definitions: Floor)."""
    if len(task.labels) != 2:
        return None
    says = [r.silence_class for r in references if r.family == FAMILIES[0]]
    for label in task.labels:
        if says.count(label) < 2:
            return (
                f"Of two classes one is that of silence: {says.count(label)} references of the panel call "
                f"silence {label}, and two are needed for a fair mean."
            )
    return None
