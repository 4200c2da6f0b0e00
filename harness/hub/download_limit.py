"""How much of a model may be downloaded, by the sizes that the Hub states, before anything is.

Conventions: there is no limit unless the variable VARIABLE of the environment holds one, in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from harness.errors import BadInput

VARIABLE = "GOODENOUGH_MAX_DOWNLOAD"


def limit() -> int | None:
    """Bytes; None where there is no limit.

    Raises:
        BadInput: the variable holds no number.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadInput(f"{VARIABLE} is {text!r:.60}; expected a number of bytes, as in 4000000000")
    return int(text)


def require_within(name: str, sizes: Mapping[str, int | None], max_bytes: int) -> None:
    """Raise unless the sizes of all files of a model are known and their sum is within a limit, in bytes.

    Raises:
        BadInput: it is not, or the Hub does not state a size (None); the line names the largest file.
    """
    if unknown := sorted(file for file, size in sizes.items() if size is None or size < 0):
        raise BadInput(f"{name}: the Hub does not state the size of {unknown[0]}, and downloads are limited")
    total = sum(size or 0 for size in sizes.values())
    if total > max_bytes:
        largest = max(sizes, key=lambda file: sizes[file] or 0)
        raise BadInput(
            f"{name} has files of {total:,} bytes, {largest} alone {sizes[largest]:,}; at most {max_bytes:,}"
            f" are downloaded here ({VARIABLE}); nothing was"
        )
