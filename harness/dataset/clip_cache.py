"""A cache of values computed from the clips that were used last, bounded in samples."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from harness import spectra
from harness.types import Clip

T = TypeVar("T")


class Recent(Generic[T]):
    """A cache of one value for each clip: the clips used last, at least one."""

    def __init__(self, n_samples: int) -> None:
        """Begin empty; all clips together have at most so many samples."""
        self._max_samples, self._n_samples = n_samples, 0
        self._items: OrderedDict[int, tuple[Clip, T]] = OrderedDict()

    def of(self, clip: Clip, make: Callable[[], T]) -> T:
        """The cached value of a clip; computed where there is none."""
        key = id(clip)  # the clip is kept beside it, so that no other can have its id
        if key in self._items:
            self._items.move_to_end(key)
            return self._items[key][1]
        item = make()
        self._items[key] = clip, item
        self._n_samples += len(clip.waveform)
        while self._n_samples > self._max_samples and len(self._items) > 1:
            _, (old, _) = self._items.popitem(last=False)
            self._n_samples -= len(old.waveform)
        return item


_spectra: Recent[spectra.Spectrum] = Recent(1 << 22)


def spectrum_of(clip: Clip) -> spectra.Spectrum:
    """(N,) spectrum of a clip; the last ones are cached."""
    return _spectra.of(clip, lambda: spectra.spectrum(clip.waveform))
