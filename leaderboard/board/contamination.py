"""Whether a model was trained on the corpora of the suite, as far as its card says.

Conventions: datasets are the same when the last parts of their ids are, but for case and punctuation: copies
on the Hub are many. A card is its author's word: no overlap stated is not no overlap.

Public: corpora, overlap.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from harness.dataset.suites import Suite


def corpora(suite: Suite, task: str) -> frozenset[str]:
    """Where the clips of a task come from, by what `overlap` compares."""
    return frozenset(_bare(reference.corpus.name) for reference in suite.references(task))


def overlap(trained_on: Iterable[str] | None, found: Collection[str]) -> tuple[str, ...]:
    """Of the datasets a model was trained on, those among the corpora.

    Args:
        trained_on: as the model card names them.
        found: the corpora, of `corpora`.
    """
    return tuple(name for name in trained_on or () if _bare(name) in found)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.split("/")[-1].lower())
