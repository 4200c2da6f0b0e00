"""All answers of a panel to one family of signals, as arrays: what studies and flat-earther tests count on.

Conventions: a row is what one reference has of one clip, ordered by reference and clip; columns are models,
the references first. Acceptance is 1 for accepted, 0 for not, NaN where the model does not know the class,
was not asked, or there is no such control. Where a clip was extracted several times (draws), or a signal has
several controls of a kind, a row holds their mean. What asks whether all accept or nobody does cannot be
answered by a mean: it is decided on the first draw alone (ours), stimulus by stimulus (`Single`).
A reference's answers to its own signals are there, and are left out by whoever counts transfer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.acceptance import accepted, at_level_zero, means_at
from harness.schemas import ReferenceCounts
from harness.types import N_MATCHED, FloatArray, LabelMap, ModelRef

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PANEL_STIMULI = ("signal", "swap", "matched", "largest", "whole")
"""What is gathered."""

_SIGNAL_COLUMNS = ("reference", "clip_id", "draw", "signal_id", "expected")
_COLUMNS = ("stimulus", "family", "level", "replicate", "predicted", *_SIGNAL_COLUMNS)
"""Columns of VERDICTS that are read."""


@dataclass(frozen=True, eq=False)
class Single:
    """Stimuli one by one, of the first draw of each clip."""

    clip: IntArray
    """(m,) the clip of each, an index into `PanelAcceptance.clip_ids`."""
    source: IntArray
    """(m,) the reference of each, an index into `PanelAcceptance.models`."""
    acceptance: FloatArray
    """(m, n_models) 1, 0 or NaN."""


@dataclass(frozen=True, eq=False)
class PanelAcceptance:
    """A panel of models and its answers to the signals of one family."""

    models: tuple[ModelRef, ...]
    """The panel: the references, by name, then the others."""
    n_references: int
    """How many of them are references."""
    clip_ids: Any
    """(n_clips,) text, sorted: every whole clip of the task, as in the weights of its resampled clips."""
    signal_ids: Any
    """(n,) text: the first draw of each row."""
    clip: IntArray
    """(n,) the clip of each row, an index into `clip_ids`."""
    source: IntArray
    """(n,) the reference of each row, an index into `models`."""
    expected: Any
    """(n,) class of each row, text; the draws of a clip have one class."""
    acceptance: Mapping[str, FloatArray]
    """(n, n_models) for each of STIMULI."""
    is_self: BoolArray
    """(n_models, n_models) whether the model of a column counts as that of the row: by its weights, or as a
    near copy."""
    signals: Single
    """The signals, (n,) rows in the same order."""
    matched: Single
    """Their `matched` controls."""
    predicted: Any = None
    """(n, n_models) canonical verdicts on the signals of the first draw, text; None where there is none."""

    def of_others(self, source: IntArray, values: FloatArray) -> FloatArray:
        """(m, n_models) values, NaN where a stimulus of a reference (m,) counts as the judge's own."""
        return np.where(self.is_self[source], np.nan, values)

    def by_clip(self, values: FloatArray) -> FloatArray:
        """(n_models, n_clips, n_references) of (n, n_models) values; NaN where a clip has no signal."""
        table = np.full((len(self.models), len(self.clip_ids), self.n_references), np.nan)
        table[:, self.clip, self.source] = values.T
        return table


def build_acceptance(
    answers: Sequence[tuple[ModelRef, LabelMap, pd.DataFrame]],
    references: Sequence[ReferenceCounts],
    family: str,
    copies: Mapping[str, Collection[str]],
) -> PanelAcceptance:
    """Put the verdicts of a panel on the same suite, each model with its label map, side by side.

    References of other families are passed over. `copies` are, by repo_id of a model, those of the references
    that it is a near copy of.

    Raises:
        ValueError: the models were not asked the same signals and controls, or not the whole clips.
    """
    names = [r.model.repo_id for r in references if r.family == family]
    # Only these columns: rows are taken of them many times.
    by_name = {model.repo_id: (model, labels, frame[list(_COLUMNS)]) for model, labels, frame in answers}
    others = [name for name in by_name if name not in names]
    panel = [by_name[name] for name in (*(n for n in sorted(names) if n in by_name), *sorted(others))]
    models = tuple(model for model, _, _ in panel)
    index = {model.repo_id: j for j, model in enumerate(models)}
    first_frame = panel[0][2]
    clip_ids = np.sort(first_frame["clip_id"][first_frame["stimulus"] == "whole"].to_numpy(dtype=str))
    signal_rows = _signal_rows(first_frame, family, index)
    rows = signal_rows.drop_duplicates(["reference", "clip_id"]).reset_index(drop=True)
    at_clip = {clip_id: i for i, clip_id in enumerate(clip_ids)}
    if missing := sorted(set(rows["clip_id"]) - set(at_clip)):
        raise ValueError(f"clip {missing[0]!r} has a signal and was not asked whole")
    clip = rows["clip_id"].map(at_clip).to_numpy(dtype=np.int64)
    source = np.array([index[name] for name in rows["reference"]], dtype=np.int64)
    # Every signal, further draws included, with its row; of the first draws the `matched` controls.
    rows_of_signals = signal_rows.groupby(["reference", "clip_id"], sort=False).ngroup()
    row_of = np.asarray(rows_of_signals, dtype=np.int64)
    at_signal = {signal_id: i for i, signal_id in enumerate(signal_rows["signal_id"])}
    at_first = {signal_id: i for i, signal_id in enumerate(rows["signal_id"])}
    n, n_models = len(rows), len(models)
    keys = np.sort(_matched(first_frame, family, at_first)[0])
    acceptance = {name: np.full((n, n_models), np.nan) for name in PANEL_STIMULI}
    signal_acceptance = np.full((n, n_models), np.nan)
    matched_acceptance = np.full((len(keys), n_models), np.nan)
    predicted = np.full((n, n_models), None, dtype=object)
    for j, (model, labels, frame) in enumerate(panel):
        of_family = frame[(frame["family"] == family) & at_level_zero(frame)]
        if not np.array_equal(_signal_rows(of_family, family, index)["signal_id"], signal_rows["signal_id"]):
            raise ValueError(f"{model.repo_id} was asked other signals than {models[0].repo_id}")
        knows_class = rows["expected"].isin(sorted(labels.covered)).to_numpy(dtype=bool)
        for name in PANEL_STIMULI:
            if name == "whole":
                accepts = _verdict_and_acceptance(rows, "clip_id", frame[frame["stimulus"] == "whole"])[1]
            else:
                accepts = _mean_by_row(of_family[of_family["stimulus"] == name], at_signal, row_of, n)
            acceptance[name][:, j] = np.where(knows_class, accepts, np.nan)
        signals = of_family[of_family["stimulus"] == "signal"]
        predicted[:, j], accepts = _verdict_and_acceptance(rows, "signal_id", signals)
        signal_acceptance[:, j] = np.where(knows_class, accepts, np.nan)
        model_keys, accepts = _matched(of_family, family, at_first)
        if not np.array_equal(np.sort(model_keys), keys):
            raise ValueError(f"{model.repo_id} was asked other `matched` controls than {models[0].repo_id}")
        positions = np.searchsorted(keys, model_keys)
        matched_acceptance[positions, j] = np.where(
            knows_class[keys[positions] // N_MATCHED], accepts, np.nan
        )
    row_of_matched = keys // N_MATCHED
    return PanelAcceptance(
        models=models,
        n_references=sum(model.repo_id in names for model in models),
        clip_ids=clip_ids,
        signal_ids=rows["signal_id"].to_numpy(dtype=object),
        clip=clip,
        source=source,
        expected=rows["expected"].to_numpy(dtype=object),
        acceptance=acceptance,
        is_self=_is_self(models, copies),
        signals=Single(clip, source, signal_acceptance),
        matched=Single(clip[row_of_matched], source[row_of_matched], matched_acceptance),
        predicted=predicted,
    )


def _is_self(models: Sequence[ModelRef], copies: Mapping[str, Collection[str]]) -> BoolArray:
    weights = np.array([model.weights_sha256 for model in models])
    same = weights[:, None] == weights[None, :]
    for j, model in enumerate(models):
        same[:, j] |= np.array([other.repo_id in copies.get(model.repo_id, ()) for other in models])
    return np.asarray(same, dtype=bool)


def _signal_rows(frame: pd.DataFrame, family: str, index: Mapping[str, int]) -> pd.DataFrame:
    """The signals of the panel's references that a model was asked, in order; the first draw first."""
    is_signal = (frame["stimulus"] == "signal") & (frame["family"] == family) & at_level_zero(frame)
    rows = frame.loc[is_signal & frame["reference"].isin(list(index)), list(_SIGNAL_COLUMNS)]
    in_order: pd.DataFrame = rows.sort_values(["reference", "clip_id", "draw"], ignore_index=True)
    return in_order


def _verdict_and_acceptance(rows: pd.DataFrame, key: str, verdicts: pd.DataFrame) -> tuple[Any, FloatArray]:
    """Verdict on the `clip_id` or `signal_id` of each row, or None; whether it is `expected`, or NaN."""
    # As objects: iterating over Arrow strings would make each of them anew.
    keys, answers = (verdicts[name].to_numpy(dtype=object) for name in (key, "predicted"))
    verdict_of = dict(zip(keys, answers, strict=True))
    verdict = np.array([verdict_of.get(name_) for name_ in rows[key].to_numpy(dtype=object)], dtype=object)
    accepts = (verdict == rows["expected"].to_numpy(dtype=object)).astype(np.float64)
    return verdict, np.where(verdict == None, np.nan, accepts)  # noqa: E711 - by element


def _mean_by_row(
    verdicts: pd.DataFrame, at_signal: Mapping[str, int], row_of: IntArray, n: int
) -> FloatArray:
    """(n,) mean acceptance over the stimuli of each row: over the controls of a draw, then over the draws."""
    accepts = accepted(verdicts).astype(np.float64)
    per_signal = means_at(_positions(verdicts, at_signal), accepts, len(row_of))
    return means_at(np.where(np.isnan(per_signal), -1, row_of), per_signal, n)


def _positions(verdicts: pd.DataFrame, at_signal: Mapping[str, int]) -> IntArray:
    """(n,) index of the signal of each verdict; -1 for one without."""
    # As objects: iterating over Arrow strings would make each of them anew.
    names = verdicts["signal_id"].to_numpy(dtype=object)
    return np.array([at_signal.get(name, -1) for name in names], dtype=np.int64)


def _matched(verdicts: pd.DataFrame, family: str, at_first: Mapping[str, int]) -> tuple[IntArray, FloatArray]:
    """Of the `matched` controls of first draws: row of the signal x N_MATCHED + replicate; 1 if accepted."""
    controls = verdicts[(verdicts["stimulus"] == "matched") & (verdicts["family"] == family)]
    rows = _positions(controls, at_first)
    accepts = accepted(controls).astype(np.float64)
    replicates = controls["replicate"].to_numpy(dtype=np.int64)[rows >= 0]
    return rows[rows >= 0] * N_MATCHED + replicates, accepts[rows >= 0]
