"""What is fuzzed: a parser of the product, files that it accepts, and how they are changed.

A module of this package that has targets lists them in `TARGETS`, a tuple; `targets.ALL` is made of these.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Refused(Exception):
    """The parser refused the file; the lines that it gave, one a problem, are its message.

    For parsers that give back their problems; those that raise a GoodenoughError need no translation.
    """


def _in_folder(folder: Path) -> Path:
    return folder / "input"


def _nothing(value: Any, data: bytes) -> str | None:
    return None


@dataclass(frozen=True)
class Target:
    """One parser."""

    name: str
    """As in the table; unique."""
    originals: Callable[[], Sequence[bytes]]
    """Files that it accepts, from which the others are made; called once in each child process."""
    mutate: Callable[[random.Random, bytes], bytes]
    """Another file: made of one that is accepted, by nothing but the generator."""
    read: Callable[[Path], Any]
    """What the product makes of a file. Raises GoodenoughError or Refused, with lines; any other exception is
    a fault."""
    invalid: Callable[[Any, bytes], str | None] = _nothing
    """Of what `read` gave back and the bytes of the file: why it should have been refused; None if it is
    right. Writes it back and reads it again, or asks a second reader."""
    place: Callable[[Path], Path] = _in_folder
    """Makes in an empty folder what lies beside the file; gives back the path of the file. Once in each child
    process."""
