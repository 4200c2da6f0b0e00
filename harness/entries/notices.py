"""Invalidations of entries, and opt-outs from tasks: signed, with a reason, and never withdrawn.

    <org>__<model>/<revision[:12]>/<task>@<signals[:8]>.invalidated.json   an entry that must not be believed
    <org>__<model>/<revision[:12]>/<task>.declined.json                    a task that a model opts out of

A list of invalidations only grows. An opt-out takes the place of an entry: it says that a model was not
evaluated on a task, and why, for example because it was trained on the corpus.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.dataset import paths
from harness.dataset.parquet_io import sha256_of
from harness.entries import store, untrusted_files
from harness.entries.untrusted_text import excerpt, is_plain
from harness.errors import BadInput
from harness.journal import replace_file
from harness.schemas import to_json
from harness.types import STRICT

INVALIDATED, OPTED_OUT = paths.INVALIDATED, paths.OPTED_OUT

MAX_BYTES = 2**16
MAX_TEXT = 500
"""Characters of a reason."""
MAX_NAME = 100
"""Characters of an author's name."""

_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[0-9a-f]{12}/[a-z0-9-]+")


@dataclasses.dataclass(frozen=True)
class Invalidation:
    """Why an entry must not be believed."""

    __pydantic_config__ = STRICT

    author: str
    """Who says so."""
    reason: str
    """In a sentence."""
    date: str
    """YYYY-MM-DD."""
    entry_sha256: str
    """Of the entry.json that is meant."""


@dataclasses.dataclass(frozen=True)
class Invalidations:
    """A file of them, the oldest first."""

    __pydantic_config__ = STRICT

    invalidations: tuple[Invalidation, ...]
    """At least one."""


@dataclasses.dataclass(frozen=True)
class OptOut:
    """A model that opts out of a task."""

    __pydantic_config__ = STRICT

    repo_id: str
    """The model."""
    revision: str
    """Its commit, or the sha256 of a folder."""
    task: str
    """Name of the task."""
    author: str
    """Who says so."""
    reason: str
    """In a sentence."""
    date: str
    """YYYY-MM-DD."""

    @property
    def path(self) -> str:
        """Where it lies among the submissions."""
        return f"{self.repo_id.replace('/', '__')}/{self.revision[:12]}/{self.task}{OPTED_OUT}"


def invalidations_of(folder: Path) -> tuple[Invalidation, ...]:
    """The invalidations of the entry in a folder, the oldest first; empty where there is no such file.

    Raises:
        BadInput: there is something else.
    """
    path = folder.with_name(folder.name + INVALIDATED)
    if not path.exists() and not path.is_symlink():
        return ()
    record, lines = _read_invalidations(path, folder)
    if record is None or lines:
        raise BadInput(f"{path} is no list of invalidations of the entry beside it: {lines[0]}")
    return record.invalidations


def invalidate(folder: Path, author: str, reason: str) -> Path:
    """Add an invalidation to an entry; earlier ones stay, and one that is there already is not added again.

    Raises:
        BadInput: author or reason are no plain text, or the entry is not here.
    """
    invalidations = invalidations_of(folder)
    new = Invalidation(author, reason, _today(), sha256_of(store.regular(folder / store.ENTRY)))
    _require_plain(author, reason)
    path = folder.with_name(folder.name + INVALIDATED)
    if any((i.author, i.reason) == (author, reason) for i in invalidations):
        return path
    replace_file(path, to_json(Invalidations((*invalidations, new))).encode())
    return path


def opt_outs_below(submissions: Path) -> list[OptOut]:
    """Every valid opt-out among the submissions, by path; `validate` reports the others."""
    opt_outs = []
    for path in sorted(submissions.glob(f"*/*/*{OPTED_OUT}")):
        if not opt_out_problems(path, submissions):
            record, _ = untrusted_files.record(OptOut, path)
            opt_outs += [record] if record else []
    return opt_outs


def opt_out(submissions: Path, notice: OptOut) -> Path:
    """File an opt-out; an existing one is not changed.

    Raises:
        BadInput: another one is there, or it is no plain text, or its names make no path.
    """
    _require_plain(notice.author, notice.reason)
    if not _PATH.fullmatch(notice.path.removesuffix(OPTED_OUT)):
        raise BadInput(
            f"the opt-out would lie at {notice.path!r}; expected <org>__<model>/<12 hex digits>/<task>"
        )
    path = submissions / notice.path
    if path.exists():
        current, _ = untrusted_files.record(OptOut, path)
        if current is not None and dataclasses.replace(current, date=notice.date) == notice:
            return path
        raise BadInput(f"{path} is there already, and says something else; an opt-out is not changed")
    replace_file(path, to_json(notice).encode())
    return path


def new_opt_out(repo_id: str, revision: str, task: str, author: str, reason: str) -> OptOut:
    """An opt-out as of today."""
    return OptOut(repo_id, revision, task, author, reason, _today())


def problems(path: Path, folder: Path) -> list[str]:
    """All that is wrong with a file that should be the invalidations of an entry."""
    return _read_invalidations(path, folder)[1]


def _read_invalidations(path: Path, folder: Path) -> tuple[Invalidations | None, list[str]]:
    record, read_problems = untrusted_files.record(Invalidations, path, MAX_BYTES)
    if record is None or read_problems:
        return None, read_problems
    lines = [] if record.invalidations else ["invalidations: none, expected at least one"]
    try:
        sha256 = sha256_of(folder / store.ENTRY)
    except OSError as error:
        return None, [f"{path.name}: of an entry that cannot be read ({error.strerror})"]
    for i, invalidation in enumerate(record.invalidations):
        lines += _content_problems(
            f"invalidations.{i}.", invalidation.author, invalidation.reason, invalidation.date
        )
        if invalidation.entry_sha256 != sha256:
            lines.append(f"invalidations.{i}.entry_sha256: of another entry, expected {sha256}")
    dates = [invalidation.date for invalidation in record.invalidations]
    if dates != sorted(dates):
        lines.append("invalidations: out of order, expected the oldest first")
    return record, [f"{path.name}: {line}" for line in lines]


def opt_out_problems(path: Path, submissions: Path) -> list[str]:
    """All that is wrong with a file that should be an opt-out."""
    record, read_problems = untrusted_files.record(OptOut, path, MAX_BYTES)
    if record is None or read_problems:
        return read_problems
    lines = list(_content_problems("", record.author, record.reason, record.date))
    location = path.relative_to(submissions).as_posix()
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", record.revision):
        lines.append(f"revision: {excerpt(record.revision)}, expected 40 or 64 hex digits")
    if location != record.path or not _PATH.fullmatch(location.removesuffix(OPTED_OUT)):
        paths = ", expected ".join(excerpt(path, 200) for path in (location, record.path))
        lines.append(f"lies at {paths}, by its content")
    return [f"{path.name}: {line}" for line in lines]


def notice_problems(path: Path, submissions: Path) -> list[str]:
    """All that is wrong with a file that `is_notice`."""
    if path.name.endswith(OPTED_OUT):
        return opt_out_problems(path, submissions)
    return problems(path, path.with_name(path.name.removesuffix(INVALIDATED)))


def is_notice(path: Path, entries: Sequence[Path] | set[Path]) -> bool:
    """Whether a file has the name and the location of a notice."""
    entry_folder = path.with_name(path.name.removesuffix(INVALIDATED))
    return (path.name.endswith(INVALIDATED) and entry_folder in entries) or path.name.endswith(OPTED_OUT)


def _content_problems(prefix: str, author: str, reason: str, date: str) -> Iterator[str]:
    for name, value, longest in (("author", author, MAX_NAME), ("reason", reason, MAX_TEXT)):
        if not value.strip() or not is_plain(value, longest):
            yield (
                f"{prefix}{name}: {excerpt(value)}, expected plain text without < and >, 1 to {longest}"
                " characters"
            )
    try:
        datetime.datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=datetime.UTC)
    except ValueError:
        yield f"{prefix}date: {excerpt(date)}, expected YYYY-MM-DD"


def _require_plain(author: str, reason: str) -> None:
    if lines := list(_content_problems("", author, reason, _today())):
        raise BadInput(lines[0])


def _today() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
