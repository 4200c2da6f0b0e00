"""How alike two extractions of a clip are, as a table for a data card.

Public: stability_table.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.dataset.card import markdown_table, told
from harness.score.stability import Stability

_HEADS = (
    *("reference", "family", "draws", "clips", "Jaccard of two masks, mean", "ratio of sizes, median"),
    *("verdicts of others changed", "transfer by draw"),
)


def stability_table(every: Sequence[Stability]) -> str:
    """A table in Markdown, a row for each reference and family that was measured."""
    return markdown_table(
        _HEADS,
        [
            [
                each.reference.repo_id.split("/")[-1],
                each.family,
                str(each.n_draws),
                f"{each.n_clips:,}",
                told(each.jaccard),
                told(each.size_ratio),
                told(each.verdicts_changed),
                "; ".join(map(told, each.transfer)),
            ]
            for each in every
        ],
    )
