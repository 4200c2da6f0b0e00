"""Information measures: entropies, and what the verdicts of a model tell of the classes of signals.

All in bits, with a natural zero: an entropy of 0 is a certainty, a divergence of 0 two equal distributions, a
mutual information of 0 a verdict that says nothing of the class. Information of small samples is biased
upward and entropy downward: both are corrected, see `mutual_information`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.estimates import ALL_AGREE, LEVEL, ClipWeights, wilson
from harness.seeds import generator
from harness.types import Estimate, FloatArray

JACKKNIFE = "jackknife over clips, noncentral chi-squared or logarithm of what is left"
"""How intervals of information are made, see `mutual_information`."""

N_SHUFFLES = 1000
"""Shuffles of the classes."""

MIN_PER_CELL = 5
"""Clips needed for each cell of a table of K classes by K verdicts."""

MIN_PER_CLASS = 10
"""Clips that two classes at least must have each."""

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
_SAME = 1e-12  # differences below this are rounding
_LARGE = 500.0  # chi-squared is normal from here on
_AT_ONCE = 1 << 16  # scores of all samples in memory at a time
_CELLS_AT_ONCE = 1 << 20  # cells of tables of shuffles, by what one clip changes in them


def entropy(p: FloatArray) -> float:
    """Of a distribution, in bits."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def divergence(p: FloatArray, q: FloatArray) -> float:
    """Jensen-Shannon divergence of two distributions over the same kinds: 0 where equal, 1 where disjoint."""
    mean = (p + q) / 2
    return max(0.0, entropy(mean) - (entropy(p) + entropy(q)) / 2)


@dataclass(frozen=True)
class Information:
    """What a model's verdicts say of the classes of a reference's signals."""

    mutual: Estimate
    """I(c; g(s)) in bits, 0 to log2 K; None where not shown. Its n counts clips."""
    left: Estimate
    """H(c | g(s)) in bits, what the verdict leaves open; None where not shown."""
    p: float | None
    """Permutation p of "the verdict says nothing of the class"; None where not shown."""
    not_shown_because: str | None
    """In a sentence; None where shown."""


def mutual_information(classes: Any, predicted: Any, clip: Any) -> Information:
    """Mutual information and conditional entropy, corrected for bias, with intervals over clips.

    Signals of one clip are dependent: they count once together (n signals of a clip 1 / n each), are left out
    together, and have one class, which is shuffled among clips. Nothing is shown for fewer than
    MIN_PER_CELL K^2 clips, K being the number of different classes or of different verdicts (`other` is one),
    whichever is larger, or where fewer than two classes have MIN_PER_CLASS clips each.

    The value is the jackknife estimate (Miller 1974, Biometrika 61) minus its mean over N_SHUFFLES shuffles
    of the classes, and not below 0. To subtract the mean of plain information instead is right where the
    truth is 0, and takes .08 bits too much where the table of classes by verdicts is sparse (K = 4, n = 80,
    truth 1 bit).

    The interval (ours): near 0, information in units of its noise is chi-squared, noncentral where the truth
    is not 0 (Kullback 1959, Information Theory and Statistics); its scale and degrees of freedom are those of
    the shuffles, its spread that of the jackknife. A truth that not even a value of 0 would exclude can only
    be missed from below, and has all of the 5 % there; 0 itself is never excluded where p is above .05. Where
    the verdict leaves less than half of the entropy of the classes open, the interval is that of the
    logarithm of what is left. Where there is no variation, a clip unlike all those seen may be as frequent as
    Wilson's upper bound for 0 of n. A bootstrap covered 77-95 %.

    Args:
        classes: (n,) class of each signal, a text or a whole number.
        predicted: (n,) verdict on it, the same.
        clip: (n,) clip of it; any numbers or names.

    Raises:
        ValueError: signals of one clip with different classes.
    """
    of_clip, verdicts = _by_clip(*(np.asarray(array) for array in (classes, predicted, clip)))
    n, n_classes, n_verdicts = len(of_clip), int(of_clip.max(initial=-1)) + 1, verdicts.shape[1]
    reason = _too_few(of_clip, max(n_classes, n_verdicts))
    if reason is not None:
        no_estimate = Estimate(None, None, None, LEVEL, JACKKNIFE, n)
        return Information(no_estimate, no_estimate, None, reason)
    profiles, profile_of = np.unique(verdicts, axis=0, return_inverse=True)
    profile_of = profile_of.reshape(-1)
    counts = _counts(of_clip[None], profile_of, n_classes, len(profiles))
    table = (counts @ profiles)[0]
    entropy_of_classes, entropy_spread = _entropy(table.sum(axis=1))
    max_bits, upper = float(np.log2(n_classes)), wilson(0, n).high or 0.0
    open_at_most = min(max_bits, _binary_entropy(upper) + upper * float(np.log2(max(n_classes - 1, 1))))
    is_determined = (table > 0).sum(axis=0).max() == 1
    method, p = ALL_AGREE, 1.0
    if len(profiles) == 1:
        value, low, high = 0.0, 0.0, _binary_entropy(upper)
    else:
        plain, jackknife, spread = (float(x[0]) for x in _jackknife(counts, profiles))
        null_counts = _shuffled_counts(of_clip, profile_of, n_classes, len(profiles))
        n_batches = max(1, null_counts.size * n_verdicts // _CELLS_AT_ONCE)
        batches = (_jackknife(some, profiles) for some in np.array_split(null_counts, n_batches))
        null_plain, null_jackknife, _ = (np.concatenate(x) for x in zip(*batches, strict=True))
        p = float((1 + (null_plain >= plain - _SAME).sum()) / (1 + N_SHUFFLES))
        value = jackknife - float(null_jackknife.mean())
        # Each cell of the table is a parameter: what is spread around it has so many degrees of freedom less.
        spread *= n / (n - n_classes * n_verdicts)
        conditional = max(entropy_of_classes - value, _SAME)
        if is_determined:
            low, high = entropy_of_classes - open_at_most, max_bits
        elif value < entropy_of_classes / 2:
            noise = _Noise.of(null_plain, (n_classes - 1) * (n_verdicts - 1))
            method, (low, high) = JACKKNIFE, noise.interval(value, spread, plain)
        else:
            factor = float(np.exp(_Z * np.sqrt(spread) / conditional))
            method = JACKKNIFE
            low, high = entropy_of_classes - conditional * factor, entropy_of_classes - conditional / factor
        if p > 1 - LEVEL:
            low = 0.0
    value, low, high = (float(np.clip(x, 0.0, max_bits)) for x in (value, low, high))
    low, high = min(low, value), max(high, value)
    conditional = max(0.0, min(entropy_of_classes, max_bits) - value)
    if is_determined:
        conditional_low, conditional_high = 0.0, max(conditional, open_at_most)
    else:  # of a difference, from the intervals of both (Zou and Donner 2008, Stat. Med. 27)
        half = _Z * np.sqrt(entropy_spread)
        conditional_low = max(0.0, conditional - float(np.hypot(half, high - value)))
        conditional_high = max(conditional, min(max_bits, conditional + float(np.hypot(half, value - low))))
    return Information(
        Estimate(value, low, high, LEVEL, method, n),
        Estimate(conditional, conditional_low, conditional_high, LEVEL, method, n),
        p,
        None,
    )


def _by_clip(classes: Any, predicted: Any, clip: Any) -> tuple[NDArray[np.intp], FloatArray]:
    """(n_clips,) class of each clip, a number; (n_clips, n_verdicts) share of each verdict on its signals."""
    _, clip_of = np.unique(clip, return_inverse=True)
    texts = (array.astype(str) if array.dtype == object else array for array in (classes, predicted))
    c, g = (np.unique(array, return_inverse=True)[1] for array in texts)
    shares = np.zeros((int(clip_of.max(initial=-1)) + 1, int(g.max(initial=-1)) + 1))
    np.add.at(shares, (clip_of, g), 1.0)
    of_clip = np.zeros(len(shares), dtype=np.intp)
    of_clip[clip_of] = c
    if (of_clip[clip_of] != c).any():
        raise ValueError("signals of one clip and reference have different classes")
    return of_clip, shares / shares.sum(axis=1, keepdims=True)


def _too_few(of_clip: NDArray[np.intp], kinds: int) -> str | None:
    n, n_large = len(of_clip), int((np.bincount(of_clip) >= MIN_PER_CLASS).sum())
    if n_large < 2:
        subject = "Only one class has" if n_large else "No class has"
        return f"{subject} signals of {MIN_PER_CLASS} clips or more; two such classes are needed."
    if n < (min_clips := MIN_PER_CELL * kinds**2):
        return f"There are signals of {n} clips; with {kinds} classes or verdicts {min_clips} are needed."
    return None


def _counts(
    of_clip: NDArray[np.intp], profile_of: NDArray[np.intp], n_classes: int, n_profiles: int
) -> FloatArray:
    """(rows, n_classes, n_profiles) clips of each class and profile; of_clip is (rows, n_clips)."""
    n_rows, size = len(of_clip), n_classes * n_profiles
    cells = of_clip * n_profiles + profile_of + np.arange(n_rows)[:, None] * size
    counts = np.bincount(cells.ravel(), minlength=n_rows * size)
    return counts.astype(np.float64).reshape(n_rows, n_classes, n_profiles)


def _shuffled_counts(
    of_clip: NDArray[np.intp], profile_of: NDArray[np.intp], n_classes: int, n_profiles: int
) -> FloatArray:
    """`_counts` of every shuffle of the classes: (N_SHUFFLES, n_classes, n_profiles)."""
    is_profile = (profile_of[:, None] == np.arange(n_profiles)).astype(np.float32)
    counts = _shuffled_classes(of_clip.tobytes(), n_classes) @ is_profile  # whole numbers, far below 2^24
    return np.ascontiguousarray(counts.transpose(1, 0, 2), dtype=np.float64)


@lru_cache(maxsize=1)
def _shuffled_classes(of_clip: bytes, n_classes: int) -> NDArray[np.float32]:
    """(n_classes, N_SHUFFLES, n) 1 where a shuffle gives a clip a class, of the intp class of each clip.

    The judges of one reference come one after the other and have them in common: 4 MB a class for 1000 clips.
    """
    classes = np.frombuffer(of_clip, dtype=np.intp)
    shuffled = classes[_orders(len(classes))]
    return np.stack([shuffled == k for k in range(n_classes)]).astype(np.float32)


def _jackknife(counts: FloatArray, profiles: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(rows,) plain information in bits, its jackknife estimate, and the variance of that; see `_counts`."""
    n = counts[0].sum()
    has_one_verdict = bool(np.isin(profiles, (0, 1)).all())
    sums, change = (_changes_of_one_verdict if has_one_verdict else _changes)(counts, profiles)
    plain = (sums + n * np.log2(n)) / n
    leave_one_out = (sums[:, None, None] + change + (n - 1) * np.log2(n - 1)) / (n - 1)
    mean = (counts * leave_one_out).sum(axis=(1, 2)) / n
    variance = (counts * (leave_one_out - mean[:, None, None]) ** 2).sum(axis=(1, 2)) * (n - 1) / n
    return plain, n * plain - (n - 1) * mean, variance


def _changes(counts: FloatArray, profiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(rows,) x log2 x summed over a table less its margins; how that changes without one clip of each kind.

    The second is of the shape of `counts`.
    """
    tables = counts @ profiles
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    cells, in_rows, in_columns = _xlogx(tables), _xlogx(rows), _xlogx(columns)
    sums = cells.sum(axis=(1, 2)) - in_rows.sum(axis=1) - in_columns.sum(axis=1)
    change = (_xlogx(tables[:, :, None] - profiles) - cells[:, :, None]).sum(axis=3)
    change -= (_xlogx(rows - 1) - in_rows)[:, :, None]
    change -= (_xlogx(columns[:, None] - profiles) - in_columns[:, None]).sum(axis=2)[:, None]
    return sums, change


def _changes_of_one_verdict(counts: FloatArray, profiles: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`_changes` where each clip has one verdict: numbers are whole, and logarithms are looked up."""
    verdict_of = profiles.argmax(axis=1)
    tables = counts.astype(np.intp)[:, :, np.argsort(verdict_of)]
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    xlogx = _xlogx(np.arange(-1, int(rows[0].sum()) + 1, dtype=np.float64))  # of x at x + 1
    cells, in_rows, in_columns = xlogx[tables + 1], xlogx[rows + 1], xlogx[columns + 1]
    sums = cells.sum(axis=(1, 2)) - in_rows.sum(axis=1) - in_columns.sum(axis=1)
    change = (xlogx[tables] - cells)[:, :, verdict_of]
    change -= (xlogx[rows] - in_rows)[:, :, None]
    change -= (xlogx[columns] - in_columns)[:, None, verdict_of]
    return sums, change


@lru_cache(maxsize=8)
def _orders(n: int) -> NDArray[np.intp]:
    """(N_SHUFFLES, n) orders of n clips, the same for all pairs of models; read-only."""
    rng = generator("shuffles of classes", str(n))
    orders = rng.permuted(np.tile(np.arange(n), (N_SHUFFLES, 1)), axis=1)
    orders.flags.writeable = False
    return np.asarray(orders)


@dataclass(frozen=True)
class _Noise:
    """Plain information under no dependence: `scale` times chi-squared."""

    scale: float
    """Bits for each unit of chi-squared."""
    freedom: float

    @staticmethod
    def of(null_information: FloatArray, n_free: int) -> _Noise:
        """The chi-squared of the same mean and variance, its degrees near those of a full table."""
        mean, variance = float(null_information.mean()), float(null_information.var())
        freedom = float(np.clip(2 * mean**2 / max(variance, 1e-300), 0.5, 2 * n_free))
        return _Noise(mean / freedom, freedom)

    def interval(self, value: float, spread: float, plain: float) -> tuple[float, float]:
        """Ends in bits, from corrected information, its variance over clips, and plain information.

        Of noncentral chi-squared the variance grows with the plain information.
        """
        scale = self.scale * float(np.clip(spread / max(4 * self.scale * plain, 1e-300), 1e-3, 1e3))
        outer, both_tails = (1 - LEVEL) / 2, 1 - LEVEL
        statistic = max(value, 0.0) / scale + self.freedom
        from_zero = self._truth(self.freedom, 1 - outer)
        low = self._truth(statistic, both_tails)
        if low >= from_zero:
            low = max(from_zero, self._truth(statistic, outer))
        return low * scale, self._truth(statistic, 1 - outer) * scale

    def _truth(self, statistic: float, above: float) -> float:
        """The noncentrality under which `statistic` or more has probability `above`; 0 where none has."""
        from scipy.special import chdtrc, chndtrinc

        if chdtrc(self.freedom, statistic) >= above:
            return 0.0
        if statistic < _LARGE:
            return float(chndtrinc(statistic, self.freedom, 1 - above))
        # Normal from there on: observed = freedom + x + z sqrt(2 freedom + 4 x), solved for x.
        z = -NormalDist().inv_cdf(above)
        root = np.sqrt(statistic - self.freedom / 2 + z**2)
        return max(0.0, float((root - z) ** 2 - self.freedom / 2))


def _xlogx(x: FloatArray) -> FloatArray:
    """X log2 x, 0 at 0 (and below, where rounding leads)."""
    return np.asarray(x * np.log2(x, out=np.zeros_like(x), where=x > _SAME))


def _entropy(counts: FloatArray) -> tuple[float, float]:
    """Jackknife estimate in bits of the entropy of counts (Zahl 1977, Ecology 58), and its variance."""
    n = float(counts.sum())
    total = float(_xlogx(counts).sum())
    leave_one_out = np.log2(n - 1) - (total + _xlogx(counts - 1) - _xlogx(counts)) / (n - 1)
    mean = float((counts * leave_one_out).sum()) / n
    variance = float((counts * (leave_one_out - mean) ** 2).sum()) * (n - 1) / n
    return n * np.log2(n) - total - (n - 1) * mean, variance


def _binary_entropy(p: float) -> float:
    return entropy(np.array([p, 1 - p]))


def equal_error_rate(p_target: FloatArray, is_target: NDArray[np.bool_]) -> float | None:
    """The rate at which misses and false alarms are equally frequent; None without targets or others.

    Takes (n,) scores of being a target, and the truth.
    """
    (rate,) = equal_error_rates(p_target, is_target, np.ones((1, len(p_target))))
    return None if np.isnan(rate) else float(rate)


def equal_error_rates(p_target: FloatArray, is_target: NDArray[np.bool_], weights: ClipWeights) -> FloatArray:
    """(draws,) `equal_error_rate` of each sample, NaN for None; (draws, n) how often it holds each score."""
    order = np.argsort(-p_target, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p_target[order])), len(order) - 1)
    chunks = np.array_split(weights, max(1, weights.size // _AT_ONCE))
    counts = (chunk[:, order].astype(np.float64, copy=False) for chunk in chunks)
    return np.concatenate([_equal_error_rates(each, is_target[order], last) for each in counts])


def _equal_error_rates(
    counts: FloatArray, is_target: NDArray[np.bool_], last: NDArray[np.intp]
) -> FloatArray:
    """The same of (rows, n) counts of falling scores; `last` are the indices after which the score falls."""
    hits, alarms = (np.cumsum(np.where(of, counts, 0), axis=1)[:, last] for of in (is_target, ~is_target))
    n_targets, n_others = hits[:, -1:], alarms[:, -1:]
    has_both = ((n_targets > 0) & (n_others > 0)).ravel()
    start = np.zeros((int(has_both.sum()), 1))
    misses = 1 - np.hstack([start, hits[has_both]]) / n_targets[has_both]
    false_alarms = np.hstack([start, alarms[has_both]]) / n_others[has_both]
    # Both are straight between thresholds, and cross once: never at the first one, where all is missed.
    after = (false_alarms >= misses).argmax(axis=1)
    rows, before = np.arange(len(after)), after - 1
    gap = misses[rows, before] - false_alarms[rows, before]
    next_gap = false_alarms[rows, after] - misses[rows, after]
    step = gap / (gap + next_gap)
    rates = np.full(len(counts), np.nan)
    rates[has_both] = false_alarms[rows, before] + step * (
        false_alarms[rows, after] - false_alarms[rows, before]
    )
    return rates
