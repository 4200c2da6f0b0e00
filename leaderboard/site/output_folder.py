"""The folder of a site: what an earlier build made there is replaced, and nothing else is ever touched.

    <out>/.goodenough-site    a first line that says what it is, then every file a build made, one a line:
                              path, key of its content, size in bytes

Conventions: a file is ours when the marker lists it. A page whose key and size are as listed is not made
again, and its file is left as it lies. Hidden files and a CNAME, which a host of pages keeps beside a site,
are left as they are. A folder that holds anything more is refused.

Public: MARKER, BuiltFile, owned, standing, publish_files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.disk import refuse_package
from harness.errors import BadInput
from harness.journal import replace_file

MARKER = ".goodenough-site"
HEAD = (
    "goodenough site. The files below were made by a build of the leaderboard, and the next may remove them."
)

_FOLDERS = ("models", "tasks", "evidence", "figures", "badges", "data")
_BESIDE = re.compile(r"CNAME|\..*")
_NAME = r"(?!\.)[A-Za-z0-9._-]+"
_MADE = re.compile(
    rf"(index|models)\.html|(models|tasks|evidence)/{_NAME}\.html|figures/{_NAME}\.svg"
    rf"|badges/{_NAME}\.svg|data/{_NAME}\.(csv|json|parquet|tex|bib)"
)
"""What a build makes; a marker that lists anything else is none of ours."""
_LINE = re.compile(r"(\S+)(?: ([0-9a-f]{32}|-) ([0-9]+))?")


@dataclass(frozen=True)
class BuiltFile:
    """What is known of a file that a build made."""

    key: str | None
    """Of everything that its content follows from; None where that is not known."""
    n_bytes: int
    """Its size; 0 where that is not known."""


def owned(out: Path) -> dict[str, BuiltFile]:
    """The files in `out` that an earlier build made, by path; empty for a new folder.

    Raises:
        BadInput: `out` is a file, lies in the installed package, or holds something that no build made.
    """
    refuse_package(out)
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out names a folder")
    if not out.is_dir():
        return {}
    ours = _listed(out / MARKER) or {}
    others = sorted(name for name in _there(out) if name not in ours)
    if others:
        raise BadInput(
            f"{out} holds {others[0]}, which no build of a site left there ({MARKER} does not list it); "
            "name a new folder with --out"
        )
    return ours


def standing(out: Path, name: str, made: BuiltFile | None, key: str) -> bool:
    """Whether a file lies there as a build with this key left it."""
    if made is None or made.key != key:
        return False
    path = out / name
    return path.is_file() and not path.is_symlink() and path.stat().st_size == made.n_bytes


def publish_files(
    fresh: Path, out: Path, ours: Mapping[str, BuiltFile], wanted: Mapping[str, str | None]
) -> None:
    """Every fresh file into place, the overview last, then what is ours and no page leads to any more goes.

    The marker names old and new files before the first is moved: what a kill leaves behind is still ours,
    and what was about to be replaced is made again.

    Args:
        fresh: holds what was made now.
        out: the site.
        ours: what lies there.
        wanted: every file of the site and its key; what is not among the fresh ones stays as it lies.
    """
    files = sorted((p for p in fresh.rglob("*") if p.is_file()), key=lambda p: p.name == "index.html")
    moved = {path.relative_to(fresh).as_posix(): path for path in files}
    kept = {name: made for name, made in ours.items() if name in wanted and name not in moved}
    unknown = BuiltFile(None, 0)
    out.mkdir(parents=True, exist_ok=True)
    _mark(out, {**dict.fromkeys([*ours, *moved], unknown), **kept})
    made = dict(kept)
    for name, path in moved.items():
        place = out / name
        place.parent.mkdir(exist_ok=True)
        made[name] = BuiltFile(wanted.get(name), path.stat().st_size)
        if name not in ours or not _same(path, place):
            path.replace(place)
    for old in ours:
        if old not in made:
            (out / old).unlink(missing_ok=True)
    _mark(out, made)


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and not other.is_symlink() and one.read_bytes() == other.read_bytes()


def _mark(out: Path, files: Mapping[str, BuiltFile]) -> None:
    lines = (f"{name} {made.key or '-'} {made.n_bytes}" for name, made in sorted(files.items()))
    text = "\n".join((HEAD, *lines, "")).encode()
    if not (out / MARKER).is_file() or (out / MARKER).read_bytes() != text:
        replace_file(out / MARKER, text)


def _listed(marker: Path) -> dict[str, BuiltFile] | None:
    """What the marker lists; None where there is none, or one that we did not write."""
    if marker.is_symlink() or not marker.is_file():
        return None
    head, *lines = marker.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    found = [_LINE.fullmatch(line) for line in lines]
    if head != HEAD or not all(match and _MADE.fullmatch(match[1]) for match in found):
        return None
    known = [match.groups() for match in found if match]
    return {name: BuiltFile(None if key in (None, "-") else key, int(size or 0)) for name, key, size in known}


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
