"""`goodenough extract --recipe`: every model of a recipe extracts, then judges the signals of all the others.

A recipe of one corpus makes a signals folder of --out itself; of several, one below it for each. What fails
is reported, and the others go on; the same command again does what is not done yet.

Public: follow.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import ModelOptions, info
from harness.cli.recipe_work import RecipeRun, ReferenceStatus, judged_by_all, source_of

if TYPE_CHECKING:
    from harness.cli.backends import EngineOptions
    from harness.recipes.reading import Recipe
    from harness.tasks import Task

_HELP = {
    "label map": "needs a label map: copy the recipe, fill in its `labels` and `labels_from`, take `needs`"
    " away",
    "safetensors": "needs safetensors: convert it where you trust it, and name that copy in a recipe of"
    " your own",
}
"""What to do about what a model needs."""


def follow(
    name: str,
    out: Path,
    only: Sequence[str],
    corpus_folders: Sequence[str],
    dry_run: bool,
    opening: ModelOptions,
    engine: EngineOptions,
    as_json: bool,
) -> None:
    """Do what a recipe says, or say what it would cost.

    Args:
        name: a shipped recipe, or a file.
        out: the folder.
        only: models of the recipe; empty for all.
        corpus_folders: NAME=FOLDER of corpora that lie in one here.
        dry_run: only say what it would cost; nothing is asked of a network, nothing is written.
        opening: how models are opened.
        engine: where they work.
        as_json: JSON on stdout.

    Raises:
        BadInput: something given is not right, or nothing can be done at all.
        NotValid: a model or a corpus failed; the others are done.
    """
    from harness.recipes import reading

    recipe, task = reading.read(name)
    folders = _folders(recipe, corpus_folders)
    chosen = _chosen(recipe, only)
    passed_over = {m.source: _HELP[m.needs] for m in recipe.models if m.needs}
    for corpus in recipe.corpora:
        if corpus.obtain and corpus.name not in folders:
            passed_over[corpus.name] = f"{corpus.obtain}; then --corpus-folder {corpus.name}=FOLDER"
    for what, why in passed_over.items():
        if what not in {m.source for m in recipe.models} - set(chosen):
            info(f"passed over, {what}: {why}")
    if dry_run:
        from harness.cli.recipe_cost import show

        show(recipe, task, chosen, folders, passed_over, as_json)
        return
    _require_something(recipe, chosen, passed_over)
    told = _made(recipe, task, out, chosen, folders, passed_over, opening, engine)
    if as_json:
        click.echo(json.dumps({"recipe": recipe.name, "references": [vars(each) for each in told]}, indent=2))
    _end(told, out)


def _made(
    recipe: Recipe,
    task: Task,
    out: Path,
    chosen: Sequence[str],
    folders: dict[str, str],
    passed_over: dict[str, str],
    opening: ModelOptions,
    engine: EngineOptions,
) -> list[ReferenceStatus]:
    """What became of every reference."""
    from harness.recipes.pins import pin

    pins, unpinned = pin(recipe, task, out, {*passed_over, *folders})
    told = []
    with engine.at_work(opening) as work:
        for corpus in recipe.corpora:
            each = [ReferenceStatus(corpus.name, m, pins.models.get(m), "failed") for m in chosen]
            for one in each:
                one.why = unpinned.get(corpus.name) or unpinned.get(one.model)
                if why := passed_over.get(corpus.name) or passed_over.get(one.model):
                    one.state, one.why = "passed over", why
                elif one.why is not None:
                    info(f"failed, {one.model} on {corpus.name}: {one.why}")
            told += each
            source = folders.get(corpus.name) or source_of(corpus, pins)
            place = out if len(recipe.corpora) == 1 else out / corpus.name
            todo = [one for one in each if one.why is None]
            if todo:
                bench = RecipeRun(recipe, task, corpus, source, place, out)
                judged_by_all(bench, list(bench.extracted(todo, work)), opening, work)
    return told


def _folders(recipe: Recipe, given: Sequence[str]) -> dict[str, str]:
    """--corpus-folder NAME=FOLDER, read."""
    from harness.errors import BadInput, likely

    names = [corpus.name for corpus in recipe.corpora]
    found: dict[str, str] = {}
    for text in given:
        name, is_given, folder = text.partition("=")
        if not is_given or not folder:
            raise BadInput(f"--corpus-folder is {text!r}; expected NAME=FOLDER, as in {names[0]}=recordings/")
        if name not in names:
            hint = likely(name, names)
            raise BadInput(f"recipe {recipe.name} has no corpus {name!r}; it has {', '.join(names)}{hint}")
        if name in found:
            raise BadInput(f"--corpus-folder names {name} twice")
        if not Path(folder).expanduser().is_dir():
            raise BadInput(f"--corpus-folder {name}: there is no folder at {folder}")
        found[name] = str(Path(folder).expanduser())
    return found


def _chosen(recipe: Recipe, only: Sequence[str]) -> list[str]:
    """Models of the recipe, all or those that were named: by source, or by the last part of a folder's."""
    from harness.errors import BadInput, likely
    from harness.recipes.reading import is_folder

    folders = {Path(m.source).name: m.source for m in recipe.models if is_folder(m.source)}
    by_name = folders | {m.source: m.source for m in recipe.models}
    if unknown := [name for name in only if name not in by_name]:
        known, hint = ", ".join(m.source for m in recipe.models), likely(unknown[0], by_name)
        raise BadInput(f"recipe {recipe.name} has no model {unknown[0]!r}; it has {known}{hint}")
    wanted = {by_name[name] for name in only}
    return [m.source for m in recipe.models if not only or m.source in wanted]


def _require_something(recipe: Recipe, chosen: Sequence[str], passed_over: dict[str, str]) -> None:
    from harness.errors import BadInput

    for what, names in (("model", chosen), ("corpus", [c.name for c in recipe.corpora])):
        if all(name in passed_over for name in names):
            raise BadInput(
                f"nothing to do: no {what} of recipe {recipe.name} can be used as it is; the first,"
                f" {names[0]}: {passed_over[names[0]]}"
            )


def _end(told: Sequence[ReferenceStatus], out: Path) -> None:
    from harness.errors import NotValid

    n = {state: sum(one.state == state for one in told) for state in ("extracted", "there", "passed over")}
    failed = [one for one in told if one.state == "failed"]
    info(f"{out}: {n['extracted']} extracted, {n['there']} there before, {n['passed over']} passed over")
    if failed:
        first = failed[0]
        raise NotValid(
            f"{len(failed)} of {len(told)} failed, the others are done; the first, {first.model} on"
            f" {first.corpus}: {' '.join((first.why or '').split())}"
        )
