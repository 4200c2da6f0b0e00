"""Which entries `validate` looks at, and which it remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.entries import validate


def checked_entries(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A list to which the folder of every entry that is checked from now on is added, in turn."""
    folders: list[Path] = []
    check = validate.validate_entry

    def noted(folder: Path, *arguments: Any, **options: Any) -> list[str]:
        folders.append(folder)
        return check(folder, *arguments, **options)

    monkeypatch.setattr(validate, "validate_entry", noted)
    return folders
