"""Anchor rows of a board: for comparison, never ranked (definitions: Anchor rows).

They come from the suite: from the verdicts of its references, and from entries of trivial models, which are
checked as those of the references are and left out where something is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.dataset.suites import Suite
from harness.entries import store, suite_check, validate
from harness.metrics.anchors import best_reference, consensus
from harness.schemas import Entry, FamilyScore
from harness.types import PROTOCOL, Estimate


@dataclass(frozen=True)
class Anchor:
    """One row that is not an entry of the board."""

    name: str
    meaning: str
    """What it is and what it is for, in sentences."""
    score: FamilyScore
    """Its rates, headline family."""
    accuracy: Estimate | None
    """On whole clips of known truth; None where it is not known."""


_CONSENSUS = (
    "The mean of the references: on the signals of each of them the class of the highest mean probability of"
    " the others, near copies left out. What it gains is what likeness to this panel buys."
)

_TRIVIAL_MODELS = MappingProxyType(
    {
        "random-weights": (
            "random weights",
            "A network of the candidate's architecture that was never trained. What it gains is chance.",
        ),
        "logistic-regression": (
            "logistic regression",
            "Logistic regression on the time-averaged log-mel spectrum: what the average spectrum buys"
            " without a network.",
        ),
    }
)
"""Name and meaning of each folder of anchors of a suite, in the order in which they are shown."""


def build(suite: Suite, task: str, folders: Sequence[Path]) -> tuple[Anchor, ...]:
    """The anchors of a task: `consensus`, the best single reference, then those stored in the suite."""
    folders = sorted(folders)
    entries = [store.read(folder) for folder in folders]
    anchors = []
    entry_verdicts = [*zip(entries, map(store.verdicts, folders), strict=True)]
    if (scores := consensus(entry_verdicts, suite.task(task))) is not None:
        anchors.append(Anchor("consensus", _CONSENSUS, *scores))
    if (best := best_reference(entries)) is not None:
        meaning = f"The reference of the highest lift, {best.model.repo_id}, judged by the others' signals."
        anchors += _of_entry("best single reference", meaning, best)
    for folder_name, (name, meaning) in _TRIVIAL_MODELS.items():
        for entry in _valid_entries(suite, task, folder_name)[:1]:
            anchors += _of_entry(name, meaning, entry)
    return tuple(anchors)


def _of_entry(name: str, meaning: str, entry: Entry) -> list[Anchor]:
    headline, accuracy = entry.scorecard.headline, entry.scorecard.whole.accuracy
    return [] if headline is None else [Anchor(name, meaning, headline, accuracy)]


def _valid_entries(suite: Suite, task: str, name: str) -> list[Entry]:
    """Valid entries of an anchor on a task of the current suite."""
    key = (suite.ref(task).sha256, PROTOCOL)
    entries = []
    for folder in suite.anchors(name):
        is_named = folder.name == f"{task}@{key[0][:8]}"  # not of another task, or of earlier signals
        if is_named and not validate.validate_entry(folder, suite.tasks, strict_files=False):
            entry = store.read(folder)
            is_current = (entry.signals.sha256, entry.protocol) == key
            entries += [entry] if is_current and not suite_check.check_against_suite(folder, suite) else []
    return entries


def as_json(anchor: Anchor) -> dict[str, Any]:
    """An anchor as plain data, as a row of a ranking."""
    return {
        "rank": None,
        "model": {"repo_id": anchor.name},
        "role": "anchor",
        "unranked_because": anchor.meaning,
        "rates": asdict(anchor.score.rates),
        "whole": None if anchor.accuracy is None else {"accuracy": asdict(anchor.accuracy)},
    }
