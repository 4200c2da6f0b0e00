"""Information: known answers by hand, known distributions, other implementations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score, precision_score, roc_curve

from harness.domains.frequency import Frequency
from harness.domains.time import Time
from harness.domains.time_frequency import TimeFrequency
from harness.extract import runner
from harness.extract.minimal import Minimal
from harness.journal import Journal
from harness.metrics import information
from harness.metrics.estimates import clip_weights
from harness.metrics.information import (
    divergence,
    entropy,
    equal_error_rate,
    equal_error_rates,
    mutual_information,
)
from harness.metrics.signal_measures import N_MEL, mask_bits, mel_use, of_signal
from harness.metrics.transfer_curve import curve_of, median_over_clips, stable_level
from harness.types import Clip, LabelMap

RATE = 8000


def mask_of(n_bins, *bins):
    mask = np.zeros(n_bins, dtype=bool)
    mask[list(bins)] = True
    return mask


def tones(*parts, n=800):
    t = np.arange(n) / RATE
    waveform = sum(a * np.sin(2 * np.pi * hz * t) for hz, a in parts).astype(np.float32)
    return Clip("tones", "toys", None, waveform, RATE)


def test_the_measures_of_two_tones_by_hand():
    clip = tones((1000, 0.5), (2000, 0.5), (3000, 0.5), (3500, 0.5))
    both = of_signal(clip, "frequency", mask_of(401, 100, 200))
    assert both.size == 2 / 401
    assert both.energy == pytest.approx(0.5)
    assert both.entropy_bits == pytest.approx(1, abs=1e-5)
    assert both.entropy_lost_bits == pytest.approx(1, abs=1e-3)
    assert both.bandwidth_hz == 1000
    assert both.centroid_hz == pytest.approx(1500)
    one = of_signal(clip, "frequency", mask_of(401, 100))
    assert (one.entropy_bits, one.bandwidth_hz, one.centroid_hz) == (0, 0, 1000)


def test_the_measures_of_blocks_are_of_what_is_heard_in_them():
    """A tone of 1,000 Hz, then one of 3,000 Hz, 100 ms each: ten blocks of either at 8,000 Hz."""
    t = np.arange(800) / RATE
    waveform = np.concatenate([np.sin(2 * np.pi * hz * t) for hz in (1000, 3000)]).astype(np.float32)
    clip = Clip("two", "toys", None, waveform, RATE)
    first, second = (of_signal(clip, "time", mask_of(20, *range(i, i + 10))) for i in (0, 10))
    for measures, hz in ((first, 1000), (second, 3000)):
        assert measures.size == 0.5
        assert measures.energy == pytest.approx(0.5, abs=0.01)
        assert measures.centroid_hz == pytest.approx(hz, rel=0.02)
        assert measures.bandwidth_hz < 200
        assert measures.entropy_lost_bits == pytest.approx(1, abs=0.3)
        assert measures.mask_bits_per_bin == (1 + 2 * 7) / 20
    everything = of_signal(clip, "time", np.ones(20, dtype=bool))
    assert (everything.size, everything.entropy_lost_bits) == (1, pytest.approx(0, abs=1e-9))
    assert everything.energy == pytest.approx(1)


def test_the_measures_of_tiles_are_of_what_is_heard_in_them():
    """Of a tone all of whose tiles below 2,000 Hz are kept, and of one where those above are."""
    domain = TimeFrequency(1_600, RATE)
    n_rows, n_columns = domain.shape
    t = np.arange(1_600) / RATE
    chord = (np.sin(2 * np.pi * 1000 * t) + np.sin(2 * np.pi * 3000 * t)).astype(np.float32)
    clip = Clip("chord", "toys", None, chord, RATE)
    low = np.tile(np.arange(n_columns) < n_columns // 2, (n_rows, 1)).ravel()
    for mask, hz in ((low, 1000), (~low, 3000)):
        measures = of_signal(clip, "time-frequency", mask)
        assert measures.size == 0.5
        assert measures.energy == pytest.approx(0.5, abs=0.02)
        assert measures.centroid_hz == pytest.approx(hz, rel=0.02)
        assert measures.entropy_lost_bits == pytest.approx(1, abs=0.3)


def test_blocks_use_all_mel_bands_alike_by_frequency_and_tiles_those_they_lie_in():
    of_blocks = mel_use(mask_of(20, 3), Time(1_600, RATE))
    assert of_blocks.sum() == pytest.approx(1)
    np.testing.assert_array_equal(of_blocks, mel_use(mask_of(20, 5, 6), Time(1_600, RATE)))
    # Bands are as wide as mel says: their edges in Hz settle what each has of the whole.
    edges_hz = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), N_MEL + 1) / 2595) - 1)
    np.testing.assert_allclose(of_blocks, np.diff(edges_hz) / 4000, atol=1e-3)
    domain = TimeFrequency(1_600, RATE)
    n_rows, n_columns = domain.shape
    top = np.zeros(domain.shape, dtype=bool)
    top[2, -1] = top[5, 0] = True
    of_tiles = mel_use(top.ravel(), domain)
    assert (of_tiles[0], of_tiles[-1]) == (0.5, 0.5)
    assert mel_use(np.ones(n_rows * n_columns, dtype=bool), domain).sum() == pytest.approx(1)


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
    use = mel_use(mask_of(n_bins, 0, 400), Frequency(800, RATE))
    assert use[0] == 0.5
    assert use[N_MEL - 1] == 0.5
    assert mel_use(np.ones(n_bins, dtype=bool), Frequency(800, RATE)).sum() == pytest.approx(1)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
@settings(deadline=None)
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


def sample(joint, n, seed):
    """N pairs of a joint distribution (classes, verdicts)."""
    rng = np.random.default_rng(seed)
    return np.divmod(rng.choice(joint.size, size=n, p=joint.ravel()), joint.shape[1])


def of_clips(c, g):
    """Information where every signal is of a clip of its own."""
    return mutual_information(c, g, np.arange(len(c)))


def true_information(joint):
    return entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0)) - entropy(joint.ravel())


def nothing_told(k):
    return np.full((k, k), 1 / k**2)


def skewed(k):
    share = np.arange(k, 0, -1) / (k * (k + 1) / 2)
    return np.outer(share, share)


def one_bit(k, other):
    """The right class as often as gives one bit, and for the rest what `other` says, (k,) shares."""

    def joint(right):
        return right * np.eye(k) / k + (1 - right) * np.full((k, 1), 1 / k) * other

    if k == 2:
        return np.eye(2) / 2
    return joint(brentq(lambda right: true_information(joint(right)) - 1, 1e-9, 1 - 1e-9))


def halves(k):
    """The verdict names the half of the classes, and any of it."""
    side = np.arange(k) < k // 2
    return (side[:, None] == side) * 2 / k**2


JOINTS = {
    "0 bits, classes alike": nothing_told,
    "0 bits, classes unlike": skewed,
    "1 bit, errors anywhere": lambda k: one_bit(k, np.full(k, 1 / k)),
    "1 bit, errors all of one class": lambda k: one_bit(k, np.eye(k)[0]),
    "1 bit, halves": halves,
}
SIZES_OF_K = {2: (50, 100, 200, 300), 4: (50, 80, 150, 300), 6: (50, 150, 180, 300), 10: (50, 100, 200, 300)}
NO_VARIATION = {(2, kind) for kind in JOINTS if kind.startswith("1")} | {(k, "1 bit, halves") for k in (4, 6)}
"""Where each verdict settles all that it tells, the interval is wider than need be, and hardly misses."""


def simulated(k, kind, n, times):
    """Bias and coverage of the information of a joint distribution; None where nothing is shown."""
    joint = JOINTS[kind](k)
    truth = true_information(joint)
    shown = [
        one for seed in range(times) if (one := of_clips(*sample(joint, n, seed)).mutual).value is not None
    ]
    if len(shown) < times / 2:
        return None
    bias = np.mean([one.value for one in shown]) - truth
    return bias, np.mean([one.low - 1e-9 <= truth <= one.high + 1e-9 for one in shown]), len(shown)


def within_chance(covered, n, low=0.93, high=0.97):
    """Whether a share of n could come of a coverage between the two (four standard errors)."""
    return low - 4 * np.sqrt(low * (1 - low) / n) <= covered <= high + 4 * np.sqrt(high * (1 - high) / n)


def check(k, kind, n, times):
    result = simulated(k, kind, n, times)
    if n < 5 * k**2:
        assert result is None
        return
    bias, covered, shown = result
    assert abs(bias) <= 0.03 + 3 / np.sqrt(shown) * 0.15
    if (k, kind) in NO_VARIATION:
        assert covered >= 0.97
    else:
        assert within_chance(covered, shown), (bias, covered)


@pytest.mark.parametrize(
    ("k", "kind", "n"),
    [
        (2, "0 bits, classes alike", 50),
        (2, "1 bit, halves", 50),
        (4, "0 bits, classes unlike", 80),
        (4, "1 bit, errors all of one class", 80),
        (6, "1 bit, errors anywhere", 180),
        (6, "0 bits, classes alike", 150),
        (10, "1 bit, halves", 300),
    ],
)
def test_information_is_unbiased_and_its_interval_covers_or_nothing_is_shown(k, kind, n):
    check(k, kind, n, 40)


@pytest.mark.slow
@pytest.mark.parametrize("kind", JOINTS)
@pytest.mark.parametrize(("k", "n"), [(k, n) for k, sizes in SIZES_OF_K.items() for n in sizes])
def test_information_is_unbiased_and_its_interval_covers_in_the_full_table(k, kind, n):
    check(k, kind, n, 400)


def test_information_that_was_seen_where_there_is_none_is_gone():
    """Corrected by the number of occupied cells it was .21 bits."""
    joint = nothing_told(6)
    assert of_clips(*sample(joint, 50, 0)).mutual.value is None
    values = [of_clips(*sample(joint, 180, seed)).mutual.value for seed in range(30)]
    assert np.mean(values) < 0.03


def test_what_is_told_and_what_is_left_make_up_the_entropy_of_the_classes():
    c, g = sample(0.2 * nothing_told(4) + 0.8 * np.eye(4) / 4, 500, 0)
    result = of_clips(c, g)
    shares = np.bincount(c) / 500
    # The jackknife agrees with Miller's correction where all classes are frequent.
    wanted = entropy(shares) + 3 / (1000 * np.log(2))
    assert result.mutual.value + result.left.value == pytest.approx(wanted, abs=1e-4)
    assert result.p == 1 / 1001


def test_a_constant_verdict_tells_nothing_and_a_right_one_everything():
    c = np.arange(80) % 4
    constant = of_clips(c, np.zeros(80))
    assert (constant.mutual.value, constant.mutual.low, constant.p) == (0, 0, 1)
    assert constant.mutual.high > 0.1, "never of zero width: another 80 clips might differ"
    assert constant.left.value == pytest.approx(2, abs=1e-3)
    right = of_clips(c, c)
    assert right.mutual.value == pytest.approx(2, abs=1e-3)
    assert right.left.value == pytest.approx(0, abs=1e-3)
    assert right.left.low == 0 < right.left.high
    assert right.mutual.low < 1.8 < right.mutual.high == 2
    assert right.p == 1 / 1001


def test_one_verdict_that_differs_tells_nothing():
    c = np.arange(60) % 2
    g = np.where(np.arange(60) == 7, "other", "angry")
    result = of_clips(c, g)
    assert result.p == 1
    assert result.mutual.low == 0 < result.mutual.high < 1


@pytest.mark.parametrize(
    ("n_of_classes", "n_verdicts", "needed"),
    [
        ((10, 10), 2, None),
        ((10, 9), 2, "two such"),
        ((9, 9, 9), 2, "No class"),
        ((60, 0), 1, "Only one class"),
    ],
)
def test_two_classes_need_ten_clips_each(n_of_classes, n_verdicts, needed):
    c = np.repeat(np.arange(len(n_of_classes)), n_of_classes)
    result = of_clips(c, np.arange(len(c)) % n_verdicts)
    if needed is None:
        assert result.not_shown_because is None
        assert result.mutual.n == 20
    else:
        assert needed in result.not_shown_because
        assert {result.p, result.mutual.value, result.mutual.low, result.left.high} == {None}


def test_five_clips_are_needed_for_each_cell_of_classes_by_verdicts():
    c = np.arange(44) % 2
    assert of_clips(c, np.arange(44) % 3).not_shown_because == (
        "There are signals of 44 clips; with 3 classes or verdicts 45 are needed."
    )
    c = np.arange(45) % 2
    assert of_clips(c, np.arange(45) % 3).not_shown_because is None
    assert of_clips(c[:0], c[:0]).not_shown_because.startswith("No class")


def test_signals_of_one_clip_count_once():
    c, g = sample(0.5 * nothing_told(2) + 0.5 * np.eye(2) / 2, 60, 1)
    once = of_clips(c, g)
    thrice = mutual_information(np.repeat(c, 3), np.repeat(g, 3), np.repeat(np.arange(60), 3))
    assert thrice == once
    assert thrice.mutual.n == 60


def test_two_draws_of_a_clip_with_different_verdicts_are_half_a_clip_each():
    """Twenty clips of either class; every clip has one draw of each verdict: 0 bits."""
    c = np.repeat(np.arange(40) % 2, 2)
    result = mutual_information(c, np.tile([0, 1], 40), np.repeat(np.arange(40), 2))
    assert result.mutual.value == 0
    assert result.p == 1
    assert result.left.value == pytest.approx(1, abs=1e-3)


def test_signals_of_one_clip_have_one_class():
    with pytest.raises(ValueError, match="different classes"):
        mutual_information(np.array([0, 1]), np.array([0, 0]), np.array([5, 5]))


@given(st.integers(0, 10_000), st.integers(40, 90))
@settings(max_examples=25, deadline=None)
def test_information_does_not_depend_on_names_and_lies_in_its_range(seed, n):
    rng = np.random.default_rng(seed)
    c, g = rng.integers(2, size=n), rng.integers(2, size=n)
    result = of_clips(c, g)
    if result.mutual.value is None:
        return
    renamed = mutual_information(np.array(["sad", "angry"])[c], g, np.array([f"{i:03}" for i in range(n)]))
    assert renamed.mutual.value == pytest.approx(result.mutual.value, abs=1e-9)
    assert 0 <= result.mutual.low <= result.mutual.value <= result.mutual.high <= 1
    assert 0 <= result.left.low <= result.left.value <= result.left.high <= 1
    assert result.mutual.low == 0 or result.p <= 0.05


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
        found = runner.extract(ear, name, label_map, clips, [Minimal()], journal)
        masks = [s.mask for each in found for s in each.signals if not s.degenerate]
        use[name] = np.mean([mel_use(mask, Frequency(800, RATE)) for mask in masks], axis=0)
        journal.close()
    assert accuracy_score(truth, said["low"]) == accuracy_score(truth, said["high"]) == 1
    precision = [precision_score(truth, some, average="macro") for some in said.values()]
    assert precision == [1, 1]
    assert divergence(use["low"], use["high"]) == 1, "they use no band in common"


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
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


def test_equal_error_rates_of_samples_are_those_of_the_scores_that_they_repeat():
    rng = np.random.default_rng(0)
    for n in (1, 2, 9, 40):
        for n_scores in (2, 50):
            scores, truth = rng.integers(n_scores, size=n) / 7, rng.random(n) < 0.4
            times = rng.multinomial(n, np.full(n, 1 / n), size=50)
            each = [equal_error_rate(np.repeat(scores, t), np.repeat(truth, t)) for t in times]
            expected = np.array([np.nan if rate is None else rate for rate in each])
            np.testing.assert_array_equal(equal_error_rates(scores, truth, times.astype(float)), expected)


SIZES = np.array([[1, 2, 4, 8]] * 8)
WEIGHTS = clip_weights(8, ("test",))


def curve(accepted, clip=None):
    accepted = np.array(accepted, dtype=float)
    clip = np.arange(len(accepted)) if clip is None else np.array(clip)
    return curve_of(accepted, SIZES[: len(accepted)], WEIGHTS, clip)


def test_the_stable_level_is_that_from_which_on_all_are_accepted():
    accepted = np.array([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 0]])
    assert stable_level(accepted).tolist() == [0, 3, 2, 4, 4]


def test_the_price_of_agreement_by_hand():
    """Prices 0, 3 (not 1: the second level is accepted and the third not), 2 and none, twice each."""
    accepted = [[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]] * 2
    result = curve(accepted)
    assert [e.value for e in result.transfer] == [0.25, 0.5, 0.5, 0.75]
    assert (result.price_bits.value, result.price_bits.n) == (2, 6)
    assert (result.price_bits.low, result.price_bits.high) == (0, 3)
    assert (result.disagreeing.value, result.disagreeing.n, result.n_disagreeing) == (0.25, 8, 2)


def test_a_clip_that_the_judge_gives_another_class_has_no_price_however_its_levels_are_judged():
    result = curve([[1, 1, 1, 0], [0, 1, 1, 1]])
    assert (result.price_bits.value, result.price_bits.n) == (1, 1)
    assert result.n_disagreeing == 1


def test_a_median_of_few_clips_has_no_interval():
    few = curve([[0, 1, 1, 1]] * 5).price_bits
    assert (few.value, few.low, few.high, few.n) == (1, None, None, 5)
    assert curve([[0, 1, 1, 1]] * 6).price_bits.low == 1


def test_where_all_disagree_there_is_no_price():
    result = curve(np.zeros((4, 4)))
    assert (result.price_bits.value, result.price_bits.n) == (None, 0)
    assert (result.disagreeing.value, result.n_disagreeing) == (1, 4)


def test_draws_of_one_clip_share_its_weight():
    """Clip 0 has three draws at price 3, clips 1 and 2 one each at 0: the median over clips is 0."""
    result = curve([[0, 0, 0, 1]] * 3 + [[1, 1, 1, 1]] * 2, clip=[0, 0, 0, 1, 2])
    assert (result.price_bits.value, result.price_bits.n) == (0, 3)
    assert result.transfer[0].value == pytest.approx(2 / 3)
    assert result.transfer[0].n == 3


@given(st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=12))
@settings(deadline=None)
def test_no_stable_level_is_below_the_first_that_is_accepted(rows):
    accepted = np.array(rows)
    stable = stable_level(accepted)
    for row, level in zip(accepted, stable, strict=True):
        assert row[level:].all()
        assert level == 0 or not row[level - 1]
        assert (level == 4) == (not row[3])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
@settings(deadline=None)
def test_the_median_over_clips_with_one_value_each_is_the_lower_median(values):
    result = median_over_clips(
        np.array(values, dtype=float), np.arange(len(values)), clip_weights(len(values), ("median",), 50)
    )
    assert result.value == sorted(values)[(len(values) - 1) // 2]
    assert result.low is None or result.low <= result.value <= result.high


@pytest.mark.parametrize("n_verdicts", [1, 2, 5])
def test_tables_of_single_verdicts_are_counted_as_those_of_any(n_verdicts: int) -> None:
    rng = np.random.default_rng(n_verdicts)
    n, n_classes = 90, 3
    of_clip, verdict = rng.integers(n_classes, size=n), np.arange(n) % n_verdicts
    profiles, profile_of = np.unique(np.eye(n_verdicts)[verdict], axis=0, return_inverse=True)
    counts = information._shuffled_counts(of_clip, profile_of.reshape(-1), n_classes, len(profiles))
    shuffled = of_clip[information._orders(n)]
    assert np.array_equal(
        counts, information._counts(shuffled, profile_of.reshape(-1), n_classes, len(profiles))
    )
    for quick, plain in zip(
        information._changes_of_one_verdict(counts, profiles),
        information._changes(counts, profiles),
        strict=True,
    ):
        assert quick == pytest.approx(plain, abs=1e-9)
