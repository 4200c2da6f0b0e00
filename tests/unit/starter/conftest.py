"""Recorded voices for tests: stand-ins, since the recordings are not part of the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Eight prompts of each voice, as the recordings."""
    for module in ("av", "espeakng_loader", "pyworld"):
        pytest.importorskip(module)
    from tests.helpers import telephone_prompts

    with telephone_prompts.installed(tmp_path_factory.mktemp("prompts"), 8) as folder:
        yield folder
