"""Clips as a sequence of which a bounded number is in memory: the others are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from harness import audio
from harness.dataset.lazy_sequence import LazySequence
from harness.dataset.parquet_schema import ClipLine
from harness.dataset.recent_items import RecentItems
from harness.types import Clip

_MAX_SAMPLES = 1 << 24
"""Samples of clips that are kept, the last ones asked for: 64 MiB."""


class ClipSequence(LazySequence[Clip]):
    """Clips that were read once, and are read again."""

    def __init__(self, clips: Iterable[tuple[Clip, str]], read: Callable[[ClipLine], Clip]) -> None:
        """Go through clips, each with the sha256 of its samples; `read` gives one of them again."""
        self.lines: list[ClipLine] = []
        """What is known of each without its sound."""
        self._read = read
        self._recent = RecentItems[str, Clip](_MAX_SAMPLES, lambda clip: len(clip.waveform))
        for clip, sha256 in clips:
            self.lines.append(_line_of(clip, sha256))
            self._recent.add(clip.clip_id, clip)
        self._by_id = {line.clip_id: line for line in self.lines}

    def __len__(self) -> int:
        return len(self.lines)

    def _item(self, index: int) -> Clip:
        return self.by_id(self.lines[index].clip_id)

    def by_id(self, clip_id: str) -> Clip:
        """A clip by its id; the last ones asked for are the same objects."""
        return self._recent.get(clip_id, lambda: self._read(self._by_id[clip_id]))


class _Subset(LazySequence[Clip]):
    """Some of a sequence of clips, by index."""

    def __init__(self, clips: Sequence[Clip], indices: Sequence[int]) -> None:
        self.clips, self.indices = clips, indices

    def __len__(self) -> int:
        return len(self.indices)

    def _item(self, index: int) -> Clip:
        return self.clips[self.indices[index]]


def lines_of(clips: Sequence[Clip]) -> list[ClipLine]:
    """What is known of each of some clips without its sound; none of a `ClipSequence` is read."""
    if isinstance(clips, ClipSequence):
        return clips.lines
    return [_line_of(clip, audio.sha256(clip.waveform)) for clip in clips]


def ids_and_lengths(clips: Sequence[Clip]) -> list[tuple[str, int]]:
    """clip_id and number of samples of each clip; none of a `ClipSequence` is read."""
    if isinstance(clips, ClipSequence):
        return [(line.clip_id, line.n_samples) for line in clips.lines]
    if isinstance(clips, _Subset):
        lengths = ids_and_lengths(clips.clips)
        return [lengths[i] for i in clips.indices]
    return [(clip.clip_id, len(clip.waveform)) for clip in clips]


def without(clips: Sequence[Clip], clip_ids: Container[str]) -> Sequence[Clip]:
    """The clips but for those of some ids; none of a `ClipSequence` is read."""
    lengths = ids_and_lengths(clips)
    return _Subset(clips, [i for i, (clip_id, _) in enumerate(lengths) if clip_id not in clip_ids])


def _line_of(clip: Clip, sha256: str) -> ClipLine:
    return ClipLine(clip.clip_id, clip.label, len(clip.waveform), sha256, clip.pair)
