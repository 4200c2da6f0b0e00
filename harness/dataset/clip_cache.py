"""A cache of values computed from the clips that were used last, bounded in samples."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

from harness.domains import DOMAINS, Domain, fft
from harness.domains.atoms import Coefficients
from harness.domains.frequency import Frequency
from harness.types import Clip, FloatArray, Mask, Waveform

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


_coefficients: Recent[dict[str, tuple[Coefficients, FloatArray]]] = Recent(1 << 22)


def domain_of(clip: Clip, name: str) -> Domain:
    """A domain, by name, for clips of the length of this one."""
    return _domain(name, len(clip.waveform), clip.sample_rate_hz)


@lru_cache(maxsize=64)
def _domain(name: str, n_samples: int, sample_rate_hz: int) -> Domain:
    return DOMAINS[name](n_samples, sample_rate_hz)


def coefficients_of(clip: Clip, domain: str) -> Coefficients:
    """The coefficients of a clip; those of the last clips are cached."""
    return _transformed(clip, domain)[0]


def spectrum_of(clip: Clip) -> fft.Spectrum:
    """(N,) spectrum of a clip; the same."""
    return coefficients_of(clip, Frequency.name)


def energy_of(clip: Clip, domain: str) -> FloatArray:
    """(N,) energy of each coefficient of a clip; the same."""
    return _transformed(clip, domain)[1]


def _transformed(clip: Clip, name: str) -> tuple[Coefficients, FloatArray]:
    by_domain = _coefficients.of(clip, dict)
    if name not in by_domain:
        domain = domain_of(clip, name)
        coefficients = domain.forward(clip.waveform)
        by_domain[name] = coefficients, domain.products(coefficients, coefficients)
    return by_domain[name]


def parts_of(clip: Clip, domain: str, masks: Mask) -> Waveform:
    """The signals that keep some coefficients of a clip, (m, N) masks -> (m, n_samples) float32.

    All of them are the clip itself, to the last bit.
    """
    signals = domain_of(clip, domain).keep(coefficients_of(clip, domain), masks)
    signals[masks.all(axis=1)] = clip.waveform
    return signals
