"""Tables that fit the terminal: cells are folded between words, or columns left out and listed below.

A pipe has no width, so that its content does not depend on a terminal; COLUMNS sets one.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_NO_WIDTH = 100_000
"""Columns of a pipe."""

_GAP = 2
"""Columns between two columns of a table."""

_MAX_PART = 24
"""Longest part of a name that is worth leaving out another column for."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    header: str
    importance: int = 0
    """The column of the largest number is left out first; one of 0 never is."""
    folds: bool = False
    """Whether its cells are words, on the left, which may be folded; otherwise numbers, on the right."""


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    cells: Sequence[str]
    """As many as there are columns, or fewer."""
    style: str = ""
    """As rich names it, e.g. `bold`."""
    ends_section: bool = False
    """Whether there is a rule below it."""


def section(title: str, rows: Sequence[Row]) -> list[Row]:
    """Rows below a heading, with a rule at their end."""
    return [Row((title,), "bold"), *rows[:-1], replace(rows[-1], ends_section=True)]


def show_table(title: str, columns: Sequence[Column], rows: Sequence[Row], *, err: bool = False) -> None:
    """Print a table, and below it the headers of the columns that there was no room for.

    Without rows it is one sentence. With `err` it goes to stderr.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if not rows:
        show_text(f"{title}: nothing to show.", err=err)
        return
    console = console_for(err=err)
    cells = [[row.cells[i] if i < len(row.cells) else "" for row in rows] for i in range(len(columns))]
    floors = [_min_width(column, texts) for column, texts in zip(columns, cells, strict=True)]
    visible = _visible(columns, floors, console.width)
    widths = _widths(columns, cells, floors, visible, console.width)
    table = Table(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for i in visible:
        side = "left" if columns[i].folds else "right"
        table.add_column(Text(columns[i].header), justify=side, no_wrap=True)  # type: ignore[arg-type]
    for j, row in enumerate(rows):
        texts = [Text(fold(cells[i][j], width)) for i, width in zip(visible, widths, strict=True)]
        table.add_row(*texts, style=row.style, end_section=row.ends_section)
    console.print(Text(fold(title, console.width), "italic"), soft_wrap=True)
    console.print(table)
    if hidden := [column.header for i, column in enumerate(columns) if i not in visible]:
        show_text(f"Columns that do not fit: {', '.join(hidden)}. A wider terminal shows them.", err=err)
    console.print()


def show_text(text: str, *, err: bool = False) -> None:
    """Print a line, folded between words where it is longer than the terminal is wide."""
    from rich.text import Text

    console = console_for(err=err)
    console.print(Text(fold(text, console.width)), soft_wrap=True)


def fold(text: str, width: int) -> str:
    """Break a line between words; a word that is longer than a line after a slash, hyphen or the like.

    Args:
        text: one line, or more.
        width: columns of a line.

    Returns:
        The text with line breaks; what is folded keeps the indent.
    """
    return "\n".join(part for line in text.split("\n") for part in _fold_line(line, max(width, 1)))


def _fold_line(line: str, width: int) -> list[str]:
    from rich.cells import cell_len

    body = line.lstrip(" ")
    indent = line[: len(line) - len(body)] if len(line) - len(body) < width // 2 else ""
    lines, current_line = [], ""
    for piece in _pieces(body, width - len(indent)):
        if current_line and cell_len(indent + current_line + piece.rstrip(" ")) > width:
            lines.append(indent + current_line.rstrip(" "))
            current_line = ""
        current_line += piece
    return [*lines, indent + current_line.rstrip(" ")]


def _pieces(text: str, width: int) -> list[str]:
    """What a text is broken into: words, and of those that are wider than a line their parts."""
    from rich.cells import cell_len, chop_cells

    pieces = []
    for word in re.findall("[^ ]+ *", text):  # other blanks, as between a number and its unit, do not break
        if cell_len(word.rstrip(" ")) <= width:
            pieces.append(word)
            continue
        for part in _parts(word):
            pieces += [part] if cell_len(part.rstrip(" ")) <= width else chop_cells(part, width)
    return pieces


def _parts(text: str) -> list[str]:
    """Words, and what slashes, hyphens and the like join in one."""
    return re.findall("[^/_@ -]*[/_@-]+ *|[^/_@ -]+ *", text)


def wrap(text: str, width: int, indent: str = "") -> str:
    """Break a line between words, each line with the indent; no word is cut, so that it can be copied."""
    return textwrap.fill(
        *(text, max(1, width)),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def console_for(*, err: bool = False) -> Console:
    """The console of stdout or stderr, as wide as COLUMNS or its terminal says, or without end."""
    from rich.console import Console

    console = Console(stderr=err, highlight=False)
    if not (os.environ.get("COLUMNS", "").isdigit() or console.file.isatty()):
        console.width = _NO_WIDTH
    return console


def _visible(columns: Sequence[Column], floors: Sequence[int], width: int) -> list[int]:
    """Indices of the columns that fit: the least important are dropped first."""
    visible = list(range(len(columns)))
    while sum(floors[i] for i in visible) + _GAP * (len(visible) - 1) > width:
        droppable = [i for i in visible if columns[i].importance]
        if not droppable:
            break
        visible.remove(max(droppable, key=lambda i: columns[i].importance))
    return visible


def _widths(
    columns: Sequence[Column],
    cells: Sequence[Sequence[str]],
    floors: Sequence[int],
    visible: Sequence[int],
    width: int,
) -> list[int]:
    """Widths of the visible columns: folding ones shrink to the longest part of a word, then further."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, [columns[i].header, *cells[i]])) for i in visible]
    last_floors = [1 if columns[i].folds else w for i, w in zip(visible, widths, strict=True)]
    for limits in ([floors[i] for i in visible], last_floors):
        while sum(widths) + _GAP * (len(visible) - 1) > width:
            widest = max(range(len(visible)), key=lambda j: widths[j] - limits[j])
            if widths[widest] <= limits[widest]:
                break
            widths[widest] -= 1
    return widths


def _min_width(column: Column, cells: Sequence[str]) -> int:
    """How narrow a column may get before another is left out."""
    from rich.cells import cell_len

    if not column.folds:
        return max(map(cell_len, [column.header, *cells]))
    indent = max(len(cell) - len(cell.lstrip(" ")) for cell in cells)
    parts = [cell_len(part.rstrip(" ")) for cell in cells for part in _parts(cell.lstrip(" "))]
    return max([cell_len(column.header), *(indent + min(part, _MAX_PART) for part in parts)])
