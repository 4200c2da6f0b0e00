"""Escapes texts from strangers for a page."""

from __future__ import annotations

import re
from html import escape

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that reverse the direction of writing, break a line invisibly or have no width."""


LONGEST = 2000
"""Most characters of a text on a page; more are a mistake, or made to fill a disk."""


def neutral(text: str) -> str:
    """The text, cut to LONGEST, with a mark for each character of _UNSEEN."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 1]}…"
    plain = text.isascii() and text.isprintable()
    return text if plain else _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def escape_html(text: str) -> str:
    """The neutral text escaped for HTML, for content and attributes."""
    return escape(neutral(text))
