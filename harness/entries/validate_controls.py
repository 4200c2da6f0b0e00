"""What must hold of the controls among the verdicts of an entry: which of several, and of which other clip.

Public: check, validate_controls.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from harness.entries.checks import Checks, of_names
from harness.metrics.acceptance import at_level_zero
from harness.types import N_MATCHED, N_SWAPS

_REPLICATES = {"swap": N_SWAPS, "matched": N_MATCHED}
"""The controls that a signal may have several of, and how many at most."""


def check(checks: Checks) -> None:
    """Which of several controls a row is about, and of which other clip."""
    rows = checks.rows
    which = rows["replicate"].fillna(-1).to_numpy(dtype=np.int64)
    n_most = rows["stimulus"].map(_REPLICATES).fillna(0).to_numpy(dtype=np.int64)
    checks.require(
        np.where(n_most > 0, (which >= 0) & (which < n_most), rows["replicate"].isna()),
        "replicate",
        f"0 to {N_SWAPS - 1} for swap, 0 to {N_MATCHED - 1} for matched, and nothing for all else",
    )
    swap = (rows["stimulus"] == "swap").to_numpy(dtype=bool)
    whole = rows[rows["stimulus"] == "whole"].dropna(subset=["clip_id"]).drop_duplicates("clip_id")
    length_of = dict(zip(whole["clip_id"], whole["n_samples"], strict=True))
    other = rows["other_clip"]
    checks.require(
        np.where(swap, other.isin(list(length_of)) & (other != rows["clip_id"]), other.isna()),
        "other_clip",
        "another clip of the entry for swap, and nothing for all else",
    )
    length = other.map(length_of).to_numpy(dtype=float, na_value=np.nan)
    checks.require(
        ~swap | np.isnan(length) | (rows["n_samples"].to_numpy(dtype=float) == length),
        "n_samples",
        "the length of other_clip, of which a swap is made",
    )


def validate_controls(made: pd.DataFrame, whole: pd.DataFrame) -> list[str]:
    """Whether the controls are all there, and of the clips they must be of.

    Args:
        made: the rows about signals, as `validate_verdicts.problems` reads them.
        whole: those about whole clips.
    """
    return [*_replicates(made), *_swaps(made, whole)]


def _replicates(made: pd.DataFrame) -> list[str]:
    """Whether those of several count from 0 without a gap."""
    found: list[str] = []
    for stimulus in _REPLICATES:
        which = made[made["stimulus"] == stimulus].groupby("signal_id")["replicate"]
        gaps = (which.max() + 1 != which.nunique()).fillna(True).to_numpy(dtype=bool)
        found += of_names(
            list(which.max().index[gaps]),
            f"has only some replicates of {stimulus}, expected 0 and on, without a gap",
        )
    return found


def _swaps(made: pd.DataFrame, whole: pd.DataFrame) -> list[str]:
    """Whether the `swap` controls are those of clips that the reference gives another class.

    Which clips these are, the verdicts alone do not say: of a degenerate signal there are none. But a clip of
    a class that they do say is one that could have been taken, the sooner if it is of the same length.
    """
    swaps = made[made["stimulus"] == "swap"].dropna(subset=["signal_id", "other_clip"])
    again = swaps.duplicated(["signal_id", "other_clip"])
    repeated = swaps["signal_id"][again].unique().tolist()
    length_of = dict(zip(whole["clip_id"], whole["n_samples"], strict=True))
    signals = made[(made["stimulus"] == "signal") & at_level_zero(made)]
    signals = signals.dropna(subset=["reference", "clip_id", "signal_id"]).drop_duplicates("signal_id")
    taken: dict[Any, list[Any]] = {}
    for name, other in zip(swaps["signal_id"], swaps["other_clip"], strict=True):
        taken.setdefault(name, []).append(other)
    same_class, too_few, other_length = [], [], []
    for _, of_reference in signals.groupby("reference"):
        class_of = dict(zip(of_reference["clip_id"], of_reference["expected"], strict=True))
        kinds = Counter((label, length_of.get(clip)) for clip, label in class_of.items())
        of_length, of_class = Counter[Any](), Counter[Any]()
        for (label, length), n in kinds.items():
            of_length[length] += n
            of_class[label] += n
        for name, label, clip in zip(
            of_reference["signal_id"], of_reference["expected"], of_reference["clip_id"], strict=True
        ):
            others = taken.get(name, [])
            length = length_of.get(clip)
            alike = of_length[length] - kinds[label, length]
            if any(class_of.get(other) == label for other in others):
                same_class.append(name)
            if len(others) < (min(N_SWAPS, alike) or len(class_of) > of_class[label]):
                too_few.append(name)
            if alike and any(length_of.get(other) != length for other in others):
                other_length.append(name)
    return [
        *of_names(repeated, "has two swap controls of one clip, expected different clips"),
        *of_names(
            same_class,
            "has a swap control of a clip that its reference gives the same class, expected another",
        ),
        *of_names(
            too_few,
            f"has too few swap controls, expected {N_SWAPS}, or one for each clip of its length that its"
            " reference gives another class, or else at least one where there is another class",
        ),
        *of_names(
            other_length, "has a swap control of another length, expected one of its own, which there is"
        ),
    ]
