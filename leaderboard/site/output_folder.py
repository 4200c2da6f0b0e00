"""The folder of a site: what an earlier build made there is replaced, and nothing else is ever touched.

    <out>/.goodenough-site    a first line that says what it is, then every file a build made, one a line:
                              path, key of its content, size in bytes

Conventions: a file is ours when the marker lists it. A page whose key and size are as listed is not made
again, and its file is not touched. Hidden files and a CNAME, which a web host keeps next to a site, are not
touched either. A folder that holds anything else is refused.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.disk_errors import refuse_package
from harness.errors import BadInput
from harness.journal import replace_file
from leaderboard import urls

MARKER = ".goodenough-site"
HEAD = (
    "goodenough site. The files below were made by a build of the leaderboard, and the next may remove them."
)

_FOLDERS = ("models", "tasks", "evidence", "figures", "badges", "data")
_OTHER_NAMES = re.compile(r"CNAME|\..*")
_NAME = r"(?!\.)[A-Za-z0-9._-]+"
_BUILT_PATH = re.compile(
    rf"(index|models)\.html|(models|tasks|evidence)/{_NAME}\.html|figures/{_NAME}\.svg"
    rf"|badges/{_NAME}\.svg|data/{_NAME}\.(csv|json|parquet|tex|bib)"
)
"""What a build makes; a marker that lists anything else is none of ours."""
_LINE = re.compile(r"(\S+)(?: ([0-9a-f]{32}|-) ([0-9]+))?")


@dataclass(frozen=True)
class BuiltFile:
    """What is known of a file that a build made."""

    key: str | None
    """Hash of everything that its content depends on; None where that is not known."""
    n_bytes: int
    """Its size; 0 where that is not known."""


def previous_files(out: Path) -> dict[str, BuiltFile]:
    """The files in `out` that an earlier build made, by path; empty for a new folder.

    Raises:
        BadInput: `out` is a file, is in the installed package, or holds a file that no build made.
    """
    refuse_package(out)
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out names a folder")
    if not out.is_dir():
        return {}
    files = _read_marker(out / MARKER) or {}
    others = sorted(name for name in _contents(out) if name not in files)
    if others:
        raise BadInput(
            f"{out} holds {others[0]}, which no build of a site left there ({MARKER} does not list it); "
            "name a new folder with --out"
        )
    return files


def is_current(out: Path, name: str, file: BuiltFile | None, key: str) -> bool:
    """Whether the file is as a build with this key left it."""
    if file is None or file.key != key:
        return False
    try:
        status = (out / name).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == file.n_bytes


def publish_files(
    source: Path, out: Path, previous: Mapping[str, BuiltFile], keys: Mapping[str, str | None]
) -> None:
    """Move every file of `source` in, the overview last, then remove files of earlier builds that are gone.

    The marker names old and new files before the first is moved: files that a kill leaves behind are still
    ours, and a file that was about to be replaced is made again. `keys` has every file of the site; those
    that are not new stay as they are.
    """
    paths = sorted(
        (path for path in source.rglob("*") if path.is_file()), key=lambda path: path.name == urls.INDEX
    )
    new_files = {path.relative_to(source).as_posix(): path for path in paths}
    unchanged = {name: file for name, file in previous.items() if name in keys and name not in new_files}
    unknown_file = BuiltFile(None, 0)
    out.mkdir(parents=True, exist_ok=True)
    _write_marker(out, {**dict.fromkeys([*previous, *new_files], unknown_file), **unchanged})
    files = dict(unchanged)
    for name, path in new_files.items():
        target = out / name
        target.parent.mkdir(exist_ok=True)
        files[name] = BuiltFile(keys.get(name), path.stat().st_size)
        is_file = target.is_file() and not target.is_symlink()
        if name not in previous or not is_file or path.read_bytes() != target.read_bytes():
            path.replace(target)
    for old in previous:
        if old not in files:
            (out / old).unlink(missing_ok=True)
    _write_marker(out, files)


def _write_marker(out: Path, files: Mapping[str, BuiltFile]) -> None:
    lines = (f"{name} {file.key or '-'} {file.n_bytes}" for name, file in sorted(files.items()))
    text = "\n".join((HEAD, *lines, "")).encode()
    if not (out / MARKER).is_file() or (out / MARKER).read_bytes() != text:
        replace_file(out / MARKER, text)


def _read_marker(marker: Path) -> dict[str, BuiltFile] | None:
    """What the marker lists; None where there is none, or one that we did not write."""
    if marker.is_symlink() or not marker.is_file():
        return None
    head, *lines = marker.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    matches = [_LINE.fullmatch(line) for line in lines]
    if head != HEAD or not all(match and _BUILT_PATH.fullmatch(match[1]) for match in matches):
        return None
    records = [match.groups() for match in matches if match]
    return {name: BuiltFile(key if key != "-" else None, int(size or 0)) for name, key, size in records}


def _contents(out: Path) -> Iterator[str]:
    """Every path in the folder that is not hidden; of a site's own folders, the files in them."""
    for path in out.iterdir():
        if path.name in _FOLDERS and path.is_dir() and not path.is_symlink():
            yield from (
                f"{path.name}/{child.name}" for child in path.iterdir() if not child.name.startswith(".")
            )
        elif path.name == MARKER:
            if not _read_marker(path):
                yield path.name
        elif not _OTHER_NAMES.fullmatch(path.name):
            yield path.name
