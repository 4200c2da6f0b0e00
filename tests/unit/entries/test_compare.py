"""Verdicts against verdicts: what counts as the same, with answers known by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.entries.compare import Comparison, compare
from harness.tasks import TASKS
from tests.helpers.entries import frame, make_entry
from tests.helpers.families import HEADLINE

TASK = TASKS["emotion"]
ROWS = frame(make_entry(n_clips=6, n_degenerate=1, levels=range(8))[1])
Change = Callable[[pd.DataFrame], None]


def copy(rows: pd.DataFrame = ROWS) -> pd.DataFrame:
    """Rows whose probabilities can be written to."""
    return rows.assign(p=[np.array(p, dtype=np.float32) for p in rows["p"]])


def compared(found: pd.DataFrame, again: pd.DataFrame, *, whole: bool = True) -> Comparison:
    return compare(found, again, TASK, "float32", HEADLINE, whole=whole)


def some_signal(rows: pd.DataFrame) -> int:
    """A row of a signal."""
    return int(np.flatnonzero(rows["stimulus"] == "signal")[0])


def said(rows: pd.DataFrame, i: int, **p: float) -> None:
    """Put other probabilities and the class that follows from them into a row."""
    values = np.zeros(len(TASK.labels), dtype=np.float32)
    for label, share in p.items():
        values[TASK.labels.index(label)] = share
    best = max(p, key=lambda label: p[label])
    rows.at[i, "p"] = values
    rows.loc[i, ["predicted", "predicted_raw"]] = [best, best.title()]


def test_the_same_verdicts_are_the_same_in_any_order() -> None:
    shuffled = ROWS.sample(frac=1, random_state=0).reset_index(drop=True)
    assert compared(ROWS, shuffled) == Comparison(len(ROWS), len(ROWS), 0, 0.0, (), 0, 0)


def test_some_verdicts_are_compared_with_theirs_alone() -> None:
    some = ROWS[::7].reset_index(drop=True)
    assert compared(ROWS, some, whole=False) == Comparison(len(some), len(some), 0, 0.0, (), 0, 0)


@pytest.mark.parametrize(("drift", "n_wrong"), [(9e-4, 0), (1.1e-3, 1)])
def test_a_probability_may_drift_as_far_as_the_tolerance(drift: float, n_wrong: int) -> None:
    again = copy()
    i = some_signal(again)
    again.at[i, "p"][0] += drift
    found = compared(ROWS, again)
    assert found.n_asked - found.n_same == n_wrong
    assert found.max_difference == pytest.approx(drift, rel=1e-2)
    assert [m.column for m in found.mismatches] == ["p"] * n_wrong


def test_another_class_is_a_mismatch_and_says_which() -> None:
    found, again = copy(), copy()
    i = some_signal(again)
    said(found, i, happy=0.7, sad=0.3)
    said(again, i, sad=0.7, happy=0.3)
    result = compared(found, again)
    assert (result.n_same, result.n_ties) == (len(ROWS) - 1, 0)
    assert result.max_difference == pytest.approx(0.4)
    (mismatch,) = result.mismatches
    row = again.iloc[i]
    assert (mismatch.signal_id, mismatch.clip_id) == (row["signal_id"], row["clip_id"])
    assert (mismatch.stimulus, mismatch.level, mismatch.n_samples) == ("signal", None, row["n_samples"])
    assert (mismatch.column, mismatch.found, mismatch.expected) == ("predicted", "happy", "sad")


def test_two_classes_as_probable_as_each_other_are_a_tie() -> None:
    found, again = copy(), copy()
    i = some_signal(again)
    said(found, i, happy=0.4502, sad=0.4498)
    said(again, i, happy=0.4498, sad=0.4502)
    result = compared(found, again)
    assert (result.n_same, result.n_ties, result.mismatches) == (len(ROWS), 1, ())


@pytest.mark.parametrize(
    ("stimulus", "stated_accepted", "counts"),
    [("signal", True, (1, 0)), ("signal", False, (0, 1)), ("swap", True, (0, 1)), ("swap", False, (1, 0))],
)
def test_a_tie_of_the_lift_is_counted_by_the_way_it_fell(
    stimulus: str, stated_accepted: bool, counts: tuple[int, int]
) -> None:
    stated, again = copy(), copy()
    headline = (again["family"] == HEADLINE) & (again["stimulus"] == stimulus)
    i = int(np.flatnonzero(headline)[0])
    expected = str(again["expected"][i])
    other = next(label for label in ("happy", "sad") if label != expected)
    accepted, rejected = {expected: 0.4502, other: 0.4498}, {expected: 0.4498, other: 0.4502}
    said(stated, i, **(accepted if stated_accepted else rejected))
    said(again, i, **(rejected if stated_accepted else accepted))
    result = compared(stated, again)
    assert (result.n_ties_for, result.n_ties_against) == counts
    assert result.n_ties == 1


def test_a_small_probability_of_a_whole_clip_agrees_in_its_logarithm() -> None:
    """Likeness is counted of logarithms: what is within the tolerance may still hide a copy."""
    stated, again = copy(), copy()
    i = int(np.flatnonzero(again["stimulus"] == "whole")[0])
    said(stated, i, happy=0.9990, sad=0.0009)
    said(again, i, happy=0.9990, sad=0.00001)
    (mismatch,) = compared(stated, again).mismatches
    assert (mismatch.column, mismatch.found, mismatch.expected) == ("p", "sad 0.0009", "sad 1e-05")
    j = some_signal(again)
    stated, again = copy(), copy()
    said(stated, j, happy=0.9990, sad=0.0009)
    said(again, j, happy=0.9990, sad=0.00001)
    assert compared(stated, again).mismatches == ()


@pytest.mark.parametrize("side", ["found", "again"])
def test_what_is_a_tie_on_one_side_alone_is_none(side: str) -> None:
    rows = {"found": copy(), "again": copy()}
    i = some_signal(ROWS)
    said(rows["found"], i, happy=0.4505, sad=0.4495 if side == "found" else 0.4485)
    said(rows["again"], i, sad=0.4505, happy=0.4495 if side == "again" else 0.4485)
    result = compared(rows["found"], rows["again"])
    assert (result.n_same, result.n_ties) == (len(ROWS) - 1, 0)


def test_a_tie_with_a_class_of_no_label_counts_what_is_missing_to_one() -> None:
    found, again = copy(), copy()
    i = some_signal(again)
    for rows, share in ((found, 0.4999), (again, 0.5001)):
        said(rows, i, happy=share)
    found.loc[i, ["predicted", "predicted_raw"]] = ["other", "Applause"]
    assert compared(found, again).n_ties == 1


def test_another_word_for_the_same_label_is_a_tie() -> None:
    again = copy()
    again.loc[some_signal(again), "predicted_raw"] = "Another Word"
    result = compared(ROWS, again)
    assert (result.n_same, result.n_ties) == (len(ROWS), 1)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("truth", "surprise"),
        ("truth", None),
        ("expected", "surprise"),
        ("energy_seen", 0.9),
        ("seconds_seen", 0.5),
    ],
)
def test_what_was_asked_and_heard_must_be_the_same(column: str, value: Any) -> None:
    found = copy()
    found.loc[some_signal(found), column] = value
    (mismatch,) = compared(found, ROWS).mismatches
    assert (mismatch.column, mismatch.found) == (column, value and str(value))


def test_a_row_that_only_one_has_is_a_mismatch() -> None:
    without = ROWS.drop(index=some_signal(ROWS)).reset_index(drop=True)
    (missing,) = compared(without, ROWS).mismatches
    assert (missing.column, missing.found, missing.expected) == (
        "row",
        None,
        ROWS["predicted_raw"][some_signal(ROWS)],
    )
    assert compared(without, ROWS, whole=False).n_same == len(without)
    (surplus,) = compared(ROWS, without).mismatches
    assert (surplus.column, surplus.found, surplus.expected) == ("row", missing.expected, None)
    assert compared(ROWS, without).n_asked == len(ROWS)
    assert compared(ROWS, without, whole=False).mismatches == ()


def test_levels_of_one_signal_are_told_apart() -> None:
    again = copy()
    (i,) = np.flatnonzero(
        (again["level"] == 5) & (again["signal_id"] == again["signal_id"][again["level"] == 5].iloc[0])
    )
    again.loc[i, ["predicted", "predicted_raw"]] = ["surprise", "Surprise"]
    (mismatch,) = compared(ROWS, again).mismatches
    assert mismatch.level == 5


def test_draws_and_replicates_of_controls_are_told_apart() -> None:
    rows = frame(make_entry(n_clips=6, n_degenerate=1, n_draws=2)[1])
    assert compared(rows, rows[::-1].reset_index(drop=True)).n_same == len(rows)
    again = copy(rows)
    (i, *_) = np.flatnonzero(
        (again["stimulus"] == "matched") & (again["replicate"] == 2) & (again["draw"] == 2)
    )
    again.loc[i, ["predicted", "predicted_raw"]] = ["surprise", "Surprise"]
    (mismatch,) = compared(rows, again).mismatches
    assert (mismatch.signal_id, mismatch.replicate) == (again["signal_id"][i], 2)
    assert str(mismatch.signal_id).endswith(":0.2")


def test_a_swap_of_another_clip_is_another_question() -> None:
    again = copy()
    (i, *_) = np.flatnonzero(again["stimulus"] == "swap")
    again.loc[i, "other_clip"] = "clip-0099"
    (mismatch,) = compared(ROWS, again).mismatches
    assert (mismatch.column, mismatch.expected) == ("other_clip", "clip-0099")


def test_at_most_twenty_mismatches_are_told_and_all_are_counted() -> None:
    again = copy()
    again["predicted"] = "surprise"
    result = compared(ROWS, again)
    assert (len(result.mismatches), result.n_same) == (20, 0)


def test_nothing_in_common_is_no_difference_and_no_agreement() -> None:
    found, again = ROWS[:3].reset_index(drop=True), ROWS[3:6].reset_index(drop=True)
    result = compared(found, again)
    assert (result.n_asked, result.n_same, result.max_difference, len(result.mismatches)) == (6, 0, 0.0, 6)
