"""`report.html`: one entry, told to a reader: the numbers, the matrix, the sounds, the settings.

Conventions: one file that opens from a disk without a network. It lies beside entry.json and never leaves the
results folder: it holds audio of the clips, whose licence may not allow publishing them.

Public: write.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.dataset.suites import Suite
from harness.entries import store
from harness.journal import replace_file
from harness.schemas import Entry
from leaderboard import escaping, render
from leaderboard.board import entries
from leaderboard.board.matrix import matrix_of
from leaderboard.plots import inline
from leaderboard.reports import audio_examples

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("lift", "transfer")
"""Measures shown as heat maps, per family."""


def write(path: Path, entry: Entry, verdicts: pd.DataFrame, suite: Suite) -> None:
    """Write the report of one entry.

    Args:
        path: of the page.
        entry: the entry.
        verdicts: its answers.
        suite: the signals it was asked; where its folder holds the references' verdicts they are shown, too.

    Raises:
        BadInput: the page cannot be written, or a reference's entry cannot be read.
    """
    beside = [
        (folder, other)
        for folder, other in entries.references_of(suite, entry.task)
        if other.model != entry.model
    ]
    matrices = [
        matrix_of([*(other for _, other in beside), entry], score.family)
        for score in entry.scorecard.families
    ]
    context = {
        "entry": entry,
        "synthetic": escaping.of_synthetic(entry.signals, suite),
        "matrices": [
            (m.family, [Markup(inline.heatmap(m, key)) for key in FIGURES])  # noqa: S704 - escaped there
            for m in matrices
            if m.references
        ],
        "examples": _examples(entry, verdicts, suite, beside),
    }
    replace_file(path, render.render("report.html.j2", context).encode())


def _examples(
    entry: Entry, verdicts: pd.DataFrame, suite: Suite, beside: list[tuple[Path, Entry]]
) -> list[audio_examples.Example]:
    if not entry.scorecard.families:
        return []
    others = [(other.model, store.verdicts(folder)) for folder, other in beside]
    family = entry.scorecard.families[0].family
    return audio_examples.draw(suite, entry.task, family, [(entry.model, verdicts), *others])
