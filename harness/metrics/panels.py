"""One candidate's answers to one family of signals, and what each rate makes of them, signal by signal.

Conventions: verdicts are a DataFrame, one row per `types.Verdict`, in any order; rows of level 1 and above
belong to other questions and are passed over. A panel holds an array with a value for each signal: in [0, 1]
for acceptance (of several controls of a kind the mean), NaN where it does not apply. Independent draws of a
clip and reference are averaged and count once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.metrics.acceptance import accepted, at_level_zero, means_at
from harness.schemas import ReferenceCounts
from harness.types import MIN_SIGNALS, VISIBLE, FloatArray

if TYPE_CHECKING:
    import pandas as pd

RATE_STIMULI = ("signal", "swap", "matched", "largest")
"""Stimuli made of a signal that a rate is about."""

_COLUMNS = ["stimulus", "reference", "family", "clip_id", "signal_id", "level", "replicate", "n_samples"]
_COLUMNS += ["predicted", "predicted_raw", "expected", "energy_seen", "robust"]
"""The columns of verdicts that a panel is made of."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One candidate's answers to one family; every array has a value for each signal."""

    n_clips: int
    """Whole clips of the task."""
    n_references: int
    """References that offer signals of the family."""
    clip: NDArray[np.intp]
    """Clip of each signal, an index in order of the ids of all clips of the task."""
    reference: NDArray[np.intp]
    """Reference of each signal, an index."""
    expected: Any
    """Class of each signal, text."""
    knows_class: FloatArray
    """1 where the candidate knows the class, 0 where not."""
    acceptance: Mapping[str, FloatArray]
    """Acceptance of each of RATE_STIMULI, `whole` and `silence`; NaN where not applicable."""
    as_silence: Mapping[str, FloatArray]
    """For each of RATE_STIMULI, whether the answer is that to silence; NaN where not applicable."""
    visible: NDArray[np.bool_]
    """Where VISIBLE of the signal's energy reaches the candidate."""
    robust: NDArray[np.bool_]
    """Where the signal keeps its class, for its reference, with noise in place of the rest."""

    def table(self, values: FloatArray) -> FloatArray:
        """(n_clips, n_references) means over the signals that a reference has of a clip; NaN for none."""
        cells = self.clip * self.n_references + self.reference
        has_value = ~np.isnan(values)
        size = self.n_clips * self.n_references
        sums = np.bincount(cells[has_value], values[has_value], size)
        counts = np.bincount(cells[has_value], minlength=size)
        out = np.full(size, np.nan)
        np.divide(sums, counts, out=out, where=counts > 0)
        return out.reshape(self.n_clips, self.n_references)

    @property
    def applicable(self) -> NDArray[np.intp]:
        """(n_references,) clips with a signal whose class the candidate knows."""
        return np.asarray((self.table(self.knows_class) == 1).sum(axis=0))


@dataclass(frozen=True)
class Metric:
    """One rate: what it means and how a panel gives it, signal by signal."""

    meaning: str
    kind: Literal["rate", "difference"]
    of: Callable[[Panel], FloatArray]

    @property
    def min_signals(self) -> int:
        """Signals below which a reference stays out of the mean, and its cell is empty."""
        return MIN_SIGNALS if self.kind == "difference" else 0


def _agreeing(panel: Panel) -> FloatArray:
    return np.where(panel.acceptance["whole"] == 1, panel.acceptance["signal"], np.nan)


def _rate(stimulus: str) -> Callable[[Panel], FloatArray]:
    return lambda panel: panel.acceptance[stimulus]


def _minus(control: str) -> Callable[[Panel], FloatArray]:
    return lambda panel: panel.acceptance["signal"] - panel.acceptance[control]


# fmt: off
METRICS: MappingProxyType[str, Metric] = MappingProxyType({
    "coverage": Metric("share of signals whose class the candidate knows", "rate", lambda p: p.knows_class),
    "transfer": Metric("acceptance of the signals", "rate", _rate("signal")),
    "agreeing_transfer": Metric("the same where the whole clip is given the class, too", "rate", _agreeing),
    "swap": Metric("acceptance of the same part of clips of another class", "rate", _rate("swap")),
    "lift": Metric("transfer - swap, paired by signal", "difference", _minus("swap")),
    "matched": Metric("acceptance of an equally loud place elsewhere", "rate", _rate("matched")),
    "placement": Metric("transfer - matched, paired by signal", "difference", _minus("matched")),
    "largest": Metric("acceptance of as much of what is loudest", "rate", _rate("largest")),
    "beyond_largest": Metric("transfer - largest, paired by signal", "difference", _minus("largest")),
    "silence": Metric("acceptance of silence", "rate", _rate("silence")),
    "agreement": Metric("acceptance of the whole clips", "rate", _rate("whole")),
})
"""The fields of `schemas.Rates`, one line each."""
# fmt: on


@dataclass(frozen=True, eq=False)
class ClipAnswers:
    """One candidate's answers to the whole clips of a task and to silence."""

    whole: Mapping[str, str]
    """Predicted label by clip_id."""
    silence: Mapping[int, str]
    """Predicted label by number of samples."""
    silence_class: Mapping[int, str]
    """The very class, as the model calls it, by number of samples."""
    index: Mapping[str, int]
    """Place of each clip_id in their order."""


def clip_answers(verdicts: pd.DataFrame) -> ClipAnswers:
    """The answers to whole clips and silence among some verdicts.

    Raises:
        ValueError: one of them with two verdicts.
    """
    verdicts = verdicts[verdicts["stimulus"].isin(["whole", "silence"])]
    return ClipAnswers(
        _answers(verdicts, "whole", "clip_id"),
        _answers(verdicts, "silence", "n_samples"),
        _answers(verdicts, "silence", "n_samples", "predicted_raw"),
        {clip_id: i for i, clip_id in enumerate(clip_ids(verdicts))},
    )


def panel_of(
    verdicts: pd.DataFrame,
    family: str,
    references: Sequence[ReferenceCounts],
    covered: frozenset[str],
    clips: ClipAnswers | None = None,
) -> Panel:
    """A candidate's answers to the signals of some references of one family.

    The answers to whole clips and silence are `clips`, or stand among the verdicts.

    Raises:
        ValueError: a stimulus with two verdicts, or a signal of a clip without a verdict.
    """
    import pandas as pd

    clips = clip_answers(verdicts) if clips is None else clips
    verdicts = verdicts[_COLUMNS]
    column = {reference.model.repo_id: j for j, reference in enumerate(references)}
    rows = verdicts[
        (verdicts["family"] == family) & verdicts["reference"].isin(list(column)) & at_level_zero(verdicts)
    ]
    _require_once(rows, ["signal_id", "stimulus", "replicate"])
    is_about = {name: (rows["stimulus"] == name).to_numpy(dtype=bool) for name in RATE_STIMULI}
    by_stimulus = {name: rows[is_about[name]] for name in RATE_STIMULI}
    signals = by_stimulus["signal"]
    _require_once(signals, ["signal_id"])
    codes, ids = pd.factorize(rows["signal_id"])
    position = np.full(len(ids) + 1, -1)  # the last is that of no signal, whose code is -1
    position[codes[is_about["signal"]]] = np.arange(len(signals))
    if missing := sorted(set(signals["clip_id"]) - set(clips.index)):
        raise ValueError(f"signals of the clip {missing[0]!r}, which has no verdict as a whole")
    expected = signals["expected"].to_numpy(dtype=object)
    knows_class = np.asarray(signals["expected"].isin(sorted(covered)), dtype=np.float64)

    def per_signal(stimulus: str, flags: Any) -> FloatArray:
        """Mean of what holds over the rows of each signal whose class is known; NaN for none."""
        means = means_at(
            position[codes[is_about[stimulus]]], np.asarray(flags, dtype=np.float64), len(signals)
        )
        return np.where(knows_class == 1, means, np.nan)

    def is_that_to_silence(group: pd.DataFrame) -> Any:
        """Whether each answer is that to silence of the same length."""
        # Of all classes that are no label, or are one label, only the very class of silence counts.
        n_samples = group["n_samples"].tolist()
        to_silence = np.array([clips.silence_class.get(n) for n in n_samples], dtype=object)
        return group["predicted_raw"].to_numpy(dtype=object) == to_silence

    def single_answer(answers: Mapping[Any, str], keys: Any) -> FloatArray:
        """Acceptance of a stimulus that has one answer for all references."""
        predicted = np.array([answers.get(key) for key in keys], dtype=object)
        return np.where((knows_class == 1) & (predicted != None), predicted == expected, np.nan)  # noqa: E711 - by element

    return Panel(
        n_clips=len(clips.index),
        n_references=len(references),
        clip=np.array([clips.index[c] for c in signals["clip_id"]], dtype=np.intp),
        reference=np.array([column[name] for name in signals["reference"]], dtype=np.intp),
        expected=expected,
        knows_class=knows_class,
        acceptance={
            **{n: per_signal(n, accepted(group)) for n, group in by_stimulus.items()},
            "whole": single_answer(clips.whole, signals["clip_id"]),
            "silence": single_answer(clips.silence, signals["n_samples"]),
        },
        as_silence={n: per_signal(n, is_that_to_silence(group)) for n, group in by_stimulus.items()},
        visible=(signals["energy_seen"] >= VISIBLE).to_numpy(dtype=bool),
        robust=signals["robust"].to_numpy(dtype=bool, na_value=False),
    )


def concatenate(panels: Sequence[Panel]) -> Panel:
    """One panel of several, over the same clips and references, of different signals."""

    def joined(name: str) -> Any:
        values = [getattr(panel, name) for panel in panels]
        if isinstance(values[0], Mapping):
            return {key: np.concatenate([value[key] for value in values]) for key in values[0]}
        return np.concatenate(values)

    names = [field.name for field in fields(Panel) if field.name not in ("n_clips", "n_references")]
    return replace(panels[0], **{name: joined(name) for name in names})


def clip_ids(verdicts: pd.DataFrame) -> list[str]:
    """clip_id of every whole clip, sorted."""
    return sorted(verdicts["clip_id"][verdicts["stimulus"] == "whole"])


def _require_once(rows: pd.DataFrame, key: list[str]) -> None:
    is_duplicate = rows.duplicated(key)
    if is_duplicate.any():
        first = rows[is_duplicate].iloc[0]
        raise ValueError(f"two {first['stimulus']} verdicts for {key[0]} {first[key[0]]!r}")


def _answers(verdicts: pd.DataFrame, stimulus: str, key: str, column: str = "predicted") -> dict[Any, str]:
    """Predicted class of the stimulus by clip_id or n_samples; as a canonical label, or as it is called."""
    rows = verdicts[verdicts["stimulus"] == stimulus]
    _require_once(rows, [key])
    return dict(zip(rows[key], rows[column], strict=True))
