"""A record about one entry, in `<task>@<signals[:8]><suffix>` next to the entry's folder.

Its content is not trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Generic, TypeVar

from harness.dataset.parquet_io import sha256_of
from harness.disk_errors import pointer
from harness.entries import store, untrusted_files
from harness.entries.untrusted_text import excerpt
from harness.errors import BadInput
from harness.journal import replace_file
from harness.schemas import Entry, to_json

T = TypeVar("T")


@dataclass(frozen=True)
class Sidecar(Generic[T]):
    """One kind of record."""

    kind: type[T]
    """Its dataclass."""
    suffix: str
    """What its name adds to that of the entry's folder."""
    max_bytes: int
    """Size of a file that is read, at most."""
    noun: str
    """What it is, as `a verification of the entry beside it`."""
    command: str
    """The command that makes it again; `{folder}` is that of the entry."""
    shape: Callable[[T], Iterable[str]]
    """The problems of a record by itself, a line each."""
    of_entry: Callable[[T, Entry, str], Iterable[str]]
    """Where it differs from an entry, a line each; it also receives the sha256 of the entry's entry.json."""

    def path(self, folder: Path) -> Path:
        """Where the record of the entry in a folder lies."""
        return folder.with_name(folder.name + self.suffix)

    def write(self, folder: Path, record: T) -> Path:
        """Write a record next to its entry.

        Raises:
            BadInput: the folder cannot be written.
        """
        replace_file(self.path(folder), to_json(record).encode())
        return self.path(folder)

    def read(self, folder: Path) -> T | None:
        """The record next to an entry; None where there is none.

        Raises:
            BadInput: there is something else, or it is of another entry.
        """
        path = self.path(folder)
        if not path.exists() and not path.is_symlink():
            return None
        if line := pointer(path):
            raise BadInput(line)
        record, lines = self._read_file(path, folder)
        if record is None or lines:
            raise BadInput(
                f"{path} is not {self.noun} ({lines[0]}); delete it, and make it again with:"
                f" {self.command.format(folder=quote(str(folder)))}"
            )
        return record

    def problems(self, path: Path, folder: Path) -> list[str]:
        """All that is wrong with a file that should be the record of the entry in a folder."""
        return self._read_file(path, folder)[1]

    def _read_file(self, path: Path, folder: Path) -> tuple[T | None, list[str]]:
        record, lines = untrusted_files.record(self.kind, path, self.max_bytes)
        if record is not None:
            lines += [
                f"{path.name}: {line}"
                for line in (*self.shape(record), *self._entry_problems(record, folder))
            ]
        return record, lines

    def _entry_problems(self, record: T, folder: Path) -> Iterable[str]:
        try:
            entry, sha256 = store.read(folder), sha256_of(folder / store.ENTRY)
        except (BadInput, OSError):
            return ["entry: not readable, expected the entry it speaks of"]
        return self.of_entry(record, entry, sha256)


def differences(fields: Iterable[tuple[str, Any, Any]]) -> Iterator[str]:
    """Where fields, (name, value in the record, value it should have), differ from those of the entry."""
    for name, value, expected in fields:
        if value != expected:
            texts = ", expected ".join(excerpt(v, 200) for v in (value, expected))
            yield f"{name}: {texts}, that of the entry"
