"""Checks of the controls among the verdicts of an entry: their replicates, and their other clips."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd

from harness.entries.checks import Checks, mapped, name_problems, texts
from harness.metrics.acceptance import at_level_zero
from harness.types import N_MATCHED, N_SWAPS

_REPLICATES = {"swap": N_SWAPS, "matched": N_MATCHED}
"""The controls that a signal may have several of, and how many at most."""


def check(checks: Checks) -> None:
    """Which of several controls a row is about, and of which other clip."""
    rows = checks.rows
    replicates = rows["replicate"].fillna(-1).to_numpy(dtype=np.int64)
    n_most = mapped(rows["stimulus"], _REPLICATES, 0)
    checks.require(
        np.where(n_most > 0, (replicates >= 0) & (replicates < n_most), rows["replicate"].isna()),
        "replicate",
        f"0 to {N_SWAPS - 1} for swap, 0 to {N_MATCHED - 1} for matched, and nothing for all else",
    )
    is_swap = (rows["stimulus"] == "swap").to_numpy(dtype=bool)
    whole = rows[rows["stimulus"] == "whole"].dropna(subset=["clip_id"]).drop_duplicates("clip_id")
    lengths = dict(zip(whole["clip_id"], whole["n_samples"], strict=True))
    other_clips = rows["other_clip"]
    checks.require(
        np.where(
            is_swap, other_clips.isin(list(lengths)) & (other_clips != rows["clip_id"]), other_clips.isna()
        ),
        "other_clip",
        "another clip of the entry for swap, and nothing for all else",
    )
    other_lengths = mapped(other_clips, lengths, np.nan)
    checks.require(
        ~is_swap | np.isnan(other_lengths) | (rows["n_samples"].to_numpy(dtype=float) == other_lengths),
        "n_samples",
        "the length of other_clip, of which a swap is made",
    )


def validate_controls(signal_rows: pd.DataFrame, whole: pd.DataFrame) -> list[str]:
    """Whether all controls are present among the rows, and use the right clips."""
    return [*_replicates(signal_rows), *_swaps(signal_rows, whole)]


def _replicates(signal_rows: pd.DataFrame) -> list[str]:
    """Whether the replicates count from 0 without a gap."""
    problems: list[str] = []
    for stimulus in _REPLICATES:
        of_stimulus = signal_rows[signal_rows["stimulus"] == stimulus]
        replicates = of_stimulus.groupby("signal_id", observed=True)["replicate"]
        gaps = (replicates.max() + 1 != replicates.nunique()).fillna(True).to_numpy(dtype=bool)
        problems += name_problems(
            list(replicates.max().index[gaps]),
            f"has only some replicates of {stimulus}, expected 0 and on, without a gap",
        )
    return problems


def _swaps(signal_rows: pd.DataFrame, whole: pd.DataFrame) -> list[str]:
    """Whether the `swap` controls are those of clips that the reference gives another class.

    Which clips these are, the verdicts alone do not say: of a degenerate signal there are none. But a clip of
    a class that they do say is one that could have been taken, the sooner if it is of the same length.
    """
    swaps = signal_rows[signal_rows["stimulus"] == "swap"].dropna(subset=["signal_id", "other_clip"])
    is_repeat = swaps.duplicated(["signal_id", "other_clip"])
    repeats = swaps["signal_id"][is_repeat].unique().tolist()
    lengths = dict(zip(whole["clip_id"], whole["n_samples"], strict=True))
    signals = signal_rows[(signal_rows["stimulus"] == "signal") & at_level_zero(signal_rows)]
    signals = signals.dropna(subset=["reference", "clip_id", "signal_id"]).drop_duplicates("signal_id")
    swap_clips: defaultdict[Any, list[Any]] = defaultdict(list)
    for signal_id, clip in zip(texts(swaps["signal_id"]), texts(swaps["other_clip"]), strict=True):
        swap_clips[signal_id].append(clip)
    same_class, too_few, other_length = [], [], []
    for _, of_reference in signals.groupby("reference", observed=True):
        ids, labels, clip_ids = (texts(of_reference[name]) for name in ("signal_id", "expected", "clip_id"))
        class_of = dict(zip(clip_ids, labels, strict=True))
        counts = Counter((label, lengths.get(clip)) for clip, label in class_of.items())
        of_length, of_class = Counter(map(lengths.get, class_of)), Counter(class_of.values())
        for signal_id, label, clip in zip(ids, labels, clip_ids, strict=True):
            clips = swap_clips.get(signal_id, [])
            length = lengths.get(clip)
            n_same_length = of_length[length] - counts[label, length]
            if any(class_of.get(other_clip) == label for other_clip in clips):
                same_class.append(signal_id)
            if len(clips) < (min(N_SWAPS, n_same_length) or len(class_of) > of_class[label]):
                too_few.append(signal_id)
            if n_same_length and any(lengths.get(other_clip) != length for other_clip in clips):
                other_length.append(signal_id)
    few = (
        f"has too few swap controls, expected {N_SWAPS}, or one for each clip of its length that its"
        " reference gives another class, or else at least one where there is another class"
    )
    same = "has a swap control of a clip that its reference gives the same class, expected another"
    length = "has a swap control of another length, expected one of its own, which there is"
    return [
        *name_problems(repeats, "has two swap controls of one clip, expected different clips"),
        *name_problems(same_class, same),
        *name_problems(too_few, few),
        *name_problems(other_length, length),
    ]
