"""Anchor rows, from stored verdicts: rates of trivial models to compare with (definitions: Anchor rows).

    consensus               on each reference's signals the mean of what the other references answer
    best single reference   the reference of the highest lift

Conventions: entries are those of the references of one task on one suite, each with its verdicts as a
DataFrame (`types.Verdict`, one row each). Nothing is asked of a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.metrics import classification
from harness.metrics.estimates import ClipWeights, clustered, wilson
from harness.metrics.likeness import copies
from harness.metrics.panels import METRICS, RATE_STIMULI, Panel, panel_of
from harness.metrics.scorecard import rates_of, resampling_weights
from harness.schemas import Cell, Entry, FamilyScore, Rates, ReferenceCounts
from harness.tasks import Task
from harness.types import OTHER, Estimate, FloatArray

if TYPE_CHECKING:
    import pandas as pd

_KEY = ["stimulus", "clip_id", "n_samples", "signal_id", "replicate"]
"""What tells the rows of one reference's signals apart."""


def consensus(
    answers: Sequence[tuple[Entry, pd.DataFrame]], task: Task
) -> tuple[FamilyScore, Estimate] | None:
    """The mean of the other references as a candidate: what mere similarity to the panel achieves.

    On what is made of a reference's signals, and on the whole clips and the silence beside them, the answer
    is the class of the highest mean probability, over the references other than that one and its near copies,
    each with the same weight. What is missing to 1 is the probability of OTHER, which can win, and then
    rejects. The intervals come of the same resampled clips as all others of the task.

    Returns:
        Its score on the signals of the headline family, and the accuracy of the mean of all references on
        whole clips of known truth; None where no reference has another one beside it.

    Raises:
        ValueError: they were not asked the same.
    """
    entries = [entry for entry, _ in answers]
    panels: list[tuple[ReferenceCounts, Panel]] = []
    for reference in _headline_references(entries):
        others = [answers[i] for i in _others(entries, reference)]
        if others:
            labels = _known_labels([entry for entry, _ in others])
            mean = _mean([_rows_about(frame, reference) for _, frame in others], task)
            panels.append((reference, panel_of(mean, reference.family, [reference], labels)))
    if not panels:
        return None
    weights = resampling_weights(answers[0][1], task)
    mean_rows = _mean([frame[frame["stimulus"] == "whole"] for _, frame in answers], task)
    clips = classification.clips_of_known_truth(mean_rows, _known_labels(entries))
    n_right = int((clips["truth"] == clips["predicted"]).sum())
    return _family_score(panels, task, weights), wilson(n_right, len(clips))


def best_reference(entries: Sequence[Entry]) -> Entry | None:
    """The reference of the highest lift, the first by name of equal ones; None where none has a lift."""
    lifts: dict[str, tuple[float, Entry]] = {}
    for entry in entries:
        lift = entry.scorecard.lift
        if entry.scorecard.ranked and lift is not None and lift.value is not None:
            lifts[entry.model.repo_id] = lift.value, entry
    return min(lifts.items(), key=lambda item: (-item[1][0], item[0]))[1][1] if lifts else None


def _headline_references(entries: Sequence[Entry]) -> list[ReferenceCounts]:
    """The references whose signals of the headline family were asked."""
    first = entries[:1]
    return [r for entry in first for r in entry.references if r.family == entry.signals.headline]


def _others(entries: Sequence[Entry], reference: ReferenceCounts) -> list[int]:
    """Those of the entries that are of other models than a reference, and of no near copy of it."""
    name, weights = reference.model.repo_id, reference.model.weights_sha256
    own_entries = [entry for entry in entries if entry.model.weights_sha256 == weights]
    near_copies = {copy for entry in own_entries for copy in copies(entry.likeness)}
    return [
        i
        for i, entry in enumerate(entries)
        if entry.model.weights_sha256 != weights
        and entry.model.repo_id not in near_copies
        and name not in copies(entry.likeness)
    ]


def _known_labels(entries: Sequence[Entry]) -> frozenset[str]:
    return frozenset(label for entry in entries for label in entry.label_map.covered)


def _rows_about(frame: pd.DataFrame, reference: ReferenceCounts) -> pd.DataFrame:
    """Rows about the signals of a reference, its whole clips and silence."""
    is_shared = frame["stimulus"].isin(["whole", "silence"])
    is_of_reference = (frame["reference"] == reference.model.repo_id) & (frame["family"] == reference.family)
    return frame[is_shared | (is_of_reference & frame["stimulus"].isin(RATE_STIMULI))]


def _mean(frames: Sequence[pd.DataFrame], task: Task) -> pd.DataFrame:
    """The rows of a mean of models, as if it were one: the lowest `energy_seen`, all else as in the first."""
    sorted_frames = [frame.sort_values(_KEY, ignore_index=True) for frame in frames]
    if any(not frame[_KEY].equals(sorted_frames[0][_KEY]) for frame in sorted_frames):
        raise ValueError("the references were not asked the same stimuli")
    probabilities = np.stack([np.stack(frame["p"].to_list()) for frame in sorted_frames])
    p: FloatArray = np.asarray(probabilities.mean(axis=0, dtype=np.float64))
    p_other = np.maximum(1 - p.sum(axis=1, keepdims=True), 0)
    classes = np.array([*task.labels, OTHER], dtype=object)
    energy = np.min([frame["energy_seen"].to_numpy(dtype=np.float64) for frame in sorted_frames], axis=0)
    return sorted_frames[0].assign(
        predicted=classes[np.hstack([p, p_other]).argmax(axis=1)], p=p.tolist(), energy_seen=energy
    )


def _family_score(
    pairs: Sequence[tuple[ReferenceCounts, Panel]], task: Task, weights: ClipWeights
) -> FamilyScore:
    """The score of a candidate that has a panel of its own for each reference."""
    panels = [panel for _, panel in pairs]

    def table(array: Sequence[FloatArray]) -> FloatArray:
        """(n_clips, n_references) of values for each signal of each panel."""
        return np.hstack([panel.table(of) for panel, of in zip(panels, array, strict=True)])

    values = {name: [metric.of(panel) for panel in panels] for name, metric in METRICS.items()}
    tables = {name: table(array) for name, array in values.items()}
    has_enough = {n: (~np.isnan(tables[n])).sum(axis=0) >= m.min_signals for n, m in METRICS.items()}
    columns = {name: np.flatnonzero(array).tolist() for name, array in has_enough.items()}

    def rates_where(is_counted: Sequence[NDArray[np.bool_]]) -> Rates:
        some = {
            name: table([np.where(where, x, np.nan) for where, x in zip(is_counted, array, strict=True)])
            for name, array in values.items()
        }
        return rates_of(some, columns, weights)

    def of_class(label: str) -> FloatArray:
        values_of_panels = zip(panels, values["transfer"], strict=True)
        return table([np.where(panel.expected == label, x, np.nan) for panel, x in values_of_panels])

    def n_without(panel: Panel, stimulus: str) -> int:
        missing = np.where(panel.knows_class == 1, np.isnan(panel.acceptance[stimulus]), np.nan)
        return int((panel.table(missing) == 1).sum())

    def columns_of(j: int) -> Mapping[str, list[int]]:
        return {name: [j] if array[j] else [] for name, array in has_enough.items()}

    classes: set[str] = {str(c) for p in panels for c in p.expected[p.knows_class == 1]}
    return FamilyScore(
        family=pairs[0][0].family,
        rates=rates_of(tables, columns, weights),
        visible=rates_where([panel.visible for panel in panels]),
        robust=rates_where([panel.robust for panel in panels]),
        by_class={label: clustered(of_class(label), weights) for label in task.labels if label in classes},
        as_silence={
            name: clustered(table([panel.as_silence[name] for panel in panels]), weights)
            for name in RATE_STIMULI
        },
        cells=tuple(
            Cell(
                reference=reference.model,
                same_weights=False,
                near_copy=False,
                n_signals=reference.n_signals,
                n_degenerate=reference.n_degenerate,
                n_applicable=int(panel.applicable.sum()),
                n_unswapped=n_without(panel, "swap"),
                n_unmatched=n_without(panel, "matched"),
                rates=rates_of(tables, columns_of(j), weights),
            )
            for j, (reference, panel) in enumerate(pairs)
        ),
    )
