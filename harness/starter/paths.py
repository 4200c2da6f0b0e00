"""Paths of the embedded suite, which lies next to this file, and of the cache.

    suite/signals/            a signals folder like any other; it holds masks, audio is rebuilt from its clips
    suite/models/<name>/      the models, references and candidates
    suite/steps.json          the key of every step that made it

The cache holds the answers and intermediate results of the build, and of the library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cache_folder import cache as cache
from harness.errors import BadSignals
from harness.starter.recipes import RECIPES

if TYPE_CHECKING:
    from harness.dataset.suites import Suite

SUITE = Path(__file__).parent / "suite"


def embedded() -> Path:
    """The signals folder of the suite.

    Raises:
        BadSignals: this installation has none.
    """
    return _part("signals")


def open_suite(source: str | None = None) -> Suite:
    """A signals folder or Hub dataset; without a source the embedded suite.

    Raises:
        BadSignals: neither, or not a finished suite.
    """
    from harness.dataset import suites
    from harness.dataset.suite_notes import EMBEDDED

    return suites.load(source) if source is not None else suites.Suite(embedded(), EMBEDDED)


def models(role: str) -> list[Path]:
    """Folders of the models of the suite whose role is `reference` or `candidate`."""
    folder = _part("models")
    return [folder / recipe.folder for recipe in RECIPES if recipe.role == role]


def _part(name: str) -> Path:
    folder = SUITE / name
    if not folder.is_dir():
        raise BadSignals(f"no starter suite at {SUITE}; make it with: python -m harness.starter")
    return folder
