"""Counts are said as English says them, everywhere."""

from __future__ import annotations

import pytest

from harness.plurals import plural


@pytest.mark.parametrize(
    ("n", "noun", "words"),
    [
        (0, "clip", "0 clips"),
        (1, "clip", "1 clip"),
        (2034, "clip", "2,034 clips"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (2, "entry", "2 entries"),
        (1, "query", "1 query"),
        (2, "query", "2 queries"),
        (2, "day", "2 days"),
        (2, "whole clip", "2 whole clips"),
        (2, "batch", "2 batches"),
        (3, "corpus", "3 corpuses"),
    ],
)
def test_a_count_and_its_noun_agree(n: int, noun: str, words: str) -> None:
    assert plural(n, noun) == words


def test_a_noun_may_bring_its_own_plural() -> None:
    assert plural(2, "corpus", "corpora") == "2 corpora"
    assert plural(1, "corpus", "corpora") == "1 corpus"
