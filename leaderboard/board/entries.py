"""Entries on disk to entries that may stand on a board: found, checked, each model once.

Conventions: who builds a board says in which entries there is a problem (`validity`). A submission with one
is left out; of what lies below a suite, `<root>/verdicts/`, it is set apart with the reason, if it can be
read. Nothing that an entry says of itself, its date for one, decides which signals are current.

Public: Key, Problems, NONE, BoardEntry, find, unfetched, references_of, current.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from harness.dataset.suites import Suite
from harness.disk import pointer
from harness.entries import store
from harness.errors import BadInput
from harness.schemas import Entry
from harness.types import PROTOCOL
from leaderboard.board import loading
from leaderboard.board.types import LoadedEntry
from leaderboard.process_pool import Progress, quiet

Key = tuple[str, int]
"""signals.sha256 and protocol: what two entries must share to be compared."""

Problems = Mapping[Path, str]
"""The first problem of an entry, by its folder (`validity.look`); of one that may stand there is none."""

NONE: Problems = MappingProxyType({})
"""All entries are believed."""


@dataclass(frozen=True)
class BoardEntry:
    """An entry and where it lies."""

    entry: Entry
    """Without the cells of its scorecard."""
    folder: Path
    """Holds it and its verdicts."""
    read: LoadedEntry = field(repr=False, compare=False)
    """Everything that was read of it."""
    apart: str | None = None
    """Why it stands in no ranking and no heat map, whatever its scorecard says; None where it may."""

    @property
    def key(self) -> Key:
        """What it can be compared on."""
        return self.entry.signals.sha256, self.entry.protocol


def find(
    submissions: Path,
    suite: Suite | None,
    progress: Progress = quiet,
    problems: Problems = NONE,
    left_out: list[str] | None = None,
) -> list[BoardEntry]:
    """Every entry, by path; of a reference that was also submitted, the suite's own.

    A submission is of such a reference when it has its weights, or its name and revision. One that git-lfs
    has not fetched is left out (`unfetched`), and so is one that cannot be read.

    Args:
        submissions: folder of entries.
        suite: what models are evaluated on now, with the entries of its references, if at hand.
        progress: told of what is read.
        problems: what is wrong with entries.
        left_out: is given a line for each submission with a problem, and for each entry that cannot be read.

    Raises:
        BadInput: no such folder, or there are entries, and none of them was fetched, or none can be read, or
            git-lfs has not fetched one of the suite's own.
    """
    if not submissions.is_dir():
        raise BadInput(
            f"no folder at {submissions}; expected one of entries, "
            "<org>__<model>/<revision>/<task>@<signals>; name it with --submissions DIR"
        )
    brought = [] if suite is None else suite.verdicts()
    for line in filter(None, map(store.unfetched, brought)):
        raise BadInput(line)
    came = [folder for folder in brought if folder not in problems or _can_be_read(folder)]
    everywhere = store.find(submissions)
    fetched = [folder for folder in everywhere if store.unfetched(folder) is None]
    folders = [folder for folder in fetched if folder not in problems]
    if everywhere and not fetched:
        raise BadInput(f"{store.unfetched(everywhere[0])}; no entry in {submissions} was fetched")
    everything = [*came, *folders]
    lines, own = [] if left_out is None else left_out, {*came}
    unreadable = [folder for folder in brought if folder not in own]
    refused = [*unreadable, *(folder for folder in fetched if folder in problems)]
    lines += [f"left out: {folder}: {problems[folder]}" for folder in refused]
    loaded, unread = [], []
    for folder, read in zip(everything, loading.read_all(everything, progress), strict=True):
        if isinstance(read, BadInput):
            unread.append(f"left out: {read}")
            continue
        one = BoardEntry(read.entry, folder, read)
        if suite is not None and folder in own:
            one = replace(one, apart=_apart(one, suite, problems))
        if one.apart is None and (problem := _unrankable(one)):
            unread.append(f"left out: {problem}")
        else:
            loaded.append(one)
    if unread and not loaded:
        raise BadInput(unread[0].removeprefix("left out: "))
    lines += unread
    taken = {name for one in loaded if one.folder in own for name in _names(one)}
    standing = [one for one in loaded if one.folder in own or taken.isdisjoint(_names(one))]
    return sorted(standing, key=lambda one: one.entry.path)


def _unrankable(found: BoardEntry) -> str | None:
    """Why an entry that calls itself ranked cannot be; None where it can, or does not."""
    card = found.entry.scorecard
    if card.ranked and (card.lift is None or card.lift.value is None):
        return (
            f"the entry {found.entry.path} calls itself ranked but has no lift; "
            "its scorecard does not follow from its verdicts: goodenough validate tells more"
        )
    return found.read.problem


def unfetched(submissions: Path) -> list[str]:
    """A line for each entry that `find` leaves out, and for each record beside one that tells nothing.

    git-lfs has not fetched them.
    """
    lines = []
    for folder in store.find(submissions):
        records = sorted(folder.parent.glob(f"{glob.escape(folder.name)}.*.json"))
        some = (store.unfetched(folder), *map(pointer, records))
        lines += [f"left out: {line}" for line in some if line]
    return lines


def references_of(suite: Suite, task: str) -> list[tuple[Path, Entry]]:
    """The references' own evaluations on the suite as it stands: folder and entry, by path."""
    key = (suite.ref(task).sha256, PROTOCOL)
    found = ((folder, store.read(folder)) for folder in suite.verdicts())
    return [(f, e) for f, e in found if e.task == task and (e.signals.sha256, e.protocol) == key]


def current(groups: Mapping[Key, Sequence[BoardEntry]]) -> tuple[Key | None, str]:
    """Which signals of a task are current when no suite tells: those that most models answered.

    Args:
        groups: the entries of one task; at least one.

    Returns:
        The key, or None when as many models answered others; and what decided, in a sentence, which is empty
        where there was nothing to decide.
    """
    counts = models_by_key(groups)
    # An older protocol comes into question only where nothing else is.
    newest = {key: n for key, n in counts.items() if key[1] == PROTOCOL} or counts
    best, *others = sorted(newest, key=lambda k: (-newest[k], k))
    if len(counts) == 1:
        return best, ""
    n, next_best = newest[best], newest[others[0]] if others else 0
    told = "The signals of this task are not those of the suite at hand"
    if n == next_best:
        return (
            None,
            f"{told}, and as many models answered one set of them as another: none is the current one.",
        )
    return (
        best,
        f"{told}; these were answered by most models under this protocol ({n}; the next: {next_best}).",
    )


def models_by_key(groups: Mapping[Key, Sequence[BoardEntry]]) -> dict[Key, int]:
    """How many different models, by name, answered each."""
    return {key: len({f.entry.model.repo_id for f in group}) for key, group in groups.items()}


def _names(found: BoardEntry) -> set[tuple[Key, str]]:
    """What makes two entries those of one model on one task."""
    entry = found.entry
    return {(found.key, entry.path), (found.key, f"{entry.model.weights_sha256} {entry.task}")}


def _can_be_read(folder: Path) -> bool:
    with suppress(BadInput):
        return bool(store.read(folder))
    return False


def _apart(found: BoardEntry, suite: Suite, problems: Problems) -> str | None:
    """Why an entry that came with the suite is set apart."""
    entry = found.entry
    if line := problems.get(found.folder):
        return f"The suite's own entry of it is not valid: {line}."
    if not suite.has_task(entry.task):
        return None
    if found.key != (suite.ref(entry.task).sha256, PROTOCOL):
        return None  # of signals that were: stale, as such submissions are
    weights = {reference.model.weights_sha256 for reference in suite.references(entry.task)}
    if entry.model.weights_sha256 not in weights:
        return "It lies among the suite's own entries and is of none of its references."
    return None
