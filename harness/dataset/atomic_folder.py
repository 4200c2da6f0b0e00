"""Atomic changes of a signals folder: new files are written next to the old ones and renamed together.

A new file is `<path>.new` until the new manifest, `manifest.json.new`, is whole; from then on the new state
holds, and whoever opens the folder next finishes the renaming. A kill at any moment leaves the folder as it
was or as it will be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from harness.dataset.paths import MANIFEST, SOURCE
from harness.disk_errors import refuse_package, unwritable
from harness.errors import BadInput

_NEW = ".new"
"""Ending of a file that is written and not yet in its place."""

NEW_MANIFEST = MANIFEST + _NEW
"""Written when every new file is whole: from then on the new state holds, whatever happens."""


def new(path: Path) -> Path:
    """The path of a new file that will replace `path`."""
    return path.with_name(path.name + _NEW)


@contextlib.contextmanager
def lock_folder(root: Path, option: str) -> Iterator[None]:
    """Lock a folder, made if need be, and finish the renaming that a killed process left; `option` names it.

    Raises:
        BadInput: it is a file, holds something else, or cannot be written.
    """
    refuse_package(root)
    _refuse_foreign(root, option)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".lock")
        lock.acquire()
    except OSError as error:
        raise BadInput(unwritable(root, error, f"choose another {option}")) from None
    try:
        commit_pending(root)
        yield
    finally:
        lock.release()


def commit_pending(root: Path) -> None:
    """Put new files in the place of the old ones: all of them, once the new manifest is there.

    In reverse order of their names: the verdicts of an entry come before its entry.json, which has their
    sha256.
    """
    if (root / NEW_MANIFEST).is_file():
        for path in sorted(root.glob(f"**/*{_NEW}"), reverse=True):
            if path.name != NEW_MANIFEST:
                path.replace(path.with_name(path.name.removesuffix(_NEW)))
        (root / NEW_MANIFEST).replace(root / MANIFEST)


def _refuse_foreign(root: Path, option: str) -> None:
    """Refuse a file, or a folder of something else, before anything is written into it."""
    if root.exists() and not root.is_dir():
        raise BadInput(f"{root} is a file; {option} names a folder")
    ours = any((root / name).is_file() for name in (MANIFEST, NEW_MANIFEST, SOURCE))
    if ours or any(root.glob(".*.journal")):
        return
    if any(not path.name.startswith(".") for path in root.glob("*")):
        raise BadInput(
            f"{root} holds files but no {MANIFEST}: it is no signals folder; name a new one with {option}"
        )
