"""The folder of a site: what an earlier build made there is replaced, and nothing else is ever touched.

    <out>/.goodenough-site    a first line that says what it is, then every file a build made, one a line

Conventions: a file is ours when the marker lists it. Hidden files and a CNAME, which a host of pages keeps
beside a site, are left as they are. A folder that holds anything more is refused.

Public: MARKER, owned, move.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from harness.errors import BadInput
from harness.journal import replace_file

MARKER = ".goodenough-site"
HEAD = (
    "goodenough site. The files below were made by a build of the leaderboard, and the next may remove them."
)

_FOLDERS = ("models", "figures")
_BESIDE = re.compile(r"CNAME|\..*")
_MADE = re.compile(r"index\.html|models/(?!\.)[A-Za-z0-9._-]+\.html|figures/[a-z0-9-]+\.svg")
"""What a build makes; a marker that lists anything else is none of ours."""


def owned(out: Path) -> frozenset[str]:
    """The files in `out` that an earlier build made; empty for a new folder.

    Raises:
        BadInput: `out` is a file, or holds something that no build made.
    """
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out names a folder")
    if not out.is_dir():
        return frozenset()
    ours = _listed(out / MARKER)
    others = sorted(name for name in _there(out) if name not in ours)
    if others:
        raise BadInput(
            f"{out} holds {others[0]}, which no build of a site left there ({MARKER} does not list it); "
            "name a new folder with --out"
        )
    return ours


def move(fresh: Path, out: Path, ours: Collection[str]) -> None:
    """Every file into place, the overview last, then what is ours and no page leads to any more goes.

    The marker names old and new files before the first is moved: what a kill leaves behind is still ours.
    """
    files = sorted((p for p in fresh.rglob("*") if p.is_file()), key=lambda p: p.name == "index.html")
    wanted = {path.relative_to(fresh).as_posix(): path for path in files}
    out.mkdir(parents=True, exist_ok=True)
    _mark(out, {*ours, *wanted})
    for name, path in wanted.items():
        place = out / name
        place.parent.mkdir(exist_ok=True)
        path.replace(place)
    for old in ours:
        if old not in wanted:
            (out / old).unlink(missing_ok=True)
    _mark(out, wanted)


def _mark(out: Path, names: Collection[str]) -> None:
    replace_file(out / MARKER, "\n".join((HEAD, *sorted(names), "")).encode())


def _listed(marker: Path) -> frozenset[str]:
    """What the marker lists; nothing where there is none, or one that we did not write."""
    if marker.is_symlink() or not marker.is_file():
        return frozenset()
    head, *names = marker.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    ours = head == HEAD and all(map(_MADE.fullmatch, names))
    return frozenset(names) if ours else frozenset()


def _there(out: Path) -> Iterator[str]:
    """Everything in the folder that is not hidden, by path; folders other than a site's as they are."""
    for path in out.iterdir():
        if path.name in _FOLDERS and path.is_dir() and not path.is_symlink():
            yield from (f"{path.name}/{p.name}" for p in path.iterdir() if not p.name.startswith("."))
        elif path.name == MARKER:
            if not _listed(path):
                yield path.name
        elif not _BESIDE.fullmatch(path.name):
            yield path.name
