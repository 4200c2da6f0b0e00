"""Estimates against answers known by hand, statsmodels, and simulations with a known truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import ndtri
from statsmodels.stats.proportion import proportion_confint

from harness.documents import from_json, to_json
from harness.records import Estimate, FloatArray
from harness.score import estimates
from harness.score.estimates import (
    clip_weights,
    clustered,
    draws_of,
    from_draws,
    mean_of_references,
    paired_difference,
    rank_intervals,
    tie_groups,
    wilson,
)

NAN = float("nan")


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
    weights = clip_weights(30, ("emotion", "lift"), draws=4000)
    assert weights.shape == (4000, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.07)
    assert weights.var() == pytest.approx(29 / 30, rel=0.03)  # a multinomial count: n p (1 - p)
    assert np.array_equal(weights, clip_weights(30, ("emotion", "lift"), draws=4000))
    assert not np.array_equal(weights, clip_weights(30, ("emotion", "floor"), draws=4000))
    assert clip_weights(0, ("none",), draws=5).shape == (5, 0)


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
    assert clustered(values, ("any",)) == wilson(2, 3)


def test_a_reference_without_values_does_not_turn_a_binomial_into_a_bootstrap() -> None:
    values = np.array([[1.0, NAN], [0.0, NAN], [1.0, NAN]])
    assert clustered(values, ("any",)) == wilson(2, 3)


def test_one_reference_of_differences_has_the_interval_of_bonett_and_price() -> None:
    # 8 clips of +1, 2 of -1, 10 of 0: adjusted shares 9 / 22 and 3 / 22.
    values = np.array([1.0] * 8 + [-1.0] * 2 + [0.0] * 10)[:, None]
    gained, lost = 9 / 22, 3 / 22
    half = ndtri(0.975) * np.sqrt((gained + lost - (gained - lost) ** 2) / 22)
    found = clustered(values, ("any",), "difference")
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
        found = clustered(values, ("any",), kind)
        assert (found.low, found.value, found.high) == pytest.approx((low, value, high))
        assert found.method == "wilson on clips (all agree)"
        assert found.n == values.size


def test_nothing_applicable_gives_none_for_either_kind() -> None:
    for kind in ("rate", "difference"):
        for shape in ((0, 0), (3, 2), (3, 1)):
            found = clustered(np.full(shape, NAN), ("any",), kind)
            assert (found.value, found.low, found.high, found.n) == (None, None, None, 0)


@given(st.sampled_from(["rate", "difference"]).flatmap(lambda k: st.tuples(st.just(k), panels(k))))
@settings(max_examples=150, deadline=None)
def test_an_interval_holds_its_value_stays_possible_and_has_a_width(case: tuple[str, FloatArray]) -> None:
    kind, values = case
    found = clustered(values, ("property",), kind)
    assert found.n == np.isfinite(values).sum()
    if found.n == 0:
        assert found.value is None
        return
    assert found.value == pytest.approx(mean_of_references(values))
    check(found, *estimates.RANGE[kind])
    assert from_json(Estimate, to_json(found)) == found


def test_clips_without_values_change_nothing() -> None:
    values = np.random.default_rng(1).integers(0, 2, (20, 3)).astype(float)
    with_holes = np.vstack([np.full((5, 3), NAN), values])
    assert clustered(with_holes, ("any",)) == clustered(values, ("any",))


def test_the_same_names_give_the_same_interval_and_others_another() -> None:
    values = np.random.default_rng(2).integers(0, 2, (40, 3)).astype(float)
    assert clustered(values, ("a", "b")) == clustered(values, ("a", "b"))
    assert clustered(values, ("a", "b")) != clustered(values, ("a", "c"))


def test_copies_of_one_reference_are_no_new_clips() -> None:
    """Four copies of one reference: the interval stays that of 60 clips, not of 240 signals."""
    one = (np.arange(60) % 2).astype(float)[:, None]
    found, alone = clustered(np.tile(one, 4), ("any",)), wilson(30, 60)
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_a_biased_sample_does_not_push_the_value_out_of_its_interval() -> None:
    found = from_draws(0.9, np.linspace(0.2, 0.8, 2000), 30, 30, (0.0, 1.0))
    assert found.high == 0.9


# --- coverage of the truth


def studies(
    n_studies: int, n_clips: int, rates: tuple[float, ...], control: float | None, correlation: float = 0.5
) -> tuple[float, float]:
    """Share of simulated studies whose interval holds the truth, and its mean width.

    A reference accepts a clip when a normal number, correlated between references of one clip, is below the
    quantile of its rate; a control is accepted in the same way.
    """
    rng = np.random.default_rng(7)
    truth = float(np.mean(rates)) - (control or 0.0)
    hit, width = 0, 0.0

    def answers(clip: FloatArray, at: FloatArray) -> FloatArray:
        own = rng.standard_normal((n_clips, len(rates)))
        return (np.sqrt(correlation) * clip + np.sqrt(1 - correlation) * own < ndtri(at)).astype(float)

    for study in range(n_studies):
        clip = rng.standard_normal((n_clips, 1))
        values = answers(clip, np.array(rates))
        if control is not None:
            values = values - answers(clip, np.full(len(rates), control))
        found = clustered(values, (str(study),), "rate" if control is None else "difference")
        hit += found.low <= truth <= found.high
        width += found.high - found.low
    return hit / n_studies, width / n_studies


CASES = [
    pytest.param(60, (0.1, 0.1, 0.1), None, id="60 clips, rates of .1"),
    pytest.param(60, (0.9, 0.5, 0.7), None, id="60 clips, unequal rates"),
    pytest.param(60, (0.5,), None, id="60 clips, one reference"),
    pytest.param(60, (0.3, 0.4, 0.5), 0.1, id="60 clips, lift of .3"),
    pytest.param(60, (0.5, 0.5), 0.45, id="60 clips, small lift"),
    pytest.param(60, (0.9, 0.8, 0.9, 0.8), 0.1, id="60 clips, large lift"),
    pytest.param(60, (0.4,), 0.1, id="60 clips, lift, one reference"),
    pytest.param(200, (0.5, 0.6, 0.7), 0.3, id="200 clips, lift of .3"),
]


def test_a_sample_of_studies_is_covered() -> None:
    share, width = studies(150, 60, (0.3, 0.4, 0.5), 0.1)
    assert 0.90 <= share <= 0.99
    assert width < 0.25


@pytest.mark.slow
@pytest.mark.parametrize(("n_clips", "rates", "control"), CASES)
def test_95_percent_intervals_hold_the_truth_in_93_to_97_percent_of_2000_studies(
    n_clips: int, rates: tuple[float, ...], control: float | None
) -> None:
    share, _ = studies(2000, n_clips, rates, control)
    assert 0.93 <= share <= 0.97


# --- differences, ranks and ties


def test_a_paired_difference_of_equals_is_zero_and_has_a_width() -> None:
    values = np.random.default_rng(3).integers(-1, 2, (40, 3)).astype(float)
    found = paired_difference(values, values, clip_weights(40, ("pair",)))
    unlike = wilson(0, 40).high
    assert (found.value, found.low, found.high) == pytest.approx((0.0, -2 * unlike, 2 * unlike))
    assert found.n == 40


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


def test_ranks_by_hand() -> None:
    draws = np.array([[0.9] * 100, [0.5] * 100, [0.1] * 100])
    assert rank_intervals(draws) == [(1, 1), (2, 2), (3, 3)]
    swapping = np.array([[0.9] * 100, [0.5, 0.4] * 50, [0.4, 0.5] * 50])
    assert rank_intervals(swapping) == [(1, 1), (2, 3), (2, 3)]


def test_equal_models_share_the_best_rank_up_to_rounding() -> None:
    draws = np.array([[0.3] * 50, [0.3 + 1e-16] * 50, [0.1] * 50])
    assert rank_intervals(draws) == [(1, 1), (1, 1), (3, 3)]


def test_rare_orders_stay_outside_a_rank_interval() -> None:
    first = np.full(1000, 0.5)
    second = np.where(np.arange(1000) < 10, 0.6, 0.4)  # ahead in 1 % of the samples
    assert rank_intervals(np.stack([first, second])) == [(1, 1), (2, 2)]


def test_tie_groups_by_hand_in_any_order_of_models() -> None:
    rng = np.random.default_rng(5)
    values = np.array([0.70, 0.69, 0.40, 0.39, 0.10])
    draws = values[:, None] + 0.02 * rng.standard_normal((5, 2000))
    assert tie_groups(draws, values) == [1, 1, 2, 2, 3]
    order = [3, 0, 4, 2, 1]
    assert tie_groups(draws[order], values[order]) == [2, 1, 3, 2, 1]


def test_a_group_is_measured_from_its_best_and_not_along_a_chain() -> None:
    rng = np.random.default_rng(6)
    values = np.array([0.58, 0.54, 0.50, 0.46])  # neighbours tie, the ends do not
    draws = values[:, None] + 0.02 * rng.standard_normal((4, 2000))
    assert tie_groups(draws, values) == [1, 1, 2, 2]


def test_models_with_the_same_draws_are_tied_and_no_models_have_no_groups() -> None:
    assert tie_groups(np.full((3, 100), 0.4), np.full(3, 0.4)) == [1, 1, 1]
    assert tie_groups(np.empty((0, 100)), np.empty(0)) == []


def test_estimates_are_finite_json() -> None:
    found = clustered(np.eye(5), ("json",))
    assert json.loads(to_json(found))["value"] == pytest.approx(0.2)


def test_the_median_and_its_interval_are_order_statistics():
    """Of 20 independent values the 6th and the 15th hold the median with 95.9 % (sign test)."""
    found = estimates.median(list(range(1, 21)))
    assert (found.value, found.low, found.high, found.n) == (10, 6, 15, 20)
    assert estimates.median([]).value is None
    few = estimates.median([3.0, 1.0, 2.0, 9.0, 5.0])
    assert (few.value, few.low, few.high) == (3, None, None)


def test_the_interval_of_the_median_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        found = estimates.median(rng.exponential(size=47).tolist())
        hits += found.low <= np.log(2) <= found.high
    assert hits / 1000 >= 0.94
