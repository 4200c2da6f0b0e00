"""`report.html`: one entry as a page: the numbers, the matrix, the sounds, the settings.

Conventions: one file that opens without a network. It is written next to entry.json and never published: it
holds audio of the clips, whose licence may not allow that.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.dataset.suite_notes import note_of_signals
from harness.dataset.suites import Suite
from harness.entries import store
from harness.journal import replace_file
from harness.schemas import Entry
from leaderboard import render
from leaderboard.board import entries, provisional_rank, remarks
from leaderboard.board.matrix import matrix_of
from leaderboard.plots import heatmap, inline
from leaderboard.reports import audio_examples

if TYPE_CHECKING:
    import pandas as pd


def write(path: Path, entry: Entry, verdicts: pd.DataFrame, suite: Suite) -> None:
    """Write the report of one entry, with the references' own verdicts where the suite has them.

    Raises:
        BadInput: the page cannot be written, or a reference's entry cannot be read.
    """
    reference_entries = [
        (folder, reference_entry)
        for folder, reference_entry in entries.references_of(suite, entry.task)
        if reference_entry.model != entry.model
    ]
    matrices = [
        matrix_of([*(reference_entry for _, reference_entry in reference_entries), entry], score.family)
        for score in entry.scorecard.families
    ]
    context = {
        "entry": entry,
        "rank": provisional_rank.sentence(entry, suite),
        "partial": remarks.partial(entry, verdicts, suite),
        "suite_note": note_of_signals(entry.signals, suite),
        "matrices": [
            (m.family, [heatmap.picture(m, key) for key in inline.HEADLINE_MEASURES])
            for m in matrices
            if m.references
        ],
        "examples": _examples(entry, verdicts, suite, reference_entries),
    }
    replace_file(path, render.render("report.html.j2", context).encode())


def _examples(
    entry: Entry, verdicts: pd.DataFrame, suite: Suite, reference_entries: list[tuple[Path, Entry]]
) -> list[audio_examples.Example]:
    if not entry.scorecard.families:
        return []
    reference_verdicts = [
        (reference_entry.model, store.verdicts(folder)) for folder, reference_entry in reference_entries
    ]
    family = entry.scorecard.families[0].family
    return audio_examples.draw(suite, entry.task, family, [(entry.model, verdicts), *reference_verdicts])
