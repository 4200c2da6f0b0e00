"""Selects the classes that are shown, since entries may name any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MAX_CLASSES = 60
"""Classes of a task that are shown."""


def common(labels: Iterable[str]) -> list[str]:
    """The most frequent labels, sorted: classes made up in one entry push none of them out."""
    counts = Counter(labels)
    return sorted(sorted(counts, key=lambda label: (-counts[label], label))[:MAX_CLASSES])
