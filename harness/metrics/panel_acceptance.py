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

from harness.metrics.acceptance import at_level_zero, means_at
from harness.schemas import ReferenceCounts
from harness.types import N_MATCHED, FloatArray, LabelMap, ModelRef

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

PANEL_STIMULI = ("signal", "swap", "matched", "largest", "whole")
"""What is gathered."""

_SIGNAL_COLUMNS = ("reference", "clip_id", "draw", "signal_id", "expected")
_ASKED = ["stimulus", "family", "level", "replicate", *_SIGNAL_COLUMNS]
"""Columns of VERDICTS that say what was asked."""

_COLUMNS = [*_ASKED, "predicted"]
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
    import pandas as pd

    names = [r.model.repo_id for r in references if r.family == family]
    # Only these columns: rows are taken of them many times.
    by_name = {model.repo_id: (model, labels, frame[_COLUMNS]) for model, labels, frame in answers}
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
    asked: _Asked | None = None
    for j, (model, labels, frame) in enumerate(panel):
        # Most models were asked the same in the same order: all but the answers is found once.
        if asked is None or not frame[_ASKED].equals(asked.frame):
            asked = _Asked(frame[_ASKED], family, index, rows, at_signal, at_first)
        if not np.array_equal(asked.signal_ids, signal_rows["signal_id"]):
            raise ValueError(f"{model.repo_id} was asked other signals than {models[0].repo_id}")
        if not np.array_equal(np.sort(asked.matched_keys), keys):
            raise ValueError(f"{model.repo_id} was asked other `matched` controls than {models[0].repo_id}")
        knows_class = rows["expected"].isin(sorted(labels.covered)).to_numpy(dtype=bool)
        codes, texts = pd.factorize(frame["predicted"])
        accepts = codes == asked.expected_codes(texts)
        for name, (of_frame, of_signal) in asked.stimuli.items():
            means = _mean_by_row(accepts[of_frame].astype(np.float64), of_signal, row_of, n)
            acceptance[name][:, j] = np.where(knows_class, means, np.nan)
        for values, of_frame in ((acceptance["whole"], asked.whole), (signal_acceptance, asked.first)):
            said = codes[of_frame] == asked.expected_codes(texts, of_rows=True)
            values[:, j] = np.where(knows_class & (of_frame >= 0), said, np.nan)
        has_answer = asked.first >= 0
        predicted[has_answer, j] = np.array([*texts, None], dtype=object)[codes[asked.first[has_answer]]]
        positions = np.searchsorted(keys, asked.matched_keys)
        matched_acceptance[positions, j] = np.where(
            knows_class[keys[positions] // N_MATCHED], accepts[asked.matched], np.nan
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


class _Asked:
    """What a model was asked of one family, and where each of its answers belongs."""

    def __init__(
        self,
        frame: pd.DataFrame,
        family: str,
        index: Mapping[str, int],
        rows: pd.DataFrame,
        at_signal: Mapping[str, int],
        at_first: Mapping[str, int],
    ) -> None:
        """Take the columns _ASKED of its verdicts; the others are as in `build_acceptance`."""
        import pandas as pd

        self.frame = frame
        is_of_family = ((frame["family"] == family) & at_level_zero(frame)).to_numpy(dtype=bool)
        self.signal_ids = _signal_rows(frame[is_of_family], family, index)["signal_id"]
        stimulus, is_about = frame["stimulus"], {}
        for name in PANEL_STIMULI:
            is_about[name] = np.flatnonzero((stimulus == name).to_numpy(dtype=bool))
        self.whole = _places(rows["clip_id"], frame["clip_id"], is_about.pop("whole"))
        """(n,) index of the verdict on the whole clip of each row; -1 for none."""
        self.stimuli: dict[str, tuple[IntArray, IntArray]] = {}
        """For each kind of stimulus, indices of the verdicts, and of the signal of each, -1 for none."""
        for name, of_frame in is_about.items():
            of_frame = of_frame[is_of_family[of_frame]]
            self.stimuli[name] = of_frame, _positions(frame.iloc[of_frame], at_signal)
        self.first = _places(rows["signal_id"], frame["signal_id"], self.stimuli["signal"][0])
        """(n,) index of the verdict on the signal of each row."""
        of_frame, _ = self.stimuli["matched"]
        self.matched_keys, is_first = _matched(frame.iloc[of_frame], family, at_first)
        """Of the `matched` controls of first draws, see `_matched`."""
        self.matched = of_frame[is_first]
        """Indices of the verdicts on them."""
        self._expected = pd.factorize(frame["expected"])
        self._expected_of_rows = pd.factorize(rows["expected"])

    def expected_codes(self, texts: pd.Index[str], of_rows: bool = False) -> IntArray:
        """The class of each verdict, or row, as its place among some texts; -2 where it is none of them."""
        codes, classes = self._expected_of_rows if of_rows else self._expected
        places = texts.get_indexer(classes)
        return np.asarray(np.append(np.where(places < 0, -2, places), -2)[codes])


def _places(names: pd.Series[str], of_frame: pd.Series[str], rows: IntArray) -> IntArray:
    """(n,) where each name stands among those rows of a column; -1 for nowhere."""
    # As objects: iterating over Arrow strings would make each of them anew.
    place_of = dict(zip(of_frame.iloc[rows].to_numpy(dtype=object), rows.tolist(), strict=True))
    return np.array([place_of.get(name, -1) for name in names.to_numpy(dtype=object)], dtype=np.int64)


def _mean_by_row(accepts: FloatArray, of_signal: IntArray, row_of: IntArray, n: int) -> FloatArray:
    """(n,) mean acceptance over the stimuli of each row: over the controls of a draw, then over the draws."""
    per_signal = means_at(of_signal, accepts, len(row_of))
    return means_at(np.where(np.isnan(per_signal), -1, row_of), per_signal, n)


def _positions(verdicts: pd.DataFrame, at_signal: Mapping[str, int]) -> IntArray:
    """(n,) index of the signal of each verdict; -1 for one without."""
    # As objects: iterating over Arrow strings would make each of them anew.
    names = verdicts["signal_id"].to_numpy(dtype=object)
    return np.array([at_signal.get(name, -1) for name in names], dtype=np.int64)


def _matched(verdicts: pd.DataFrame, family: str, at_first: Mapping[str, int]) -> tuple[IntArray, BoolArray]:
    """Of the `matched` controls of first draws: row of the signal x N_MATCHED + replicate; where they are."""
    is_matched = ((verdicts["stimulus"] == "matched") & (verdicts["family"] == family)).to_numpy(dtype=bool)
    controls = verdicts[is_matched]
    rows = _positions(controls, at_first)
    is_first = np.zeros(len(verdicts), dtype=bool)
    is_first[is_matched] = rows >= 0
    replicates = controls["replicate"].to_numpy(dtype=np.int64)[rows >= 0]
    return rows[rows >= 0] * N_MATCHED + replicates, is_first
