"""Formats counts with their nouns: `1 clip`, `2,034 clips`, `0 classes`."""

from __future__ import annotations


def plural(n: int, noun: str, several: str | None = None) -> str:
    """A count and what is counted, e.g. `clip` or `whole clip`.

    `several` is what more are called; None where that is the noun as English makes it: with an s, -es after a
    hiss and -ies for a -y after a consonant.
    """
    return f"{n:,} {noun if n == 1 else several or _several(noun)}"


def _several(noun: str) -> str:
    if noun.endswith(("s", "sh", "ch", "x", "z")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
