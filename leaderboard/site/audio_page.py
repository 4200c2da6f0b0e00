"""The sounds of a task: a seeded choice of clips, the signals of some references in each, who accepts them.

Conventions: sounds are on the page as FLAC, cut to an excerpt where they are long, because a page must stay
small. None is published unless the licence of every corpus allows it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from harness.dataset import licences
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.seeds import seed_of
from harness.types import Clip, ModelRef
from leaderboard import urls
from leaderboard.board.types import Matrix, Row
from leaderboard.plots import spectrogram
from leaderboard.plots.signals import signal_picture
from leaderboard.reports import audio_examples

N_CLIPS = 12
"""Clips of a page."""

BUDGET_BYTES = 6_000_000
"""Most bytes of all sounds of a page together, as base64."""


class SignalChoice(NamedTuple):
    """A signal chosen for the page, its clip, and whose it is."""

    clip_id: str
    reference: ModelRef
    signal_id: str


def why_silent(suite: Suite, task: str) -> str | None:
    """Why no sound of a task may be on a page, in a sentence; None where all may."""
    for reference in suite.references(task):
        corpus = reference.corpus
        if licences.problem(corpus.name, corpus.licence) is not None:
            clause = f"its licence, {corpus.licence}," if corpus.licence else "it states no licence, which"
            return (
                f"The clips are from {corpus.name}: {clause} does not allow that parts of it are passed on."
            )
    if not suite.references(task):
        return "There are no references yet."
    if not suite.has_clips(task):
        return "These signals are published as masks alone: without the clips there is nothing to hear."
    return None


def choose(suite: Suite, task: str) -> tuple[SignalChoice, ...]:
    """Clips of every class in turn, in a seeded order; of each, signals of the references chosen least."""
    choices_by_clip: dict[str, list[SignalChoice]] = defaultdict(list)
    truths: dict[str, str] = {}
    references = suite.references(task)
    for reference in references:
        for line in suite.signal_lines(task, reference.model.slug):
            if line.family == suite.headline(task) and not line.degenerate:
                choice = SignalChoice(line.clip_id, reference.model, line.signal_id)
                choices_by_clip[line.clip_id].append(choice)
                truths[line.clip_id] = line.truth or ""
    n_by_truth: Counter[str] = Counter()
    turns: list[tuple[int, int, str]] = []
    for clip_id in sorted(choices_by_clip, key=lambda clip: seed_of("evidence", task, clip)):
        turns.append((n_by_truth[truths[clip_id]], len(turns), clip_id))
        n_by_truth[truths[clip_id]] += 1
    n_per_clip = 3 if len(references) <= 3 * N_CLIPS else 5
    n_by_reference: Counter[ModelRef] = Counter()
    choices: list[SignalChoice] = []
    for _, _, clip_id in sorted(turns)[:N_CLIPS]:
        candidates = sorted(
            choices_by_clip[clip_id],
            key=lambda choice: (n_by_reference[choice.reference], seed_of("evidence", choice.signal_id)),
        )
        choices += candidates[:n_per_clip]
        n_by_reference.update(choice.reference for choice in candidates[:n_per_clip])
    return tuple(choices)


def anchor_of(reference: ModelRef) -> str:
    """Of the first signal of a reference."""
    return urls.pair_anchor("of", reference)


def cards(
    suite: Suite, task: str, choices: Sequence[SignalChoice], matrix: Matrix, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """The chosen clips with everything that the page shows: each with its sounds, and signals of it.

    The matrix is of the headline family; its models are those whose answers are shown.
    """
    signal_ids = {choice.signal_id for choice in choices}
    answers = _answers(signal_ids, matrix, rows)
    other_clips = audio_examples.other_clips(suite, task, signal_ids)
    clips = list(dict.fromkeys(choice.clip_id for choice in choices))
    n_sounds = len(clips) + (1 + len(audio_examples.CONTROLS)) * len(choices)
    max_bytes = BUDGET_BYTES * 3 // 4 // max(1, n_sounds)
    earlier_references: set[ModelRef] = set()
    clip_cards = []
    for clip_id in clips:
        clip = suite.clip(task, clip_id)
        signals = []
        for choice in (choice for choice in choices if choice.clip_id == clip_id):
            is_first = choice.reference not in earlier_references
            earlier_references.add(choice.reference)
            anchor = anchor_of(choice.reference) if is_first else ""
            other_clip = other_clips.get(choice.signal_id)
            signals.append(_signal_card(suite, task, choice, anchor, answers, other_clip, max_bytes))
        waveform, rate = clip.waveform, clip.sample_rate_hz
        card = {"clip_id": clip_id, "truth": clip.label, "picture": spectrogram.data_uri(waveform, rate)}
        player = audio_examples.player("Whole clip", waveform, rate, max_bytes, "FLAC")
        clip_cards.append({**card, "player": player, "signals": signals})
    return clip_cards


Answers = Mapping[ModelRef, Mapping[tuple[str, str], bool]]
"""By model: whether it accepts a signal or its first control of a kind, by signal_id and stimulus."""


def _answers(signal_ids: set[str], matrix: Matrix, rows: Sequence[Row]) -> Answers:
    folders = {row.entry.model: row.folder for row in rows}
    answers: dict[ModelRef, dict[tuple[str, str], bool]] = {}
    for model in matrix.models:
        folder = folders.get(model)
        if folder is None:
            continue
        try:
            frame = store.verdicts(folder)
        except BadInput:
            continue  # columns that the board does not need cannot be read
        frame = frame[frame["signal_id"].isin(list(signal_ids))]
        answers[model] = {
            (signal_id, stimulus): accepts
            for stimulus in ("signal", *audio_examples.CONTROLS)
            for signal_id, accepts in audio_examples.signal_acceptance(frame, stimulus).items()
        }
    return answers


def _signal_card(
    suite: Suite,
    task: str,
    choice: SignalChoice,
    anchor: str,
    answers: Answers,
    other_clip: Clip | None,
    max_bytes: int,
) -> dict[str, Any]:
    """A signal and its controls; who accepts it, its own reference too, in the order of the heat map.

    By control that it has: its name, how many of these models accept it, and how many judged it.
    """
    signal, waveform = suite.signal(task, choice.reference.slug, choice.signal_id)
    clip = suite.clip(task, choice.clip_id)
    rate = clip.sample_rate_hz
    accepts_by_model = {
        model: answer[choice.signal_id, "signal"]
        for model, answer in answers.items()
        if (choice.signal_id, "signal") in answer
    }
    controls = []
    for kind, name in audio_examples.CONTROLS.items():
        key = (choice.signal_id, kind)
        if accepted := [answers[model][key] for model in accepts_by_model if key in answers[model]]:
            controls.append((name.lower(), sum(accepted), len(accepted)))
    return {
        "id": anchor,
        "reference": choice.reference,
        "expected": signal.expected,
        "mask_summary": audio_examples.describe_mask(signal),
        "picture": Markup(signal_picture(clip.waveform, signal)),  # noqa: S704 - numbers and base64 only
        "players": [
            audio_examples.player("Signal", waveform, rate, max_bytes, "FLAC"),
            *audio_examples.controls(signal, clip, other_clip, max_bytes, "FLAC"),
        ],
        "accepts": [model for model, accepts in accepts_by_model.items() if accepts],
        "rejects": [model for model, accepts in accepts_by_model.items() if not accepts],
        "controls": controls,
    }
