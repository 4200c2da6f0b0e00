"""Rows of a mark, a name and a text, laid out for the width of the terminal.

Text is wrapped at the width of a terminal, but a word is never cut, so that it can be copied.
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
from functools import partial
from typing import IO

_MIN_COLUMNS = 30
"""Fewest columns for the text beside its name; with fewer it goes below."""


@dataclass(frozen=True)
class Row:
    """A row of the list."""

    mark: str
    """Word in the margin, or nothing."""
    style: str
    """Its colour, in the words of rich; or nothing."""
    name: str
    text: str


def print_rows(title: str, rows: Sequence[Row], end: str, command: str) -> None:
    """Print rows on stdout between a title and a last line, which may end with a command to copy."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    columns = width(sys.stdout)
    margin = max(len(row.mark) for row in rows) + 2
    text_column = margin + max(len(row.name) for row in rows) + 2

    print_line = partial(console.print, soft_wrap=True)
    print_line(Text(title, "bold"))
    for row in rows:
        head = Text.assemble((row.mark.ljust(margin), row.style), row.name)
        text_width = None if columns is None else columns - text_column
        longest = max(map(len, row.text.split()), default=0)
        if text_width is None or (text_width >= _MIN_COLUMNS and longest <= text_width):
            indent, (first, *rest) = text_column, _wrap(row.text, text_width)
            print_line(Text.assemble(head, " " * (indent - len(head)), first))
        else:
            indent, rest = margin, _wrap(row.text, columns and columns - margin)
            print_line(head)
        for line in rest:
            print_line(Text(" " * indent + line))
    if columns is None or len(end) + 1 + len(command) <= columns:
        lines = [f"{end} {command}".rstrip()]
    else:
        lines = [*_wrap(end, columns), *([f"  {command}"] if command else [])]
    for line in lines:
        print_line(Text(line))


def width(stream: IO[str]) -> int | None:
    """Columns to write in: COLUMNS, or those of the terminal; None where there is neither."""
    if os.environ.get("COLUMNS", "").isdigit() or stream.isatty():
        return shutil.get_terminal_size().columns
    return None


def _wrap(text: str, columns: int | None) -> list[str]:
    if columns is None:
        return [text]
    return textwrap.wrap(text, max(1, columns), break_long_words=False, break_on_hyphens=False) or [""]
