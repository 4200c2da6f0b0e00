"""Anchor rows of a board: for comparison, never ranked (definitions: Anchor rows).

They come from the suite: from the verdicts of its references, and from entries of trivial models, which are
checked as those of the references are and left out where something is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from harness.entries import store
from harness.schemas import Entry, from_own_json, to_json
from harness.types import PROTOCOL
from leaderboard.board import valid_entries
from leaderboard.board.content_cache import NO_CACHE, ContentCache, key_of
from leaderboard.board.file_hashes import FileHashes
from leaderboard.board.types import Anchor

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


def build(
    suite: Suite,
    task: str,
    folders: Sequence[Path],
    cache: ContentCache = NO_CACHE,
    hashes: FileHashes | None = None,
) -> tuple[Anchor, ...]:
    """The anchors of a task: `consensus`, the best single reference, then those stored in the suite.

    `folders` are entries of references. What was made of the same files before comes from the cache.
    """
    folders, own_folders = sorted(folders), _named_folders(suite, task)
    problems = valid_entries.look(own_folders, suite, cache=cache.root)
    own_folders = [folder for folder in own_folders if folder not in problems]
    key = _key(suite, task, [*folders, *own_folders], hashes or FileHashes(None)) if cache.folder else None
    if key is not None and (content := cache.read(key)) is not None:
        return from_own_json(tuple[Anchor, ...], content)
    anchors = _build(suite, task, folders, own_folders)
    if key is not None:
        cache.write(key, to_json(anchors).encode())
    return anchors


def _named_folders(suite: Suite, task: str) -> list[Path]:
    """Folders of the entries of trivial models on a task of the current suite, as they are named."""
    name = f"{task}@{suite.ref(task).sha256[:8]}"  # not of another task, or of earlier signals
    return [folder for model in _TRIVIAL_MODELS for folder in suite.anchors(model) if folder.name == name]


def _key(suite: Suite, task: str, folders: Sequence[Path], hashes: FileHashes) -> str:
    """A hash of everything that the anchors of a task depend on."""
    sha256s = [hashes.of(suite.root / MANIFEST)]
    for folder in folders:
        sha256s += [folder.parts[-4], hashes.of(folder / store.ENTRY), hashes.of(folder / store.VERDICTS)]
    return key_of("anchors", task, suite.name, *sha256s)


def _build(
    suite: Suite, task: str, folders: Sequence[Path], own_folders: Sequence[Path]
) -> tuple[Anchor, ...]:
    from harness.metrics.anchors import best_reference, consensus

    entries = [store.read(folder) for folder in folders]
    anchors = []
    entry_verdicts = [*zip(entries, map(store.verdicts, folders), strict=True)]
    if (scores := consensus(entry_verdicts, suite.task(task))) is not None:
        anchors.append(Anchor("consensus", _CONSENSUS, *scores))
    if (best := best_reference(entries)) is not None:
        meaning = f"The reference of the highest lift, {best.model.repo_id}, judged by the others' signals."
        anchors += _of_entry("best single reference", meaning, best)
    key = (suite.ref(task).sha256, PROTOCOL)
    for folder_name, (name, meaning) in _TRIVIAL_MODELS.items():
        of_model = [store.read(folder) for folder in own_folders if folder in suite.anchors(folder_name)]
        current = [entry for entry in of_model if (entry.signals.sha256, entry.protocol) == key]
        for entry in current[:1]:
            anchors += _of_entry(name, meaning, entry)
    return tuple(anchors)


def _of_entry(name: str, meaning: str, entry: Entry) -> list[Anchor]:
    headline, accuracy = entry.scorecard.headline, entry.scorecard.whole.accuracy
    return [] if headline is None else [Anchor(name, meaning, headline, accuracy)]


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
