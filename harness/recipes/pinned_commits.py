"""The commits that a recipe was started with, in `.recipe.json` of its output folder.

A recipe names branches; the first run asks the Hub for their commits, records these, and every later run
goes on with that, whatever was pushed meanwhile. What could not be resolved is asked for again by the next
run.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock

from harness.dataset.paths import RECIPE
from harness.disk_errors import unwritable
from harness.errors import BadInput
from harness.hub.fetching import commit_of
from harness.hub.repository import Repository
from harness.journal import replace_file
from harness.recipes.recipe_file import Recipe, content_sha256, is_folder
from harness.schemas import from_json, to_json
from harness.tasks import Task
from harness.types import STRICT


@dataclass(frozen=True)
class Pins:
    """What was decided when a recipe was begun."""

    __pydantic_config__ = STRICT

    recipe: str
    """Its name."""
    sha256: str
    """Of its content: another recipe is not continued in the same folder."""
    models: dict[str, str]
    """Hub id -> commit."""
    corpora: dict[str, str]
    """Name of a corpus -> commit."""


def pin(recipe: Recipe, task: Task, root: Path, passed_over: Collection[str]) -> tuple[Pins, dict[str, str]]:
    """The pins of a recipe in a folder, made where they are not there yet; so is the folder.

    Models, and corpora by name, that are `passed_over` need no commit.

    Returns:
        The pins, and why a model, or a corpus by name, has none.

    Raises:
        BadInput: the folder holds something else, or another recipe; it cannot be written; nothing at all can
            be resolved.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".recipe.lock"):
            old_pins = _read_or_create(recipe, task, root)
            pins, failures = _resolve(old_pins, recipe, passed_over)
            if pins != old_pins or not (root / RECIPE).is_file():
                replace_file(root / RECIPE, to_json(pins).encode())
    except OSError as error:
        raise BadInput(unwritable(root, error, "choose another --out")) from None
    return pins, failures


def _read_or_create(recipe: Recipe, task: Task, root: Path) -> Pins:
    """The pins in the folder; empty ones where it is new."""
    path, sha256 = root / RECIPE, content_sha256(recipe, task)
    if not path.is_file():
        if any(not entry.name.startswith(".") for entry in root.iterdir()):
            raise BadInput(f"{root} holds files, and no recipe was begun in it; name a new folder with --out")
        return Pins(recipe.name, sha256, {}, {})
    try:
        pins = from_json(Pins, path.read_bytes())
    except ValueError as error:
        raise BadInput(
            f"{path} is not readable ({str(error).splitlines()[0]}); choose another --out, or delete it to"
            " pin the recipe anew"
        ) from None
    if pins.sha256 != sha256:
        description = (
            f"the recipe {pins.recipe}" if pins.recipe != recipe.name else "this recipe with other content"
        )
        raise BadInput(
            f"{root} was begun with {description}; choose another --out, or give the recipe as it was: one"
            " folder, one recipe"
        )
    return pins


def _resolve(old_pins: Pins, recipe: Recipe, passed_over: Collection[str]) -> tuple[Pins, dict[str, str]]:
    failures: dict[str, str] = {}
    models, corpora = dict(old_pins.models), dict(old_pins.corpora)

    def resolve(pinned: dict[str, str], key: str, repository: Repository, revision: str | None) -> None:
        """Pin one, unless it is pinned, passed over or a folder."""
        if key in pinned or key in passed_over or is_folder(repository.repo_id):
            return
        try:
            is_commit = re.fullmatch(r"[0-9a-f]{40}", revision or "")
            pinned[key] = is_commit.group() if is_commit else commit_of(repository, revision)
        except BadInput as error:
            failures[key] = str(error)

    for model in recipe.models:
        resolve(models, model.source, Repository(model.source, "model"), model.revision)
    for corpus in recipe.corpora:
        resolve(corpora, corpus.name, Repository(corpus.source), corpus.revision)
    if failures and not models and not corpora and not any(is_folder(m.source) for m in recipe.models):
        raise BadInput(next(iter(failures.values())))
    return replace(old_pins, models=models, corpora=corpora), failures
