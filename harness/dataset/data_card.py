"""Data cards: what only the maintainer of a corpus can say of it, in Markdown under a YAML head.

Conventions: a section is what stands under a heading of the second level, and is called by it, letter for
letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from harness import untrusted

_HEAD = re.compile(r"\A---\r?\n(.*?)\n---\r?\n", re.DOTALL)
_SECTION = re.compile(r"^## +(.+?)\s*?\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_ITEM_BREAK = re.compile(r"^[-*] +|\n\s*\n", re.MULTILINE)


@dataclass(frozen=True)
class DataCard:
    """A card, taken apart."""

    head: dict[str, Any]
    """The fields of its YAML head; none where it has no head."""
    sections: dict[str, str]
    """Text under each heading of the second level."""


def read(text: str) -> DataCard:
    """A card from its text.

    Raises:
        untrusted.Unreadable: its head is not YAML.
    """
    return DataCard(head_of(text), {title: body.strip() for title, body in _SECTION.findall(text)})


def head_of(text: str) -> dict[str, Any]:
    """The fields of the YAML head of a card; none where it has no head, or one that holds no fields.

    Raises:
        untrusted.Unreadable: it is not YAML.
    """
    match = _HEAD.match(text)
    head = untrusted.yaml_of(match[1]) if match else None
    return head if isinstance(head, dict) else {}


def items(section: str) -> list[str]:
    """The list items and paragraphs of a section, each on one line, without the marks of bold text."""
    parts = _ITEM_BREAK.split(section.replace("**", ""))
    return [line for part in parts if (line := " ".join(part.split()))]
