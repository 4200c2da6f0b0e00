"""Compares names: the key by which they match, and how two that look alike differ.

Conventions: names are Unicode text as people type it and as file systems store it, composed (NFC) or
decomposed (NFD). What only case, spaces, underscores, hyphens between words, and the like tell apart is one
name. Everything that makes another word stays: letters of all scripts with their vowel signs and marks,
digits and what is between them, signs (`C#`, `A+`, `A-`, `+5 dB`), apostrophes (`we'll`).
"""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from itertools import groupby
from pathlib import Path, PurePosixPath

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks and letters that show nothing, in addition to all of category Cf."""
_SIGNS = frozenset("#%&@*")
"""Punctuation that makes another word; of the symbols all do but accents without a letter and `|`."""
_DASHES = re.compile("[\u2010-\u2015\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d]")
_APOSTROPHES = re.compile("[\u2018\u2019\u201b\u2032\u02bc]")
_CONJUNCTION = re.compile(r"(?<=\w)\s*'n'\s*(?=\w)")
_JOINTS = re.compile(r"(?<=\w)\s+[&+]\s+(?=\w)")

_WORD = re.compile("U+(?!l)s*|U?l+s*|d+s*|s+")
"""On what `_kind` gives."""
_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаесіјорѕухԁԛԝһΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρ♯ıӀ", "ABESIJKMHOPCTYXaecijopsyxdqwhABEZHIKMNOPTYXovp#il"
)


@lru_cache(maxsize=4096)
def key(name: str) -> str:
    """The key of a name: equal for all of its spellings, different for other names; idempotent.

    A name without letters and digits is its own key, without spaces: `+` and `-` are two.
    """
    text = _plain(name)
    if not any(map(str.isalnum, text)):
        return "".join(text.split())
    text = _CONJUNCTION.sub("n", text)
    parts = ["".join(part) for _, part in groupby(text, _is_of_a_word)]
    # Before, between and after the words there is a gap, be it an empty one.
    parts = ["", *parts] if _is_of_a_word(text[0]) else parts
    parts = [*parts, ""] if _is_of_a_word(text[-1]) else parts
    parts[0] = "-" if parts[0].endswith("-") else ""
    end = re.match("[-']*", parts[-1])
    parts[-1] = "" if end is None or text.startswith("'") else end.group()
    for i in range(2, len(parts) - 1, 2):
        parts[i] = _between(parts[i - 1][-1], parts[i], parts[i + 1][0])
    return unicodedata.normalize("NFC", "".join(parts))


def words(name: str) -> list[str]:
    """Words of a name, also of one in CamelCase: AIVoice is AI, Voice; a sign is of the word before it."""
    text = _DASHES.sub("-", nfc(name))
    kinds = "".join(_kind(c) for c in text)
    return [text[match.start() : match.end()] for match in _WORD.finditer(kinds)]


def without_joints(name: str) -> str:
    """A name without an `&` or `+` between words with spaces: `Hip Hop & Rap`."""
    return _JOINTS.sub(" ", name)


def nfc(name: str) -> str:
    """The composed form (NFC), which most keyboards and file systems give."""
    return unicodedata.normalize("NFC", name)


def same_file(folder: Path, relative: PurePosixPath) -> Path | None:
    """The file below a folder with this name, composed or decomposed; the very same name comes first.

    Returns:
        None where there is none, or where there are several and none has the very same name.
    """
    if os.path.isfile(folder / relative):  # Path.is_file raises on a name that is too long
        return folder / relative
    folders = [folder]
    for part in relative.parts:
        form = nfc(part)
        folders = [
            parent / name
            for parent in folders
            if os.path.isdir(parent)
            for name in os.listdir(parent)
            if nfc(name) == form
        ]
    files = [path for path in folders if os.path.isfile(path)]
    return files[0] if len(files) == 1 else None


def apart(one: str, other: str) -> str:
    """How two different names differ that look the same, as an aside; empty where anybody sees it.

    Example:
        `apart("сello", "cello")` is " (they look alike: the first has U+0441 CYRILLIC SMALL LETTER ES where
        the second has U+0063 LATIN SMALL LETTER C)".
    """
    if one == other or _look(one) != _look(other):
        return ""
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    at = min(len(one), len(other)) if at is None else at
    return (
        f" (they look alike: the first has {_character(one, at)} where the second has"
        f" {_character(other, at)})"
    )


def _plain(name: str) -> str:
    """Composed, without case and without what shows nothing, with one kind of dash and apostrophe."""
    text = unicodedata.normalize("NFD", name).casefold().replace("i\u0307", "i")  # of the Turkish capital I
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFD", _visible(text)).casefold())
    text = text.replace("\u2033", "''")
    return _APOSTROPHES.sub("'", _DASHES.sub("-", text)).strip()


def _is_of_a_word(c: str) -> bool:
    kind = unicodedata.category(c)
    return kind[0] in "LMN" or (kind in ("Sm", "Sc", "So") and c != "|") or c in _SIGNS


def _kind(c: str) -> str:
    """U for a capital letter, l for another letter or a mark, d for a digit, s for a sign, else a space."""
    kind = unicodedata.category(c)
    if kind in ("Lu", "Lt"):
        return "U"
    return {"L": "l", "M": "l", "N": "d"}.get(kind[0], "s" if _is_of_a_word(c) else " ")


def _between(before: str, gap: str, after: str) -> str:
    """What a key keeps of what is between two words."""
    if before.isdigit() and after.isdigit():  # 1.5, 1 5 and 15 are three; 1-5, 1_5 and 1 5 are one
        return re.sub(r"[\s_]+", "", gap) or "-"
    if gap == "'":
        return gap
    return " -" if re.search(r"[\s(]-$", gap) and after.isdigit() else ""


def _look(name: str) -> str:
    text = _APOSTROPHES.sub("'", _DASHES.sub("-", unicodedata.normalize("NFKC", name.translate(_LOOKALIKES))))
    return " ".join(_visible(text).split())


def _visible(text: str) -> str:
    return "".join(c for c in _INVISIBLE.sub("", text) if unicodedata.category(c) != "Cf")


def _character(name: str, at: int) -> str:
    if at >= len(name):
        return "nothing"
    return f"U+{ord(name[at]):04X} {unicodedata.name(name[at], '')}".strip()
