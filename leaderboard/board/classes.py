"""Which classes of signals are told of, where entries may state any.

Public: MOST, common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MOST = 60
"""Classes of a task that are told of."""


def common(stated: Iterable[str]) -> list[str]:
    """Those that most entries state, by name: what a stranger made up pushes none of them out.

    Args:
        stated: the classes of each entry, one after the other.
    """
    counts = Counter(stated)
    return sorted(sorted(counts, key=lambda label: (-counts[label], label))[:MOST])
