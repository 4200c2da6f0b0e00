"""What accuracy hides: how much of a clip a model needs, where it lies, and what its verdicts tell.

All in bits, with a natural zero: an entropy of 0 is a certainty, a divergence of 0 two equal distributions, a
mutual information of 0 a verdict that says nothing of the class. Entropies of counts are corrected for their
bias, which is upward for information and downward for entropy in small samples (Miller 1955: an entropy of m
kinds seen in n trials is too small by about (m - 1) / 2n nats).

Public: OfSignal, of_signal, mask_bits, mel_use, divergence, entropy, mutual_information, Information,
equal_error_rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import spectra
from harness.records import Estimate, FloatArray, Mask
from harness.score.estimates import LEVEL

N_MEL = 40
"""Bands of `mel_use`, evenly spaced in mel from 0 Hz to the Nyquist frequency."""

OCCUPIED = 0.99
"""Share of the power inside the occupied bandwidth (ITU-R SM.328)."""

SHIFTED = "clip bootstrap, percentile, centred"
"""Resampled information is biased upward once more: the samples are moved so that their mean is the value."""


@dataclass(frozen=True)
class OfSignal:
    """Measures of one signal."""

    size: float
    """Kept bins over all bins, k / N."""
    energy: float
    """Share of the clip's energy that it keeps."""
    entropy_bits: float
    """Spectral entropy of its normalised power spectrum."""
    entropy_lost_bits: float
    """That of the clip minus that of the signal."""
    mask_bits_per_bin: float
    """Description length of the mask, see `mask_bits`, over N."""
    bandwidth_hz: float
    """Between the frequencies that leave out (1 - OCCUPIED) / 2 of the power at either end."""
    centroid_hz: float
    """Mean frequency by power."""


def of_signal(X: spectra.Spectrum, mask: Mask, n_samples: int, sample_rate_hz: int) -> OfSignal:
    """Measure a signal.

    Args:
        X: (N,) spectrum of the clip.
        mask: (N,) kept bins, at least one of them with energy.
        n_samples: length of the clip.
        sample_rate_hz: its rate.
    """
    power = spectra.bin_energy(X, n_samples)
    kept = np.where(mask, power, 0.0)
    hz = np.arange(len(power)) * sample_rate_hz / n_samples
    share = kept / kept.sum()
    below = np.cumsum(share)
    tail = (1 - OCCUPIED) / 2
    low, high = (hz[min(int(np.searchsorted(below, q)), len(hz) - 1)] for q in (tail, 1 - tail))
    entropy_kept = entropy(share)
    return OfSignal(
        size=float(mask.mean()),
        energy=float(kept.sum() / power.sum()),
        entropy_bits=entropy_kept,
        entropy_lost_bits=entropy(power / power.sum()) - entropy_kept,
        mask_bits_per_bin=mask_bits(mask) / len(mask),
        bandwidth_hz=float(high - low),
        centroid_hz=float((share * hz).sum()),
    )


def mask_bits(mask: Mask) -> int:
    """Description length: one bit for the first bin, then the length of each run and gap.

    In Elias's gamma code (1975, IEEE Trans. Inf. Theory 21), 2 floor(log2 n) + 1 bits for a length n.
    """
    edges = np.flatnonzero(np.diff(mask.astype(np.int8)))
    lengths = np.diff(np.concatenate([[-1], edges, [len(mask) - 1]]))
    return int(1 + (2 * np.floor(np.log2(lengths)) + 1).sum())


def mel_use(masks: Any, n_samples: int, sample_rate_hz: int) -> FloatArray:
    """(N_MEL,) distribution of kept bins over mel bands, each signal with the same weight; sums to 1.

    Args:
        masks: (N,) masks of clips of one length, not empty.
        n_samples: that length.
        sample_rate_hz: their rate.
    """
    hz = np.arange(n_samples // 2 + 1) * sample_rate_hz / n_samples
    mel = 2595 * np.log10(1 + hz / 700)
    band = np.minimum((mel / mel[-1] * N_MEL).astype(np.int64), N_MEL - 1)
    total = np.zeros(N_MEL)
    n = 0
    for mask in masks:
        total += np.bincount(band[mask], minlength=N_MEL) / mask.sum()
        n += 1
    return total / max(n, 1)


def entropy(p: FloatArray) -> float:
    """Of a distribution, in bits."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def divergence(p: FloatArray, q: FloatArray) -> float:
    """Jensen-Shannon divergence of two distributions over the same kinds: 0 where equal, 1 where disjoint."""
    middle = (p + q) / 2
    return max(0.0, entropy(middle) - (entropy(p) + entropy(q)) / 2)


@dataclass(frozen=True)
class Information:
    """What a model's verdicts say of the classes of a reference's signals."""

    mutual: Estimate
    """I(c; g(s)) in bits."""
    left: Estimate
    """H(c | g(s)) in bits: what the verdict leaves open."""


def mutual_information(classes: Any, said: Any, weights: FloatArray) -> Information:
    """Corrected mutual information and conditional entropy, with intervals over clips.

    Args:
        classes: (n,) class of each signal.
        said: (n,) verdict on it.
        weights: (draws, n) how often its clip stands in each bootstrap sample.
    """
    n = len(classes)
    if n == 0:
        nothing = Estimate(None, None, None, LEVEL, SHIFTED, 0)
        return Information(nothing, nothing)
    c, g = (np.unique(some.astype(str), return_inverse=True)[1] for some in (classes, said))
    n_classes, n_said = int(c.max()) + 1, int(g.max()) + 1
    # One table of classes by verdicts for the signals as they are, and one for each bootstrap sample.
    joint = np.zeros((n, n_classes * n_said))
    joint[np.arange(n), c * n_said + g] = 1
    tables = np.concatenate([joint.sum(axis=0)[None], weights @ joint]).reshape(-1, n_classes, n_said)
    of_c, of_g = _corrected(tables.sum(axis=2)), _corrected(tables.sum(axis=1))
    of_both = _corrected(tables.reshape(len(tables), -1))
    most = float(np.log2(max(n_classes, 2)))
    return Information(_centred(of_c + of_g - of_both, most, n), _centred(of_both - of_g, most, n))


def _centred(values: FloatArray, most: float, n: int) -> Estimate:
    """The first value, with the interval of the others around it, between 0 and `most`."""
    value, samples = float(values[0]), values[1:]
    ends = np.quantile(samples - samples.mean() + value, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value, low, high = (float(np.clip(x, 0.0, most)) for x in (value, *ends))
    return Estimate(value, min(low, value), max(high, value), LEVEL, SHIFTED, n)


def _corrected(counts: FloatArray) -> FloatArray:
    """(rows,) entropy in bits of counts (rows, kinds), with Miller's correction."""
    n = counts.sum(axis=1, keepdims=True)
    p = counts / np.maximum(n, 1)
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    seen = (counts > 0).sum(axis=1)
    return np.asarray(-(p * logs).sum(axis=1) + (seen - 1) / (2 * np.log(2) * np.maximum(n[:, 0], 1)))


def equal_error_rate(p_target: FloatArray, is_target: NDArray[np.bool_]) -> float | None:
    """Where as many targets are missed as others are taken for one; None without either.

    Args:
        p_target: (n,) score of being a target.
        is_target: (n,) truth.
    """
    n_target, n_other = int(is_target.sum()), int((~is_target).sum())
    if not n_target or not n_other:
        return None
    order = np.argsort(-p_target, kind="stable")
    last = np.append(np.flatnonzero(np.diff(p_target[order])), len(order) - 1)
    hits = np.append(0, np.cumsum(is_target[order])[last])
    missed, taken = 1 - hits / n_target, (np.append(0, last + 1) - hits) / n_other
    # Both are straight between neighbouring thresholds; they cross once.
    i = int(np.argmax(taken >= missed))
    if i == 0:
        return float(missed[0])
    step = (missed[i - 1] - taken[i - 1]) / ((missed[i - 1] - taken[i - 1]) + (taken[i] - missed[i]))
    return float(taken[i - 1] + step * (taken[i] - taken[i - 1]))
