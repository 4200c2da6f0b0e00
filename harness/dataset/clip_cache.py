"""What was last made of clips, kept within a bound of samples: clips stand in for each other in any order.

Public: Recent, spectrum_of.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from harness import spectra
from harness.types import Clip

Made = TypeVar("Made")


class Recent(Generic[Made]):
    """A memory of one thing for each clip, the clips used last, at least one."""

    def __init__(self, n_samples: int) -> None:
        """Begin empty.

        Args:
            n_samples: samples of all clips together, at most.
        """
        self._most, self._now = n_samples, 0
        self._kept: OrderedDict[int, tuple[Clip, Made]] = OrderedDict()

    def of(self, clip: Clip, make: Callable[[], Made]) -> Made:
        """What is kept for a clip, made if it is not."""
        key = id(clip)  # the clip is kept beside it, so that no other can have its id
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][1]
        made = make()
        self._kept[key] = clip, made
        self._now += len(clip.waveform)
        while self._now > self._most and len(self._kept) > 1:
            _, (old, _) = self._kept.popitem(last=False)
            self._now -= len(old.waveform)
        return made


_spectra: Recent[spectra.Spectrum] = Recent(1 << 22)


def spectrum_of(clip: Clip) -> spectra.Spectrum:
    """(N,) spectrum of a clip; the last ones are kept: signals of a clip come together, with others."""
    return _spectra.of(clip, lambda: spectra.spectrum(clip.waveform))
