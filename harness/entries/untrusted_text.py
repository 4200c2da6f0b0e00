"""Checks strings from untrusted sources, and makes them safe to show in messages."""

from __future__ import annotations

import unicodedata
from typing import Any

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, invisible and direction-changing ones, halves of characters, private, line ends."""

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, signs and marks that show nothing: two names that differ in them look the same."""

_MOST_MARKS = 4
"""Combining marks on one letter; more would cover the lines above and below."""


def is_plain(value: str, longest: int) -> bool:
    """Printable text of bounded length without tags, invisible characters or stacked marks."""
    if len(value) > longest or {"<", ">"} & {*value}:
        return False
    if value.isascii():
        return value.isprintable()
    kinds = [unicodedata.category(c) for c in value]
    marks = "".join("m" if kind in ("Mn", "Me") else " " for kind in kinds)
    return _REFUSED.isdisjoint(kinds) and _BLANK.isdisjoint(value) and "m" * (_MOST_MARKS + 1) not in marks


def excerpt(value: Any, longest: int = 60) -> str:
    """A value as it can be shown in a message: one line, ASCII, not long."""
    string = str(value)
    if not isinstance(value, str) and string in ("None", "nan", "<NA>"):
        return "nothing"
    beginning = string[:longest] + ("..." if len(string) > longest else "")
    return ascii(beginning) if isinstance(value, str) else ascii(beginning)[1:-1]


def plain(value: str, longest: int) -> str:
    """A text of any origin, safe to store in a record: itself where it is plain, else its ASCII."""
    if is_plain(value, longest):
        return value
    return ascii(one_line(value, longest).translate({ord("<"): "(", ord(">"): ")"}))[1:-1][:longest]


def one_line(message: str, longest: int = 600) -> str:
    """A message without anything that a terminal, a log or a page would act on."""
    return " ".join(printable(message[:longest]).split())


def printable(message: str) -> str:
    """A message with a blank for everything that a terminal, a log or a page would act on, line ends too."""
    if message.isascii() and message.isprintable():
        return message
    return "".join(" " if unicodedata.category(c) in _REFUSED else c for c in message)
