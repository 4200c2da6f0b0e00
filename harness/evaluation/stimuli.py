"""The sounds made of a signal: the signal itself, its controls, its further levels (definitions: Controls).

A stimulus is a mask over the bins of a clip, and a gain; sounds are made of them here and nowhere else, so
that two stimuli of one clip, mask and gain are one sound, which a model is asked about once. The controls are
seeded by the signal's id.

    swap        the bins of the signal, of another clip that the reference gives another class; at the
                signal's energy. A clip that has nothing at these bins gives silence
    matched     the runs of the signal at other places of the occupied band of its clip; at its energy
    largest     as many of the loudest bins of the clip
    complement  all other bins of the clip
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness import placements, spectra
from harness.dataset.clip_cache import Recent, spectrum_of
from harness.seeds import seed_of
from harness.types import N_LEVELS, N_SWAPS, Clip, FloatArray, Mask, SufficientSignal, Waveform

Key = tuple[str, int | None, int | None]
"""Name, level and replicate of a stimulus, as in `types.Verdict`."""


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A sound to judge, not made yet."""

    name: str
    """One of STIMULI."""
    clip: Clip
    mask: Mask
    """(N,) the bins of that clip that it keeps."""
    level: int | None = None
    """As in `types.Verdict`."""
    replicate: int | None = None
    gain: float = 1.0
    """What it is multiplied by."""

    @property
    def key(self) -> Key:
        """Name, level and replicate."""
        return self.name, self.level, self.replicate

    @property
    def sound(self) -> bytes:
        """The same for stimuli that sound the same."""
        if not self.mask.any():
            return b"silence%d" % len(self.clip.waveform)
        return b"\0".join(
            (self.clip.clip_id.encode(), np.packbits(self.mask).tobytes(), np.float64(self.gain).tobytes())
        )


def swap_clips(signal_id: str, eligible: Sequence[str]) -> tuple[str, ...]:
    """The clips that replace a signal's own: N_SWAPS of those eligible, or all where there are fewer.

    Args:
        signal_id: the signal; it seeds the draw.
        eligible: clip_ids, sorted, of clips that the reference gives another class.
    """
    candidates = list(eligible)
    return tuple(
        candidates.pop(seed_of("swap", signal_id, str(k)) % len(candidates))
        for k in range(min(N_SWAPS, len(candidates)))
    )


def of_signal(signal: SufficientSignal, clip: Clip, others: Sequence[Clip]) -> list[Stimulus]:
    """The stimuli of a signal: itself, `swap`, `matched`, `largest`, `complement`, the levels 1 and above.

    Args:
        signal: the signal.
        clip: its clip.
        others: the clips of `swap_clips`.
    """
    energy = _energy(clip)
    target_energy = float(energy[signal.mask].sum())
    base = Stimulus("signal", clip, signal.mask, level=0 if signal.family == "minimal" else None)
    levels = []
    if signal.levels is not None:
        levels = [
            Stimulus("signal", clip, signal.levels <= level, level=level) for level in range(1, N_LEVELS)
        ]
    return [
        base,
        *(replace(_swap(other, signal.mask, target_energy), replicate=i) for i, other in enumerate(others)),
        *(
            Stimulus("matched", clip, mask, replicate=i, gain=gain)
            for i, (mask, gain) in enumerate(_matched(signal, energy, target_energy))
        ),
        Stimulus("largest", clip, spectra.largest(energy, signal.n_kept)),
        Stimulus("complement", clip, ~signal.mask),
        *levels,
    ]


def sounds(stimuli: Sequence[Stimulus]) -> list[Waveform]:
    """Stimuli as (n_samples,) waveforms; those of one clip are made together."""
    waveforms: list[Waveform | None] = [None] * len(stimuli)
    by_clip: dict[str, list[int]] = {}
    for i, stimulus in enumerate(stimuli):
        by_clip.setdefault(stimulus.clip.clip_id, []).append(i)
    for rows in by_clip.values():
        clip = stimuli[rows[0]].clip
        masks = np.stack([stimuli[i].mask for i in rows])
        for i, x in zip(rows, spectra.keep(spectrum_of(clip), masks, len(clip.waveform)), strict=True):
            gain = stimuli[i].gain
            waveforms[i] = x if gain == 1.0 else (x * gain).astype(np.float32)
    return [x for x in waveforms if x is not None]


def control(signal: SufficientSignal, clip: Clip, others: Sequence[Clip], name: str) -> Waveform | None:
    """The first control of a kind of a signal, as a waveform; None where it has none."""
    of_kind = [s for s in of_signal(signal, clip, others) if s.name == name]
    return sounds(of_kind[:1])[0] if of_kind else None


def transfer_mask(mask: Mask, n_bins: int) -> Mask:
    """The same frequencies as a mask over the bins of another clip, (n_bins,).

    A run keeps its edges, half a bin outside its first and last bin, as shares of the Nyquist frequency; they
    are rounded to those of bins, and it is at least one bin wide.
    """
    if len(mask) == n_bins:
        return mask
    rows = spectra.runs(mask)
    scale = (n_bins - 1) / max(len(mask) - 1, 1)
    edges = np.stack([rows[:, 0], rows.sum(axis=1)]) - 0.5
    first, end = np.rint(edges * scale + 0.5).astype(np.int64)
    first = np.clip(first, 0, n_bins - 1)
    end = np.clip(end, first + 1, n_bins)
    result = np.zeros(n_bins, dtype=bool)
    for a, b in zip(first, end, strict=True):
        result[a:b] = True
    return result


_energies: Recent[FloatArray] = Recent(1 << 22)


def _energy(clip: Clip) -> FloatArray:
    """(N,) energy of each bin; that of the last clips is cached, as clips replace each other."""
    return _energies.of(clip, lambda: spectra.bin_energy(spectrum_of(clip), len(clip.waveform)))


def _swap(other: Clip, mask: Mask, target_energy: float) -> Stimulus:
    energy = _energy(other)
    bins = transfer_mask(mask, len(energy))
    bins_energy = float(energy[bins].sum())
    if bins_energy <= placements.INAUDIBLE * float(energy.sum()):
        return Stimulus("swap", other, np.zeros_like(bins))
    return Stimulus("swap", other, bins, gain=_gain(target_energy, bins_energy))


def _matched(signal: SufficientSignal, energy: FloatArray, target_energy: float) -> list[tuple[Mask, float]]:
    """Up to N_MATCHED masks and their gains."""
    masks = placements.matched(signal.mask, energy, signal.signal_id)
    return [(mask, _gain(target_energy, float(energy[mask].sum()))) for mask in masks]


def _gain(target_energy: float, energy: float) -> float:
    """Factor that brings a sound of some energy, above 0, to the energy wanted."""
    return float(np.sqrt(target_energy / energy))
