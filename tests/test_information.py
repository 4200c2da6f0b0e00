"""Information: known answers by hand, known distributions, other implementations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score, mutual_info_score, precision_score, roc_curve

from harness import spectra
from harness.extract import run
from harness.extract.minimal import Minimal
from harness.journal import Journal
from harness.records import Clip, LabelMap
from harness.score.curves import curve_of
from harness.score.estimates import clip_weights
from harness.score.information import (
    N_MEL,
    divergence,
    entropy,
    equal_error_rate,
    mask_bits,
    mel_use,
    mutual_information,
    of_signal,
)

RATE = 8000


def mask_of(n_bins, *bins):
    mask = np.zeros(n_bins, dtype=bool)
    mask[list(bins)] = True
    return mask


def tones(*parts, n=800):
    t = np.arange(n) / RATE
    return spectra.spectrum(sum(a * np.sin(2 * np.pi * hz * t) for hz, a in parts).astype(np.float32))


def test_the_measures_of_two_tones_by_hand():
    X = tones((1000, 0.5), (2000, 0.5), (3000, 0.5), (3500, 0.5))
    both = of_signal(X, mask_of(401, 100, 200), 800, RATE)
    assert both.size == 2 / 401
    assert both.energy == pytest.approx(0.5)
    assert both.entropy_bits == pytest.approx(1, abs=1e-5)
    assert both.entropy_lost_bits == pytest.approx(1, abs=1e-3)
    assert both.bandwidth_hz == 1000
    assert both.centroid_hz == pytest.approx(1500)
    one = of_signal(X, mask_of(401, 100), 800, RATE)
    assert (one.entropy_bits, one.bandwidth_hz, one.centroid_hz) == (0, 0, 1000)


@pytest.mark.parametrize(
    ("mask", "bits"),
    [
        ([1], 1 + 1),
        ([0, 0, 0, 0], 1 + 5),
        ([1, 0], 1 + 1 + 1),
        ([0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0], 1 + 1 + 3 + 7),
    ],
)
def test_the_length_of_a_mask_is_that_of_its_runs_in_gamma_code(mask, bits):
    assert mask_bits(np.array(mask, dtype=bool)) == bits


def test_kept_bins_fall_into_the_mel_bands_they_lie_in():
    n_bins = 401
    use = mel_use([mask_of(n_bins, 0), mask_of(n_bins, 0, 400)], 800, RATE)
    assert use[0] == 0.75
    assert use[N_MEL - 1] == 0.25
    assert mel_use([np.ones(n_bins, dtype=bool)], 800, RATE).sum() == pytest.approx(1)
    assert mel_use([], 800, RATE).sum() == 0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_divergence_is_that_of_scipy(pairs):
    p, q = (np.array(some) + 1e-6 for some in zip(*pairs, strict=True))
    p, q = p / p.sum(), q / q.sum()
    with np.errstate(invalid="ignore"):  # of equal distributions scipy's comes out below 0 by rounding
        wanted = np.nan_to_num(jensenshannon(p, q, base=2) ** 2)
    assert divergence(p, q) == pytest.approx(wanted, abs=1e-9)


def test_divergence_is_0_for_equal_and_1_for_disjoint():
    assert divergence(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    assert entropy(np.full(8, 1 / 8)) == 3


def drawn(joint, n, seed):
    """N pairs of a joint distribution (classes, verdicts)."""
    rng = np.random.default_rng(seed)
    flat = rng.choice(joint.size, size=n, p=joint.ravel())
    return np.divmod(flat, joint.shape[1])


def told(c, g, seed="test"):
    """Information where every signal is of a clip of its own."""
    return mutual_information(c, g, clip_weights(len(c), (seed,)))


def true_information(joint):
    return entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0)) - entropy(joint.ravel())


JOINTS = {
    "independent": np.full((4, 4), 1 / 16),
    "a little": 0.7 * np.full((4, 4), 1 / 16) + 0.3 * np.eye(4) / 4,
    "much": 0.2 * np.full((4, 4), 1 / 16) + 0.8 * np.eye(4) / 4,
}


@pytest.mark.parametrize("kind", JOINTS)
def test_corrected_information_is_nearer_the_truth_than_the_plain_one(kind):
    joint, n = JOINTS[kind], 60
    found, plain = [], []
    for seed in range(60):
        c, g = drawn(joint, n, seed)
        found.append(told(c, g).mutual.value)
        plain.append(mutual_info_score(c, g) / np.log(2))
    truth = true_information(joint)
    assert abs(np.mean(found) - truth) < 0.12
    assert abs(np.mean(found) - truth) < abs(np.mean(plain) - truth)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a little", "much"])
def test_intervals_of_information_cover(kind):
    joint, n = JOINTS[kind], 120
    truth, covered = true_information(joint), 0
    for seed in range(300):
        c, g = drawn(joint, n, seed)
        found = told(c, g, str(seed)).mutual
        covered += found.low <= truth <= found.high
    assert covered / 300 >= 0.9


def test_information_and_what_is_left_open_make_up_the_entropy_of_the_classes():
    c, g = drawn(JOINTS["much"], 500, 0)
    found = told(c, g)
    shares = np.bincount(c) / 500
    assert found.mutual.value + found.left.value == pytest.approx(entropy(shares) + 3 / (1000 * np.log(2)))


def test_a_constant_verdict_says_nothing_and_a_right_one_everything():
    c = np.arange(80) % 4
    constant = told(c, np.zeros(80))
    assert constant.mutual.value == 0
    right = told(c, c)
    assert right.mutual.value == pytest.approx(2, abs=0.03)
    assert right.left.value == 0
    nothing = told(c[:0], c[:0])
    assert nothing.mutual.value is None


class Ear:
    """Names a clip of three classes by the loudest of three tones, and is deaf to all else."""

    def __init__(self, hz):
        self.hz = hz

    def logits(self, waveforms, sample_rate_hz):
        rows = []
        for x in waveforms:
            amplitude = np.abs(np.fft.rfft(x)) / (len(x) / 2)
            rows.append([amplitude[round(hz * len(x) / sample_rate_hz)] for hz in self.hz])
        return np.array(rows, dtype=np.float32) * 10 + np.array([0, 0, 0.01], dtype=np.float32)


def test_models_of_equal_accuracy_and_other_bands_are_told_apart_by_information_alone(tmp_path):
    """Each class sounds low and high at once; one ear hears the low tones, one the high ones."""
    low, high = (300, 500, 700), (2100, 2600, 3300)
    rng, t = np.random.default_rng(0), np.arange(800) / RATE
    clips, truth = [], np.arange(24) % 3
    for i, label in enumerate(truth):
        x = 0.002 * rng.normal(size=800)
        for hz in (low[label], high[label]):
            x += rng.uniform(0.2, 0.4) * np.sin(2 * np.pi * hz * t)
        clips.append(Clip(f"c{i:02}", "toy", None, x.astype(np.float32), RATE))
    label_map = LabelMap("toy", ("a", "b", "c"), ("a", "b", "c"), "names")
    said, use = {}, {}
    for name, ear in (("low", Ear(low)), ("high", Ear(high))):
        said[name] = ear.logits([clip.waveform for clip in clips], RATE).argmax(axis=1)
        journal = Journal(tmp_path / name, {}, "")
        found = run.extract(ear, name, label_map, clips, [Minimal()], journal)
        masks = [s.mask for each in found for s in each.signals if not s.degenerate]
        use[name] = mel_use(masks, 800, RATE)
        journal.close()
    assert accuracy_score(truth, said["low"]) == accuracy_score(truth, said["high"]) == 1
    precision = [precision_score(truth, some, average="macro") for some in said.values()]
    assert precision == [1, 1]
    assert divergence(use["low"], use["high"]) == 1, "they use no band in common"


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=60)
def test_the_equal_error_rate_is_where_the_roc_curve_meets_the_diagonal(pairs):
    scores, truth = (np.array(some) for some in zip(*pairs, strict=True))
    if truth.all() or not truth.any():
        assert equal_error_rate(scores, truth) is None
        return
    found = equal_error_rate(scores.astype(float), truth)
    taken, hit, _ = roc_curve(truth, scores, drop_intermediate=False)
    fine = np.linspace(0, 1, 20_001)
    gap = np.abs(
        (1 - np.interp(fine, np.arange(len(hit)) / (len(hit) - 1), hit))
        - np.interp(fine, np.arange(len(hit)) / (len(hit) - 1), taken)
    )
    crossing = np.interp(fine[gap.argmin()], np.arange(len(hit)) / (len(hit) - 1), taken)
    assert found == pytest.approx(crossing, abs=2e-3)


def test_equal_error_rates_by_hand():
    truth = np.array([True, True, False, False])
    assert equal_error_rate(np.array([0.9, 0.8, 0.2, 0.1]), truth) == 0
    assert equal_error_rate(np.array([0.1, 0.2, 0.8, 0.9]), truth) == 1
    assert equal_error_rate(np.array([0.9, 0.3, 0.6, 0.1]), truth) == 0.5
    assert equal_error_rate(np.full(4, 0.5), truth) == 0.5


SIZES = np.array([[1, 2, 4, 8]] * 4)


def test_the_price_of_agreement_by_hand():
    accepted = np.array([[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
    curve = curve_of(accepted, SIZES, clip_weights(4, ("test",)), ("test",))
    assert [e.value for e in curve.transfer] == [0.25, 0.25, 0.5, 0.75]
    assert curve.price_bits.value == 2  # of 0, 2, 3 and infinity
    assert (curve.censored.value, curve.censored.n) == (0.25, 4)
    assert curve.price_bits.high is None, "the upper end is infinity"


def test_a_level_may_be_accepted_and_a_larger_one_not():
    accepted = np.array([[0, 1, 0, 0]])
    curve = curve_of(accepted, SIZES[:1], clip_weights(1, ("test",)), ("test",))
    assert (curve.price_bits.value, curve.censored.value) == (1, 0)


def test_where_most_are_never_accepted_there_is_no_price():
    accepted = np.zeros((4, 4))
    accepted[0] = 1
    curve = curve_of(accepted, SIZES, clip_weights(4, ("test",)), ("test",))
    assert curve.price_bits.value is None
    assert curve.price_bits.low == 0
    assert curve.censored.value == 0.75
