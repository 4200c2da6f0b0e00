"""Estimates against answers known by hand, statsmodels, and simulations with a known truth."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import ndtri
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from harness.metrics import estimates
from harness.metrics.estimates import (
    clip_weights,
    clustered,
    draws_of,
    draws_of_columns,
    from_draws,
    mean_of_references,
    paired_difference,
    resampled_sums,
    wilson,
)
from harness.schemas import from_json, to_json
from harness.seeds import generator
from harness.types import Estimate, FloatArray

NAN = float("nan")


def of_clips(values: FloatArray, kind: Literal["rate", "difference"] = "rate", name: str = "any") -> Estimate:
    """`clustered` with a set of resampled clips of that name."""
    return clustered(values, clip_weights(len(values), (name,)), kind)


def panels(kind: str) -> st.SearchStrategy[FloatArray]:
    """(n_clips, n_references) of 0 and 1, or of -1, 0 and 1, with holes."""
    possible = (0.0, 1.0) if kind == "rate" else (-1.0, 0.0, 1.0)
    shapes = st.tuples(st.integers(1, 12), st.integers(1, 4))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.sampled_from((*possible, NAN))))


def check(found: Estimate, lowest: float, highest: float) -> None:
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert lowest <= found.low <= found.value <= found.high <= highest
    assert found.high - found.low > 1e-6
    assert all(type(x) is float for x in (found.value, found.low, found.high))


# --- one rate


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_statsmodels(counts: tuple[int, int]) -> None:
    successes, n = counts
    found = wilson(successes, n)
    low, high = proportion_confint(successes, n, alpha=0.05, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert (found.value, found.n, found.level) == (successes / n, n, 0.95)
    check(found, 0.0, 1.0)


def test_wilson_of_nothing_is_unknown_and_not_zero() -> None:
    assert wilson(0, 0) == Estimate(None, None, None, 0.95, "wilson", 0)


def test_wilson_reaches_0_and_1_exactly() -> None:
    assert wilson(0, 7).low == 0.0
    assert wilson(7, 7).high == 1.0


# --- means over references


def test_the_mean_over_references_is_unweighted_and_passes_over_what_is_not_applicable() -> None:
    values = np.array([[1, 0], [1, NAN], [0, NAN], [0, NAN]], dtype=float)
    assert mean_of_references(values) == (0.5 + 0.0) / 2
    assert mean_of_references(np.array([[1, NAN], [0, NAN]])) == 0.5
    assert mean_of_references(np.full((3, 2), NAN)) is None
    assert mean_of_references(np.empty((0, 0))) is None


def test_clip_weights_are_counts_of_draws_with_replacement_and_seeded_by_name() -> None:
    weights = clip_weights(30, ("emotion",), draws=4000)
    assert weights.shape == (4000, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.07)
    assert weights.var() == pytest.approx(29 / 30, rel=0.03)  # a multinomial count: n p (1 - p)
    assert np.array_equal(weights, clip_weights(30, ("emotion",), draws=4000))
    assert not np.array_equal(weights, clip_weights(30, ("deepfake",), draws=4000))
    assert clip_weights(0, ("none",), draws=5).shape == (5, 0)


@pytest.mark.parametrize(
    ("n_clips", "draws"),
    [(0, 3), (1, 5), (2, 7), (3, 2000), (33, 2001), (152, 2000), (1001, 600), (4097, 129), (300_001, 3)],
)
def test_clip_weights_drawn_in_chunks_are_those_drawn_one_by_one(n_clips: int, draws: int) -> None:
    rng = generator("clips", "emotion", "pairs")
    one_by_one = [
        np.bincount(rng.integers(max(n_clips, 1), size=n_clips), minlength=n_clips) for _ in range(draws)
    ]
    weights = clip_weights(n_clips, ("emotion", "pairs"), draws)
    assert weights.dtype == np.min_scalar_type(n_clips)
    assert weights.dtype.kind == "u"
    assert not weights.flags.writeable
    assert np.array_equal(weights, np.array(one_by_one))


def test_clip_weights_stay_in_memory_up_to_a_limit_the_ones_used_last(monkeypatch) -> None:
    monkeypatch.setattr(estimates, "_weights", {})
    monkeypatch.setattr(estimates, "_MAX_BYTES", 2 * 50 * 10)
    a, b = (clip_weights(10, (name,), 50) for name in "ab")
    assert clip_weights(10, ("a",), 50) is a
    clip_weights(10, ("c",), draws=50)
    assert clip_weights(10, ("a",), 50) is a
    again = clip_weights(10, ("b",), 50)
    assert again is not b
    assert np.array_equal(again, b)
    large = clip_weights(30, ("a",), 50)  # alone above the limit
    assert clip_weights(30, ("a",), 50) is large
    assert len(estimates._weights) == 1


@pytest.mark.parametrize("n_clips", [30, 300, 1000, 2500])
@pytest.mark.parametrize("n_references", [1, 2, 5, 20])
def test_sums_of_samples_are_those_of_all_counts_in_float64(n_clips: int, n_references: int) -> None:
    rng = np.random.default_rng(n_clips + n_references)
    values = rng.integers(0, 17, (n_clips, n_references)) / 16  # sums of these are exact in any order
    weights = clip_weights(n_clips, ("sums",))
    is_some = rng.random(n_clips) < 0.8
    for clips in (None, is_some, np.flatnonzero(is_some)):
        some = values if clips is None else values[clips]
        exact = weights.astype(np.float64)
        counts = exact if clips is None else exact[:, clips]
        first, second = resampled_sums(weights, some, np.ones_like(some), clips=clips)
        assert np.array_equal(first, counts @ some)
        assert np.array_equal(second, counts @ np.ones_like(some))


@pytest.mark.parametrize("parts", [4, 3])
def test_draws_of_columns_are_those_of_each_by_itself(parts: int) -> None:
    rng = np.random.default_rng(parts)
    values = rng.integers(0, parts + 1, (40, 6)) / parts
    values[rng.random(values.shape) < 0.3] = NAN
    values[1:, 5] = NAN  # in some samples there is nothing
    weights = clip_weights(40, ("columns",))
    for column, found in zip(values.T, draws_of_columns(values, weights), strict=True):
        assert np.array_equal(found, draws_of(column[:, None], weights), equal_nan=True)


@given(panels("rate"))
@settings(max_examples=50)
def test_each_draw_is_the_mean_over_references_of_the_clips_drawn(values: FloatArray) -> None:
    weights = clip_weights(len(values), ("draws",), draws=6)
    for drawn, found in zip(weights, draws_of(values, weights), strict=True):
        again = np.repeat(values, drawn.astype(int), axis=0)
        expected = mean_of_references(again)
        assert (expected is None and np.isnan(found)) or found == pytest.approx(expected)


# --- clustered


def test_one_reference_is_binomial_over_clips() -> None:
    values = np.array([[1.0], [0.0], [NAN], [1.0]])
    assert of_clips(values) == wilson(2, 3)


def test_a_reference_without_values_does_not_turn_a_binomial_into_a_bootstrap() -> None:
    values = np.array([[1.0, NAN], [0.0, NAN], [1.0, NAN]])
    assert of_clips(values) == wilson(2, 3)


def test_one_reference_of_differences_has_the_interval_of_bonett_and_price() -> None:
    # 8 clips of +1, 2 of -1, 10 of 0: adjusted shares 9 / 22 and 3 / 22.
    values = np.array([1.0] * 8 + [-1.0] * 2 + [0.0] * 10)[:, None]
    gained, lost = 9 / 22, 3 / 22
    half = ndtri(0.975) * np.sqrt((gained + lost - (gained - lost) ** 2) / 22)
    found = of_clips(values, "difference")
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((gained - lost - half, gained - lost + half))


def test_all_agree_by_hand() -> None:
    """A clip unlike the 10 seen may be as frequent as Wilson's upper bound for 0 of 10."""
    unlike = wilson(0, 10).high
    assert unlike is not None
    ones = np.ones((10, 3))
    for values, kind, low, value, high in (
        (ones, "rate", 1 - unlike, 1.0, 1.0),
        (0 * ones, "rate", 0.0, 0.0, unlike),
        (0 * ones, "difference", -unlike, 0.0, unlike),
        (ones, "difference", 1 - 2 * unlike, 1.0, 1.0),
        (-ones, "difference", -1.0, -1.0, -1 + 2 * unlike),
        # one reference always accepted, the other never: no bootstrap sample differs
        (np.tile([1.0, 0.0], (10, 1)), "rate", 0.5 - unlike / 2, 0.5, 0.5 + unlike / 2),
    ):
        found = of_clips(values, kind)
        assert (found.low, found.value, found.high) == pytest.approx((low, value, high))
        assert found.method == "wilson on clips (all agree)"
        assert found.n == values.size


def test_nothing_applicable_gives_none_for_either_kind() -> None:
    for kind in ("rate", "difference"):
        for shape in ((0, 0), (3, 2), (3, 1)):
            found = of_clips(np.full(shape, NAN), kind)
            assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


@given(st.sampled_from(["rate", "difference"]).flatmap(lambda k: st.tuples(st.just(k), panels(k))))
@settings(max_examples=150, deadline=None)
def test_an_interval_holds_its_value_stays_possible_and_has_a_width(case: tuple[str, FloatArray]) -> None:
    kind, values = case
    found = of_clips(values, kind)
    assert found.n == np.isfinite(values).sum()
    if found.n == 0:
        assert found.value is None
        return
    assert found.value == pytest.approx(mean_of_references(values))
    check(found, *estimates.RANGE[kind])
    assert from_json(Estimate, to_json(found)) == found


def test_clips_without_values_leave_the_interval_as_it_is_but_for_the_clips_that_are_resampled() -> None:
    values = np.random.default_rng(1).integers(0, 2, (20, 3)).astype(float)
    with_holes = np.vstack([np.full((5, 3), NAN), values])
    weights = clip_weights(25, ("any",))
    assert clustered(with_holes, weights) == clustered(values, weights[:, 5:])


def test_one_set_of_clips_gives_one_interval_and_another_set_another() -> None:
    values = np.random.default_rng(2).integers(0, 2, (40, 3)).astype(float)
    assert of_clips(values, name="a") == of_clips(values, name="a")
    assert of_clips(values, name="a") != of_clips(values, name="b")


def test_a_mean_of_three_answers_a_clip_has_a_narrower_interval_than_one_answer() -> None:
    rng = np.random.default_rng(8)
    answers = rng.integers(0, 2, (90, 3)).astype(float)
    one, three = of_clips(answers[:, :1]), of_clips(answers.mean(axis=1)[:, None])
    assert (
        0.5 < (three.high - three.low) / (one.high - one.low) < 0.68
    )  # 1 / sqrt(3) where they are independent
    assert (three.n, three.method) == (90, "wilson")


def test_values_that_are_all_the_same_fraction_have_a_width() -> None:
    check(of_clips(np.full((30, 1), 1 / 3)), 0.0, 1.0)


def test_copies_of_one_reference_are_no_new_clips() -> None:
    """Four copies of one reference: the interval stays that of 60 clips, not of 240 signals."""
    one = (np.arange(60) % 2).astype(float)[:, None]
    found, alone = of_clips(np.tile(one, 4)), wilson(30, 60)
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_a_biased_sample_does_not_push_the_value_out_of_its_interval() -> None:
    found = from_draws(0.9, np.linspace(0.2, 0.8, 2000), 30, 30, (0.0, 1.0))
    assert found.high == 0.9


# --- coverage of the truth

DIFFERENCES = ("lift", "placement")
N_CLASSES = 4


class Panel:
    """References of four classes, and a model that answers them as real ones do, by chance.

    What is accepted is a normal number below a quantile. It is made of a part that a clip shares with all
    references and all stimuli, a part of the clip and reference, one of the stimulus, which the replicates of
    a control share in part, and of an effect of the class that differs between references. A reference gives
    a clip its true class in 75 of 100 cases, and its signals of one class are degenerate; one in ten has no
    `matched` control.
    """

    def __init__(self, n_references: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.signal = ndtri(rng.uniform(0.3, 0.7, n_references))
        self.swap = ndtri(rng.uniform(0.15, 0.35, n_references))
        self.of_class = 0.6 * rng.standard_normal((n_references, N_CLASSES))
        self.silence = rng.integers(N_CLASSES, size=n_references)

    def answers(self, rng: np.random.Generator, n_clips: int) -> dict[str, FloatArray]:
        """(n_clips, n_references) of each rate."""
        size = (n_clips, len(self.signal))
        truth = rng.integers(N_CLASSES, size=(n_clips, 1))
        classes = np.where(rng.random(size) < 0.75, truth, rng.integers(N_CLASSES, size=size))
        effect = self.of_class[np.arange(size[1]), classes]
        shared = 0.5 * rng.standard_normal((n_clips, 1)) + 0.45 * rng.standard_normal(size)

        def accepted(at: FloatArray, replicates: int) -> FloatArray:
            common = 0.47 * rng.standard_normal(size)
            own = 0.57 * rng.standard_normal((replicates, *size))
            return np.asarray((shared + common + own < at + effect).mean(axis=0))

        signal, swap = accepted(self.signal, 1), accepted(self.swap, 3)
        matched = accepted(self.signal - 0.25, 4)
        matched[rng.random(size) < 0.1] = NAN
        rates = {"transfer": signal, "swap": swap, "lift": signal - swap, "placement": signal - matched}
        degenerate = classes == self.silence
        return {name: np.where(degenerate, NAN, values) for name, values in rates.items()}


def coverage(n_studies: int, n_clips: int, n_references: int) -> dict[str, float]:
    """Share of simulated studies whose interval holds the truth, for each rate.

    The truth is what so many clips give that chance has no part in it. Every study has a set of resampled
    clips of its own, out of ten.
    """
    panel, rng = Panel(n_references, 1), np.random.default_rng(2)
    many = [panel.answers(rng, 50_000) for _ in range(8)]
    truth = {name: np.mean([mean_of_references(one[name]) for one in many]) for name in many[0]}
    sets = [clip_weights(n_clips, ("coverage", str(i))) for i in range(10)]
    hits = dict.fromkeys(truth, 0)
    for study in range(n_studies):
        for name, values in panel.answers(rng, n_clips).items():
            estimate = clustered(values, sets[study % 10], "difference" if name in DIFFERENCES else "rate")
            hits[name] += estimate.low <= truth[name] <= estimate.high
    return {name: hit / n_studies for name, hit in hits.items()}


def test_a_sample_of_studies_is_covered() -> None:
    for share in coverage(60, 60, 3).values():
        assert share >= 0.88


@pytest.mark.slow
@pytest.mark.parametrize("n_references", [1, 3, 5])
@pytest.mark.parametrize("n_clips", [60, 120, 200])
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent_of_studies(
    n_clips: int, n_references: int
) -> None:
    for share in coverage(2000, n_clips, n_references).values():
        assert 0.93 <= share <= 0.97


# --- differences


def test_a_paired_difference_of_equals_is_zero_and_has_a_width() -> None:
    values = np.random.default_rng(3).integers(-1, 2, (40, 3)).astype(float)
    found = paired_difference(values, values, clip_weights(40, ("pair",)))
    unlike = wilson(0, 40).high
    assert (found.value, found.low, found.high) == pytest.approx((0.0, -2 * unlike, 2 * unlike))
    assert found.n == 40


def test_the_difference_of_two_rates_lies_between_minus_one_and_one() -> None:
    """Where all clips say the same, the interval reaches towards what is possible, and not beyond it."""
    ones, zeros = np.ones((12, 1)), np.zeros((12, 1))
    weights = clip_weights(12, ("pair",))
    of_rates = paired_difference(ones, zeros, weights, (-1.0, 1.0))
    assert (of_rates.value, of_rates.high) == (1.0, 1.0)
    assert paired_difference(ones, zeros, weights).high > 1.0, "of two differences it may"


def test_pairing_takes_out_what_two_models_share() -> None:
    rng = np.random.default_rng(4)
    a = rng.integers(0, 2, (200, 2)).astype(float)
    b = np.where(rng.random((200, 1)) < 0.1, 0.0, a)  # b rejects a tenth of what a accepts
    weights = clip_weights(200, ("pair",))
    paired = paired_difference(a, b, weights)
    unpaired = paired_difference(a, b[::-1], weights)
    assert paired.value == pytest.approx(a.mean() - b.mean())
    assert paired.low > 0
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)


def test_models_of_unlike_references_are_compared_over_the_clips_of_both() -> None:
    a = np.array([[1.0, NAN], [1.0, 0.0], [0.0, 1.0], [NAN, NAN]])
    b = np.array([[0.0], [0.0], [1.0], [1.0]])
    found = paired_difference(a, b, clip_weights(4, ("pair",)))
    assert found.value == pytest.approx((2 / 3 + 1 / 2) / 2 - 0.5)
    assert found.n == 3
    nothing = paired_difference(a, np.full((4, 1), NAN), clip_weights(4, ("pair",)))
    assert nothing.value is None


def test_estimates_are_finite_json() -> None:
    found = of_clips(np.eye(5))
    assert json.loads(to_json(found))["value"] == pytest.approx(0.2)


def test_the_median_and_its_interval_are_order_statistics():
    """Of 20 independent values the 6th and the 15th hold the median with 95.9 % (sign test)."""
    found = estimates.median(list(range(1, 21)))
    assert (found.value, found.low, found.high, found.n) == (10, 6, 15, 20)
    assert estimates.median([]).value is None
    few = estimates.median([3.0, 1.0, 2.0, 9.0, 5.0])
    assert (few.value, few.low, few.high) == (3, None, None)
    for n in (*range(6, 200), 1999):
        i = int(binom.ppf(0.025, n, 0.5))
        found = estimates.median(list(range(n)))
        assert (found.low, found.high) == (i - 1, n - i)


def test_the_interval_of_the_median_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        found = estimates.median(rng.exponential(size=47).tolist())
        hits += found.low <= np.log(2) <= found.high
    assert hits / 1000 >= 0.94
