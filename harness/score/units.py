"""What a candidate is asked about a task, known without touching any sound: units of work and their order.

A unit is a whole clip, a silence of one length, or a signal with its controls and levels; it is judged and
kept whole. Its content is a hash of everything that its answers depend on but the model: equal content,
equal answers, in whatever suite it stands.

The order is drawn once, by the clips and the task: clip after clip, each class of truth spread evenly, so
that whatever has been judged is a fair sample of the rest. All units of a clip stand together, those of
the headline family first.

Public: Unit, units_of, visits, shard_of.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.dataset.signals import Suite
from harness.records import FAMILIES
from harness.score.stimuli import names_of
from harness.seeds import generator
from harness.tasks import Task


@dataclass(frozen=True, slots=True)
class Unit:
    """What is judged together and kept together."""

    content: str
    """Hash of what is asked, 32 hex digits."""
    stimuli: tuple[tuple[str, int | None], ...]
    """Name and level of each stimulus."""
    n_samples: int
    """Length of each."""
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
    signal_id: str | None = None
    """The signal."""
    expected: str | None = None
    """Its class c."""

    @property
    def key(self) -> str:
        """`whole:<clip_id>`, `silence:<n_samples>` or `signal:<signal_id>`."""
        if self.clip_id is None:
            return f"silence:{self.n_samples}"
        return f"whole:{self.clip_id}" if self.signal_id is None else f"signal:{self.signal_id}"


def units_of(suite: Suite, task: Task) -> list[Unit]:
    """All units of a task, in the order in which their verdicts are stored."""
    clips, silences = [], set()
    sha256 = {}
    for clip in suite.clip_lines(task.name):
        sha256[clip.clip_id] = clip.sha256
        silences.add(clip.n_samples)
        content = _content("whole", clip.sha256)
        clips.append(
            Unit(
                content,
                (("whole", None),),
                clip.n_samples,
                clip_id=clip.clip_id,
                truth=clip.label,
            )
        )
    silent = [Unit(_content("silence", str(n)), (("silence", None),), n) for n in sorted(silences)]
    signals = [
        Unit(
            # The id is part of it: it seeds the controls.
            _content("signal", line.signal_id, line.made_of, sha256.get(line.clip_id, "")),
            names_of(line.family, has_levels=line.has_levels),
            line.n_samples,
            clip_id=line.clip_id,
            truth=line.truth,
            reference=reference.model.repo_id,
            slug=reference.model.slug,
            family=line.family,
            signal_id=line.signal_id,
            expected=line.expected,
        )
        for reference in suite.references(task.name)
        for line in suite.signal_lines(task.name, reference.model.slug)
        if not line.degenerate
    ]
    return [*clips, *silent, *signals]


def visits(units: Sequence[Unit], task: Task) -> Iterator[list[Unit]]:
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
    for clip_id, some in of_clip.items():
        by_truth[some[0].truth or ""].append(clip_id)
    place: dict[str, float] = {}
    for truth, unsorted in by_truth.items():
        clip_ids = sorted(unsorted)
        rng = generator("visits", task.name, truth)
        offset = rng.random()
        for rank, i in enumerate(rng.permutation(len(clip_ids))):
            place[clip_ids[i]] = (rank + offset) / len(clip_ids)
    for clip_id in sorted(place, key=lambda c: (place[c], c)):
        yield sorted(of_clip[clip_id], key=_headline_first)


def shard_of(some: Sequence[Unit], n: int) -> int:
    """Which of n shards the units of a clip belong to, 1 to n; all silences to the first."""
    if some[0].clip_id is None:
        return 1
    return int(_content("shard", some[0].clip_id)[:8], 16) % n + 1


def _headline_first(unit: Unit) -> tuple[int, str]:
    return (0 if unit.family is None else 1 + FAMILIES.index(unit.family)), unit.key


def _content(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
