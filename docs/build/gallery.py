"""The gallery: sounds and pictures of a clip, a signal and its controls, and which references accept each.

They take the place of the line `<!-- gallery: TASK SIGNAL -->` of a page. The signal is the one that `choose`
takes; it is named because the text around the line is about it. When another one is taken, the build ends:
the text has to be written again. Sounds are made as those of the leaderboard's pages, and are files here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import goodenough as ge
from harness import audio
from harness.dataset import licences
from harness.number_format import THIN, number, percent
from harness.starter.paths import open_suite
from leaderboard.reports.audio_examples import describe_mask

_MARK = re.compile(r"<!-- gallery: (\S+) (\S+) -->")
_EXAMPLES: dict[str, str] = {}
"""HTML by signal, which Markdown must not read."""


@dataclass(frozen=True)
class _Sound:
    """One of the sounds of an example."""

    title: str
    """Its name."""
    text: str
    """What it is, in a few words."""
    player: ge.Player
    """The sound."""
    answers: pd.DataFrame
    """What each reference answered, a row for each."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make the sounds and the HTML of every example."""
    marks = [mark for page in files.documentation_pages() for mark in _MARK.findall(page.content_string)]
    suite = ge.load_suite()
    for task, signal_id in marks:
        verdicts = suite.verdicts(task)
        signal = choose(suite, task, verdicts)
        if signal.record.signal_id != signal_id:
            raise PluginError(
                f"the gallery is about {signal_id}, chosen is {signal.record.signal_id}: write its text again"
            )
        sounds = _sounds(suite, task, signal, verdicts)
        paths, notes = [], []
        for name, sound in sounds.items():
            data, gain_db = audio.encode_listenable(
                sound.player.waveform, sound.player.sample_rate_hz, "FLAC"
            )
            paths.append(f"gallery/{task}-{name}.flac")
            notes.append(f"Played at {number(gain_db, 1, signed=True)} dB")
            files.append(File.generated(config, paths[-1], content=data))
        _EXAMPLES[signal_id] = "\n".join(_html(suite, task, signal, [*sounds.values()], paths, notes))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the examples in place."""
    return _MARK.sub(lambda mark: _EXAMPLES[mark[2]], html)


def choose(suite: ge.Suite, task: str, verdicts: pd.DataFrame) -> ge.Signal:
    """The signal of a task that is shown.

    Of those of the headline family that have both controls, and a clip that every reference gives its true
    class, the one whose acceptance by the other references is the furthest above that of its first swap or
    its first matched control, whichever is accepted more often; of several, the one that keeps the most.
    """
    headline = suite.family(task)
    whole = verdicts[verdicts["stimulus"] == "whole"]
    agreed = (whole["predicted"] == whole["truth"]).groupby(whole["clip_id"]).all()
    rows = verdicts[(verdicts["family"] == headline) & (verdicts["model"] != verdicts["reference"])]
    rows = rows[rows["clip_id"].map(agreed) & rows["replicate"].fillna(0).eq(0)]
    accepts = (
        (rows["predicted"] == rows["expected"]).groupby([rows["signal_id"], rows["stimulus"]]).sum().unstack()
    )
    accepts = accepts.dropna(subset=["signal", "swap", "matched"])
    lead = accepts["signal"] - accepts[["swap", "matched"]].max(axis=1)
    best = set(lead.index[lead == lead.max()])
    references = sorted(set(rows[rows["signal_id"].isin(best)]["reference"]))
    signals = [
        each for name in references for each in suite.signals(task, name) if each.record.signal_id in best
    ]
    return max(signals, key=lambda each: (each.record.n_kept, each.record.signal_id))


def _sounds(suite: ge.Suite, task: str, signal: ge.Signal, verdicts: pd.DataFrame) -> dict[str, _Sound]:
    """Clip, signal, controls, and, where there is one, a signal of the other family of the same clip."""
    record = signal.record
    first = verdicts[verdicts["replicate"].fillna(0).eq(0) & verdicts["level"].fillna(0).eq(0)].set_index(
        "model"
    )
    whole = first[first["stimulus"] == "whole"]
    asked = first[first["signal_id"] == record.signal_id]
    swap, matched = (asked[asked["stimulus"] == name] for name in ("swap", "matched"))
    controls, other = suite.controls(task, signal), swap["other_clip"].iloc[0]
    other_class = whole[whole["clip_id"] == other].loc[record.reference, "predicted"]
    own = record.reference.split("/")[-1]
    sounds = {
        "clip": _Sound(
            "Clip",
            f"{record.clip_id}, a clip labelled {record.truth}",
            signal.play_clip(),
            whole[whole["clip_id"] == record.clip_id],
        ),
        "signal": _Sound(
            "Signal",
            f"of {own}: {describe_mask(record)}",
            signal.play(),
            asked[asked["stimulus"] == "signal"],
        ),
        "swap": _Sound(
            "Swap control",
            f"the same part of {other}, which {own} calls {other_class}",
            controls["swap"],
            swap,
        ),
        "matched": _Sound(
            "Matched control",
            "the same clip, a part of the same shape elsewhere",
            controls["matched"],
            matched,
        ),
    }
    for minimal in suite.signals(task, record.reference, family="minimal@bins"):
        if minimal.record.clip_id == record.clip_id:
            answers = first[
                (first["signal_id"] == minimal.record.signal_id) & (first["stimulus"] == "signal")
            ]
            text = f"of the same clip, in which no bin can be left out: {describe_mask(minimal.record)}"
            return sounds | {"minimal": _Sound("Signal of family minimal", text, minimal.play(), answers)}
    return sounds


def _html(
    suite: ge.Suite, task: str, signal: ge.Signal, sounds: list[_Sound], paths: list[str], notes: list[str]
) -> Iterator[str]:
    """Pictures and players, who accepts what, and the means of the task."""
    reference, expected = signal.record.reference, signal.record.expected
    accepts = pd.DataFrame({sound.title: sound.answers["predicted"] == expected for sound in sounds})
    others = accepts.drop(reference)
    yield '<div class="gallery">'
    for sound, path, note in zip(sounds, paths, notes, strict=True):
        yield (
            f"<figure><figcaption><b>{sound.title}</b> {escape(sound.text)}</figcaption>"
            f"{sound.player.plot(loudest=signal.play_clip()).svg}"
            f'<audio controls preload="metadata" src="{path}" aria-label="{sound.title}, {task}"></audio>'
            f"<p>{note}. Accepted by {others[sound.title].sum()} of {len(others)} other references.</p>"
            "</figure>"
        )
    caption = "<b>What is kept</b> the clip in grey, the signal in blue"
    yield f"<figure><figcaption>{caption}</figcaption>{signal.plot().svg}</figure></div>"
    yield f"<details><summary>Which references give which sound the class {escape(expected)}</summary>"
    accepts.index = [name.split("/")[-1] + " (its signal)" * (name == reference) for name in accepts.index]
    table = accepts.map({True: "✓ yes", False: "✗ no"}.get).to_html(border=0)
    yield f'<div class="md-typeset__scrollwrap"><div class="md-typeset__table">{table}</div></div></details>'
    transfer, swap, matched = (_mean(suite, task, rate) for rate in ("transfer", "swap", "matched"))
    yield (
        f"<p>In the whole task the references accept {transfer} of each other's signals, {swap} of the swap"
        f" controls and {matched} of the matched controls.</p>"
    )
    corpora = {reference.corpus.name for reference in open_suite().references(task)}
    for attribution in licences.attributions(corpora):
        yield f"<p>{escape(attribution)}</p>"


def _mean(suite: ge.Suite, task: str, rate: str) -> str:
    """A rate, averaged over the pairs of two references, in per cent."""
    matrix = ge.transfer_matrix(suite, task, rate=rate).to_numpy()
    return f"{percent(float(matrix[~np.eye(len(matrix), dtype=bool)].mean()))}{THIN}%"
