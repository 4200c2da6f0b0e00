"""Clips as a sequence of which a bounded number is in memory: the others are read when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from typing import overload

import numpy as np

from harness import audio
from harness.dataset.parquet_schema import ClipLine
from harness.tasks import Task
from harness.types import Clip, Waveform

_MAX_SAMPLES = 1 << 24
"""Samples of clips that are kept, the last ones asked for: 64 MiB."""


class ClipSequence(Sequence[Clip]):
    """Clips that were read once, and are read again."""

    def __init__(self, clips: Iterable[tuple[Clip, str]], read: Callable[[ClipLine], Clip]) -> None:
        """Go through clips, each with the sha256 of its samples; `read` gives one of them again."""
        self.lines: list[ClipLine] = []
        """What is known of each without its sound."""
        self._read = read
        self._recent: OrderedDict[str, Clip] = OrderedDict()
        self._n_samples = 0
        for clip, sha256 in clips:
            self.lines.append(_line_of(clip, sha256))
            self._keep(clip)
        self._by_id = {line.clip_id: line for line in self.lines}

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...

    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self.by_id(line.clip_id) for line in self.lines[index]]
        return self.by_id(self.lines[index].clip_id)

    def by_id(self, clip_id: str) -> Clip:
        """A clip by its id; the last ones asked for are the same objects."""
        if clip_id not in self._recent:
            self._keep(self._read(self._by_id[clip_id]))
        self._recent.move_to_end(clip_id)
        return self._recent[clip_id]

    def _keep(self, clip: Clip) -> None:
        self._recent[clip.clip_id] = clip
        self._n_samples += len(clip.waveform)
        while self._n_samples > _MAX_SAMPLES and len(self._recent) > 1:
            self._n_samples -= len(self._recent.popitem(last=False)[1].waveform)


class _Some(Sequence[Clip]):
    """Some of a sequence of clips, by index."""

    def __init__(self, clips: Sequence[Clip], indices: Sequence[int]) -> None:
        self.clips, self.indices = clips, indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Clip: ...

    @overload
    def __getitem__(self, index: slice) -> list[Clip]: ...

    def __getitem__(self, index: int | slice) -> Clip | list[Clip]:
        if isinstance(index, slice):
            return [self.clips[i] for i in self.indices[index]]
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
    if isinstance(clips, _Some):
        lengths = ids_and_lengths(clips.clips)
        return [lengths[i] for i in clips.indices]
    return [(clip.clip_id, len(clip.waveform)) for clip in clips]


def without(clips: Sequence[Clip], clip_ids: Container[str]) -> Sequence[Clip]:
    """The clips but for those of some ids; none of a `ClipSequence` is read."""
    lengths = ids_and_lengths(clips)
    return _Some(clips, [i for i, (clip_id, _) in enumerate(lengths) if clip_id not in clip_ids])


def prepared(raw: Waveform, rate: int, task: Task) -> tuple[Waveform, bool]:
    """A recording, (n,) at some rate, at that of a task; and whether it was cut to a centred excerpt."""
    waveform = audio.resample(raw, rate, task.sample_rate_hz)
    longest = int(task.max_seconds * task.sample_rate_hz)
    start = max(0, (len(waveform) - longest) // 2)
    # Adding zero makes -0.0 into 0.0, which is what a 16-bit file would give back.
    return waveform[start : start + longest] + np.float32(0), longest < len(waveform)


def _line_of(clip: Clip, sha256: str) -> ClipLine:
    return ClipLine(clip.clip_id, clip.label, len(clip.waveform), sha256, clip.pair)
