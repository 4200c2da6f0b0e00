"""The sounds made of a signal: the signal itself, its controls, its further levels (definitions: Controls).

A stimulus is a mask over the coefficients of a clip, a gain, and what stands in for the rest; sounds are made
of them here and nowhere else, so that two stimuli that are equal in all of these are one sound, which a model
is asked about once. The controls are seeded by the signal's id. What is said here of coefficients holds for
those of the domain of the signal's family: bins, blocks or coefficients of tiles.

    swap        the coefficients of the signal, of another clip that the reference gives another class; at
                the signal's energy. A clip that has nothing there gives silence
    matched     the runs or tiles of the signal at other places of the occupied part of its clip; at its
                energy
    largest     as many of the loudest coefficients of the clip
    complement  all other coefficients of the clip
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness import placements
from harness.dataset.clip_cache import domain_of, energy_of, parts_of
from harness.dataset.completed import completed
from harness.domains.frequency import Frequency
from harness.domains.masks import largest, runs
from harness.families import MINIMAL, parse_family
from harness.seeds import seed_of
from harness.types import N_LEVELS, N_SWAPS, Clip, Mask, SufficientSignal, Waveform

Key = tuple[str, int | None, int | None]
"""Name, level and replicate of a stimulus, as in `types.Verdict`."""


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A sound to judge, not made yet."""

    name: str
    """One of STIMULI."""
    clip: Clip
    domain: str
    """Name of the domain of its mask."""
    mask: Mask
    """(N,) the coefficients of that clip that it keeps."""
    level: int | None = None
    """As in `types.Verdict`."""
    replicate: int | None = None
    gain: float = 1.0
    """What they are multiplied by."""
    rest: Waveform | None = None
    """(n_samples,) what stands in for all other coefficients; None for nothing."""
    part: Waveform | None = None
    """(n_samples,) the coefficients alone, without gain, where their energy was that of their sound."""

    @property
    def key(self) -> Key:
        """Name, level and replicate."""
        return self.name, self.level, self.replicate

    @property
    def sound(self) -> bytes:
        """The same for stimuli that sound the same."""
        if not self.mask.any() and self.rest is None:
            return b"silence%d" % len(self.clip.waveform)
        names = f"{self.clip.clip_id}\0{self.domain}".encode()
        rest = b"" if self.rest is None else self.rest.tobytes()
        return b"\0".join((names, np.packbits(self.mask).tobytes(), np.float64(self.gain).tobytes(), rest))


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


def of_signal(
    signal: SufficientSignal, clip: Clip, others: Sequence[Clip], rest: Waveform | None = None
) -> list[Stimulus]:
    """The stimuli of a signal: itself, `swap`, `matched`, `largest`, `complement`, the levels 1 and above.

    Args:
        signal: the signal.
        clip: its clip.
        others: the clips of `swap_clips`.
        rest: what stands in for what the signal does not keep, see `dataset.completed`.
    """
    family = parse_family(signal.family)
    domain = family.resolution.domain
    energy = energy_of(clip, domain)
    (target_energy,), _ = _sound_energies(clip, domain, [signal.mask])
    whole = Stimulus("signal", clip, domain, signal.mask, rest=rest)
    base = replace(whole, level=0 if family.kind == MINIMAL else None)
    levels = []
    if signal.levels is not None:
        levels = [replace(whole, mask=signal.levels <= level, level=level) for level in range(1, N_LEVELS)]
    return [
        base,
        *(
            replace(_swap(base, other, target_energy), replicate=i, level=None)
            for i, other in enumerate(others)
        ),
        *(
            replace(control, replicate=i)
            for i, control in enumerate(_matched(whole, signal.signal_id, target_energy))
        ),
        replace(whole, name="largest", mask=largest(energy, signal.n_kept)),
        replace(whole, name="complement", mask=~signal.mask),
        *levels,
    ]


def sounds(stimuli: Sequence[Stimulus], listener: object = None) -> list[Waveform]:
    """Stimuli as (n_samples,) waveforms; those of one clip are made together.

    Of a `listener` that masks where it runs (`domains.on_device`) they may be tensors there; not of stimuli
    with a rest.
    """
    waveforms: list[Waveform | None] = [None] * len(stimuli)
    by_clip: dict[tuple[str, str], list[int]] = {}
    for i, stimulus in enumerate(stimuli):
        by_clip.setdefault((stimulus.clip.clip_id, stimulus.domain), []).append(i)
    for (_, domain), rows in by_clip.items():
        clip = stimuli[rows[0]].clip
        parts = {i: part for i in rows if (part := stimuli[i].part) is not None}
        parts |= {i: clip.waveform for i in rows if stimuli[i].mask.all()}
        if new := [i for i in rows if i not in parts]:
            masks = np.stack([stimuli[i].mask for i in new])
            parts |= zip(new, parts_of(clip, domain, masks, listener), strict=True)
        for i, x in parts.items():
            gain, rest = stimuli[i].gain, stimuli[i].rest
            y = x if gain == 1.0 else x * gain
            waveforms[i] = y if rest is None else completed(y, rest, domain_of(clip, domain), stimuli[i].mask)
    return [x for x in waveforms if x is not None]


def control(signal: SufficientSignal, clip: Clip, others: Sequence[Clip], name: str) -> Waveform | None:
    """The first control of a kind of a signal, as a waveform; None where it has none."""
    of_kind = [s for s in of_signal(signal, clip, others) if s.name == name]
    return sounds(of_kind[:1])[0] if of_kind else None


def transfer_mask(mask: Mask, shape: tuple[int, int], new_shape: tuple[int, int]) -> Mask:
    """The same part of the plane of another clip, of the same domain.

    The run of a single row keeps its edges, half a bin outside its first and last bin, as shares of the
    Nyquist frequency; they are rounded to those of bins, and it is at least one bin wide. Rows keep their
    place as a share of the length of the clip.

    Args:
        mask: (n_rows * n_columns,).
        shape: n_rows, n_columns.
        new_shape: those of the other clip.

    Returns:
        A mask over the coefficients of the other clip.
    """
    if shape == new_shape:
        return mask
    if shape[0] == new_shape[0] == 1:
        return _stretched(mask, new_shape[1])
    rows = mask.reshape(shape)
    n, m = shape[0], new_shape[0]
    result = np.zeros(new_shape, dtype=bool)
    # Each row comes from the one at its middle; of more rows than there is room for none gets lost.
    result |= rows[(2 * np.arange(m) + 1) * n // (2 * m)]
    np.logical_or.at(result, (2 * np.arange(n) + 1) * m // (2 * n), rows)
    return result.ravel()


def _stretched(mask: Mask, n_bins: int) -> Mask:
    """The same frequencies as a mask over other bins, (n_bins,)."""
    rows = runs(mask)
    scale = (n_bins - 1) / max(len(mask) - 1, 1)
    edges = np.stack([rows[:, 0], rows.sum(axis=1)]) - 0.5
    first, end = np.rint(edges * scale + 0.5).astype(np.int64)
    first = np.clip(first, 0, n_bins - 1)
    end = np.clip(end, first + 1, n_bins)
    result = np.zeros(n_bins, dtype=bool)
    for a, b in zip(first, end, strict=True):
        result[a:b] = True
    return result


def _swap(signal: Stimulus, other: Clip, target_energy: float) -> Stimulus:
    energy = energy_of(other, signal.domain)
    shapes = [domain_of(clip, signal.domain).shape for clip in (signal.clip, other)]
    mask = transfer_mask(signal.mask, *shapes)
    rest = None if signal.rest is None else np.resize(signal.rest, other.waveform.shape)
    swap = replace(signal, name="swap", clip=other, mask=mask, rest=rest)
    (mask_energy,), (part,) = _sound_energies(other, signal.domain, [mask])
    if mask_energy <= placements.INAUDIBLE * float(energy.sum()):
        return replace(swap, mask=np.zeros_like(mask))
    return replace(swap, gain=_gain(target_energy, mask_energy), part=part)


def _matched(signal: Stimulus, signal_id: str, target_energy: float) -> list[Stimulus]:
    """Up to N_MATCHED controls."""
    clip, domain = signal.clip, signal.domain
    energy = energy_of(clip, domain)
    masks = placements.matched(signal.mask, energy, domain_of(clip, domain).shape, signal_id)
    inaudible = placements.INAUDIBLE * float(energy.sum())
    return [
        replace(signal, name="matched", mask=mask, gain=_gain(target_energy, e), part=part)
        for mask, e, part in zip(masks, *_sound_energies(clip, domain, masks), strict=True)
        if e > inaudible
    ]


def _sound_energies(
    clip: Clip, domain: str, masks: Sequence[Mask]
) -> tuple[list[float], Sequence[Waveform | None]]:
    """Energies of the sounds of some coefficients of a clip; and the sounds, where they had to be made.

    Bins are orthogonal: their energies add up. Blocks overlap, and frames reach beyond the ends of the clip.
    """
    if domain == Frequency.name or not masks:
        energy = energy_of(clip, domain)
        return [float(energy[mask].sum()) for mask in masks], [None] * len(masks)
    parts = list(parts_of(clip, domain, np.stack(masks)))
    return [float(np.square(part, dtype=np.float64).sum()) for part in parts], parts


def _gain(target_energy: float, energy: float) -> float:
    """Factor that brings a sound of some energy, above 0, to the energy wanted."""
    return float(np.sqrt(target_energy / energy))
