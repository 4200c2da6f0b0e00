"""What a draw finds: the chance exactly, by simulation, and against forgers who know the rule of the draw.

A forgery is a set of verdicts of an entry that raise the lift and are not true; its worth is what it adds to
it. In a race of exponential times the first of them comes at a time whose rate is that worth, whichever they
are, so that the chance depends on the worth and on the sound verdicts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from harness.entries import store
from harness.schemas import Entry
from harness.submit import verdict_sample
from harness.types import FloatArray
from tests.helpers.families import FAMILIES
from tests.helpers.repository import ROOT

KS = (32, 64, 128, 256, 512)
WORTHS = (0.01, 0.03, 0.05)


def found(sound: FloatArray, forged: float, k: int) -> float:
    """Chance that a forgery is among the k verdicts of the lift that are asked.

    Args:
        sound: worths of the verdicts that raise the lift and are true.
        forged: worth of the others, together.
        k: verdicts of the lift that are asked.
    """
    return float(chances(sound, [forged], [k])[0, 0])


def chances(sound: FloatArray, forged: Sequence[float], ks: Sequence[int], n_nodes: int = 200) -> FloatArray:
    """(len(forged), len(ks)) the same for several worths and numbers of verdicts.

    The first forged verdict comes at an exponential time t of rate `forged`; it is missed where k sound ones
    came before, a sum of binomial numbers, one for each worth that sound verdicts have.
    """
    rates, counts = np.unique(sound.round(12), return_counts=True)
    most = min(max(ks) + 8 * max(ks) ** 0.5, len(sound) - 0.5)
    end = brentq(lambda t: float(counts @ -np.expm1(-rates * t)) - most, 0.0, 1e9)
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    times = (nodes + 1) / 2 * end
    before = np.array([_at_least(counts, -np.expm1(-rates * t), ks) for t in times])
    missed = [
        (weights * end / 2 * worth * np.exp(-worth * times)) @ before + np.exp(-worth * end)
        for worth in forged
    ]
    return np.where(np.array(ks) > len(sound), 1.0, 1 - np.array(missed))


def _at_least(counts: NDArray[np.int64], of_group: FloatArray, ks: Sequence[int]) -> list[float]:
    """Chances that of groups of verdicts, each drawn with the chance of its group, at least k are drawn."""
    total = np.ones(1)
    for n, chance in zip(counts, of_group, strict=True):
        total = np.convolve(total, binom.pmf(np.arange(min(int(n), max(ks)) + 1), n, chance))[: max(ks)]
    return [float(1 - total[:k].sum()) for k in ks]


def simulated(sound: FloatArray, forged: FloatArray, k: int, n: int, seed: int) -> float:
    """Share of n races in which one of the forged verdicts is among the first k.

    Args:
        sound: worths of the verdicts that are true.
        forged: worths of the others.
        k: verdicts asked.
        n: races.
        seed: of the races.
    """
    rng = np.random.default_rng(seed)
    n_found = 0
    for _ in range(n):
        times = rng.exponential(size=len(sound)) / sound
        first = (rng.exponential(size=len(forged)) / forged).min()
        n_found += int((times < first).sum() < k)
    return n_found / n


def for_lift(k: int) -> int:
    """Of k verdicts those of the lift, where there are enough of each kind."""
    return k - int(k * verdict_sample.WHOLE) - int(k * verdict_sample.REST)


@cache
def submitted() -> tuple[tuple[Entry, pd.DataFrame], ...]:
    """The entries of this repository on the starter suite, with their verdicts."""
    folders = store.find(ROOT / "submissions")
    return tuple((store.read(folder), store.verdicts(folder)) for folder in folders)


def forge(rows: pd.DataFrame, order: NDArray[np.intp], entry: Entry, worth: float) -> NDArray[np.intp]:
    """The first rows of an order, as many as make the lift larger by a worth; they are changed in place.

    Args:
        rows: all verdicts.
        order: rows that do not raise the lift.
        entry: whose they are.
        worth: in [0, 1].
    """
    truth = rows["predicted"].copy()
    # A label that is not expected: any will do.
    other = np.where(rows["expected"] == truth, "other", truth)
    flipped = np.where(rows["stimulus"] == "swap", other, rows["expected"])
    rows.loc[order, "predicted"] = flipped[order]
    gains = verdict_sample.worth(entry, rows)[order]
    n = int(np.searchsorted(np.cumsum(gains), worth)) + 1
    rows.loc[order[n:], "predicted"] = truth[order[n:]]
    return order[:n]


def places(entry: Entry, rows: pd.DataFrame) -> dict[str, NDArray[np.intp]]:
    """Where forgers who know the rule would forge, by name, each an order of rows."""
    rng = np.random.default_rng(0)
    sound = verdict_sample.worth(entry, rows)
    headline = (rows["family"] == FAMILIES[0]) & rows["expected"].isin(sorted(entry.label_map.covered))
    accepted = rows["predicted"] == rows["expected"]
    signals = np.flatnonzero(headline & (rows["stimulus"] == "signal") & ~accepted)
    swaps = np.flatnonzero(headline & (rows["stimulus"] == "swap") & accepted)
    p = rows["p_expected"].to_numpy(dtype=np.float64)
    counts = rows[headline].groupby("reference").size()
    reference = rows["reference"].to_numpy(dtype=object)
    per_reference = pd.Series(sound[sound > 0]).groupby(reference[sound > 0]).max()
    dearest, cheapest = per_reference.idxmax(), per_reference.idxmin()
    either = np.concatenate([signals, swaps])

    def of(some: NDArray[np.intp], name: str) -> NDArray[np.intp]:
        return rng.permutation(some[reference[some] == name])

    by_signal = sorted(either, key=lambda i: (str(rows["signal_id"].iloc[i]), rows["stimulus"].iloc[i]))
    assert len(counts) > 1
    return {
        "rejected signals, any": rng.permutation(signals),
        "rejected signals, the least clearly rejected": signals[np.argsort(-p[signals])],
        "accepted swaps, any": rng.permutation(swaps),
        "accepted swaps, the least clearly accepted": swaps[np.argsort(p[swaps])],
        "both, any": rng.permutation(either),
        "both, of as few signals as will do": np.array(by_signal, dtype=np.intp),
        "of the reference of which each is worth most": of(either, str(dearest)),
        "of the reference of which each is worth least": of(either, str(cheapest)),
    }


def table() -> list[str]:
    """The table of docs/verification.md: the chance of each worth and k, the least of the three entries."""
    of_lift = [for_lift(k) for k in KS]
    each = []
    for entry, rows in submitted():
        sound = verdict_sample.worth(entry, rows)
        each.append(chances(sound[sound > 0], WORTHS, of_lift))
    least = np.min(each, axis=0)
    lines = [
        "| verdicts checked | of the lift | worth 1 pp | worth 3 pp | worth 5 pp |",
        "|---|---|---|---|---|",
    ]
    for i, k in enumerate(KS):
        shares = " | ".join(f"{100 * np.floor(1000 * share) / 1000:.1f} %" for share in least[:, i])
        lines.append(f"| {k} | {of_lift[i]} | {shares} |")
    return lines
