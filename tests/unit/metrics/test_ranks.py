"""Ranks against cases known by hand, the bootstrap, and simulated boards with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from harness.metrics import ranks
from harness.metrics.estimates import clip_weights, draws_of, mean_of_references
from harness.metrics.ranks import Comparison, compare, rank_intervals, ranks_without, tie_groups
from harness.types import FloatArray

NAN = float("nan")


def board(tables: list[FloatArray], references: list[tuple[str, ...]] | None = None) -> Comparison:
    """Compared on a set of resampled clips of their own."""
    names = references or [tuple(f"r{j}" for j in range(table.shape[1])) for table in tables]
    return compare(tables, names, clip_weights(len(tables[0]), ("ranks",)))


def accepting(shares: list[float], n_clips: int = 200, n_references: int = 3) -> list[FloatArray]:
    """Models that accept exactly this share of the signals of each reference, which ones by chance."""
    rng = np.random.default_rng(0)
    in_order = np.arange(n_clips)[:, None] / n_clips + np.zeros(n_references)
    return [rng.permuted((in_order < share).astype(float), axis=0) for share in shares]


def numbers(tables: list[FloatArray]) -> FloatArray:
    return np.array([mean_of_references(table) for table in tables])


# --- by hand


def test_models_far_apart_have_their_ranks_and_each_a_group() -> None:
    tables = accepting([0.1, 0.9, 0.5])
    comparison = board(tables)
    assert rank_intervals(comparison) == [(3, 3), (1, 1), (2, 2)]
    assert tie_groups(comparison, numbers(tables)) == [3, 1, 2]


def test_models_that_answer_alike_are_tied_whatever_they_answer() -> None:
    table = accepting([0.4], 40)[0]
    other = table.copy()
    other[0, 0] = 1 - other[0, 0]  # on one signal it does not
    comparison = board([table, table, other])
    assert rank_intervals(comparison) == [(1, 3)] * 3
    assert tie_groups(comparison, numbers([table, table, other])) == [1, 1, 1]


def test_models_of_which_every_clip_says_the_same_are_told_apart() -> None:
    comparison = board([np.ones((40, 2)), np.zeros((40, 2))])
    assert rank_intervals(comparison) == [(1, 1), (2, 2)]


def test_a_group_is_measured_from_its_best_and_not_along_a_chain() -> None:
    tables = accepting([0.58, 0.52, 0.46, 0.40], 150, 4)
    comparison, values = board(tables), numbers(tables)
    chain = [comparison.better(np.array([i]))[0][0] for i in range(4)]
    assert not any(chain[i][i + 1] for i in range(3))
    assert tie_groups(comparison, values) == [1, 1, 2, 2]
    order = [3, 0, 2, 1]
    again = board([tables[i] for i in order])
    assert tie_groups(again, values[order]) == [2, 1, 2, 1]


def test_one_model_has_rank_1() -> None:
    comparison = board(accepting([0.5]))
    assert rank_intervals(comparison) == [(1, 1)]
    assert tie_groups(comparison, np.array([0.5])) == [1]


def test_two_models_are_compared_over_the_references_of_both() -> None:
    """The second is no better where both are judged; the easy reference is its own advantage alone."""
    rng = np.random.default_rng(1)
    hard, easy = rng.integers(0, 2, (100, 2)).astype(float), np.ones((100, 1))
    comparison = board([hard, np.hstack([hard, easy])], [("a", "b"), ("a", "b", "c")])
    difference, _ = comparison.differences(np.array([0]))
    assert difference[0, 1] == 0
    assert rank_intervals(comparison) == [(1, 2), (1, 2)]


def test_models_without_a_common_reference_are_not_told_apart() -> None:
    comparison = board([np.ones((40, 1)), np.zeros((40, 1))], [("a",), ("b",)])
    assert rank_intervals(comparison) == [(1, 2), (1, 2)]


def test_the_variance_is_that_of_the_bootstrap_of_the_common_references() -> None:
    rng = np.random.default_rng(2)
    one, other = (rng.uniform(-1, 1, (80, 3)) for _ in range(2))
    for table in (one, other):
        table[rng.random(table.shape) < 0.25] = NAN
    weights = clip_weights(80, ("ranks",))
    draws = draws_of(one[:, 1:], weights) - draws_of(other[:, :2], weights)
    difference, variance = board([one, other], [("a", "b", "c"), ("b", "c", "d")]).differences(np.array([0]))
    assert difference[0, 1] == pytest.approx(
        (mean_of_references(one[:, 1:]) or 0) - (mean_of_references(other[:, :2]) or 0), abs=1e-6
    )
    assert variance[0, 1] == pytest.approx(draws.var(), rel=0.1)


def test_equal_values_share_the_better_rank_up_to_rounding() -> None:
    assert ranks.ranks(np.array([0.3, 0.3 + 1e-16, 0.1, NAN, 0.5])).tolist() == [2, 2, 4, 0, 1]


def test_the_bound_for_many_models_is_never_below_that_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = accepting([0.5] * 12, 60)
    resampled = board(tables)
    monkeypatch.setattr(ranks, "MOST_AT_ONCE", 10)
    assert (board(tables).critical >= resampled.critical).all()


# --- without any one reference


def test_each_reference_in_turn_is_left_out_of_all_means() -> None:
    """The first is best because of reference a alone; the other two change places without b."""
    means = {"x": [0.9, 0.1, 0.1], "y": [0.3, 0.3, 0.2], "z": [0.2, 0.5, 0.0]}
    tables = [np.tile(row, (5, 1)) for row in means.values()]
    # without a: x .1, y .25, z .25; without b: x .5, y .25, z .1; without c: x .5, y .3, z .35
    assert ranks_without(tables, [("a", "b", "c")] * 3) == [(1, 3), (1, 3), (1, 3)]
    assert ranks_without(tables[:1], [("a", "b", "c")]) == [(1, 1)]


def test_a_panel_of_one_reference_leaves_no_rank_without_it() -> None:
    assert ranks_without([np.ones((5, 1)), np.zeros((5, 1))], [("a",), ("a",)]) == [None, None]
    assert ranks_without([], []) == []


def test_a_reference_has_a_rank_without_each_of_the_others() -> None:
    tables = [np.full((5, 1), 0.9), np.full((5, 1), 0.5), np.tile([0.6, 0.7], (5, 1))]
    references = [("b",), ("a",), ("a", "b")]
    # without a: first .9, second none, third .7; without b: first none, second .5, third .6
    assert ranks_without(tables, references) == [(1, 1), (2, 2), (1, 2)]


# --- boards with a known truth


def simulated(rng: np.random.Generator, lifts: FloatArray, n_clips: int) -> list[FloatArray]:
    """(n_clips, 3) lifts of models over three references.

    Clips, and clips of one reference, are easy or hard for all models alike; a quarter of the signals is
    degenerate; each signal has three `swap` controls, accepted in 30 of 100 cases.
    """
    size = (n_clips, 3)
    shared = 0.55 * (rng.standard_normal((n_clips, 1)) + rng.standard_normal(size))
    degenerate = rng.random(size) < 0.25
    tables = []
    for lift in lifts:
        signal = shared + 0.63 * rng.standard_normal(size) < ndtri(0.3 + lift)
        common = 0.55 * rng.standard_normal(size)
        swap = (common + 0.84 * rng.standard_normal((3, *size)) < ndtri(0.3)).mean(axis=0)
        tables.append(np.where(degenerate, NAN, signal - swap))
    return tables


def boards(n_boards: int, n_models: int, n_clips: int, spread: float) -> tuple[float, float]:
    """Share of boards with more than one tie group, and of those all of whose intervals hold the true rank.

    The first three models are the references, each judged on the two others. True lifts fall evenly by
    `spread` from the first to the last; without a spread all are equal, and every rank is true.
    """
    rng = np.random.default_rng(4)
    sets = [clip_weights(n_clips, ("boards", str(i))) for i in range(10)]
    others = [[1, 2], [0, 2], [0, 1]]
    columns = [others[i] if i < 3 else [0, 1, 2] for i in range(n_models)]
    references = [tuple(f"r{j}" for j in of) for of in columns]
    lifts = 0.1 + spread * np.linspace(1, 0, n_models)
    true = 1 + np.arange(n_models)
    grouped = covered = 0
    for number in range(n_boards):
        tables = [t[:, of] for t, of in zip(simulated(rng, lifts, n_clips), columns, strict=True)]
        comparison = compare(tables, references, sets[number % 10])
        low, high = np.array(rank_intervals(comparison)).T
        covered += bool(((low <= true) & (true <= high)).all())
        grouped += max(tie_groups(comparison, numbers(tables))) > 1
    return grouped / n_boards, covered / n_boards


def test_a_sample_of_boards_of_equal_models_has_one_group_and_of_unequal_ones_their_ranks() -> None:
    assert boards(50, 5, 60, 0.0)[0] <= 0.12
    grouped, covered = boards(20, 5, 120, 0.5)
    assert grouped > 0.5
    assert covered >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("n_models", [5, 20])
@pytest.mark.parametrize("n_clips", [60, 120])
def test_equal_models_fall_into_several_groups_on_at_most_6_percent_of_400_boards(
    n_models: int, n_clips: int
) -> None:
    assert boards(400, n_models, n_clips, 0.0)[0] <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("n_models", [5, 20])
@pytest.mark.parametrize("n_clips", [60, 120])
@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_the_true_ranks_lie_in_the_intervals_of_all_models_on_93_percent_of_400_boards(
    n_models: int, n_clips: int, spread: float
) -> None:
    assert boards(400, n_models, n_clips, spread)[1] >= 0.93
