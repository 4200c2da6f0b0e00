"""The items that were used last, as many as fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class RecentItems(Generic[K, V]):
    """A cache by size, for several threads; the items used last stay, the same objects."""

    def __init__(self, max_size: int, size_of: Callable[[V], int], least: int = 1) -> None:
        """Keep items of `max_size` together, and the last `least` of them whatever their size."""
        self._max_size, self._size_of, self._least = max_size, size_of, least
        self._items = OrderedDict[K, V]()
        self._size = 0
        self._lock = RLock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The item of a key, made where it is not here."""
        with self._lock:
            if key not in self._items:
                self.add(key, make())
            self._items.move_to_end(key)
            return self._items[key]

    def add(self, key: K, item: V) -> None:
        """Keep an item under a key that is new."""
        with self._lock:
            self._items[key] = item
            self._size += self._size_of(item)
            while self._size > self._max_size and len(self._items) > self._least:
                self._size -= self._size_of(self._items.popitem(last=False)[1])

    def clear(self) -> None:
        """Keep none of them."""
        with self._lock:
            self._items.clear()
            self._size = 0
