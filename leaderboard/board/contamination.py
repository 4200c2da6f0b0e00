"""Whether a model was trained on the corpora of the suite, as far as its card says.

Conventions: two datasets are the same when the last parts of their ids are equal, but for case and
punctuation: the Hub has many copies. A card is its author's word: no overlap stated is not no overlap.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from harness.dataset.suites import Suite


def corpora(suite: Suite, task: str) -> frozenset[str]:
    """The corpora of a task, by the names that `overlap` compares."""
    return frozenset(_normalise(reference.corpus.name) for reference in suite.references(task))


def overlap(trained_on: Iterable[str] | None, corpus_names: Collection[str]) -> tuple[str, ...]:
    """The datasets, by the model card, that a model was trained on and that are among `corpora`."""
    return tuple(name for name in trained_on or () if _normalise(name) in corpus_names)


def _normalise(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.split("/")[-1].lower())
