"""Many clips together: searches advance side by side, their questions form one stream of batches.

A clip goes through: whole clip -> class and margin; silence -> degenerate or not; one search per family, and
those for further sets; certificate. What is finished goes to a journal at once, so that the same command
continues after a kill. Every search is seeded by its clip: neither the order of the clips nor the size of a
batch nor a restart changes what is found, unless a lead is within rounding of MIN_MARGIN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate

import numpy as np

from harness.dataset.clip_sequence import ids_and_lengths, without
from harness.dataset.completed import OtherClips, StandIns
from harness.domains import fft
from harness.extract.certify import Extracted, certify
from harness.extract.journal_lines import Results, item
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
    start_tasks,
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
    stand_ins: Callable[[Clip], StandIns] | None = None,
    progress: Progress = lambda clips, queries: None,
) -> Sequence[Extracted]:
    """Extract the signals of one reference from all clips, in the order of the clips.

    Args:
        listener: the reference model.
        reference: its repo_id.
        label_map: how its classes are read.
        clips: unique by clip_id, all at the task's rate.
        searches: one per family.
        journal: where finished clips are kept; those it holds already are not done again.
        limits: what every search is held to.
        sets: what every search looks for in addition to its signal.
        draws: independent extractions of each clip, and their seed.
        stand_ins: the clips that stand in for the rest of a clip; without it, others of these clips.
        progress: told of clips and queries as they go.
    """
    results = Results([clip_id for clip_id, _ in ids_and_lengths(clips)], journal.folder)
    for line in journal.items:
        results.add(line)
    progress(len(results.finished), 0)
    pending = without(clips, results.finished)
    if stand_ins is None:
        stand_ins = partial(OtherClips(clips).stand_ins, seed=draws.seed)

    def start(clip: Clip, whole_clip: WholeClipResult) -> list[SearchTask]:
        other = stand_ins(clip).rest if limits.completion.kind == "swap" else None
        return [
            run
            for search in searches
            for run in start_tasks(search, whole_clip, clip, reference, limits, sets, draws, other)
        ]

    for clip, result in _stream(listener, label_map, pending, stand_ins, start, sets, progress):
        journal.append(line := item(clip, result))
        results.add(line)
        progress(1, 0)
    return results


def _stream(
    listener: Listener,
    label_map: LabelMap,
    pending_clips: Sequence[Clip],
    stand_ins: Callable[[Clip], StandIns],
    start: Callable[[Clip, WholeClipResult], list[SearchTask]],
    sets: Sets,
    progress: Progress,
) -> Iterator[tuple[Clip, Extracted]]:
    """Pending clips as they finish. New ones join when half of the pool has left."""
    n_begun, longest = 0, max((n for _, n in ids_and_lengths(pending_clips)), default=1)
    most = max(2, min(_POOL, _POOL_SAMPLES // longest))
    pool: list[tuple[Clip, list[SearchTask]]] = []
    silence: dict[int, str] = {}
    while n_begun < len(pending_clips) or pool:
        if len(pool) <= most // 2 and n_begun < len(pending_clips):
            batch = list(pending_clips[n_begun : n_begun + most - len(pool)])
            n_begun += len(batch)
            for clip, result in zip(
                batch, _ask_whole_clips(listener, label_map, batch, silence), strict=True
            ):
                if isinstance(result, Skipped):
                    yield clip, Extracted((), (result,))
                else:
                    pool.append((clip, start(clip, result)))
        active = _next_round([run for _, runs in pool for run in runs if not run.is_done])
        n_before = sum(run.state.n_queries for run in active)
        ask(listener, [(run.state, run.question) for run in active])
        progress(0, sum(run.state.n_queries for run in active) - n_before)
        for run in active:
            run.advance()
        for _, runs in pool:
            runs += [
                next_task
                for run in runs
                if run in active and run.is_done
                if (next_task := run.next_disjoint(sets))
            ]
        complete = [(clip, runs) for clip, runs in pool if all(run.is_done for run in runs)]
        pool = [(clip, runs) for clip, runs in pool if not all(run.is_done for run in runs)]
        yield from certify(listener, complete, stand_ins)


def _next_round(tasks: Sequence[SearchTask]) -> list[SearchTask]:
    """The first searches that fill a round of questions: the clips that came first finish first."""
    n_questions = accumulate((run.n_signals for run in tasks), initial=0)
    return [run for run, n_before in zip(tasks, n_questions, strict=False) if n_before < _QUESTIONS_AT_ONCE]


def _ask_whole_clips(
    listener: Listener, label_map: LabelMap, clips: Sequence[Clip], silence: dict[int, str]
) -> list[WholeClipResult | Skipped]:
    """Class and margin of whole clips, whether silence gets it; `silence`, by length, gains what it lacks."""
    if not clips:
        return []
    rate = clips[0].sample_rate_hz
    copies = [
        fft.keep(fft.spectrum(c.waveform), np.ones(len(c.waveform) // 2 + 1, dtype=bool), len(c.waveform))
        for c in clips
    ]
    lengths = sorted({len(c.waveform) for c in clips} - set(silence))
    logits = listener.logits(
        [*(c.waveform for c in clips), *copies, *(np.zeros(n, dtype=np.float32) for n in lengths)], rate
    )
    clip_logits, copy_logits, silence_logits = np.split(logits, [len(clips), 2 * len(clips)])
    silence.update(zip(lengths, (_top(row, label_map) for row in silence_logits), strict=True))
    return [
        _whole_clip_result(clip, clip_logits[i], copy_logits[i], label_map, silence[len(clip.waveform)])
        for i, clip in enumerate(clips)
    ]


def _whole_clip_result(
    clip: Clip, logits: Logits, copy_logits: Logits, label_map: LabelMap, silence_class: str
) -> WholeClipResult | Skipped:
    expected = _top(logits, label_map)
    if expected == OTHER:
        class_name = label_map.names[int(np.argmax(logits))]
        return Skipped(clip.clip_id, f"the reference says {class_name!r}, which is no label of the task")
    is_expected = _classes(expected, label_map)
    if margin(copy_logits, is_expected) < MIN_MARGIN:
        return Skipped(clip.clip_id, f"the reference leads by less than {MIN_MARGIN} on the whole clip")
    p_clip = tuple(probability(logits, _classes(label, label_map)) for label in sorted(label_map.covered))
    return WholeClipResult(
        expected, is_expected, probability(logits, is_expected), p_clip, silence_class == expected
    )


def _classes(label: str, label_map: LabelMap) -> Mask:
    """(n_classes,) which of the model's classes mean a label."""
    return np.array([canonical == label for canonical in label_map.canonical])


def _top(logits: Logits, label_map: LabelMap) -> str:
    return label_map.canonical[int(np.argmax(logits))]
