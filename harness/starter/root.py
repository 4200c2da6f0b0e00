"""Where the embedded suite lies: made from seeds on first use, then found.

    <cache>/goodenough/starter-<hash>/signals/           a signals folder like any other
    <cache>/goodenough/starter-<hash>/models/<name>/     the models, references and candidates

The hash covers the code that makes the suite, so that a change of it makes another. The cache is
`$GOODENOUGH_CACHE`, or `$XDG_CACHE_HOME/goodenough`, or `~/.cache/goodenough`.

Public: embedded, models, folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import harness

_APART = ("cli",)
"""Rooms whose code cannot change the suite."""


def folder() -> Path:
    """Folder of the suite of this version, whether it was made or not."""
    home = os.environ.get("GOODENOUGH_CACHE")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "goodenough"
    return (Path(home) if home else cache) / f"starter-{_fingerprint()}"


def embedded() -> Path:
    """The signals folder of the suite, made first if need be (a minute or two on two cores)."""
    return _made() / "signals"


def models(role: str) -> list[Path]:
    """Folders of the models of the suite whose role is `reference` or `candidate`."""
    from harness.starter.train import RECIPES

    root = _made() / "models"
    return [root / recipe.name.split("/")[1] for recipe in RECIPES if recipe.role == role]


def _made() -> Path:
    root = folder()
    if not root.is_dir():
        from harness.starter.build import build

        print(f"Making the starter suite, once: {root}", file=sys.stderr)  # noqa: T201 - talk
        build(root)
    return root


def _fingerprint() -> str:
    package = Path(harness.__file__).parent
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        if source.relative_to(package).parts[0] not in _APART:
            digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]
