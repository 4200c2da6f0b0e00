"""The package behind `goodenough`, which is the library: `import goodenough as ge`.

The names of `goodenough` are here, too, each opened when it is first used; but `harness.extract` is the
package of the searches, and `goodenough.extract` the function.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import goodenough

    if name not in __dir__():
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    return getattr(goodenough, name)


def __dir__() -> list[str]:
    import goodenough

    return [name for name in goodenough.__all__ if name != "extract"]
