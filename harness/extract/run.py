"""Many clips together: searches advance side by side, their questions form one stream of batches.

A clip goes through: whole clip -> class and margin; silence -> degenerate or not; one search per family;
certificate on the audio exactly as it will be decoded. There its searches meet: the ranking of one gives the
minimal signal of the other its levels. What is finished goes to a journal at once, so that the same command
continues after a kill. Every search is seeded by its clip: neither the order of the clips nor the size of a
batch nor a restart changes what is found, unless a lead is within rounding of MIN_MARGIN.

Public: extract, named, Limits, NO_LIMITS, Extracted, Progress.
"""

from __future__ import annotations

import base64
import dataclasses
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from harness import audio, spectra
from harness.extract.contract import Found, Search, Slope
from harness.extract.levels import nested
from harness.extract.oracle import (
    SLOPE_QUERIES,
    Case,
    Listener,
    Logits,
    Question,
    ask,
    expected_classes,
    lead,
    probability,
)
from harness.journal import Journal
from harness.records import (
    MIN_MARGIN,
    OTHER,
    Bands,
    Clip,
    FloatArray,
    LabelMap,
    Levels,
    Mask,
    Skipped,
    SufficientSignal,
)
from harness.seeds import seed_of

Progress = Callable[[int, int], None]
"""Told the clips done and the queries spent since it was last called."""

_POOL = 64
"""Most clips under examination at a time."""

_POOL_SAMPLES = 1 << 22
"""Most samples of clips under examination: eight of 30 s at 16 kHz, which take 1 GB with their masks."""

_QUESTIONS_AT_ONCE = 512
"""Masks put to the model before the searches are advanced, give or take one search's batch."""

_QUERIES_BESIDE = 3
"""Beside those of the search: the whole clip, all bins kept, the certificate."""


@dataclass(frozen=True, eq=False)
class Extracted:
    """What came of one clip: a signal per family, or the reason why there is none."""

    signals: tuple[SufficientSignal, ...]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, eq=False)
class _Heard:
    """What the reference makes of a whole clip."""

    expected: str
    is_expected: Mask
    p_whole: float
    degenerate: bool


@dataclass(frozen=True)
class Limits:
    """What every search is held to."""

    budget: int | None = None
    """Queries after which a search gives its best so far; a batch of questions is always finished."""
    alpha: float = 0.0
    """Share of the probability that the reference gives the class on the whole clip, which a sufficient
    signal has to keep (ReX's `minimum_confidence_threshold`)."""


NO_LIMITS = Limits()


class _Running:
    """One search on one clip, until it has found something or spent its budget."""

    def __init__(self, search: Search, heard: _Heard, clip: Clip, reference: str, limits: Limits) -> None:
        self.search = search
        self.heard = heard
        self.case = Case(clip, heard.is_expected, _bands(search, clip), limits.alpha * heard.p_whole)
        self.seed = seed_of("search", reference, repr(search), clip.clip_id)
        self.found: Found | None = None
        self.limits = limits
        if heard.degenerate:
            self.found = Found(np.zeros(len(self.case.bands), dtype=bool), search.guarantee)
            return
        self._searching: Generator[Question, Any, Found] = search(
            self.case.energy, np.random.default_rng(self.seed)
        )
        self.question: Question = next(self._searching)

    @property
    def n_asked(self) -> int:
        """Forward passes that the present question may take."""
        return SLOPE_QUERIES if isinstance(self.question, Slope) else len(self.question)

    def advance(self) -> None:
        """Send the answers on; take the smallest sufficient mask met so far once the budget is spent."""
        try:
            self.question = self._searching.send(self.case.answers(self.question))
        except StopIteration as stop:
            self.found = stop.value
            return
        if self.limits.budget is not None and self.case.n_queries >= self.limits.budget:
            self._searching.close()
            self.found = Found(self.case.smallest, "budget_spent")


def named(search: Search, limits: Limits) -> str:
    """A search with its settings and limits, as every record names it."""
    within = "" if limits.budget is None else f" within {limits.budget} queries"
    confident = "" if limits.alpha == 0 else f" at alpha {limits.alpha:g}"
    return f"{search!r}{within}{confident}"


def extract(
    listener: Listener,
    reference: str,
    label_map: LabelMap,
    clips: Sequence[Clip],
    searches: Sequence[Search],
    journal: Journal,
    *,
    limits: Limits = NO_LIMITS,
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
        progress: told of clips and queries as they go.
    """
    done = {item["clip_id"]: _from_item(item) for item in journal.items}
    journal.items.clear()
    progress(len(done), 0)
    waiting = [clip for clip in clips if clip.clip_id not in done]
    for clip, extracted in _stream(listener, reference, label_map, waiting, searches, limits, progress):
        journal.append(_item(clip, extracted))
        done[clip.clip_id] = extracted
        progress(1, 0)
    return [done[clip.clip_id] for clip in clips]


def _stream(
    listener: Listener,
    reference: str,
    label_map: LabelMap,
    clips: Sequence[Clip],
    searches: Sequence[Search],
    limits: Limits,
    progress: Progress,
) -> Iterator[tuple[Clip, Extracted]]:
    """Clips as they finish. New ones join when half of the pool has left."""
    waiting = list(reversed(clips))
    pool: list[tuple[Clip, list[_Running]]] = []
    silence: dict[int, str] = {}
    while waiting or pool:
        most = max(2, min(_POOL, _POOL_SAMPLES // max(len(clip.waveform) for clip in clips)))
        if len(pool) <= most // 2 and waiting:
            joining = [waiting.pop() for _ in range(min(len(waiting), most - len(pool)))]
            for clip, heard in zip(joining, _hear(listener, label_map, joining, silence), strict=True):
                if isinstance(heard, Skipped):
                    yield clip, Extracted((), (heard,))
                else:
                    runs = [_Running(search, heard, clip, reference, limits) for search in searches]
                    pool.append((clip, runs))
        going = _next_to_go([run for _, runs in pool for run in runs if run.found is None])
        before = sum(run.case.n_queries for run in going)
        ask(listener, [(run.case, run.question) for run in going])
        progress(0, sum(run.case.n_queries for run in going) - before)
        for run in going:
            run.advance()
        finished = [(clip, runs) for clip, runs in pool if all(run.found for run in runs)]
        pool = [(clip, runs) for clip, runs in pool if not all(run.found for run in runs)]
        yield from _certify(listener, reference, finished)


def _next_to_go(running: Sequence[_Running]) -> list[_Running]:
    """The first searches that fill a round of questions: the clips that came first finish first."""
    n_questions = accumulate((run.n_asked for run in running), initial=0)
    return [run for run, n_before in zip(running, n_questions, strict=False) if n_before < _QUESTIONS_AT_ONCE]


def _hear(
    listener: Listener, label_map: LabelMap, clips: Sequence[Clip], silence: dict[int, str]
) -> list[_Heard | Skipped]:
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


def _heard(clip: Clip, whole: Logits, kept: Logits, label_map: LabelMap, silent: str) -> _Heard | Skipped:
    expected = _top(whole, label_map)
    if expected == OTHER:
        said = label_map.names[int(np.argmax(whole))]
        return Skipped(clip.clip_id, f"the reference says {said!r}, which is no label of the task")
    is_expected = expected_classes(label_map, expected)
    if lead(kept, is_expected) < MIN_MARGIN:
        return Skipped(clip.clip_id, f"the reference leads by less than {MIN_MARGIN} on the whole clip")
    return _Heard(expected, is_expected, probability(whole, is_expected), silent == expected)


def _certify(
    listener: Listener, reference: str, finished: Sequence[tuple[Clip, list[_Running]]]
) -> Iterator[tuple[Clip, Extracted]]:
    """Judge each signal once more, on the audio as decoded from the bytes that will be published."""
    runs = [run for _, runs in finished for run in runs]
    if not runs:
        return
    rate = runs[0].case.clip.sample_rate_hz
    waveforms = [run.case.waveforms(run.found.mask) for run in runs if run.found]
    decoded = [audio.read(audio.encode(waveform, rate))[0] for waveform in waveforms]
    answers = iter(zip(decoded, listener.logits(decoded, rate), strict=True))
    for clip, clip_runs in finished:
        signals: list[SufficientSignal] = []
        skipped: list[Skipped] = []
        ranking = _ranking(clip_runs)
        for run in clip_runs:
            waveform, logits = next(answers)
            signal = _signal(run, reference, audio.sha256(waveform), logits, ranking)
            unsure = signal.p_signal < run.limits.alpha * signal.p_whole
            if (signal.margin < MIN_MARGIN or unsure) and not signal.degenerate:
                why = f"{signal.search}: the certificate failed with a lead of {signal.margin:.2g}"
                skipped.append(Skipped(clip.clip_id, why))
            else:
                signals.append(signal)
        yield clip, Extracted(tuple(signals), tuple(skipped))


def _ranking(runs: Sequence[_Running]) -> FloatArray | None:
    """(n_bins,) responsibility of the band of each bin, if a search of the clip came to rank its bands."""
    for run in runs:
        if run.found is not None and run.found.ranking is not None:
            return np.repeat(run.found.ranking, np.diff(run.case.bands.edges))
    return None


def _levels(run: _Running, mask: Mask, ranking: FloatArray | None) -> Levels | None:
    if ranking is None or run.search.family != "minimal":
        return None
    return nested(mask, ranking, spectra.bin_energy(run.case.spectrum, len(run.case.clip.waveform)))


def _signal(
    run: _Running, reference: str, sha256: str, logits: Logits, ranking: FloatArray | None
) -> SufficientSignal:
    assert run.found is not None  # noqa: S101 - certified only when found
    clip, family = run.case.clip, run.search.family
    mask = spectra.expand(run.case.bands, run.found.mask)
    return SufficientSignal(
        signal_id=f"{clip.clip_id}:{reference.replace('/', '__')}:{family}",
        clip_id=clip.clip_id,
        family=family,
        reference=reference,
        truth=clip.label,
        expected=run.heard.expected,
        n_samples=len(clip.waveform),
        sample_rate_hz=clip.sample_rate_hz,
        mask=mask,
        guarantee=run.found.guarantee,
        resolution=len(run.case.bands),
        p_whole=run.heard.p_whole,
        p_signal=probability(logits, run.heard.is_expected),
        margin=lead(logits, run.heard.is_expected),
        degenerate=run.heard.degenerate,
        search=named(run.search, run.limits),
        n_queries=run.case.n_queries + _QUERIES_BESIDE,
        seed=run.seed,
        sha256=sha256,
        levels=_levels(run, mask, ranking),
    )


def _bands(search: Search, clip: Clip) -> Bands:
    n_samples, rate = len(clip.waveform), clip.sample_rate_hz
    if search.n_bands is None:
        return spectra.single_bins(n_samples, rate)
    return spectra.log_bands(n_samples, rate, search.n_bands)


def _top(logits: Logits, label_map: LabelMap) -> str:
    return label_map.canonical[int(np.argmax(logits))]


def _item(clip: Clip, extracted: Extracted) -> dict[str, Any]:
    """A finished clip as a line of the journal."""
    signals = []
    for signal in extracted.signals:
        fields = {f.name: getattr(signal, f.name) for f in dataclasses.fields(signal)}
        levels = None if signal.levels is None else _packed(signal.levels)
        signals.append({**fields, "mask": spectra.runs(signal.mask).tolist(), "levels": levels})
    skipped = [dataclasses.asdict(s) for s in extracted.skipped]
    return {"clip_id": clip.clip_id, "signals": signals, "skipped": skipped}


def _from_item(item: dict[str, Any]) -> Extracted:
    """Inverse of `_item`."""
    signals = []
    for fields in item["signals"]:
        mask = spectra.from_runs(np.array(fields["mask"], dtype=np.int64), fields["n_samples"] // 2 + 1)
        levels = None if fields["levels"] is None else _unpacked(fields["levels"])
        signals.append(SufficientSignal(**{**fields, "mask": mask, "levels": levels}))
    return Extracted(tuple(signals), tuple(Skipped(**s) for s in item["skipped"]))


def _packed(levels: Levels) -> str:
    """Levels as short text."""
    return base64.b64encode(zlib.compress(levels.tobytes())).decode()


def _unpacked(text: str) -> Levels:
    """Inverse of `_packed`."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
