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
from numpy.typing import NDArray

from harness import spectra
from harness.dataset.clip_cache import Recent, spectrum_of
from harness.seeds import generator, seed_of
from harness.types import N_LEVELS, N_MATCHED, N_SWAPS, Clip, FloatArray, Mask, SufficientSignal, Waveform

Key = tuple[str, int | None, int | None]
"""Name, level and replicate of a stimulus, as in `types.Verdict`."""

_DRAWS = 256
"""Places that are drawn for a `matched` control."""

_OVERLAP = 0.1
"""Share of the signal's bins that a `matched` control may hold."""

_TOO_MUCH = 0.5
"""Share from which on it is no control; up to there those that hold least are taken where all hold more."""

_NOTHING = 1e-12
"""Share of a clip's energy below which some of its bins hold rounding, and no sound."""


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
            for i, (mask, gain) in enumerate(_matched(signal.mask, energy, target_energy, signal.signal_id))
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


def occupied_band(energy: FloatArray, outside: float = 0.01) -> tuple[int, int]:
    """First bin, and the bin after the last, between which all but a share of the energy lies.

    Args:
        energy: (N,) of each bin, some of it above 0.
        outside: the share that lies outside, half of it at either end.
    """
    cumulative = np.cumsum(energy)
    first, last = np.searchsorted(cumulative, cumulative[-1] * np.array([outside / 2, 1 - outside / 2]))
    return int(first), min(int(last), len(energy) - 1) + 1


def random_placements(
    mask: Mask, band: tuple[int, int], n: int, rng: np.random.Generator
) -> NDArray[np.int64] | None:
    """The runs of a mask at random places of a band, in random order, none touching another.

    Args:
        mask: (N,) with at least one run.
        band: first bin of the band, and the bin after its last.
        n: draws.
        rng: where they come from.

    Returns:
        (n, r, 2) rows of [first bin, number of bins], from low to high; None where the runs do not fit.
    """
    lengths = spectra.runs(mask)[:, 1]
    r = len(lengths)
    free = band[1] - band[0] - int(lengths.sum()) - (r - 1)
    if free < 0:
        return None
    widths = lengths[np.argsort(rng.random((n, r)), axis=1, kind="stable")]
    offsets = np.sort(np.floor(rng.random((n, r)) * (free + 1)).astype(np.int64), axis=1)
    starts = np.cumsum(widths + 1, axis=1) - (widths + 1)
    return np.stack([band[0] + offsets + starts, widths], axis=2)


_energies: Recent[FloatArray] = Recent(1 << 22)


def _energy(clip: Clip) -> FloatArray:
    """(N,) energy of each bin; that of the last clips is cached, as clips replace each other."""
    return _energies.of(clip, lambda: spectra.bin_energy(spectrum_of(clip), len(clip.waveform)))


def _swap(other: Clip, mask: Mask, target_energy: float) -> Stimulus:
    energy = _energy(other)
    bins = transfer_mask(mask, len(energy))
    bins_energy = float(energy[bins].sum())
    if bins_energy <= _NOTHING * float(energy.sum()):
        return Stimulus("swap", other, np.zeros_like(bins))
    return Stimulus("swap", other, bins, gain=_gain(target_energy, bins_energy))


def _matched(
    mask: Mask, energy: FloatArray, target_energy: float, signal_id: str
) -> list[tuple[Mask, float]]:
    """Up to N_MATCHED masks and their gains.

    Of _DRAWS places of the runs those that hold at most _OVERLAP of the mask, the nearest in energy first;
    where there are none, those that hold less than _TOO_MUCH of it, the least first.
    """
    total = float(energy.sum())
    if total <= 0 or not mask.any():
        return []
    draws = random_placements(mask, occupied_band(energy), _DRAWS, generator("matched", signal_id))
    if draws is None:
        return []
    placements = np.unique(draws, axis=0)
    overlap = _sum_over(mask.astype(np.float64), placements) / mask.sum()
    bins_energy = _sum_over(energy, placements)
    distance = np.abs(np.log(np.maximum(bins_energy, 1e-300) / max(target_energy, 1e-300)))
    audible = bins_energy > _NOTHING * total
    near = np.flatnonzero(audible & (overlap <= _OVERLAP))
    if len(near):
        order = near[np.argsort(distance[near], kind="stable")]
    else:
        candidates = np.flatnonzero(audible & (overlap < _TOO_MUCH))
        order = candidates[np.lexsort((distance[candidates], overlap[candidates]))]
    masks = [spectra.from_runs(placements[i], len(mask)) for i in order[:N_MATCHED]]
    return [(m, _gain(target_energy, float(energy[m].sum()))) for m in masks]


def _sum_over(per_bin: FloatArray, placements: NDArray[np.int64]) -> FloatArray:
    """(n,) sum of a quantity over the bins of each placement, (n, r, 2)."""
    cumulative = np.concatenate([[0.0], np.cumsum(per_bin)])
    return np.asarray((cumulative[placements.sum(axis=2)] - cumulative[placements[:, :, 0]]).sum(axis=1))


def _gain(target_energy: float, energy: float) -> float:
    """Factor that brings a sound of some energy, above 0, to the energy wanted."""
    return float(np.sqrt(target_energy / energy))
