"""Sounds for a page: the signals to show, each with players, a picture and a line on who accepts it.

Conventions: a player holds 16-bit WAV raised to a peak of one half, so that a faint signal can be heard;
the gain in dB is shown. Long clips are cut to an excerpt around their middle, which is named: a page must
stay small. The controls are the first `swap` and the first `matched` that were judged, made by
`evaluation.stimuli`; a signal may lack either.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from harness import audio
from harness.dataset import licences
from harness.dataset.suites import Suite
from harness.domains.frequency import Frequency
from harness.evaluation import stimuli
from harness.evaluation.units import units_of
from harness.families import atoms_of, parse_family
from harness.metrics import acceptance
from harness.metrics.acceptance import at_level_zero
from harness.number_format import number
from harness.seeds import seed_of
from harness.types import Clip, ModelRef, SufficientSignal, Waveform
from leaderboard import formatting
from leaderboard.board.matrix import short_names
from leaderboard.plots.signals import kept_atoms, signal_picture

if TYPE_CHECKING:
    import pandas as pd

BUDGET_BYTES = 2_300_000
"""Most bytes of all players of a page together, as base64."""

CONTROLS: Mapping[str, str] = {"swap": "Swap", "matched": "Matched"}
"""Names of the controls that can be played."""

STRATA: Mapping[tuple[bool, bool], str] = {
    (True, False): "Signal accepted, swap rejected",
    (False, False): "Signal rejected, swap rejected",
    (True, True): "Signal accepted, swap accepted too",
    (False, True): "Signal rejected, swap accepted",
}
"""By (signal accepted, swap accepted); examples are drawn from each in turn."""


@dataclass(frozen=True)
class Player:
    """One sound."""

    name: str
    """Whole clip, signal, or the name of a control."""
    source: Markup
    """data: URI."""
    note: str
    """Gain and excerpt, in words; of a swap the clip that it was made of."""


@dataclass(frozen=True, eq=False)
class Example:
    """One signal as a card on a page."""

    signal: SufficientSignal
    title: str
    """Its stratum."""
    mask_summary: str
    """How much of its clip it keeps, and where, in words."""
    picture: Markup
    """The clip with what is kept highlighted, as SVG."""
    players: tuple[Player, ...]
    """Whole clip, signal, and the controls it has."""
    judges: tuple[tuple[str, bool], ...]
    """Who accepts the signal: name and answer."""
    attribution: str | None
    """Whom to name for the sounds, where their licence asks for it."""


def choose(verdicts: pd.DataFrame, family: str, leave_out: str, n: int = 6) -> dict[str, str]:
    """Signals to play: from each stratum in turn, within it in an order seeded by the signal's id.

    Takes one model's answers; signals of the reference `leave_out`, the model itself, are not shown. Returns
    at most n, signal_id -> stratum in words, in the order of STRATA.
    """
    rows = verdicts[(verdicts["family"] == family) & (verdicts["reference"] != leave_out)]
    signal, control = signal_acceptance(rows, "signal"), signal_acceptance(rows, "swap")
    groups: dict[tuple[bool, bool], list[str]] = {key: [] for key in STRATA}
    for signal_id in sorted(set(signal) & set(control), key=lambda name: seed_of("report", name)):
        groups[signal[signal_id], control[signal_id]].append(signal_id)
    order = sorted(
        (turn, i, signal_id, key)
        for i, (key, group) in enumerate(groups.items())
        for turn, signal_id in enumerate(group)
    )
    return {name: STRATA[key] for _, _, name, key in sorted(order[:n], key=lambda item: item[1])}


def draw(
    suite: Suite, task: str, family: str, judges: Sequence[tuple[ModelRef, pd.DataFrame]], n: int = 6
) -> list[Example]:
    """Up to n signals of others, drawn by the answers of the first of the judges, with the answers of all."""
    judge, verdicts = judges[0]
    titles = choose(verdicts, family, leave_out=judge.repo_id, n=n)
    names = short_names([model for model, _ in judges])
    by_name = [(names[model], signal_acceptance(answers, "signal")) for model, answers in judges]
    return examples(suite, task, titles, by_name)


def signal_acceptance(verdicts: pd.DataFrame, stimulus: str) -> dict[str, bool]:
    """Whether each signal, or its first control of a kind, was given its class, by signal_id.

    Nested levels and further controls are skipped.
    """
    is_first = at_level_zero(verdicts) & (verdicts["replicate"].isna() | (verdicts["replicate"] == 0))
    rows = verdicts[(verdicts["stimulus"] == stimulus) & is_first]
    return dict(zip(rows["signal_id"], acceptance.accepted(rows).tolist(), strict=True))


def examples(
    suite: Suite, task: str, titles: Mapping[str, str], judges: Sequence[tuple[str, Mapping[str, bool]]]
) -> list[Example]:
    """The chosen signals, signal_id -> title, as cards in the order chosen; one the suite lacks is left out.

    `judges` are names of models and whether each accepts a signal.
    """
    n_bytes = BUDGET_BYTES * 3 // 4 // max(1, (2 + len(CONTROLS)) * len(titles))
    other_clips_by_id = other_clips(suite, task, titles)
    corpora = {reference.corpus.name for reference in suite.references(task)}
    attribution = " ".join(licences.attributions(corpora)) or None
    cards = {}
    for signal, waveform in _read_signals(suite, task, titles):
        clip, id_ = suite.clip(task, signal.clip_id), signal.signal_id
        rate = clip.sample_rate_hz
        picture = signal_picture(clip.waveform, signal)
        cards[id_] = Example(
            signal=signal,
            title=titles[id_],
            mask_summary=describe_mask(signal),
            picture=Markup(picture),  # noqa: S704 - numbers and base64 only
            players=(
                player("Whole clip", clip.waveform, rate, n_bytes),
                player("Signal", waveform, rate, n_bytes),
                *controls(signal, clip, other_clips_by_id.get(id_), n_bytes),
            ),
            judges=tuple((judge, answers[id_]) for judge, answers in judges if id_ in answers),
            attribution=attribution,
        )
    return [cards[signal_id] for signal_id in titles if signal_id in cards]


def other_clips(suite: Suite, task: str, signal_ids: Collection[str]) -> dict[str, Clip]:
    """By signal: the clip that its first `swap` control is made of, where it has one."""
    return {
        unit.signal_id: suite.clip(task, unit.others[0])
        for unit in units_of(suite, suite.task(task))
        if unit.signal_id in signal_ids and unit.signal_id is not None and unit.others
    }


def controls(
    signal: SufficientSignal, clip: Clip, other: Clip | None, n_bytes: int, container: str = "WAV"
) -> Iterator[Player]:
    """The first control of each kind that a signal has; `other` is of `other_clips`."""
    swap_clips = () if other is None else (other,)
    for kind, name in CONTROLS.items():
        waveform = stimuli.control(signal, clip, swap_clips, kind)
        if waveform is None:
            continue
        sound = player(name, waveform, clip.sample_rate_hz, n_bytes, container)
        if kind == "swap" and other is not None:
            sound = replace(sound, note=f"of {other.clip_id}; {sound.note}")
        yield sound


def describe_mask(signal: SufficientSignal) -> str:
    """How much of its clip a signal keeps, and where.

    `12 of 8,001 bins (0.1 %), 440 to 2,310 Hz`, `2 of 128 bands (0.9 % of the bins), 440 to 2,310 Hz`,
    `7 of 60 blocks, 0.12 to 0.85 s`, or `5 of 384 tiles, 0.13 to 0.77 s, 250 to 2,000 Hz`.
    """
    text, atoms = kept_atoms(signal), atoms_of(signal)
    is_in_bins = atoms.domain.name == Frequency.name
    if is_in_bins:
        of_bins = " of the bins" if parse_family(signal.family).resolution.n_bands else ""
        text += f" ({formatting.share(signal.n_kept / len(signal.mask))}{of_bins})"
    kept = np.flatnonzero(signal.mask)
    if len(kept) == 0:
        return text
    if is_in_bins:
        low, high = (kept[[0, -1]] * signal.sample_rate_hz / signal.n_samples).tolist()
        return f"{text}, {low:,.0f} to {high:,.0f} Hz"
    rows, columns = np.divmod(kept, atoms.domain.shape[1])
    start, end = atoms.domain.row_edges_s[[rows.min(), rows.max() + 1]].tolist()
    text += f", {start:.2f} to {end:.2f} s"
    if atoms.domain.shape[1] == 1:
        return text
    low, high = atoms.domain.column_edges_hz[[columns.min(), columns.max() + 1]].tolist()
    return f"{text}, {low:,.0f} to {high:,.0f} Hz"


def _read_signals(
    suite: Suite, task: str, titles: Mapping[str, str]
) -> Iterator[tuple[SufficientSignal, Waveform]]:
    for reference in suite.references(task):
        slug = reference.model.slug
        if not any(f":{slug}:" in signal_id for signal_id in titles):
            continue
        for line in suite.signal_lines(task, slug):
            if line.signal_id in titles:
                yield suite.signal(task, slug, line.signal_id)


def player(
    name: str, waveform: Waveform, sample_rate_hz: int, n_bytes: int, container: str = "WAV"
) -> Player:
    """A sound for a page, cut to an excerpt around its middle where it has more than n_bytes before base64.

    For the container see `audio.encode_listenable`.
    """
    max_samples = len(waveform) if container == "FLAC" else n_bytes // 2
    while True:
        start = max(0, (len(waveform) - max_samples) // 2)
        excerpt = waveform[start : start + max_samples]
        data, gain_db = audio.encode_listenable(excerpt, sample_rate_hz, container)
        if container == "WAV" or len(data) <= n_bytes or len(excerpt) < sample_rate_hz // 4:
            break
        max_samples = int(len(excerpt) * 0.9 * n_bytes / len(data))
    note = f"played at {number(gain_db, 1, signed=True)} dB"
    if sample_rate_hz // 10 <= len(waveform) - len(excerpt):
        excerpt_s, start_s = len(excerpt) / sample_rate_hz, start / sample_rate_hz
        total_s = len(waveform) / sample_rate_hz
        note += f"; {excerpt_s:.1f} s from {start_s:.1f} s of {total_s:.1f} s"
    source = f"data:audio/{container.lower()};base64,{base64.b64encode(data).decode()}"
    return Player(name, Markup(source), note)  # noqa: S704 - base64 holds nothing to escape
