"""SEARCHES: name on the command line -> search with its default settings."""

from harness.extract.minimal import Gradient, Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search import Search

SEARCHES: dict[str, Search] = {
    "responsibility": Responsibility(),
    "minimal": Minimal(),
    "gradient": Gradient(),
}

DEFAULT = ("responsibility", "minimal")
"""One search for each family."""
