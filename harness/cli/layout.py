"""Rows of a mark, a name and a text, laid out for the terminal at hand.

Text is wrapped at the width of a terminal, but a word is never cut: what is to be copied stands whole.
In a pipe each row is one line, unless COLUMNS says otherwise.

Public: Row, print_rows, width.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

_LEAST = 30
"""Columns of text beside its name, at least; with fewer it stands below."""


@dataclass(frozen=True)
class Row:
    """One thing to say."""

    mark: str
    """Word in the margin, or nothing."""
    style: str
    """Its colour, in the words of rich; or nothing."""
    name: str
    """What it is about."""
    text: str
    """What there is to say."""


def print_rows(title: str, rows: Sequence[Row], end: str, command: str) -> None:
    """Print rows on stdout between a title and a last line, which may end with a command to copy."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    columns = width(sys.stdout)
    margin = max(len(row.mark) for row in rows) + 2
    beside = margin + max(len(row.name) for row in rows) + 2

    def say(line: Text) -> None:
        console.print(line, soft_wrap=True)

    say(Text(title, "bold"))
    for row in rows:
        head = Text.assemble((row.mark.ljust(margin), row.style), row.name)
        room = None if columns is None else columns - beside
        longest = max(map(len, row.text.split()), default=0)
        if room is None or (room >= _LEAST and longest <= room):
            indent, (first, *others) = beside, _wrapped(row.text, room)
            say(Text.assemble(head, " " * (indent - len(head)), first))
        else:
            indent, others = margin, _wrapped(row.text, columns and columns - margin)
            say(head)
        for line in others:
            say(Text(" " * indent + line))
    if columns is None or len(end) + 1 + len(command) <= columns:
        lines = [f"{end} {command}".rstrip()]
    else:
        lines = [*_wrapped(end, columns), *([f"  {command}"] if command else [])]
    for line in lines:
        say(Text(line))


def width(stream: IO[str]) -> int | None:
    """Columns to write in: COLUMNS, or those of the terminal; None where there is neither."""
    if os.environ.get("COLUMNS", "").isdigit() or stream.isatty():
        return shutil.get_terminal_size().columns
    return None


def _wrapped(text: str, columns: int | None) -> list[str]:
    if columns is None:
        return [text]
    return textwrap.wrap(text, max(1, columns), break_long_words=False, break_on_hyphens=False) or [""]
