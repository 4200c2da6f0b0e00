"""Certifies a signal: it is checked once more, on the audio exactly as it will be decoded.

A signal that the reference does not accept there, with the margin and the confidence that its search was
held to, is not published: the clip is skipped with the reason. One that is published is heard once more with
what else could stand in for its rest, and carries how often it keeps its class. Here the searches of a clip
meet: the ranking of one gives the minimal signal of the other its levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness import audio
from harness.completions import CHECKED, ZERO
from harness.dataset import completed
from harness.dataset.clip_cache import parts_of
from harness.dataset.completed import StandIns
from harness.extract.levels import nested_levels
from harness.extract.objectives import Logits, margin, probability
from harness.extract.oracle import Listener
from harness.extract.search_task import SIGNAL, SearchTask, search_name
from harness.families import MINIMAL
from harness.types import (
    N_COMPLETIONS,
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
    listener: Listener,
    clip_tasks: Sequence[tuple[Clip, Sequence[SearchTask]]],
    stand_ins: Callable[[Clip], StandIns],
) -> Iterator[tuple[Clip, Extracted]]:
    """Judge all results of the searches in some clips, whose runs are all done, in one batch.

    `stand_ins` gives the clips that stand in for the rest of a clip.
    """
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
            if not (run.degenerate or _is_certified(run, group_logits)):
                skipped.append(Skipped(clip.clip_id, _failure(run, group_logits)))
            elif run.kind == SIGNAL:
                survival = None if run.degenerate else _survival(listener, run, stand_ins(clip))
                sha256, ranking = audio.sha256(group[0]), _ranking(runs, run)
                signals.append(_signal(run, sha256, group_logits[0], ranking, survival))
            else:
                sets.append(_set(run, group_logits))
        signals.sort(key=lambda s: (s.family, s.draw))
        sets.sort(key=lambda s: (s.family, s.kind, s.ordinal))
        yield clip, Extracted(tuple(signals), tuple(skipped), tuple(sets))


def _waveforms(run: SearchTask) -> list[Waveform]:
    """The signal of a family as published; of a further set also the rest of the clip."""
    clip, domain = run.state.clip, run.state.domain
    masks = run.mask[None] if run.kind == SIGNAL else np.stack([run.mask, ~run.mask])
    signals = parts_of(clip, domain.name, masks)
    rest = completed.rest(run.limits.completion, clip, run.other, run.seed)
    if rest is not None:
        signals = np.stack(
            [completed.completed(x, rest, domain, m) for x, m in zip(signals, masks, strict=True)]
        )
    return [audio.read(audio.encode(x, clip.sample_rate_hz))[0] for x in signals]


def _survival(listener: Listener, run: SearchTask, stand_ins: StandIns) -> tuple[float, ...]:
    """As in `types.SufficientSignal`."""
    clip, domain = run.state.clip, run.state.domain
    (part,) = parts_of(clip, domain.name, run.mask[None])
    waveforms: list[Waveform] = []
    n_draws: list[int] = []
    for completion in CHECKED:
        n_draws.append(1 if completion == ZERO else N_COMPLETIONS)
        for draw in range(n_draws[-1]):
            rest = completed.rest(completion, clip, stand_ins.checked[draw], run.seed, draw)
            waveforms.append(part if rest is None else completed.completed(part, rest, domain, run.mask))
    is_expected = run.whole_clip.is_expected
    keeps = [margin(row, is_expected) > 0 for row in listener.logits(waveforms, clip.sample_rate_hz)]
    ends = np.cumsum(n_draws)
    return tuple(float(np.mean(keeps[end - n : end])) for end, n in zip(ends, n_draws, strict=True))


def _is_certified(run: SearchTask, logits: Logits) -> bool:
    objective = replace(run.state.objective, n_draws=1)  # what is published has one rest
    parts = np.array([objective.alone, objective.without])[: len(logits)]
    return bool(objective.are_met(logits[parts], run.whole_clip.is_expected)[0])


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


def _ranking(runs: Sequence[SearchTask], of: SearchTask) -> FloatArray | None:
    """(N,) responsibility of each coefficient, if a search of the same draw and domain ranked its atoms."""
    for run in runs:
        is_alike = run.draws == of.draws and run.state.domain == of.state.domain
        if run.kind == SIGNAL and is_alike and run.result is not None and run.result.ranking is not None:
            return run.state.atoms.spread(run.result.ranking)
    return None


def _levels(run: SearchTask, mask: Mask, ranking: FloatArray | None) -> Levels | None:
    if ranking is None or run.search.kind != MINIMAL or run.degenerate:
        return None
    domain, coefficients = run.state.domain, run.state.coefficients
    return nested_levels(mask, ranking, domain.products(coefficients, coefficients))


def _signal(
    run: SearchTask,
    sha256: str,
    logits: Logits,
    ranking: FloatArray | None,
    survival: tuple[float, ...] | None,
) -> SufficientSignal:
    assert run.result is not None  # noqa: S101 - certified only when found
    clip, mask, is_expected = run.state.clip, run.mask, run.whole_clip.is_expected
    return SufficientSignal(
        signal_id=signal_id(clip.clip_id, _slug(run), run.family, *run.draws),
        clip_id=clip.clip_id,
        family=run.family,
        draw=run.draws[1],
        reference=run.reference,
        truth=clip.label,
        expected=run.whole_clip.expected,
        p_clip=run.whole_clip.p_clip,
        n_samples=len(clip.waveform),
        sample_rate_hz=clip.sample_rate_hz,
        mask=mask,
        guarantee=run.result.guarantee,
        n_atoms=len(run.state.atoms),
        p_whole=run.whole_clip.p_whole,
        p_signal=probability(logits, is_expected),
        margin=margin(logits, is_expected),
        degenerate=run.degenerate,
        search=search_name(run.search, run.limits),
        n_queries=run.state.n_queries + _EXTRA_QUERIES + 1,
        seed=run.seed,
        sha256=sha256,
        survival=survival,
        rest_clip=None if run.other is None else run.other.clip_id,
        levels=_levels(run, mask, ranking),
    )


def _set(run: SearchTask, logits: Logits) -> CausalSet:
    assert run.result is not None  # noqa: S101 - certified only when found
    clip, is_expected = run.state.clip, run.whole_clip.is_expected
    return CausalSet(
        set_id=f"{clip.clip_id}:{_slug(run)}:{run.family}:{run.kind}:{run.ordinal}",
        clip_id=clip.clip_id,
        family=run.family,
        kind=run.kind,
        ordinal=run.ordinal,
        reference=run.reference,
        truth=clip.label,
        expected=run.whole_clip.expected,
        n_samples=len(clip.waveform),
        sample_rate_hz=clip.sample_rate_hz,
        mask=run.mask,
        guarantee=run.result.guarantee,
        n_atoms=len(run.state.atoms),
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
