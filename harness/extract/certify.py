"""Certifies a signal: it is checked once more, on the audio exactly as it will be decoded.

A signal that the reference does not accept there, with the margin and the confidence that its search was
held to, is not published: the clip is skipped with the reason. Here the searches of a clip meet: the ranking
of one gives the minimal signal of the other its levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness import audio
from harness.extract.levels import nested_levels
from harness.extract.objectives import Logits, margin, probability
from harness.extract.oracle import Listener
from harness.extract.search_task import SIGNAL, SearchTask, search_name
from harness.types import (
    CausalSet,
    Clip,
    FloatArray,
    Levels,
    Mask,
    Skipped,
    SufficientSignal,
    Waveform,
    signal_id,
)

_EXTRA_QUERIES = 2
"""Queries besides those of search and certificate: the whole clip, and all of its bins kept."""


@dataclass(frozen=True, eq=False)
class Extracted:
    """The result of one clip: a signal per family and further sets, or the reason why there is none."""

    signals: tuple[SufficientSignal, ...]
    skipped: tuple[Skipped, ...] = ()
    sets: tuple[CausalSet, ...] = ()


def certify(
    listener: Listener, clip_tasks: Sequence[tuple[Clip, Sequence[SearchTask]]]
) -> Iterator[tuple[Clip, Extracted]]:
    """Judge all results of the searches in some clips, whose runs are all done, in one batch."""
    groups = [_waveforms(run) for _, runs in clip_tasks for run in runs if run.result]
    waveforms = [waveform for group in groups for waveform in group]
    if waveforms:
        logits = listener.logits(waveforms, clip_tasks[0][0].sample_rate_hz)
    at = 0
    for clip, runs in clip_tasks:
        signals: list[SufficientSignal] = []
        sets: list[CausalSet] = []
        skipped: list[Skipped] = []
        for run in runs:
            if run.result is None:
                continue
            group = groups.pop(0)
            group_logits = logits[at : at + len(group)]
            at += len(group)
            if not (run.whole_clip.degenerate or _is_certified(run, group_logits)):
                skipped.append(Skipped(clip.clip_id, _failure(run, group_logits)))
            elif run.kind == SIGNAL:
                ranking = _ranking(runs, run.draws[1])
                signals.append(_signal(run, audio.sha256(group[0]), group_logits[0], ranking))
            else:
                sets.append(_set(run, group_logits))
        signals.sort(key=lambda s: (s.family, s.draw))
        sets.sort(key=lambda s: (s.family, s.kind, s.ordinal))
        yield clip, Extracted(tuple(signals), tuple(skipped), tuple(sets))


def _waveforms(run: SearchTask) -> list[Waveform]:
    """The signal of a family as published; of a further set also the rest of the clip."""
    state = run.state
    masks = run.mask[None] if run.kind == SIGNAL else np.stack([run.mask, ~run.mask])
    signals = state.domain.keep(state.coefficients, masks)
    return [audio.read(audio.encode(x, state.clip.sample_rate_hz))[0] for x in signals]


def _is_certified(run: SearchTask, logits: Logits) -> bool:
    objective = run.state.objective
    parts = np.array([objective.alone, objective.without])[: len(logits)]
    return objective.is_met(logits[parts], run.whole_clip.is_expected)


def _failure(run: SearchTask, logits: Logits) -> str:
    """Why there is no certificate."""
    is_expected, objective = run.whole_clip.is_expected, run.state.objective
    measures = f"alone a margin of {margin(logits[0], is_expected):.2g}"
    measures += f" and a probability of {probability(logits[0], is_expected):.3g}"
    measures_without = (
        f", without it a margin of {margin(logits[1], is_expected):.2g}" if objective.without else ""
    )
    return (
        f"{search_name(run.search, run.limits)}: not {objective.name} as decoded:"
        f" {measures}{measures_without}"
    )


def _ranking(runs: Sequence[SearchTask], draw: int) -> FloatArray | None:
    """(N,) responsibility of the band of each coefficient, if a search of that draw ranked its bands."""
    for run in runs:
        is_signal = run.kind == SIGNAL and run.draws[1] == draw
        if is_signal and run.result is not None and run.result.ranking is not None:
            return run.state.atoms.spread(run.result.ranking)
    return None


def _levels(run: SearchTask, mask: Mask, ranking: FloatArray | None) -> Levels | None:
    if ranking is None or run.search.family != "minimal" or run.whole_clip.degenerate:
        return None
    domain, coefficients = run.state.domain, run.state.coefficients
    return nested_levels(mask, ranking, domain.products(coefficients, coefficients))


def _signal(run: SearchTask, sha256: str, logits: Logits, ranking: FloatArray | None) -> SufficientSignal:
    assert run.result is not None  # noqa: S101 - certified only when found
    clip, mask, is_expected = run.state.clip, run.mask, run.whole_clip.is_expected
    return SufficientSignal(
        signal_id=signal_id(clip.clip_id, _slug(run), run.search.family, *run.draws),
        clip_id=clip.clip_id,
        family=run.search.family,
        draw=run.draws[1],
        reference=run.reference,
        truth=clip.label,
        expected=run.whole_clip.expected,
        p_clip=run.whole_clip.p_clip,
        n_samples=len(clip.waveform),
        sample_rate_hz=clip.sample_rate_hz,
        mask=mask,
        guarantee=run.result.guarantee,
        resolution=len(run.state.atoms),
        p_whole=run.whole_clip.p_whole,
        p_signal=probability(logits, is_expected),
        margin=margin(logits, is_expected),
        degenerate=run.whole_clip.degenerate,
        search=search_name(run.search, run.limits),
        n_queries=run.state.n_queries + _EXTRA_QUERIES + 1,
        seed=run.seed,
        sha256=sha256,
        levels=_levels(run, mask, ranking),
    )


def _set(run: SearchTask, logits: Logits) -> CausalSet:
    assert run.result is not None  # noqa: S101 - certified only when found
    clip, is_expected = run.state.clip, run.whole_clip.is_expected
    return CausalSet(
        set_id=f"{clip.clip_id}:{_slug(run)}:{run.search.family}:{run.kind}:{run.ordinal}",
        clip_id=clip.clip_id,
        family=run.search.family,
        kind=run.kind,
        ordinal=run.ordinal,
        reference=run.reference,
        truth=clip.label,
        expected=run.whole_clip.expected,
        n_samples=len(clip.waveform),
        sample_rate_hz=clip.sample_rate_hz,
        mask=run.mask,
        guarantee=run.result.guarantee,
        resolution=len(run.state.atoms),
        p_whole=run.whole_clip.p_whole,
        p_alone=probability(logits[0], is_expected),
        p_without=probability(logits[1], is_expected),
        margin_alone=margin(logits[0], is_expected),
        margin_without=margin(logits[1], is_expected),
        search=search_name(run.search, run.limits),
        n_queries=run.state.n_queries + _EXTRA_QUERIES + 2,
        seed=run.seed,
    )


def _slug(run: SearchTask) -> str:
    return run.reference.replace("/", "__")
