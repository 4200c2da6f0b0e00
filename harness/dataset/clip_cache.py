"""A cache of values computed from the clips that were used last, bounded in samples."""

from __future__ import annotations

from functools import lru_cache

from harness.dataset.recent_items import RecentItems
from harness.domains import DOMAINS, Domain, fft, on_device
from harness.domains.atoms import Coefficients
from harness.domains.frequency import Frequency
from harness.types import Clip, FloatArray, Mask, Waveform

_ByDomain = dict[str, tuple[Coefficients, FloatArray]]
"""Coefficients and energies of a clip."""

# The clip is kept beside what was computed, so that no other can have its id.
_recent_clips = RecentItems[int, tuple[Clip, _ByDomain]](1 << 22, lambda item: len(item[0].waveform))


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
    _, by_domain = _recent_clips.get(id(clip), lambda: (clip, {}))
    if name not in by_domain:
        domain = domain_of(clip, name)
        coefficients = domain.forward(clip.waveform)
        by_domain[name] = coefficients, domain.products(coefficients, coefficients)
    return by_domain[name]


def parts_of(clip: Clip, domain: str, masks: Mask, listener: object = None) -> Waveform:
    """The signals that keep some coefficients of a clip, (m, N) masks -> (m, n_samples) float32.

    All of them are the clip itself, to the last bit; a `listener`, see `on_device.keep`, makes all others.
    """
    signals = on_device.keep(listener, domain_of(clip, domain), coefficients_of(clip, domain), masks)
    is_whole = masks.all(axis=1)
    if is_whole.any():
        signals[is_whole] = clip.waveform
    return signals


def clear() -> None:
    """Keep nothing of any clip."""
    _recent_clips.clear()
