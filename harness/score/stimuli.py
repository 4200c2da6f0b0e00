"""The sounds made of a signal: the signal itself, its controls, its further levels (definitions: Controls).

A stimulus is a mask over the bins of the clip, and a gain; sounds are made of them here and nowhere else, so
that two stimuli of one mask and gain are one sound, which a model is asked about once. The controls are
seeded by the signal's id.

Public: Stimulus, of_signal, names_of, sounds, control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from harness import spectra
from harness.dataset.signals import spectrum_of
from harness.records import N_LEVELS, Clip, Mask, SufficientSignal, Waveform
from harness.seeds import generator

_CONTROLS = ("permuted", "largest", "permuted_equal_energy", "complement")


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A sound to judge, not made yet."""

    name: str
    """One of STIMULI."""
    level: int | None
    """As in `records.Verdict`."""
    mask: Mask
    """(N,) the bins of the clip that it keeps."""
    gain: float = 1.0
    """What it is multiplied by."""

    @property
    def sound(self) -> bytes:
        """The same for stimuli of a clip that sound the same."""
        return np.packbits(self.mask).tobytes() + np.float64(self.gain).tobytes()


@cache
def names_of(family: str, *, has_levels: bool) -> tuple[tuple[str, int | None], ...]:
    """Name and level of each stimulus of a signal, in the order of `of_signal`."""
    further = [("signal", level) for level in range(1, N_LEVELS)] if has_levels else []
    own = ("signal", 0 if family == "minimal" else None)
    return (own, *((name, None) for name in _CONTROLS), *further)


def of_signal(signal: SufficientSignal, clip: Clip) -> list[Stimulus]:
    """The stimuli of a signal.

    The signal; `permuted`, its runs and gaps in random order; `largest`, as many of the loudest bins;
    `permuted_equal_energy`, the permuted ones with the energy of the signal; `complement`, all other bins;
    the levels 1 and above, where it has any.
    """
    energy = spectra.bin_energy(spectrum_of(clip), signal.n_samples)
    permuted = spectra.permuted(signal.mask, generator("permuted", signal.signal_id))
    gain = spectra.equal_energy_gain(energy, signal.mask, permuted)
    masks = [signal.mask, permuted, spectra.largest(energy, signal.n_kept), permuted, ~signal.mask]
    if signal.levels is not None:
        masks += list(signal.levels <= np.arange(1, N_LEVELS)[:, None])
    names = names_of(signal.family, has_levels=signal.levels is not None)
    return [
        Stimulus(name, level, mask, gain if name == "permuted_equal_energy" else 1.0)
        for (name, level), mask in zip(names, masks, strict=True)
    ]


def sounds(stimuli: Sequence[Stimulus], clip: Clip) -> list[Waveform]:
    """Stimuli of a clip as (n_samples,) waveforms."""
    if not stimuli:
        return []
    masks = np.stack([stimulus.mask for stimulus in stimuli])
    kept = spectra.keep(spectrum_of(clip), masks, len(clip.waveform))
    return [
        x if s.gain == 1.0 else (x * s.gain).astype(np.float32) for s, x in zip(stimuli, kept, strict=True)
    ]


def control(signal: SufficientSignal, clip: Clip, name: str) -> Waveform:
    """One control of a signal, as a waveform."""
    return sounds([s for s in of_signal(signal, clip) if s.name == name and not s.level], clip)[0]
