"""Which suites are made of synthetic clips, and what every page and export of them says first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.types import DatasetRef

if TYPE_CHECKING:
    from harness.dataset.suites import Suite

SYNTHETIC = "Synthetic suite: says nothing about real recordings or about models of these architectures."
"""The notice on everything that shows numbers of a synthetic suite."""

EMBEDDED = "embedded/starter"
"""Name of the suite that comes with the package, whose clips are synthetic."""

_CORPUS = "starter"
"""Name of the corpus of synthetic clips."""


def is_synthetic(suite: Suite | None) -> bool:
    """Whether every clip of a suite is synthetic; not so of one that is not at hand."""
    if suite is None:
        return False
    corpora = {reference.corpus.name for reference in suite.manifest.references}
    return suite.name == EMBEDDED or corpora == {_CORPUS}


def of_synthetic(signals: DatasetRef, suite: Suite | None = None) -> bool:
    """Whether some signals are of synthetic clips, by their name or that of the suite they may come from."""
    is_suite = suite is not None and signals.repo_id == suite.name
    return signals.repo_id == EMBEDDED or (is_suite and is_synthetic(suite))
