"""Completions: what stands in for the part of a clip that a signal does not keep.

    zero         nothing
    noise:-40    noise with the spectrum of the clip, 40 dB below it; any whole number of dB from -1 to -120
    swap         another clip, as it is

What is sufficient for one completion need not be for another: an explanation that holds for all of them is an
abductive one (Izza et al., *On Computing Probabilistic Abductive Explanations*, IJAR 159, 2023), and one that
holds for most is a probabilistic sufficient reason (Waeldchen et al., *The Computational Complexity of
Understanding Binary Classifier Decisions*, JAIR 70, 2021). Conventions: waveforms are float32 (n_samples,).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its fft is imported on first use
from numpy.typing import NDArray

from harness.errors import BadInput, likely
from harness.types import Waveform

_EXAMPLES = ("zero", "noise:-40", "noise:-60", "swap")


@dataclass(frozen=True)
class Completion:
    """What stands in for the rest."""

    kind: str
    """`zero`, `noise` or `swap`."""
    level_db: int = 0
    """Level of noise, relative to the clip."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.level_db}" if self.kind == "noise" else self.kind

    def rest(
        self,
        waveform: Waveform,
        other: Waveform | None,
        rng: np.random.Generator,
        spectrum: NDArray[np.complex128] | None = None,
    ) -> Waveform:
        """The sound of which the rest is made.

        Args:
            waveform: the clip.
            other: another clip, for `swap`: repeated where it is shorter, cut where it is longer.
            rng: where noise comes from.
            spectrum: (n_samples // 2 + 1,) of the clip, where it is known.
        """
        if self.kind == "noise":
            if spectrum is None:
                spectrum = scipy.fft.rfft(waveform.astype(np.float64))
            return _noise_like(spectrum, len(waveform), self.level_db, rng)
        if self.kind == "swap" and other is not None:
            return np.resize(other, waveform.shape)
        return np.zeros_like(waveform)


ZERO = Completion("zero")

ROBUST = 0.9
"""Share of the draws of noise, at either level of CHECKED, with which a robust signal keeps its class."""

CHECKED = (ZERO, Completion("noise", -60), Completion("noise", -40), Completion("swap"))
"""Completions under which every signal is checked when it is extracted."""


def is_robust(survival: Sequence[float]) -> bool:
    """Whether a signal keeps its class with noise in place of the rest, by its share for each of CHECKED."""
    shares = zip(CHECKED, survival, strict=True)
    return all(share >= ROBUST for completion, share in shares if completion.kind == "noise")


def parse_completion(name: str) -> Completion:
    """A completion by its name.

    Raises:
        BadInput: no completion is called so.
    """
    if name in ("zero", "swap"):
        return Completion(name)
    match = re.fullmatch("noise:(-[1-9][0-9]{0,2})", name, re.ASCII)
    if match is not None and int(match[1]) >= _FAINTEST_DB:
        return Completion("noise", int(match[1]))
    hint = f"examples: {', '.join(_EXAMPLES)}{likely(name, _EXAMPLES)}"
    raise BadInput(f"no completion is called {name!r}; {hint}")


_FAINTEST_DB = -120


def _noise_like(
    spectrum: NDArray[np.complex128], n_samples: int, level_db: int, rng: np.random.Generator
) -> Waveform:
    """Gaussian noise of a clip's spectrum, in expectation so many dB below it in every bin."""
    parts = rng.normal(0, np.sqrt(0.5), (2, len(spectrum)))
    parts *= np.abs(spectrum)
    parts *= 10 ** (level_db / 20)
    noise = np.empty_like(spectrum)
    noise.real, noise.imag = parts
    return np.asarray(scipy.fft.irfft(noise, n_samples, overwrite_x=True), dtype=np.float32)
