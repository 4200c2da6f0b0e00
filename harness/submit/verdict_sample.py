"""Selects the verdicts of an entry to compute again: first those that a forger would gain most from.

Only an accepted signal and a rejected `swap` control raise a lift, and each is worth what the lift would lose
without it. They are drawn one by one without replacement, with a probability proportional to their worth (by
sorting exponential times whose rates are the worths): references of different size, signals and swaps, clips
of one draw and of two weigh as they count, so that no part of an entry is safer to forge than another. With k
of the verdicts of a lift L asked, forgeries that are together worth V are missed with a probability of about
exp(-k V / (1 + L)).

Of the verdicts that are asked, WHOLE are of whole clips, of which accuracy and likeness are counted, those
first without which a model would count as a copy of a reference, and REST of all others with equal
probability: every verdict can be drawn.

The random numbers come from the sha256 of the entry, of a base that its maker could not foresee, and of the
verdict.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.metrics.acceptance import accepted
from harness.metrics.likeness import copies
from harness.metrics.scorecard import lift_by_clip
from harness.schemas import Entry
from harness.types import FloatArray

if TYPE_CHECKING:
    import pandas as pd

WHOLE = 1 / 4
"""Share of the verdicts asked that are of whole clips, as far as there are so many."""

REST = 1 / 8
"""Share that are of all that is neither a whole clip nor raises the lift."""

Key = tuple[str, str, int | None, int | None]
"""`Unit.key`, stimulus, level and replicate of a verdict."""


def keys_of(verdicts: pd.DataFrame) -> list[Key]:
    """What identifies each verdict of an entry."""
    names = ("stimulus", "signal_id", "clip_id", "n_samples", "level", "replicate")
    columns = (verdicts[name].astype(object).where(verdicts[name].notna(), None) for name in names)
    return [
        (
            f"signal:{signal_id}"
            if signal_id is not None
            else f"whole:{clip_id}"
            if stimulus == "whole"
            else f"silence:{int(n_samples)}",
            stimulus,
            None if level is None else int(level),
            None if replicate is None else int(replicate),
        )
        for stimulus, signal_id, clip_id, n_samples, level, replicate in zip(*columns, strict=True)
    ]


def worth(entry: Entry, verdicts: pd.DataFrame) -> FloatArray:
    """(n,) what the lift would lose if each verdict were the other way; 0 for those that do not raise it."""
    covered = entry.label_map.covered
    table = lift_by_clip(
        *(verdicts, entry.signals.headline, entry.references),
        *(entry.model, covered, copies(entry.likeness)),
    )
    n_clips = table.notna().sum()
    counts = (
        (verdicts["family"] == entry.signals.headline)
        & verdicts["expected"].isin(sorted(covered))
        & verdicts["reference"].isin(list(table.columns))
    )
    swaps = verdicts[counts & (verdicts["stimulus"] == "swap")]
    n_swaps = verdicts["signal_id"].map(swaps.groupby("signal_id").size())
    signals = verdicts[counts & (verdicts["stimulus"] == "signal") & n_swaps.notna()]
    n_draws = signals.groupby(["reference", "clip_id"]).size().rename("n_draws").reset_index()
    clip_draws = verdicts[["reference", "clip_id"]].merge(n_draws, how="left", on=["reference", "clip_id"])
    share = 1 / (len(table.columns) * verdicts["reference"].map(n_clips).to_numpy(dtype=np.float64))
    share = share / clip_draws["n_draws"].to_numpy(dtype=np.float64)
    acceptances = accepted(verdicts)
    signal_terms = np.where((verdicts["stimulus"] == "signal") & acceptances, 1.0, 0.0)
    swap_terms = np.where(
        (verdicts["stimulus"] == "swap") & ~acceptances, 1 / n_swaps.to_numpy(np.float64), 0.0
    )
    return np.where(counts, np.nan_to_num(share * (signal_terms + swap_terms)), 0.0)


def draw(
    entry: Entry, entry_sha256: str, verdicts: pd.DataFrame, base: str, k: int, priority: Collection[str] = ()
) -> NDArray[np.intp]:
    """Rows of the verdicts of a valid entry to ask: k, or all if there are fewer, in the order of drawing.

    The base is a commit, or `random:` and a number; the whole clips of `priority` are asked before the others
    (`likeness.suspects`).
    """
    worths, whole = worth(entry, verdicts), (verdicts["stimulus"] == "whole").to_numpy(dtype=bool)
    rates = np.where(worths > 0, worths, 1.0)
    times = np.array([_exponential_time(entry_sha256, base, key) for key in keys_of(verdicts)]) / rates
    times[whole & verdicts["clip_id"].isin(list(priority)).to_numpy(dtype=bool)] -= math.inf
    groups = [
        np.flatnonzero(mask)[np.argsort(times[mask], kind="stable")]
        for mask in (worths > 0, whole, (worths == 0) & ~whole)
    ]
    sizes = _shares([len(group) for group in groups], k)
    return np.concatenate([group[:n] for group, n in zip(groups, sizes, strict=True)])


def _shares(sizes: list[int], k: int) -> list[int]:
    """How many of each group are asked: whole clips and the rest get their shares, the lift what remains.

    What a group cannot fill goes to the lift, and then to the others.
    """
    lift_size, whole_size, rest_size = sizes
    n_whole, n_rest = min(whole_size, int(k * WHOLE)), min(rest_size, int(k * REST))
    n_lift = min(lift_size, k - n_whole - n_rest)
    n_whole = min(whole_size, k - n_lift - n_rest)
    return [n_lift, n_whole, min(rest_size, k - n_lift - n_whole)]


def _exponential_time(entry_sha256: str, base: str, key: Key) -> float:
    """A pseudorandom exponential time of rate 1."""
    digest = hashlib.sha256("\0".join((entry_sha256, base, *map(str, key))).encode()).digest()
    return -math.log1p(-(int.from_bytes(digest[:6]) + 0.5) / 2**48)
