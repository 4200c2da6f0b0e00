"""Signals whose rest is not silent: what stands in for it, the same when searched, stored and judged.

Conventions: a rest is a waveform (n_samples,) of which a completed signal has all that it does not keep of
its clip; None where nothing stands in for it (see `completions`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.completions import Completion
from harness.dataset.clip_cache import domain_of, parts_of, spectrum_of
from harness.dataset.clip_sequence import ids_and_lengths
from harness.domains import Domain
from harness.families import parse_family
from harness.seeds import generator, seed_of
from harness.types import N_COMPLETIONS, Clip, Mask, SufficientSignal, Waveform


@dataclass(frozen=True, eq=False)
class StandIns:
    """The clips that stand in for the rest of the signals of one clip; None where it is the only one."""

    rest: Clip | None
    """In its signals, where their completion is another clip."""
    checked: tuple[Clip | None, ...]
    """In each of N_COMPLETIONS draws, when a signal is checked."""


class OtherClips:
    """The clips of a corpus, to choose from them what stands in for the rest of one."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips
        lengths = ids_and_lengths(clips)
        self._every = sorted((clip_id, i) for i, (clip_id, _) in enumerate(lengths))
        self._as_long: dict[int, list[tuple[str, int]]] = {}
        for clip_id, i in self._every:
            self._as_long.setdefault(lengths[i][1], []).append((clip_id, i))

    def choose(self, clip: Clip, seed: int) -> Clip | None:
        """Another clip: any of those as long, or any at all; seeded."""
        for clips in (self._as_long.get(len(clip.waveform), []), self._every):
            at = bisect_left(clips, clip.clip_id, key=_id)
            is_there = at < len(clips) and clips[at][0] == clip.clip_id
            n_others = len(clips) - is_there
            if n_others:
                i = seed_of("rest", clip.clip_id, str(seed)) % n_others
                return self._clips[clips[i + (is_there and i >= at)][1]]
        return None

    def stand_ins(self, clip: Clip, seed: int) -> StandIns:
        """What stands in for the rest of a clip whose extraction has a seed."""
        draws = (seed_of("survival", str(draw)) for draw in range(N_COMPLETIONS))
        return StandIns(self.choose(clip, seed), tuple(self.choose(clip, draw) for draw in draws))


def _id(clip: tuple[str, int]) -> str:
    return clip[0]


def rest(completion: Completion, clip: Clip, other: Clip | None, seed: int, draw: int = 0) -> Waveform | None:
    """What stands in for the rest of a clip, drawn by the seed of a search."""
    if completion.kind == "zero":
        return None
    rng = generator("rest", clip.clip_id, str(completion), str(seed), str(draw))
    spectrum = spectrum_of(clip) if completion.kind == "noise" else None
    return completion.rest(clip.waveform, None if other is None else other.waveform, rng, spectrum)


def rest_of(signal: SufficientSignal, clip: Clip, clip_of: Callable[[str], Clip]) -> Waveform | None:
    """What stands in for the rest of a signal.

    Args:
        signal: the signal.
        clip: its clip.
        clip_of: gives a clip by its id.
    """
    completion = parse_family(signal.family).completion
    other = None if signal.rest_clip is None else clip_of(signal.rest_clip)
    return rest(completion, clip, other, signal.seed)


def sound_of(signal: SufficientSignal, clip: Clip, clip_of: Callable[[str], Clip]) -> Waveform:
    """A signal as it was certified, (n_samples,), made from its clip; for the arguments see `rest_of`."""
    domain = parse_family(signal.family).resolution.domain
    (part,) = parts_of(clip, domain, signal.mask[np.newaxis])
    rest_ = rest_of(signal, clip, clip_of)
    if rest_ is not None:
        part = completed(part, rest_, domain_of(clip, domain), signal.mask)
    # Adding zero makes -0.0 into 0.0, as encoding and decoding does.
    return np.asarray(part + np.float32(0))


def completed(part: Waveform, rest: Waveform, domain: Domain, mask: Mask) -> Waveform:
    """A part of a clip, (n_samples,), with what stands in for all that its mask, (N,), leaves out."""
    return np.asarray(part + domain.keep(domain.forward(rest), ~mask[np.newaxis])[0])
