from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.schemas import Rates, WholeClipScore
from harness.types import Estimate
from leaderboard import formatting
from leaderboard.board import columns
from leaderboard.board.columns import COLUMNS
from leaderboard.formatting import THIN, format_estimate, interval, text


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        (0.6419, "rate", f"64.2{THIN}%"),
        (1.0, "rate", f"100.0{THIN}%"),
        (0.31, "difference", f"+31.0{THIN}pp"),
        (-0.031, "difference", f"−3.1{THIN}pp"),
        (-0.0001, "difference", f"0.0{THIN}pp"),
        (1024, "count", "1,024"),
        (None, "rate", "–"),
        (None, "count", "–"),
        ("org/model", "text", "org/model"),
    ],
)
def test_a_value_is_written_in_its_unit(value: float | str | None, kind: str, wanted: str) -> None:
    assert text(value, kind) == wanted


def test_an_estimate_tells_its_interval_n_and_method() -> None:
    estimate = Estimate(0.5, 0.4, 0.6, 0.95, "wilson", 1234)
    assert format_estimate(estimate, "rate") == (
        f"50.0{THIN}% (95{THIN}% interval 40.0 to 60.0{THIN}%, n = 1,234; wilson)"
    )


def test_an_estimate_of_nothing_says_so() -> None:
    nothing = Estimate(None, None, None, 0.95, "wilson", 0)
    assert format_estimate(nothing, "rate") == format_estimate(None, "rate") == "nothing to count (n = 0)"
    assert interval(nothing, "rate") == text(nothing, "rate") == "–"


@given(st.floats(-1, 1))
def test_a_difference_carries_its_sign_and_never_a_hyphen(value: float) -> None:
    written = text(value, "difference")
    assert "-" not in written
    assert written.startswith(("+", "−", f"0.0{THIN}"))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0, "100"),
        (0.999, "100"),
        (0.856, "86"),
        (0.0, "0"),
        (0.000125, "0.013"),
        (0.5, "50"),
        (0.0101, "1"),
    ],
)
def test_a_share_has_two_digits_and_no_exponent(value: float, written: str) -> None:
    assert formatting.share(value) == f"{written}{THIN}%"


def test_keys_and_headers_are_unique_and_every_column_is_explained() -> None:
    for name in ("key", "header"):
        values = [getattr(c, name) for c in COLUMNS]
        assert len(set(values)) == len(values)
    assert all(c.meaning.endswith((".", "?")) and len(c.meaning) > 40 for c in COLUMNS)


def test_every_rate_and_every_whole_clip_score_has_its_column() -> None:
    assert {c.key for c in columns.RATES} == {f.name for f in dataclasses.fields(Rates)}
    assert {c.key for c in columns.WHOLE} == {f.name for f in dataclasses.fields(WholeClipScore)}
