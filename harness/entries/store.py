"""Entries on disk: writing, finding, reading, and filing among the submissions.

    <root>/<org>__<model>/<revision[:12]>/<task>@<signals[:8]>/
        verdicts.parquet    every answer
        entry.json          who, what, how, and the scorecard; written last: without it there is no entry

A results folder and `submissions/` have the same shape; a results folder may hold a report beside, which
never leaves it. A filed entry is immutable. Nothing here judges an entry: `validate` does.

Entries of protocol 1 are read, too (`protocol1`), and never written.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from harness import untrusted
from harness.dataset import parquet_io, parquet_schema, paths
from harness.disk_errors import pointer
from harness.entries import protocol1
from harness.errors import BadInput
from harness.journal import replace_file
from harness.schemas import Entry, from_json, to_json
from harness.types import Verdict

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ENTRY, VERDICTS = paths.ENTRY, paths.VERDICTS_FILE
MAX_BYTES = {ENTRY: 2**20, VERDICTS: 64 * 2**20}
"""The files of an entry, and how large each may be."""

_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[0-9a-f]{12}/[a-z0-9-]+@[0-9a-f]{8}")
"""What `Entry.path` may be: three folders, none of which can lead out of the root."""


def write(
    root: Path, entry: Entry, verdicts: Sequence[Verdict] | pa.Table | parquet_io.VerdictTables
) -> Path:
    """Write an entry; its count and hash of the verdicts are set here. Returns its folder.

    The verdicts are the rows its scorecard was counted from, as records, as a table of
    `parquet_schema.VERDICTS`, or in tables that are made one at a time.

    Raises:
        BadInput: the folder cannot be written, or the names in the entry make no path.
    """
    folder = _folder_in(root, entry)
    sha256 = parquet_io.write_verdicts(folder / VERDICTS, verdicts)
    entry = dataclasses.replace(entry, n_verdicts=len(verdicts), verdicts_sha256=sha256)
    replace_file(folder / ENTRY, to_json(entry).encode())
    return folder


def find(root: Path) -> list[Path]:
    """Every folder at or below the root that holds an entry.json, sorted.

    Symlinks are not followed, and hidden folders not opened: there lies what an evaluation keeps for itself.
    """
    entries = []
    for folder, folders, files in os.walk(root, followlinks=False):
        if ENTRY in (*folders, *files):
            entries.append(Path(folder))
        folders[:] = [name for name in folders if not name.startswith(".")]
    return sorted(entries)


def find_all(roots: Sequence[Path]) -> list[Path]:
    """The entries at or below several folders: each once, and at least one.

    Raises:
        BadInput: no such folder, or no entry below it.
    """
    entry_folders: list[Path] = []
    for root in roots:
        if not root.is_dir():
            reason = "is a file" if root.exists() else "does not exist"
            raise BadInput(f"{root} {reason}; expected the folder of an entry, or one above it")
        entries = find(root)
        if not entries:
            raise BadInput(
                f"no {ENTRY} in {root} or below; expected an entry: make one with goodenough evaluate, "
                "or give the folder it wrote"
            )
        entry_folders += entries
    return list({os.path.abspath(folder): folder for folder in reversed(entry_folders)}.values())[::-1]


def read(folder: Path) -> Entry:
    """The entry of a folder; one of protocol 1 in today's form, unranked.

    Raises:
        BadInput: there is none, or it is not an entry of this version or of protocol 1.
    """
    path = regular(folder / ENTRY)
    try:
        path.stat()
        return parse(untrusted.content(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        problem = str(error).splitlines()[0]
        raise BadInput(
            f"{path} is not an entry of this version ({problem}); "
            f"for all that is wrong with it: goodenough validate {quote(str(folder))}"
        ) from None


def parse(text: bytes) -> Entry:
    """The entry that an entry.json holds; one of protocol 1 in today's form, unranked.

    Raises:
        ValueError: it is neither; one line per problem.
    """
    try:
        entry = from_json(Entry, text)
    except ValueError:
        if not protocol1.is_protocol_1(text):
            raise
        return protocol1.entry_of(text)
    if entry.protocol == protocol1.PROTOCOL_1:
        raise ValueError("protocol: 1, and fields that protocol 1 did not have")
    return entry


def verdicts(folder: Path) -> pd.DataFrame:
    """The verdicts of a folder, with the columns of `dataset.parquet_schema.VERDICTS`.

    Verdicts of protocol 1 are converted to these columns (`protocol1.with_current_columns`).

    Raises:
        BadInput: no file, not Parquet, or not of this schema.
    """
    table = parquet_io.verdicts(regular(folder / VERDICTS), (parquet_schema.VERDICTS, protocol1.VERDICTS))
    is_old = table.column_names == protocol1.VERDICTS.names
    return parquet_io.frame_of(protocol1.with_current_columns(table) if is_old else table)


def regular(path: Path) -> Path:
    """The path, if it is a regular file with content, or does not exist.

    Raises:
        BadInput: a pipe, a device, a folder, or a link to one; or a pointer of git-lfs.
    """
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is no file; expected one that goodenough evaluate wrote: delete it")
    if line := pointer(path):
        raise BadInput(line)
    return path


def unfetched(folder: Path) -> str | None:
    """The line about an entry of which git-lfs has not fetched a file; None for any other."""
    return pointer(folder / ENTRY) or pointer(folder / VERDICTS)


def file_into(folder: Path, submissions: Path) -> Path:
    """Copy an entry, without the files next to it, to its folder among the submissions, which is returned.

    Filing the same entry again changes nothing. The verdicts go first, so that what a kill leaves behind is
    no entry, and the same command completes it.

    Raises:
        BadInput: another entry is already there, or one of the folders cannot be read or written.
    """
    target = _folder_in(submissions, read(folder))
    if (target / ENTRY).exists():
        for name in (VERDICTS, ENTRY):
            if _bytes(folder / name) != _bytes(target / name):
                raise BadInput(
                    f"{target} already holds an entry with another {name}, and entries are immutable; "
                    "a new one needs a new revision of the model or of the signals"
                )
        return target
    return copy(folder, submissions)


def copy(folder: Path, root: Path) -> Path:
    """Copy an entry to its folder in a results folder, replacing an existing one; the verdicts go first.

    Raises:
        BadInput: one of the folders cannot be read or written.
    """
    target = _folder_in(root, read(folder))
    for name in (VERDICTS, ENTRY):
        replace_file(target / name, _bytes(folder / name))
    return target


def _folder_in(root: Path, entry: Entry) -> Path:
    if not _PATH.fullmatch(entry.path):
        raise BadInput(
            f"the entry would lie at {entry.path!r}; expected <org>__<model>/<12 hex digits>/<task>@<8 hex "
            "digits>: its names are not those of a model, a task and signals"
        )
    return root / entry.path


def _bytes(path: Path) -> bytes:
    try:
        return regular(path).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None
