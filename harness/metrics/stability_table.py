"""How alike two extractions of a clip are, as a table for a data card.

Public: stability_table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.dataset.card import format_estimate, markdown_table
from harness.dataset.suites import Suite
from harness.metrics.likeness import copies
from harness.metrics.scorecard import resampling_weights
from harness.metrics.stability import Stability, stability_of
from harness.schemas import Entry
from harness.tasks import Task
from harness.types import FAMILIES

if TYPE_CHECKING:
    import pandas as pd

_HEADS = (
    *("reference", "family", "draws", "clips", "Jaccard of two masks, mean", "ratio of sizes, median"),
    *("verdicts of others changed", "transfer by draw"),
)


def stability_table(suite: Suite, task: Task, entries: Sequence[tuple[Entry, pd.DataFrame]]) -> str | None:
    """A table in Markdown, a row for each reference and family of which clips were extracted twice.

    Args:
        suite: the signals.
        task: one of its tasks.
        entries: entries and verdicts of the references; those on other tasks are passed over.

    Returns:
        None where no clip was extracted twice, or no reference judged these signals.
    """
    judges = [(entry, verdicts) for entry, verdicts in entries if entry.task == task.name]
    if not judges:
        return None
    weights = resampling_weights(judges[0][1], task)
    rows = []
    for record in suite.references(task.name):
        name = record.model.repo_id
        others = [(e.model, e.label_map, v) for e, v in judges if name not in copies(e.likeness)]
        for family in FAMILIES:
            stability = stability_of(suite, task.name, record.model, family, others, weights)
            if stability.measured:
                rows.append(_row(stability))
    return markdown_table(_HEADS, rows) if rows else None


def _row(stability: Stability) -> list[str]:
    return [
        stability.reference.repo_id.split("/")[-1],
        stability.family,
        str(stability.n_draws),
        f"{stability.n_clips:,}",
        format_estimate(stability.jaccard),
        format_estimate(stability.size_ratio),
        format_estimate(stability.verdicts_changed),
        "; ".join(map(format_estimate, stability.transfer)),
    ]
