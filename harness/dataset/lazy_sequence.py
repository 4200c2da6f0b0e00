"""A sequence whose items are made when they are asked for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T]):
    """Give `_item` and `__len__`; a slice is a list of items."""

    @abstractmethod
    def _item(self, index: int) -> T:
        """The item at an index, 0 to len - 1."""

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        indices = range(len(self))[index]  # as of any sequence: from the end, or an IndexError
        return self._item(indices) if isinstance(indices, int) else [self._item(i) for i in indices]
