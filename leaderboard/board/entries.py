"""Finds the entries on disk that may be on a board: checked, each model once.

Conventions: the caller passes the problems (`valid_entries`). A submission with one is left out;
an entry of the suite itself, below `<root>/verdicts/`, is shown unranked with the reason, if it can be read.
Nothing that an entry states about itself, for example its date, decides which signals are current.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from harness.dataset.suites import Suite
from harness.disk_errors import pointer
from harness.entries import store
from harness.errors import BadInput
from harness.schemas import Entry
from harness.types import PROTOCOL
from leaderboard.board import loading
from leaderboard.board.content_cache import NO_CACHE, ContentCache
from leaderboard.board.file_hashes import FileHashes, Identity, identity_of
from leaderboard.board.types import LoadedEntry
from leaderboard.process_pool import Progress, quiet

Key = tuple[str, int]
"""signals.sha256 and protocol: what two entries must share to be compared."""

Problems = Mapping[Path, str]
"""The first problem of an entry, by its folder (`valid_entries.look`); valid entries are not in it."""

NO_PROBLEMS: Problems = MappingProxyType({})
"""All entries are valid."""


@dataclass(frozen=True)
class BoardEntry:
    """An entry and its folder."""

    entry: Entry
    """As in `LoadedEntry`."""
    folder: Path
    data: LoadedEntry = field(repr=False, compare=False)
    exclusion_reason: str | None = None
    """Why it is in no ranking and no heat map, whatever its scorecard says; None where it may be."""

    @property
    def key(self) -> Key:
        """What it can be compared on."""
        return self.entry.signals.sha256, self.entry.protocol


def find(
    submissions: Path,
    suite: Suite | None,
    progress: Progress = quiet,
    problems: Problems = NO_PROBLEMS,
    messages: list[str] | None = None,
    cache: ContentCache = NO_CACHE,
    hashes: FileHashes | None = None,
) -> list[BoardEntry]:
    """Every entry, by path; of a reference that was also submitted, the suite's own.

    A submission is of such a reference when it has its weights, or its name and revision. One that git-lfs
    has not fetched is left out (`unfetched`), and so is one that cannot be read. `messages` is given a line
    for each submission with a problem, and for each entry that cannot be read.

    Raises:
        BadInput: no such folder, or there are entries, and none of them was fetched, or none can be read, or
            git-lfs has not fetched one of the suite's own.
    """
    if not submissions.is_dir():
        raise BadInput(
            f"no folder at {submissions}; expected one of entries, "
            "<org>__<model>/<revision>/<task>@<signals>; name it with --submissions DIR"
        )
    suite_folders = [] if suite is None else suite.verdicts()
    for line in filter(None, map(store.unfetched, suite_folders)):
        raise BadInput(line)
    readable_folders = [folder for folder in suite_folders if folder not in problems or _is_readable(folder)]
    submission_folders = store.find(submissions)
    present_folders = [folder for folder in submission_folders if store.unfetched(folder) is None]
    valid_folders = [folder for folder in present_folders if folder not in problems]
    if submission_folders and not present_folders:
        raise BadInput(f"{store.unfetched(submission_folders[0])}; no entry in {submissions} was fetched")
    all_folders = [*readable_folders, *valid_folders]
    lines, own_folders = [] if messages is None else messages, {*readable_folders}
    left_out = [folder for folder in suite_folders if folder not in own_folders]
    left_out += [folder for folder in present_folders if folder in problems]
    lines += [f"left out: {folder}: {problems[folder]}" for folder in left_out]
    board_entries, errors = [], []
    loaded_entries = loading.read_all(all_folders, progress, cache, hashes)
    for folder, data in zip(all_folders, loaded_entries, strict=True):
        if isinstance(data, BadInput):
            errors.append(f"left out: {data}")
            continue
        board_entry = BoardEntry(data.entry, folder, data)
        if suite is not None and folder in own_folders:
            reason = _exclusion_reason(board_entry, suite, problems)
            board_entry = replace(board_entry, exclusion_reason=reason)
        if board_entry.exclusion_reason is None and (problem := _rank_problem(board_entry)):
            errors.append(f"left out: {problem}")
        else:
            board_entries.append(board_entry)
    if errors and not board_entries:
        raise BadInput(errors[0].removeprefix("left out: "))
    lines += errors
    own_entries = [each for each in board_entries if each.folder in own_folders]
    own_identities = set[tuple[Key, str]]().union(*map(_identities, own_entries))
    distinct = (
        each
        for each in board_entries
        if each.folder in own_folders or own_identities.isdisjoint(_identities(each))
    )
    return sorted(distinct, key=lambda each: each.entry.path)


def _rank_problem(board_entry: BoardEntry) -> str | None:
    """Why an entry that calls itself ranked cannot be; None where it can, or does not."""
    scorecard = board_entry.entry.scorecard
    if scorecard.ranked and (scorecard.lift is None or scorecard.lift.value is None):
        return (
            f"the entry {board_entry.entry.path} calls itself ranked but has no lift; "
            "its scorecard does not follow from its verdicts: goodenough validate tells more"
        )
    return board_entry.data.problem


def unfetched(submissions: Path) -> list[str]:
    """A line for each entry that `find` leaves out, and for each record next to one that is not read.

    These are pointers that git-lfs has not fetched.
    """
    lines = []
    for folder in store.find(submissions):
        records = sorted(folder.parent.glob(f"{glob.escape(folder.name)}.*.json"))
        messages = (store.unfetched(folder), *map(pointer, records))
        lines += [f"left out: {line}" for line in messages if line]
    return lines


def references_of(suite: Suite, task: str) -> list[tuple[Path, Entry]]:
    """The references' own evaluations on the current suite: folder and entry, by path."""
    key = (suite.ref(task).sha256, PROTOCOL)
    folders = tuple(suite.verdicts())
    identities = tuple(identity_of(store.regular(folder / store.ENTRY)) for folder in folders)
    return [
        (folder, entry)
        for folder, entry in zip(folders, _read(folders, identities), strict=True)
        if entry.task == task and (entry.signals.sha256, entry.protocol) == key
    ]


@lru_cache(maxsize=1)
def _read(folders: tuple[Path, ...], identities: tuple[Identity, ...]) -> tuple[Entry, ...]:
    """The entries of folders, whose files have these identities."""
    return tuple(map(store.read, folders))


def current(groups: Mapping[Key, Sequence[BoardEntry]]) -> tuple[Key | None, str]:
    """Which signals of a task are current when no suite tells: those that most models answered.

    None when as many models answered others; with it, what decided, in a sentence, which is empty where there
    was nothing to decide.
    """
    counts = models_by_key(groups)
    # An older protocol counts only where there is no entry of the newest.
    newest_counts = {key: n for key, n in counts.items() if key[1] == PROTOCOL} or counts
    best_key, *other_keys = sorted(newest_counts, key=lambda key: (-newest_counts[key], key))
    if len(counts) == 1:
        return best_key, ""
    n_best, n_next = newest_counts[best_key], newest_counts[other_keys[0]] if other_keys else 0
    reason = "The signals of this task are not those of the suite at hand"
    if n_best == n_next:
        tie = "as many models answered one set of them as another: none is the current one."
        return None, f"{reason}, and {tie}"
    answered = f"these were answered by most models under this protocol ({n_best}; the next: {n_next})."
    return best_key, f"{reason}; {answered}"


def models_by_key(groups: Mapping[Key, Sequence[BoardEntry]]) -> dict[Key, int]:
    """How many different models, by name, answered each."""
    return {key: len({each.entry.model.repo_id for each in group}) for key, group in groups.items()}


def _identities(board_entry: BoardEntry) -> set[tuple[Key, str]]:
    """Two entries that share one of these are of one model on one task."""
    entry = board_entry.entry
    return {(board_entry.key, entry.path), (board_entry.key, f"{entry.model.weights_sha256} {entry.task}")}


def _is_readable(folder: Path) -> bool:
    with suppress(BadInput):
        return bool(store.read(folder))
    return False


def _exclusion_reason(board_entry: BoardEntry, suite: Suite, problems: Problems) -> str | None:
    """Why an entry that came with the suite is not ranked."""
    entry = board_entry.entry
    if line := problems.get(board_entry.folder):
        return f"The suite's own entry of it is not valid: {line}."
    if not suite.has_task(entry.task):
        return None
    if board_entry.key != (suite.ref(entry.task).sha256, PROTOCOL):
        return None  # of earlier signals: stale, as such submissions are
    weights = {reference.model.weights_sha256 for reference in suite.references(entry.task)}
    if entry.model.weights_sha256 not in weights:
        return "It lies among the suite's own entries and is of none of its references."
    return None
