"""Sounds for a page: which signals to show, and each as players, a picture and a line on who accepts it.

Conventions: a player holds 16-bit WAV raised to a peak of one half, so that a handful of bins can be heard at
all; the gain in dB stands beside it. Long clips are cut to a stated excerpt around their middle: a page must
stay small. The control is the one that was judged, made by `score.stimuli`.

Public: Example, Player, drawn, choose, accepted, examples, kept, player.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from harness import audio
from harness.dataset.signals import Suite
from harness.records import ModelRef, SufficientSignal, Waveform
from harness.score import stimuli
from harness.seeds import seed_of
from leaderboard import plots, wording
from leaderboard.table import short_names

if TYPE_CHECKING:
    import pandas as pd

BUDGET_BYTES = 2_300_000
"""What all players of a page may take together, as base64."""

STRATA: Mapping[tuple[bool, bool], str] = {
    (True, False): "Signal accepted, control rejected",
    (False, False): "Signal rejected, control rejected",
    (True, True): "Signal accepted, control accepted too",
    (False, True): "Signal rejected, control accepted",
}
"""By (signal accepted, control accepted); examples are drawn from each in turn."""


@dataclass(frozen=True)
class Player:
    """One sound."""

    name: str
    """Whole clip, signal or control."""
    source: Markup
    """data: URI."""
    note: str
    """Gain and excerpt, in words."""


@dataclass(frozen=True, eq=False)
class Example:
    """One signal as a card on a page."""

    signal: SufficientSignal
    """The signal."""
    title: str
    """Its stratum."""
    kept: str
    """How much of the spectrum it keeps, in words."""
    picture: Markup
    """Spectrum with the kept bins, as SVG."""
    players: tuple[Player, ...]
    """Whole clip, signal, control."""
    judges: tuple[tuple[str, bool], ...]
    """Who accepts the signal: name and answer."""


def choose(verdicts: pd.DataFrame, family: str, leave_out: str, n: int = 6) -> dict[str, str]:
    """Signals worth hearing: from each stratum in turn, within it in an order drawn from the signal's id.

    Args:
        verdicts: one model's answers.
        family: one of FAMILIES.
        leave_out: reference whose signals are not shown (the model itself).
        n: at most this many.

    Returns:
        signal_id -> stratum in words, in the order of STRATA.
    """
    rows = verdicts[(verdicts["family"] == family) & (verdicts["reference"] != leave_out)]
    signal, control = accepted(rows, "signal"), accepted(rows, "permuted")
    groups: dict[tuple[bool, bool], list[str]] = {key: [] for key in STRATA}
    for signal_id in sorted(set(signal) & set(control), key=lambda s: seed_of("report", s)):
        groups[signal[signal_id], control[signal_id]].append(signal_id)
    in_turn = sorted(
        (place, i, signal_id, key)
        for i, (key, group) in enumerate(groups.items())
        for place, signal_id in enumerate(group)
    )
    return {s: STRATA[key] for _, _, s, key in sorted(in_turn[:n], key=lambda t: t[1])}


def drawn(
    suite: Suite, task: str, family: str, judges: Sequence[tuple[ModelRef, pd.DataFrame]], n: int = 6
) -> list[Example]:
    """Signals of other models, drawn by the answers of the first judge, with the answers of all.

    Args:
        suite: where they are.
        task: its name.
        family: one of FAMILIES.
        judges: models and their verdicts; at least one.
        n: at most this many.
    """
    first, verdicts = judges[0]
    chosen = choose(verdicts, family, leave_out=first.repo_id, n=n)
    names = short_names([model for model, _ in judges])
    return examples(suite, task, chosen, [(names[m], accepted(v, "signal")) for m, v in judges])


def accepted(verdicts: pd.DataFrame, stimulus: str) -> dict[str, bool]:
    """Whether each signal was given its class, by signal_id; nested levels are passed over."""
    first = verdicts["level"].isna() | (verdicts["level"] == 0)
    rows = verdicts[(verdicts["stimulus"] == stimulus) & first]
    answers = rows["predicted"] == rows["expected"]
    return dict(zip(rows["signal_id"], answers.tolist(), strict=True))


def examples(
    suite: Suite, task: str, chosen: Mapping[str, str], judges: Sequence[tuple[str, Mapping[str, bool]]]
) -> list[Example]:
    """The chosen signals as cards.

    Args:
        suite: where they are.
        task: its name.
        chosen: signal_id -> title.
        judges: name of a model and whether it accepts each signal.

    Returns:
        In the order chosen; a signal the suite does not hold is left out.
    """
    n_bytes = BUDGET_BYTES * 3 // 4 // max(1, 3 * len(chosen))
    made = {}
    for signal, waveform in _found(suite, task, chosen):
        clip = suite.clip(task, signal.clip_id)
        control = stimuli.control(signal, clip, "permuted")
        sounds = (("Whole clip", clip.waveform), ("Signal", waveform), ("Control", control))
        made[signal.signal_id] = Example(
            signal=signal,
            title=chosen[signal.signal_id],
            kept=kept(signal),
            picture=Markup(  # noqa: S704 - numbers only
                plots.spectrum_picture(clip.waveform, signal.mask, clip.sample_rate_hz)
            ),
            players=tuple(player(name, w, clip.sample_rate_hz, n_bytes) for name, w in sounds),
            judges=tuple((n, a[signal.signal_id]) for n, a in judges if signal.signal_id in a),
        )
    return [made[signal_id] for signal_id in chosen if signal_id in made]


def kept(signal: SufficientSignal) -> str:
    """`12 of 8,001 bins (0.1 %), 440 to 2,310 Hz`."""
    share = wording.share(signal.n_kept / len(signal.mask))
    text = f"{signal.n_kept:,} of {len(signal.mask):,} bins ({share})"
    bins = np.flatnonzero(signal.mask)
    if len(bins) == 0:
        return text
    low, high = (bins[[0, -1]] * signal.sample_rate_hz / signal.n_samples).tolist()
    return f"{text}, {low:,.0f} to {high:,.0f} Hz"


def _found(suite: Suite, task: str, chosen: Mapping[str, str]) -> Iterator[tuple[SufficientSignal, Waveform]]:
    for reference in suite.references(task):
        slug = reference.model.slug
        if not any(f":{slug}:" in signal_id for signal_id in chosen):
            continue
        for line in suite.signal_lines(task, slug):
            if line.signal_id in chosen:
                yield suite.signal(task, slug, line.signal_id)


def player(
    name: str, waveform: Waveform, sample_rate_hz: int, n_bytes: int, container: str = "WAV"
) -> Player:
    """A sound for a page, cut to an excerpt around its middle where it is too long.

    Args:
        name: what it is called.
        waveform: the sound.
        sample_rate_hz: its rate.
        n_bytes: what it may take, before base64.
        container: see `audio.encode_listenable`.
    """
    most = len(waveform) if container == "FLAC" else n_bytes // 2
    while True:
        start = max(0, (len(waveform) - most) // 2)
        part = waveform[start : start + most]
        data, gain_db = audio.encode_listenable(part, sample_rate_hz, container)
        if container == "WAV" or len(data) <= n_bytes or len(part) < sample_rate_hz // 4:
            break
        most = int(len(part) * 0.9 * n_bytes / len(data))
    note = f"played at {gain_db:+.1f} dB".replace("-", "−")
    if sample_rate_hz // 10 <= len(waveform) - len(part):
        seconds, first = len(part) / sample_rate_hz, start / sample_rate_hz
        whole = len(waveform) / sample_rate_hz
        note += f"; {seconds:.1f} s from {first:.1f} s of {whole:.1f} s"
    source = f"data:audio/{container.lower()};base64,{base64.b64encode(data).decode()}"
    return Player(name, Markup(source), note)  # noqa: S704 - base64 holds nothing to escape
