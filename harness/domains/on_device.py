"""Masked signals made where a model runs, so that they need not be sent there."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from harness.domains.atoms import Coefficients, Domain
from harness.domains.fft import Spectrum
from harness.domains.frequency import Frequency
from harness.types import Mask, Waveform


@runtime_checkable
class Masking(Protocol):
    """A model that makes masked signals where it runs; `classifiers.Classifier` is one."""

    def keep(self, X: Spectrum, masks: Mask, n_samples: int) -> Waveform | None:
        """As `fft.keep`, for (m, N) masks; None where scipy is the better place."""
        ...


def keep(listener: object, domain: Domain, coefficients: Coefficients, masks: Mask) -> Waveform:
    """The masked signals of a clip, (m, N) masks -> (m, n_samples) float32, as `Domain.keep` makes them.

    In the domain `frequency` a `Masking` listener may make them; its rows may be tensors that stay on its
    device.
    """
    waveforms = None
    if domain.name == Frequency.name and isinstance(listener, Masking):
        waveforms = listener.keep(coefficients, masks, domain.n_samples)
    return domain.keep(coefficients, masks) if waveforms is None else waveforms
