"""A record that lies beside an entry and speaks of that entry alone: read as if a stranger had made it.

    <org>__<model>/<revision[:12]>/<task>@<signals[:8]>/           the entry, immutable
    <org>__<model>/<revision[:12]>/<task>@<signals[:8]><suffix>    the record

Public: Sidecar, differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Generic, TypeVar

from harness.dataset.parquet_io import sha256_of
from harness.disk import pointer
from harness.entries import store, strict_reading, text
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
    """Makes it again, `{folder}` being that of the entry."""
    shape: Callable[[T], Iterable[str]]
    """What does not hold in a record, line by line."""
    of_entry: Callable[[T, Entry, str], Iterable[str]]
    """What in it is not of an entry, line by line; it is given the sha256 of the entry's entry.json, too."""

    def path(self, folder: Path) -> Path:
        """Where the record of the entry in a folder lies."""
        return folder.with_name(folder.name + self.suffix)

    def write(self, folder: Path, record: T) -> Path:
        """Put a record beside its entry.

        Raises:
            BadInput: the folder cannot be written.
        """
        replace_file(self.path(folder), to_json(record).encode())
        return self.path(folder)

    def read(self, folder: Path) -> T | None:
        """The record beside an entry; None where there is none.

        Raises:
            BadInput: there is something else, or it is of another entry.
        """
        path = self.path(folder)
        if not path.exists() and not path.is_symlink():
            return None
        if line := pointer(path):
            raise BadInput(line)
        record, lines = self._checked(path, folder)
        if record is None or lines:
            raise BadInput(
                f"{path} is not {self.noun} ({lines[0]}); delete it, and make it again with:"
                f" {self.command.format(folder=quote(str(folder)))}"
            )
        return record

    def problems(self, path: Path, folder: Path) -> list[str]:
        """All that is wrong with a file that should be the record of the entry in a folder."""
        return self._checked(path, folder)[1]

    def _checked(self, path: Path, folder: Path) -> tuple[T | None, list[str]]:
        if unusable := strict_reading.unusable(path, self.max_bytes):
            return None, [unusable]
        record, lines = strict_reading.record(self.kind, path)
        if record is not None:
            lines += [
                f"{path.name}: {line}" for line in (*self.shape(record), *self._foreign(record, folder))
            ]
        return record, lines

    def _foreign(self, record: T, folder: Path) -> Iterable[str]:
        try:
            entry, sha256 = store.read(folder), sha256_of(folder / store.ENTRY)
        except (BadInput, OSError):
            return ["entry: not readable, expected the entry it speaks of"]
        return self.of_entry(record, entry, sha256)


def differences(stated: Iterable[tuple[str, Any, Any]]) -> Iterator[str]:
    """What a record states of its entry and is not so.

    Args:
        stated: the field, what the record has there, and what it should have.
    """
    for where, value, expected in stated:
        if value != expected:
            shown = ", expected ".join(text.shown(each, 200) for each in (value, expected))
            yield f"{where}: {shown}, that of the entry"
