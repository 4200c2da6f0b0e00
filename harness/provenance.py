"""How a result was made: versions, machine, time. Read once and stored in the record."""

from __future__ import annotations

import datetime
import platform
from importlib.metadata import version

from harness.schemas import RunSettings

PACKAGES = ("torch", "transformers", "numpy", "scipy", "soxr")


def own_version() -> str:
    """Version of this package."""
    return version("goodenough")


def versions() -> dict[str, str]:
    """Versions of python and of the packages whose change can move a logit."""
    return {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}}


def run_settings(
    device: str,
    dtype: str,
    batch_size: int,
    frontend: str,
    seconds: float,
    n_asked: int | None = None,
    n_known: int | None = None,
) -> RunSettings:
    """The settings of a run that just ended, after so many seconds of wall time.

    Of its stimuli `n_asked` were asked in it, and of `n_known` further ones the answers were known.
    """
    return RunSettings(
        goodenough=own_version(),
        versions=versions(),
        platform=f"{platform.system()} {platform.machine()}",
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        frontend=frontend,
        seconds=round(seconds, 3),
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        n_asked=n_asked,
        n_known=n_known,
    )
