"""All answers of a panel to one family of signals, as arrays: what studies and flat-earther tests count on.

Conventions: rows are signals, ordered by reference and clip; columns are models, the references first. 1
accepted, 0 not, NaN where the model does not know the class or was not asked. A reference's answers to its
own signals are there, and are left out by whoever counts transfer.

Public: Judgements, gather.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.documents import ReferenceCounts
from harness.records import FloatArray, LabelMap, ModelRef

if TYPE_CHECKING:
    import pandas as pd

STIMULI = ("signal", "permuted", "largest", "whole")
"""What is gathered."""


@dataclass(frozen=True, eq=False)
class Judgements:
    """A panel of models and its answers to the signals of one family."""

    models: tuple[ModelRef, ...]
    """The panel: the references, by name, then the others."""
    n_references: int
    """How many of them are references."""
    signal_ids: Any
    """(n,) text."""
    clip_ids: Any
    """(n_clips,) text, sorted."""
    clip: NDArray[np.int64]
    """(n,) the clip of each signal, an index into `clip_ids`."""
    source: NDArray[np.int64]
    """(n,) the reference of each signal, an index into `models`."""
    expected: Any
    """(n,) class of each signal, text."""
    accepted: Mapping[str, FloatArray]
    """(n, n_models) for each of STIMULI."""
    predicted: Any = None
    """(n, n_models) canonical verdicts on the signals, text; None where there is none."""

    @property
    def foreign(self) -> FloatArray:
        """(n, n_models) acceptance of the signals, NaN on each reference's own."""
        found = self.accepted["signal"].copy()
        for j, model in enumerate(self.models):
            same = [k for k, other in enumerate(self.models) if other.weights_sha256 == model.weights_sha256]
            found[np.isin(self.source, same), j] = np.nan
        return found


def gather(
    answers: Sequence[tuple[ModelRef, LabelMap, pd.DataFrame]],
    references: Sequence[ReferenceCounts],
    family: str,
) -> Judgements:
    """Put the verdicts of a panel side by side.

    Args:
        answers: each model with its label map and verdicts on the same suite.
        references: whose signals were asked; those of other families are passed over.
        family: one of FAMILIES.

    Raises:
        ValueError: the models were not asked the same signals.
    """
    names = [r.model.repo_id for r in references if r.family == family]
    by_name = {model.repo_id: (model, labels, frame) for model, labels, frame in answers}
    others = [name for name in by_name if name not in names]
    panel = [by_name[name] for name in (*(n for n in sorted(names) if n in by_name), *sorted(others))]
    models = tuple(model for model, _, _ in panel)
    n_references = sum(model.repo_id in names for model in models)
    index = {model.repo_id: j for j, model in enumerate(models)}
    columns = [_signals(frame, family, index) for _, _, frame in panel]
    first = columns[0]
    n = len(first)
    accepted = {name: np.full((n, len(models)), np.nan) for name in STIMULI}
    predicted = np.full((n, len(models)), None, dtype=object)
    for j, ((_, labels, frame), signals) in enumerate(zip(panel, columns, strict=True)):
        if not np.array_equal(signals["signal_id"], first["signal_id"]):
            raise ValueError(f"{models[j].repo_id} was asked other signals than {models[0].repo_id}")
        known = signals["expected"].isin(labels.covered).to_numpy(dtype=bool)
        whole = _said(frame[frame["stimulus"] == "whole"], "clip_id")
        for name in STIMULI:
            if name == "whole":
                said = signals["clip_id"].map(whole)
            else:
                rows = frame[(frame["stimulus"] == name) & (frame["family"] == family) & _first_level(frame)]
                said = signals["signal_id"].map(_said(rows, "signal_id"))
            answered = known & said.notna().to_numpy(dtype=bool)
            right = (said == signals["expected"]).to_numpy(dtype=bool)
            accepted[name][:, j] = np.where(answered, right.astype(np.float64), np.nan)
            if name == "signal":
                predicted[:, j] = said.to_numpy(dtype=object)
    clip_ids, clip = np.unique(first["clip_id"].to_numpy(dtype=str), return_inverse=True)
    return Judgements(
        models=models,
        n_references=n_references,
        signal_ids=first["signal_id"].to_numpy(dtype=object),
        clip_ids=clip_ids,
        clip=clip.astype(np.int64),
        source=np.array([index[name] for name in first["reference"]], dtype=np.int64),
        expected=first["expected"].to_numpy(dtype=object),
        accepted=accepted,
        predicted=predicted,
    )


def _signals(frame: pd.DataFrame, family: str, index: Mapping[str, int]) -> pd.DataFrame:
    """The signals of the panel's references that a model was asked, in order."""
    rows = frame[(frame["stimulus"] == "signal") & (frame["family"] == family) & _first_level(frame)]
    rows = rows[rows["reference"].isin(list(index))]
    ordered: pd.DataFrame = rows.sort_values(["reference", "clip_id"], ignore_index=True)
    return ordered


def _first_level(frame: pd.DataFrame) -> Any:
    return (frame["level"].isna() | (frame["level"] == 0)).to_numpy(dtype=bool)


def _said(rows: pd.DataFrame, key: str) -> dict[str, str]:
    # As objects: iterating over Arrow strings would make each of them anew.
    keys, said = (rows[name].to_numpy(dtype=object) for name in (key, "predicted"))
    return dict(zip(keys, said, strict=True))
