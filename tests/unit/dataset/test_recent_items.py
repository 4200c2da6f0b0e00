"""What is read when it is asked for, and what stays in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dataset.lazy_sequence import LazySequence
from harness.dataset.recent_items import RecentItems


class Squares(LazySequence[int]):
    def __len__(self) -> int:
        return 5

    def _item(self, index: int) -> int:
        assert 0 <= index < 5
        return index**2


def test_a_sequence_is_indexed_as_a_list() -> None:
    squares, expected = Squares(), [0, 1, 4, 9, 16]
    assert list(squares) == expected
    assert (squares[-1], squares[1:3], squares[::-2], squares[9:]) == (16, [1, 4], expected[::-2], [])
    for index in (5, -6):
        with pytest.raises(IndexError):
            squares[index]


@given(st.lists(st.integers(1, 9)), st.integers(0, 12), st.integers(1, 3))
def test_what_was_used_last_stays_as_far_as_there_is_room(keys: list[int], max_size: int, least: int) -> None:
    """Items as large as their keys, against a list that is searched."""
    recent, kept, made = RecentItems[int, int](max_size, lambda item: item, least), list[int](), list[int]()
    for key in keys:
        n_made = len(made)
        assert recent.get(key, lambda key=key: made.append(key) or key) == key  # type: ignore[misc]
        assert (len(made) > n_made) == (key not in kept)
        kept = [*(other for other in kept if other != key), key]
        while sum(kept) > max_size and len(kept) > least:
            kept.pop(0)
