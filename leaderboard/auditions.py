"""Signals to listen to beside the board: drawn by what one model says of them, with the answers of all.

Public: examples, judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from harness.dataset.signals import Suite
from harness.records import FAMILIES, ModelRef
from harness.submit import store
from leaderboard import entries, listen
from leaderboard.table import Ranking, short_names


def judges(submissions: Path, suite: Suite, ranking: Ranking) -> dict[ModelRef, Path]:
    """Where the verdicts of each model of a ranking lie, in its order."""
    key = (ranking.signals.sha256, ranking.protocol)
    found = {
        f.entry.model: f.folder
        for f in entries.find(submissions, suite)
        if f.entry.task == ranking.task and f.key == key
    }
    return {row.entry.model: found[row.entry.model] for row in ranking.all_rows if row.entry.model in found}


def examples(
    suite: Suite, task: str, folders: Mapping[ModelRef, Path], by: ModelRef, n: int = 4
) -> list[listen.Example]:
    """A few signals of other models, drawn by the answers of one: accepted and rejected, with its control.

    Args:
        suite: where they are.
        task: its name.
        folders: of `judges`.
        by: one of them.
        n: at most this many.
    """
    chosen = listen.choose(store.verdicts(folders[by]), FAMILIES[0], leave_out=by.repo_id, n=n)
    names = short_names([*folders])
    first = [by, *(model for model in folders if model != by)]
    return listen.examples(suite, task, chosen, [(names[m], _accepted(folders[m])) for m in first])


@lru_cache(maxsize=256)
def _accepted(folder: Path) -> Mapping[str, bool]:
    return listen.accepted(store.verdicts(folder), "signal")
