"""Queries of searches, in words."""

from __future__ import annotations

import pytest

from harness.dataset.query_counts import format_queries, queries_of
from harness.starter.paths import open_suite


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ((), "-"),
        ((7,), "7 (7, 7)"),
        ((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11), "6 (10, 11)"),
        (
            (40,) * 9 + (12_345,),
            "40 (1,270, 12,345)",
        ),  # nine tenths of the way to the one in the tail: 0.1 of it
    ],
)
def test_a_median_stands_beside_its_tail(counts: tuple[int, ...], text: str) -> None:
    assert format_queries(counts) == text


def test_queries_are_those_of_the_signals_that_are_not_degenerate() -> None:
    suite = open_suite(None)
    task = suite.task_names[0]
    slug = suite.references(task)[0].model.slug
    by_family = queries_of(suite, task, slug)
    signals = [signal for signal, _ in suite.signals(task, slug) if not signal.degenerate]
    assert dict(by_family) == {
        family: [signal.n_queries for signal in signals if signal.family == family]
        for family in {signal.family for signal in signals}
    }
