"""A board whose every text a stranger wrote, though every check was passed: what the pages stand on alone.

Conventions: labels, clips, corpora, references' facts and searches, and every text of every entry are from
`tests.helpers.hostile_files`; nothing that a record must hold to be read at all (families, hashes of signals)
is changed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from harness.dataset.paths import VERDICTS
from harness.dataset.suites import Suite
from harness.entries import store, suite_check, validate, verification
from harness.manifest import CorpusRef, ReferenceRecord
from harness.metrics.study import study_of
from harness.schemas import Entry, to_json
from harness.tasks import Task
from harness.types import Clip, Skipped
from leaderboard.board import loading, ranking
from leaderboard.board.matrix import matrix_of
from leaderboard.board.types import Board, Ranking
from leaderboard.reports import entry_report, study_report
from leaderboard.site import builder as site
from tests.helpers import board_world as making
from tests.helpers import hostile_files
from tests.helpers.entries import DETECTOR, made_verification

LABELS = (
    '"><img src=x onerror=window.__pwned=1>{{7*7}}',
    "</script><script>window.__pwned=1</script>",
    "$\\frac{1}{$' onmouseover='window.__pwned=1",
)
"""Lower case, as the world reads them."""

WORST = "</title></style></script><script>window.__pwned=1</script><img src=x onerror=window.__pwned=1>'\"`&"

KEPT = frozenset(
    {"task", "signals", "references", "reference", "canonical", "verdicts_sha256", "window_at", "kind"}
)
"""What must be so that an entry is ranked and its cells are found."""

ASKED = ("template: mathematics", "attribute: all quotes")
"""Names of texts of which a study tells."""

_ALONE = frozenset({"reference", "verdicts_sha256", "window_at", "kind"})


@dataclass(frozen=True)
class Spoiled:
    """What was written."""

    root: Path
    """Of everything: site/, report.html, study/."""
    site: Path
    """Folder of the site."""
    board: Board
    """What stands on it."""
    texts: tuple[str, ...]
    """Names of the models of its first task."""
    others: tuple[str, ...]
    """Names of the models of further tasks."""


def sample(texts: Mapping[str, str], n: int) -> dict[str, str]:
    """Some of the texts, the same in every run: those of which a study tells, and n others."""
    others = random.Random(0).sample([name for name in texts if name not in ASKED], n)
    return {name: text for name, text in texts.items() if name in (*ASKED, *others)}


def made(
    root: Path, texts: Mapping[str, str] = hostile_files.TEXTS, tasks: Iterable[str] | None = None
) -> Spoiled:
    """Write the site, a report and a study.

    Args:
        root: folder of all of it.
        texts: what the entries say, by name; ASKED are among them.
        tasks: further tasks, one ranking for each; None for one of every path and attribute.
    """
    named_tasks = tuple(tasks or (*hostile_files.PATHS.values(), *hostile_files.ATTRIBUTES.values()))
    with pytest.MonkeyPatch.context() as patch:
        _spoil(patch)
        suite, submissions = making.make_suite(root / "signals"), root / "submissions"
        for repo_id in making.REFERENCES:
            making.add_entry(suite.root / VERDICTS, suite, repo_id, making.Manner(0.6, 0.3))
        sound = making.add_entry(root / "sound", suite, "acme/echo", making.Manner(0.9, 0.1))
        folders = _strangers(sound, submissions, texts.values())
        board = ranking.build(submissions, suite)
        board = Board((*board.rankings, *_further(board, (*named_tasks, WORST))))
        site.write(root / "site", board, suite)
        entry = store.read(folders[0])
        entry_report.write(root / "report" / "report.html", entry, store.verdicts(folders[0]), suite)
        named = dict(zip(texts, folders, strict=True))
        asked = [named[name] for name in ASKED]
        _study(root / "study", suite, [*suite.verdicts(), *asked])
    _forget()
    return Spoiled(root, root / "site", board, tuple(texts.values()), (*named_tasks, WORST))


def _spoil(patch: pytest.MonkeyPatch) -> None:
    """A world of hostile words, and no check that refuses them."""
    _forget()
    texts = [*hostile_files.MARKUP.values(), *hostile_files.ATTRIBUTES.values()]
    clips: list[Clip] = making.clips()
    named = [
        replace(
            c,
            clip_id=f"{c.clip_id} {texts[i].replace(':', ';')}",
            corpus=texts[-i - 1],
            label=LABELS[i % 3],
        )
        for i, c in enumerate(clips)
    ]
    making.signals.cache_clear()
    patch.setattr(making, "clips", lambda: named)
    patch.setattr(making, "LABELS", LABELS)
    patch.setattr(making.label_map, "__defaults__", (LABELS,))
    defaults = (LABELS, *(making.add_entry.__defaults__ or ())[1:])
    patch.setattr(making.add_entry, "__defaults__", defaults)
    task = Task("tone", LABELS, MappingProxyType(dict.fromkeys(LABELS, ())), 8000, 5.0, WORST)
    patch.setattr(making, "TASK", task)
    patch.setattr(making, "FACTS", hostile_files.everywhere(making.FACTS, WORST, keep=KEPT))
    patch.setattr(making, "RUN", hostile_files.everywhere(making.RUN, WORST))
    patch.setattr(making, "CorpusRef", _corpus)
    patch.setattr(making, "ReferenceRecord", _record)
    patch.setattr(validate, "validate_entry", lambda *_, **__: [])
    patch.setattr(suite_check, "check_against_suite", lambda *_, **__: [])
    patch.setattr(verification, "_shape", lambda _: [])
    patch.setattr(verification, "_of_entry", lambda *_: [])


def _corpus(name: str, revision: str, licence: str, *counts: int) -> CorpusRef:
    # The licence stays: sounds are shown under one that is known, and no other.
    return CorpusRef(WORST, WORST, licence, *counts)


def _record(*fields: Any) -> ReferenceRecord:
    made = ReferenceRecord(*fields)
    return replace(made, searches=(WORST, "{{7*7}}"), skipped=(Skipped(WORST, WORST),))


def _forget() -> None:
    making.signals.cache_clear()


def _strangers(sound: Path, submissions: Path, texts: Iterable[str]) -> list[Path]:
    """An entry for each hostile text, half of them ranked and a third by adapters, with its verification."""
    folders = []
    for i, text in enumerate(texts):
        entry = store.read(sound)
        if i % 3 == 0:
            facts = replace(entry.facts, kind="zero-shot", adapter=DETECTOR, n_parameters=None)
            entry = replace(entry, facts=facts)
        entry = spoil(entry, text, KEPT)
        if i % 2:
            card = replace(entry.scorecard, ranked=False, unranked_because=text)
            entry = replace(entry, scorecard=card)
        folder = submissions / f"stranger{i:03}" / "r" / "tone@0"
        folder.mkdir(parents=True)
        os.link(sound / store.VERDICTS, folder / store.VERDICTS)
        (folder / store.ENTRY).write_text(to_json(entry), encoding="utf-8")
        told = hostile_files.everywhere(made_verification(folder), text, keep=frozenset({"entry_sha256"}))
        verification.write(folder, told)
        folders.append(folder)
    return folders


def spoil(entry: Entry, text: str, kept: frozenset[str]) -> Entry:
    """An entry whose every text is this one, but for the fields named; its classes differ in a digit."""
    spoiled = hostile_files.everywhere(entry, text, keep=kept)
    names = tuple(f"{text}{i}" for i in range(len(spoiled.label_map.names)))
    return replace(spoiled, label_map=replace(spoiled.label_map, names=names))


def _further(board: Board, tasks: Iterable[str]) -> list[Ranking]:
    """Rankings of tasks, on signals and with a note that a stranger named."""
    row = board.current[0].rows[0]
    assert row.folder is not None
    entry = store.read(row.folder)
    made = []
    for i, text in enumerate(tasks):
        spoiled = spoil(replace(entry, task=text), text, _ALONE)
        cells = tuple(matrix_of([spoiled], f.family) for f in spoiled.scorecard.families)
        rows = (replace(row, entry=spoiled, cells=loading.matrix_rows(spoiled)),)
        made.append(Ranking(text, spoiled.signals, 10**30 + i, i % 2 > 0, rows, (), cells, text))
    return made


def _study(out: Path, suite: Suite, folders: list[Path]) -> None:
    answered = [(store.read(folder), store.verdicts(folder)) for folder in folders]
    study_report.write(out, suite, [(study_of(suite, suite.task("tone"), answered), answered)])
