"""Texts that a stranger wrote, as they may stand on a page.

Public: neutral, escaped.
"""

from __future__ import annotations

import re
from html import escape

_UNSEEN = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u206f\ufeff]")
"""Characters that turn the direction of writing round, break a line unseen or take no room."""


def neutral(text: str) -> str:
    """The text with a mark in place of whatever turns the direction of writing round, or hides."""
    return text if text.isascii() else _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(text: str) -> str:
    """The same as markup: neither a tag nor the end of an attribute."""
    return escape(neutral(text))
