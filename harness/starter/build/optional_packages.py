"""Packages that only make the sounds of the starter suite: optional, loaded when sound is made."""

from __future__ import annotations

import importlib
from typing import Any

from harness.errors import BadInput


def package(module: str) -> Any:
    """The module of that name.

    Raises:
        BadInput: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise BadInput(
            f"the sounds of the starter suite need the module {module}; pip install 'goodenough[starter]'"
        ) from None
