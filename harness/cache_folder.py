"""Where what can be made again is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """The cache folder: `$GOODENOUGH_CACHE`, else the one of the system."""
    home = os.environ.get("GOODENOUGH_CACHE")
    return Path(home or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "goodenough")
