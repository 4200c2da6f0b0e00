"""Units of work of an evaluation and their order, determined without reading any audio.

A unit is a whole clip, a silence of one length, or a signal with its controls and levels; it is judged and
kept whole. Which clips stand in for its own in its `swap` controls is settled here. Its content is a hash
of everything that its answers depend on but the model: equal content, equal answers, in whatever suite.

The order is drawn once, by the clips and the task: clip after clip, each class of truth spread evenly, so
that whatever has been judged is a fair sample of the rest. All units of a clip stand together, those of
the headline family first.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from harness.dataset.parquet_schema import ClipLine
from harness.dataset.suites import Suite
from harness.evaluation.stimuli import swap_clips
from harness.manifest import ReferenceRecord
from harness.seeds import generator
from harness.tasks import Task
from harness.types import N_LEVELS, N_MATCHED


@dataclass(frozen=True, slots=True)
class Unit:
    """What is judged together and kept together."""

    content: str
    """Hash of what is asked, 32 hex digits."""
    n_samples: int
    """Length of its clip or silence."""
    clip_id: str | None = None
    """The clip; None for a silence."""
    truth: str | None = None
    """Canonical label of the clip, if known."""
    reference: str | None = None
    """repo_id of the signal's reference."""
    slug: str | None = None
    """Its form in file names."""
    family: str | None = None
    """Family of the signal; this and what follows is None where there is no signal."""
    is_headline: bool = False
    """Whether it is the family that ranks."""
    draw: int | None = None
    """Which extraction of its clip the signal is."""
    signal_id: str | None = None
    expected: str | None = None
    """Its class c."""
    others: tuple[str, ...] = ()
    """clip_ids of its `swap` controls, in order; empty where the reference gives all clips one class."""
    other_n_samples: tuple[int, ...] = ()
    robust: bool | None = None
    """Whether the signal keeps its class with noise in place of the rest."""
    rest_clip: str | None = None
    """clip_id of what stands in for the rest of the signal, where another clip does."""
    n_stimuli: int = 1
    """What it asks, at most: of a signal that cannot be matched less."""

    @property
    def key(self) -> str:
        """`whole:<clip_id>`, `silence:<n_samples>` or `signal:<signal_id>`."""
        if self.clip_id is None:
            return f"silence:{self.n_samples}"
        return f"whole:{self.clip_id}" if self.signal_id is None else f"signal:{self.signal_id}"


def units_of(suite: Suite, task: Task) -> list[Unit]:
    """All units of a task, in the order in which their verdicts are stored."""
    clips = {clip.clip_id: clip for clip in suite.clip_lines(task.name)}
    whole_clips = [
        Unit(_content("whole", c.sha256), c.n_samples, clip_id=c.clip_id, truth=c.label)
        for c in clips.values()
    ]
    lengths = sorted({clip.n_samples for clip in clips.values()})
    silences = [Unit(_content("silence", str(n)), n) for n in lengths]
    units = [*whole_clips, *silences]
    for reference in suite.references(task.name):
        units += _signals(suite, task, reference, clips)
    return units


def _signals(
    suite: Suite, task: Task, reference: ReferenceRecord, clips: Mapping[str, ClipLine]
) -> Iterator[Unit]:
    headline = suite.headline(task.name)
    lines = list(suite.signal_lines(task.name, reference.model.slug))
    class_of = {line.clip_id: line.expected for line in lines if line.clip_id in clips}

    @cache
    def eligible(expected: str, n_samples: int) -> list[str]:
        """Clips that the reference gives another class, sorted; those of a length, where there are any."""
        others = sorted(clip_id for clip_id, other in class_of.items() if other != expected)
        return [clip_id for clip_id in others if clips[clip_id].n_samples == n_samples] or others

    slug = reference.model.slug
    lengths: dict[tuple[int, ...], tuple[int, ...]] = {}
    for line in lines:
        if line.degenerate:
            continue
        others = swap_clips(line.signal_id, eligible(line.expected, line.n_samples))
        rest_clips = () if line.rest_clip is None else (line.rest_clip,)
        sources = [clips[name].sha256 for name in (line.clip_id, *others, *rest_clips) if name in clips]
        other_n_samples = tuple(clips[other].n_samples for other in others)
        yield Unit(
            # The id is part of it: it seeds the controls.
            _content("signal", line.signal_id, line.content_sha256, *sources),
            line.n_samples,
            clip_id=line.clip_id,
            truth=line.truth,
            reference=reference.model.repo_id,
            slug=slug,
            family=line.family,
            is_headline=line.family == headline,
            draw=line.draw,
            signal_id=line.signal_id,
            expected=line.expected,
            others=others,
            other_n_samples=lengths.setdefault(other_n_samples, other_n_samples),
            robust=line.robust,
            rest_clip=line.rest_clip,
            n_stimuli=3 + len(others) + N_MATCHED + (N_LEVELS - 1 if line.has_levels else 0),
        )


def evaluation_order(units: Sequence[Unit], task: Task) -> Iterator[list[Unit]]:
    """Units in the order in which they are judged: first the silences, then clip after clip.

    Each class of truth is shuffled by itself and spread evenly over the whole.
    """
    of_clip: dict[str, list[Unit]] = defaultdict(list)
    silences: list[Unit] = []
    for unit in units:
        (silences if unit.clip_id is None else of_clip[unit.clip_id]).append(unit)
    if silences:
        yield silences
    by_truth: dict[str, list[str]] = defaultdict(list)
    for clip_id, units_of_clip in of_clip.items():
        by_truth[units_of_clip[0].truth or ""].append(clip_id)
    position: dict[str, float] = {}
    for truth, ids in by_truth.items():
        clip_ids = sorted(ids)
        rng = generator("visits", task.name, truth)
        offset = rng.random()
        for rank, i in enumerate(rng.permutation(len(clip_ids))):
            position[clip_ids[i]] = (rank + offset) / len(clip_ids)
    for clip_id in sorted(position, key=lambda c: (position[c], c)):
        yield sorted(of_clip[clip_id], key=_headline_first)


def shard_of(units: Sequence[Unit], n: int) -> int:
    """Which of n shards the units of a clip belong to, 1 to n; all silences to the first."""
    if units[0].clip_id is None:
        return 1
    return int(_content("shard", units[0].clip_id)[:8], 16) % n + 1


def _headline_first(unit: Unit) -> tuple[bool, bool, str, str]:
    return unit.family is not None, not unit.is_headline, unit.family or "", unit.key


def _content(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
