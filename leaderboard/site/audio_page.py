"""The sounds of a task: a seeded choice of clips, the signals of some references in each, who accepts them.

Conventions: sounds stand on the page as FLAC, cut to an excerpt where they are long, because a page must stay
small. None is published unless the licence of every corpus allows it.

Public: N_CLIPS, AudioPages, ClipCard, SignalCard, why_silent, choose, anchor_of, cards.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.dataset import licences
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.seeds import seed_of
from harness.types import FAMILIES, Clip, ModelRef
from leaderboard import urls
from leaderboard.board.types import Matrix, Row
from leaderboard.plots import inline, spectrogram
from leaderboard.reports import audio_examples

N_CLIPS = 12
"""Clips of a page."""

BUDGET_BYTES = 6_000_000
"""What all sounds of a page may take together, as base64."""


@dataclass(frozen=True)
class AudioPages:
    """A signal that was chosen."""

    clip_id: str
    """Its clip."""
    reference: ModelRef
    """Whose it is."""
    signal_id: str
    """Its id."""


@dataclass(frozen=True)
class SignalCard:
    """A signal, its controls, and who accepts them."""

    id: str
    """Anchor; empty where an earlier signal of the reference has it."""
    reference: ModelRef
    """Whose signal."""
    expected: str
    """The class it stands for."""
    kept: str
    """How much of the spectrum it keeps, in words."""
    picture: Markup
    """Spectrum with the kept bins."""
    players: tuple[audio_examples.Player, ...]
    """Signal, and the controls it has."""
    accepts: tuple[ModelRef, ...]
    """Models that give the signal its class, its own among them, in the order of the heat map."""
    rejects: tuple[ModelRef, ...]
    """Those that do not."""
    controls: tuple[tuple[str, int, int], ...]
    """By control that it has: its name, how many of both accept it, and how many were asked."""


@dataclass(frozen=True)
class ClipCard:
    """A clip and signals of it."""

    clip_id: str
    """Its id."""
    truth: str | None
    """Its label, if known."""
    picture: Markup
    """Spectrogram, as a data: URI."""
    player: audio_examples.Player
    """The whole clip."""
    signals: tuple[SignalCard, ...]
    """Of some references."""


def why_silent(suite: Suite, task: str) -> str | None:
    """Why no sound of a task may stand on a page, in a sentence; None where all may."""
    for reference in suite.references(task):
        corpus = reference.corpus
        if licences.problem(corpus.name, corpus.licence) is not None:
            stated = f"its licence, {corpus.licence}," if corpus.licence else "it states no licence, which"
            return (
                f"The clips are from {corpus.name}: {stated} does not allow that parts of it are passed on."
            )
    if not suite.references(task):
        return "There are no references yet."
    if not suite.has_clips(task):
        return "These signals are published as masks alone: without the clips there is nothing to hear."
    return None


def choose(suite: Suite, task: str) -> tuple[AudioPages, ...]:
    """Clips of every class in turn, in an order drawn from their ids; in each the references least heard yet.

    Args:
        suite: the signals.
        task: one of its tasks.
    """
    of_clip: dict[str, list[AudioPages]] = defaultdict(list)
    truths: dict[str, str] = {}
    references = suite.references(task)
    for reference in references:
        for line in suite.signal_lines(task, reference.model.slug):
            if line.family == FAMILIES[0] and not line.degenerate:
                of_clip[line.clip_id].append(AudioPages(line.clip_id, reference.model, line.signal_id))
                truths[line.clip_id] = line.truth or ""
    places: Counter[str] = Counter()
    in_turn: list[tuple[int, int, str]] = []
    for clip_id in sorted(of_clip, key=lambda c: seed_of("evidence", task, c)):
        in_turn.append((places[truths[clip_id]], len(in_turn), clip_id))
        places[truths[clip_id]] += 1
    each = 3 if len(references) <= 3 * N_CLIPS else 5
    heard: Counter[ModelRef] = Counter()
    chosen: list[AudioPages] = []
    for _, _, clip_id in sorted(in_turn)[:N_CLIPS]:
        some = sorted(of_clip[clip_id], key=lambda h: (heard[h.reference], seed_of("evidence", h.signal_id)))
        chosen += some[:each]
        heard.update(h.reference for h in some[:each])
    return tuple(chosen)


def anchor_of(reference: ModelRef) -> str:
    """Of the first signal of a reference."""
    return urls.pair_anchor("of", reference)


def cards(
    suite: Suite, task: str, chosen: Sequence[AudioPages], matrix: Matrix, rows: Sequence[Row]
) -> list[ClipCard]:
    """The chosen clips with everything that stands on the page.

    Args:
        suite: the signals.
        task: one of its tasks.
        chosen: by `choose`.
        matrix: of the headline family, `heat.trimmed`: its models are asked what they accept.
        rows: of the ranking, with the folders of the entries.
    """
    signal_ids = {h.signal_id for h in chosen}
    answers = _answers(signal_ids, matrix, rows)
    others = audio_examples.other_clips(suite, task, signal_ids)
    clips = list(dict.fromkeys(h.clip_id for h in chosen))
    most = BUDGET_BYTES * 3 // 4 // max(1, len(clips) + (1 + len(audio_examples.CONTROLS)) * len(chosen))
    seen: set[ModelRef] = set()
    made = []
    for clip_id in clips:
        clip = suite.clip(task, clip_id)
        signals = []
        for h in (h for h in chosen if h.clip_id == clip_id):
            first = h.reference not in seen
            seen.add(h.reference)
            anchor = anchor_of(h.reference) if first else ""
            signals.append(_signal(suite, task, h, anchor, answers, others.get(h.signal_id), most))
        made.append(
            ClipCard(
                clip_id=clip_id,
                truth=clip.label,
                picture=spectrogram.data_uri(clip.waveform, clip.sample_rate_hz),
                player=audio_examples.player("Whole clip", clip.waveform, clip.sample_rate_hz, most, "FLAC"),
                signals=tuple(signals),
            )
        )
    return made


Answers = Mapping[ModelRef, Mapping[tuple[str, str], bool]]
"""By model: whether it accepts a signal or its first control of a kind, by signal_id and stimulus."""


def _answers(signal_ids: set[str], matrix: Matrix, rows: Sequence[Row]) -> Answers:
    folders = {row.entry.model: row.folder for row in rows}
    found: dict[ModelRef, dict[tuple[str, str], bool]] = {}
    for model in matrix.models:
        folder = folders.get(model)
        if folder is None:
            continue
        try:
            frame = store.verdicts(folder)
        except BadInput:
            continue  # columns that the board does not need cannot be read
        frame = frame[frame["signal_id"].isin(list(signal_ids))]
        found[model] = {
            (signal_id, stimulus): accepts
            for stimulus in ("signal", *audio_examples.CONTROLS)
            for signal_id, accepts in audio_examples.accepted(frame, stimulus).items()
        }
    return found


def _signal(
    suite: Suite, task: str, heard: AudioPages, id: str, answers: Answers, other: Clip | None, most: int
) -> SignalCard:
    signal, waveform = suite.signal(task, heard.reference.slug, heard.signal_id)
    clip = suite.clip(task, heard.clip_id)
    rate = clip.sample_rate_hz
    said = {m: a[heard.signal_id, "signal"] for m, a in answers.items() if (heard.signal_id, "signal") in a}
    return SignalCard(
        id=id,
        reference=heard.reference,
        expected=signal.expected,
        kept=audio_examples.describe_mask(signal),
        picture=Markup(inline.spectrum_picture(clip.waveform, signal.mask, rate)),  # noqa: S704 - numbers only
        players=(
            audio_examples.player("Signal", waveform, rate, most, "FLAC"),
            *audio_examples.controls(signal, clip, other, most, "FLAC"),
        ),
        accepts=tuple(m for m, yes in said.items() if yes),
        rejects=tuple(m for m, yes in said.items() if not yes),
        controls=tuple(
            (name.lower(), sum(asked), len(asked))
            for kind, name in audio_examples.CONTROLS.items()
            if (asked := [answers[m][key] for m in said if (key := (heard.signal_id, kind)) in answers[m]])
        ),
    )
