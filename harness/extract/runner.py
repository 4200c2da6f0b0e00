"""Many clips together: searches advance side by side, their questions form one stream of batches.

A clip goes through: whole clip -> class and margin; silence -> degenerate or not; one search per family, and
those for further sets; certificate. What is finished goes to a journal at once, so that the same command
continues after a kill. Every search is seeded by its clip: neither the order of the clips nor the size of a
batch nor a restart changes what is found, unless a lead is within rounding of MIN_MARGIN.

Public: extract, Progress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import numpy as np

from harness import spectra
from harness.extract.certify import Extracted, certified
from harness.extract.journal_lines import from_item, item
from harness.extract.objectives import Logits, margin, probability
from harness.extract.oracle import Listener, ask
from harness.extract.search import Search
from harness.extract.search_task import (
    NO_LIMITS,
    ONE_DRAW,
    ONE_SIGNAL,
    Draws,
    Limits,
    SearchTask,
    Sets,
    WholeClipResult,
    begun,
)
from harness.journal import Journal
from harness.types import MIN_MARGIN, OTHER, Clip, LabelMap, Mask, Skipped

Progress = Callable[[int, int], None]
"""Told the clips done and the queries spent since it was last called."""

_POOL = 64
"""Most clips under examination at a time."""

_POOL_SAMPLES = 1 << 22
"""Most samples of clips under examination: eight of 30 s at 16 kHz, which take 1 GB with their masks."""

_QUESTIONS_AT_ONCE = 512
"""Signals put to the model before the searches are advanced, give or take one search's batch."""


def extract(
    listener: Listener,
    reference: str,
    label_map: LabelMap,
    clips: Sequence[Clip],
    searches: Sequence[Search],
    journal: Journal,
    *,
    limits: Limits = NO_LIMITS,
    sets: Sets = ONE_SIGNAL,
    draws: Draws = ONE_DRAW,
    progress: Progress = lambda clips, queries: None,
) -> list[Extracted]:
    """Extract the signals of one reference from all clips, in the order of the clips.

    Args:
        listener: the reference model.
        reference: its repo_id.
        label_map: how its classes are read.
        clips: unique by clip_id, all at the task's rate.
        searches: one per family.
        journal: where finished clips are kept; those it holds already are not done again.
        limits: what every search is held to.
        sets: what every search looks for beside its signal.
        draws: independent extractions of each clip, and their seed.
        progress: told of clips and queries as they go.
    """
    done = {line["clip_id"]: from_item(line) for line in journal.items}
    journal.items.clear()
    progress(len(done), 0)
    waiting = [clip for clip in clips if clip.clip_id not in done]

    def start(clip: Clip, heard: WholeClipResult) -> list[SearchTask]:
        return [run for s in searches for run in begun(s, heard, clip, reference, limits, sets, draws)]

    for clip, extracted in _stream(listener, label_map, waiting, start, sets, progress):
        journal.append(item(clip, extracted))
        done[clip.clip_id] = extracted
        progress(1, 0)
    return [done[clip.clip_id] for clip in clips]


def _stream(
    listener: Listener,
    label_map: LabelMap,
    clips: Sequence[Clip],
    start: Callable[[Clip, WholeClipResult], list[SearchTask]],
    sets: Sets,
    progress: Progress,
) -> Iterator[tuple[Clip, Extracted]]:
    """Clips as they finish. New ones join when half of the pool has left."""
    waiting = list(reversed(clips))
    pool: list[tuple[Clip, list[SearchTask]]] = []
    silence: dict[int, str] = {}
    while waiting or pool:
        most = max(2, min(_POOL, _POOL_SAMPLES // max(len(clip.waveform) for clip in clips)))
        if len(pool) <= most // 2 and waiting:
            joining = [waiting.pop() for _ in range(min(len(waiting), most - len(pool)))]
            for clip, heard in zip(joining, _hear(listener, label_map, joining, silence), strict=True):
                if isinstance(heard, Skipped):
                    yield clip, Extracted((), (heard,))
                else:
                    pool.append((clip, start(clip, heard)))
        going = _next_to_go([run for _, runs in pool for run in runs if not run.done])
        before = sum(run.case.n_queries for run in going)
        ask(listener, [(run.case, run.question) for run in going])
        progress(0, sum(run.case.n_queries for run in going) - before)
        for run in going:
            run.advance()
        for _, runs in pool:
            runs += [more for run in runs if run in going and run.done if (more := run.next_disjoint(sets))]
        finished = [(clip, runs) for clip, runs in pool if all(run.done for run in runs)]
        pool = [(clip, runs) for clip, runs in pool if not all(run.done for run in runs)]
        yield from certified(listener, finished)


def _next_to_go(running: Sequence[SearchTask]) -> list[SearchTask]:
    """The first searches that fill a round of questions: the clips that came first finish first."""
    n_questions = accumulate((run.n_asked for run in running), initial=0)
    return [run for run, n_before in zip(running, n_questions, strict=False) if n_before < _QUESTIONS_AT_ONCE]


def _hear(
    listener: Listener, label_map: LabelMap, clips: Sequence[Clip], silence: dict[int, str]
) -> list[WholeClipResult | Skipped]:
    """Class and margin of whole clips, and whether silence gets the same class.

    Args:
        listener: the reference model.
        label_map: how its classes are read.
        clips: the clips.
        silence: class of silence by length in samples; what is missing is asked and added.
    """
    if not clips:
        return []
    rate = clips[0].sample_rate_hz
    rebuilt = [
        spectra.keep(
            spectra.spectrum(c.waveform), np.ones(len(c.waveform) // 2 + 1, dtype=bool), len(c.waveform)
        )
        for c in clips
    ]
    lengths = sorted({len(c.waveform) for c in clips} - set(silence))
    logits = listener.logits(
        [*(c.waveform for c in clips), *rebuilt, *(np.zeros(n, dtype=np.float32) for n in lengths)], rate
    )
    whole, kept, silent = np.split(logits, [len(clips), 2 * len(clips)])
    silence.update(zip(lengths, (_top(row, label_map) for row in silent), strict=True))
    return [
        _heard(clip, whole[i], kept[i], label_map, silence[len(clip.waveform)])
        for i, clip in enumerate(clips)
    ]


def _heard(
    clip: Clip, whole: Logits, kept: Logits, label_map: LabelMap, silent: str
) -> WholeClipResult | Skipped:
    expected = _top(whole, label_map)
    if expected == OTHER:
        said = label_map.names[int(np.argmax(whole))]
        return Skipped(clip.clip_id, f"the reference says {said!r}, which is no label of the task")
    is_expected = _classes(expected, label_map)
    if margin(kept, is_expected) < MIN_MARGIN:
        return Skipped(clip.clip_id, f"the reference leads by less than {MIN_MARGIN} on the whole clip")
    p_clip = tuple(probability(whole, _classes(label, label_map)) for label in sorted(label_map.covered))
    return WholeClipResult(expected, is_expected, probability(whole, is_expected), p_clip, silent == expected)


def _classes(label: str, label_map: LabelMap) -> Mask:
    """(n_classes,) which of the model's classes mean a label."""
    return np.array([canonical == label for canonical in label_map.canonical])


def _top(logits: Logits, label_map: LabelMap) -> str:
    return label_map.canonical[int(np.argmax(logits))]
