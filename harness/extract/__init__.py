"""SEARCHES: name on the command line -> search with its default settings."""

from dataclasses import replace
from typing import Any

from harness.domains import parse
from harness.errors import BadInput, likely
from harness.extract.minimal import Gradient, Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search import Search

SEARCHES: dict[str, Search] = {
    "responsibility": Responsibility(),
    "minimal": Minimal(),
    "gradient": Gradient(),
}

DEFAULT = ("responsibility", "minimal")
"""One search for each kind of family."""


def named(text: str, repetitions: int | None = None) -> Search:
    """A search by NAME or NAME@RESOLUTION, with these repetitions where it has any.

    Raises:
        BadInput: no search is called so, or no resolution.
    """
    name, at, resolution = text.partition("@")
    if name not in SEARCHES:
        raise BadInput(f"no search named {name!r}; known: {', '.join(SEARCHES)}{likely(name, SEARCHES)}")
    search: Any = SEARCHES[name]
    changes: dict[str, Any] = {"resolution": str(parse(resolution))} if at else {}
    if isinstance(search, Responsibility) and repetitions is not None:
        changes["repetitions"] = repetitions
    result: Search = replace(search, **changes)
    return result
