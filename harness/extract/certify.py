"""The certificate: what was found is judged once more, on the audio exactly as it will be decoded.

A signal that the reference does not accept there, with the margin and the confidence that its search was
held to, is not published: the clip is skipped with the reason. Here the searches of a clip meet: the ranking
of one gives the minimal signal of the other its levels.

Public: certified, Extracted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness import audio, spectra
from harness.extract.levels import nested
from harness.extract.objectives import Logits, margin, probability
from harness.extract.oracle import Listener
from harness.extract.search_task import SIGNAL, SearchTask, named
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

_QUERIES_BESIDE = 2
"""Beside those of the search and of the certificate: the whole clip, all bins kept."""


@dataclass(frozen=True, eq=False)
class Extracted:
    """What came of one clip: a signal per family and further sets, or the reason why there is none."""

    signals: tuple[SufficientSignal, ...]
    skipped: tuple[Skipped, ...] = ()
    sets: tuple[CausalSet, ...] = ()


def certified(
    listener: Listener, finished: Sequence[tuple[Clip, Sequence[SearchTask]]]
) -> Iterator[tuple[Clip, Extracted]]:
    """Judge all that was found in some clips, in one batch.

    Args:
        listener: the reference model.
        finished: clips with their runs, all done.
    """
    heard = [_decoded(run) for _, runs in finished for run in runs if run.found]
    waveforms = [waveform for decoded in heard for waveform in decoded]
    if waveforms:
        logits = listener.logits(waveforms, finished[0][0].sample_rate_hz)
    at = 0
    for clip, runs in finished:
        signals: list[SufficientSignal] = []
        sets: list[CausalSet] = []
        skipped: list[Skipped] = []
        for run in runs:
            if run.found is None:
                continue
            decoded = heard.pop(0)
            said = logits[at : at + len(decoded)]
            at += len(decoded)
            if not (run.heard.degenerate or _holds(run, said)):
                skipped.append(Skipped(clip.clip_id, _failed(run, said)))
            elif run.kind == SIGNAL:
                ranking = _ranking(runs, run.draws[1])
                signals.append(_signal(run, audio.sha256(decoded[0]), said[0], ranking))
            else:
                sets.append(_set(run, said))
        signals.sort(key=lambda s: (s.family, s.draw))
        sets.sort(key=lambda s: (s.family, s.kind, s.ordinal))
        yield clip, Extracted(tuple(signals), tuple(skipped), tuple(sets))


def _decoded(run: SearchTask) -> list[Waveform]:
    """The signal of a family as published; of a further set also the rest of the clip."""
    case = run.case
    masks = run.mask[None] if run.kind == SIGNAL else np.stack([run.mask, ~run.mask])
    kept = spectra.keep(case.spectrum, masks, len(case.clip.waveform))
    return [audio.read(audio.encode(x, case.clip.sample_rate_hz))[0] for x in kept]


def _holds(run: SearchTask, said: Logits) -> bool:
    aim = run.case.aim
    asked = np.array([aim.alone, aim.without])[: len(said)]
    return aim.reached(said[asked], run.heard.is_expected)


def _failed(run: SearchTask, said: Logits) -> str:
    """Why there is no certificate."""
    is_expected, aim = run.heard.is_expected, run.case.aim
    alone = f"alone a margin of {margin(said[0], is_expected):.2g}"
    alone += f" and a probability of {probability(said[0], is_expected):.3g}"
    rest = f", without it a margin of {margin(said[1], is_expected):.2g}" if aim.without else ""
    return f"{named(run.search, run.limits)}: not {aim.name} as decoded: {alone}{rest}"


def _ranking(runs: Sequence[SearchTask], draw: int) -> FloatArray | None:
    """(n_bins,) responsibility of the band of each bin, if a search of that draw came to rank its bands."""
    for run in runs:
        ranked = run.kind == SIGNAL and run.draws[1] == draw
        if ranked and run.found is not None and run.found.ranking is not None:
            return np.repeat(run.found.ranking, np.diff(run.case.bands.edges))
    return None


def _levels(run: SearchTask, mask: Mask, ranking: FloatArray | None) -> Levels | None:
    if ranking is None or run.search.family != "minimal" or run.heard.degenerate:
        return None
    return nested(mask, ranking, spectra.bin_energy(run.case.spectrum, len(run.case.clip.waveform)))


def _signal(run: SearchTask, sha256: str, said: Logits, ranking: FloatArray | None) -> SufficientSignal:
    assert run.found is not None  # noqa: S101 - certified only when found
    clip, mask, is_expected = run.case.clip, run.mask, run.heard.is_expected
    return SufficientSignal(
        signal_id=signal_id(clip.clip_id, _slug(run), run.search.family, *run.draws),
        clip_id=clip.clip_id,
        family=run.search.family,
        draw=run.draws[1],
        reference=run.reference,
        truth=clip.label,
        expected=run.heard.expected,
        p_clip=run.heard.p_clip,
        n_samples=len(clip.waveform),
        sample_rate_hz=clip.sample_rate_hz,
        mask=mask,
        guarantee=run.found.guarantee,
        resolution=len(run.case.bands),
        p_whole=run.heard.p_whole,
        p_signal=probability(said, is_expected),
        margin=margin(said, is_expected),
        degenerate=run.heard.degenerate,
        search=named(run.search, run.limits),
        n_queries=run.case.n_queries + _QUERIES_BESIDE + 1,
        seed=run.seed,
        sha256=sha256,
        levels=_levels(run, mask, ranking),
    )


def _set(run: SearchTask, said: Logits) -> CausalSet:
    assert run.found is not None  # noqa: S101 - certified only when found
    clip, is_expected = run.case.clip, run.heard.is_expected
    return CausalSet(
        set_id=f"{clip.clip_id}:{_slug(run)}:{run.search.family}:{run.kind}:{run.ordinal}",
        clip_id=clip.clip_id,
        family=run.search.family,
        kind=run.kind,
        ordinal=run.ordinal,
        reference=run.reference,
        truth=clip.label,
        expected=run.heard.expected,
        n_samples=len(clip.waveform),
        sample_rate_hz=clip.sample_rate_hz,
        mask=run.mask,
        guarantee=run.found.guarantee,
        resolution=len(run.case.bands),
        p_whole=run.heard.p_whole,
        p_alone=probability(said[0], is_expected),
        p_without=probability(said[1], is_expected),
        margin_alone=margin(said[0], is_expected),
        margin_without=margin(said[1], is_expected),
        search=named(run.search, run.limits),
        n_queries=run.case.n_queries + _QUERIES_BESIDE + 2,
        seed=run.seed,
    )


def _slug(run: SearchTask) -> str:
    return run.reference.replace("/", "__")
