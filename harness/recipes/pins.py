"""What the names of a recipe stood for when its suite was begun: `<out>/.recipe.yaml`.

A branch moves on while a hundred models are extracted over weeks. Each is pinned once, before any work, and
the same command continues with the same commits. A folder cannot be pinned, only recognised: another content
under its name is refused.

Public: Pins, keep.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from filelock import FileLock

from harness.documents import from_json
from harness.errors import BadInput, GoodenoughError
from harness.journal import replace_file
from harness.records import STRICT

LOCKFILE = ".recipe.yaml"

_HEAD = "# Which commit each name of the recipe was pinned to. Written by goodenough extract --recipe.\n"


@dataclasses.dataclass(frozen=True)
class Pins:
    """The lockfile."""

    __pydantic_config__ = STRICT

    recipe: str
    """Name of the recipe."""
    sha256: str
    """Of its content."""
    models: dict[str, str]
    """Hub id or folder name -> commit, or sha256 of a folder."""
    corpora: dict[str, str]
    """Name in the recipe -> `ORG/NAME@commit`, or `folder@sha256` of its metadata.csv."""


@dataclasses.dataclass(frozen=True)
class Pinning:
    """How one name is pinned."""

    key: str
    """Under which it is kept."""
    is_folder: bool
    """Whether it is looked at each time, and must not have changed."""
    ask: Callable[[], str]
    """What it stands for now; raises GoodenoughError where nobody can tell."""


def keep(
    out: Path, recipe: str, sha256: str, models: Mapping[str, Pinning], corpora: Mapping[str, Pinning]
) -> tuple[Pins, dict[str, GoodenoughError]]:
    """Pin what is not pinned yet, and write it down.

    Args:
        out: folder of the suite, made if need be.
        recipe: name of the recipe.
        sha256: of its content.
        models: how each model is pinned, by its source.
        corpora: how each corpus is pinned, by its name.

    Returns:
        The pins, and for each source or name without one, why.

    Raises:
        BadInput: the folder is of another recipe, or of something else, or cannot be written.
    """
    _refuse_foreign(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / f"{LOCKFILE}.lock")
        lock.acquire()
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another --out") from None
    try:
        old = _read(out / LOCKFILE)
        if old is not None and old.sha256 != sha256:
            raise BadInput(
                f"{out} was begun with another recipe, or another state of it ({old.recipe}, content"
                f" {old.sha256[:8]}; this is {recipe}, {sha256[:8]}); choose another --out"
            )
        failed: dict[str, GoodenoughError] = {}
        pins = Pins(
            recipe,
            sha256,
            _pinned(old.models if old else {}, models, out, failed),
            _pinned(old.corpora if old else {}, corpora, out, failed),
        )
        if pins != old:
            text = yaml.safe_dump(dataclasses.asdict(pins), sort_keys=False, width=200)
            replace_file(out / LOCKFILE, (_HEAD + text).encode())
    finally:
        lock.release()
    return pins, failed


def _pinned(
    old: Mapping[str, str],
    wanted: Mapping[str, Pinning],
    out: Path,
    failed: dict[str, GoodenoughError],
) -> dict[str, str]:
    found = dict(old)
    for name, pinning in wanted.items():
        known = old.get(pinning.key)
        if known is not None and not pinning.is_folder and not known.startswith("folder@"):
            continue
        try:
            now = pinning.ask()
        except GoodenoughError as error:
            failed[name] = error
            continue
        if known not in (None, now):
            failed[name] = BadInput(
                f"it is not what {out} was begun with ({_short(known)}; now {_short(now)});"
                " put back what it was, or choose another --out"
            )
            continue
        found[pinning.key] = now
    return found


def _short(pin: str | None) -> str:
    source, at, revision = (pin or "").rpartition("@")
    return f"{source}{at}{revision[:12]}"


def _read(path: Path) -> Pins | None:
    if not path.is_file():
        return None
    try:
        return from_json(Pins, json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError, OSError, yaml.YAMLError) as error:
        why = str(error).splitlines()[0]
        raise BadInput(
            f"{path} is damaged ({why}); delete it to pin again, or choose another --out"
        ) from None


def _refuse_foreign(out: Path) -> None:
    """Before a file is left in it: a file, or a folder of something else."""
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out names a folder")
    ours = any((out / name).is_file() for name in (LOCKFILE, "manifest.json", "manifest.json.new"))
    if out.exists() and not ours and any(not path.name.startswith(".") for path in out.iterdir()):
        raise BadInput(f"{out} holds files, but no suite of a recipe; name a new folder with --out")
