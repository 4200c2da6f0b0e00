"""`goodenough extract --recipe`: the options of a whole suite, and what of it can be worked with.

The work itself is in `following`, its price in `dry_run`.

Public: recipe_options.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.terminal import Opening, say
from harness.errors import BadInput

if TYPE_CHECKING:
    from harness.extract.contract import Search
    from harness.recipes.reading import Recipe, RecipeModel

_OF_A_RECIPE = {"recipe", "dry_run", "only", "corpus_folder"}
_WITH_A_RECIPE = _OF_A_RECIPE | {"out", "as_json", "device", "batch_size", "dtype"}
_WITHOUT = ("model", "task_name", "corpus")


def recipe_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of `extract` for a whole recipe, which take the place of MODEL, --task and --corpus."""

    @wraps(command)
    def either(**given: Any) -> Any:
        context = click.get_current_context()
        sources = {p: context.get_parameter_source(p.name or "") for p in context.command.params}
        typed = [p for p, s in sources.items() if s is not None and s.name == "COMMANDLINE"]
        name, dry_run = given.pop("recipe"), given.pop("dry_run")
        only, folders = given.pop("only"), given.pop("corpus_folder")
        if name is not None:
            for parameter in typed:
                if parameter.name not in _WITH_A_RECIPE:
                    what = parameter.human_readable_name if parameter.name == "model" else parameter.opts[0]
                    raise BadInput(
                        f"{what} is what a recipe says itself; leave it out, or copy the recipe, change it"
                        " there and give that file: --recipe mine.yaml"
                    )
            return _follow(name, only, folders, dry_run, given["out"], given["opening"], given["as_json"])
        for parameter in typed:
            if parameter.name in _OF_A_RECIPE:
                raise BadInput(f"{parameter.opts[0]} goes with --recipe NAME")
        for parameter in context.command.params:
            if parameter.name in _WITHOUT and given[parameter.name] is None:
                raise click.MissingParameter(ctx=context, param=parameter)
        return command(**given)

    for option in (
        click.option(
            "--corpus-folder",
            multiple=True,
            metavar="CORPUS=FOLDER",
            help="Where a corpus of the recipe lies, with its metadata.csv; repeatable.",
        ),
        click.option("--only", multiple=True, metavar="MODEL", help="A model of the recipe, repeatable."),
        click.option("--dry-run", is_flag=True, help="Say what the recipe will cost, and do nothing."),
        click.option("--recipe", metavar="NAME", help="All models and corpora of a recipe, or a YAML file."),
    ):
        either = option(either)
    return either


def _follow(
    name: str,
    only: Sequence[str],
    given_folders: Sequence[str],
    dry_run: bool,
    out: Path,
    opening: Opening,
    as_json: bool,
) -> int:
    """Everything; returns the exit code."""
    from harness.cli import dry_run as dry
    from harness.cli.following import Following
    from harness.recipes import reading

    recipe, task = reading.read(name)
    searches = _searches(recipe)
    folders = _folders(given_folders, recipe)
    over = _passed_over(recipe, folders)
    chosen = _chosen(only, recipe)
    if dry_run:
        dry.show(recipe, task, chosen, folders, over, as_json)
        return 0
    for names, what in (([m.source for m in chosen], "model"), ([c.name for c in recipe.corpora], "corpus")):
        if all(name in over for name in names):
            raise BadInput(
                f"recipe {recipe.name} leaves no {what} to work with; {names[0]}: {over[names[0]]}"
            )
    for what, why in over.items():
        if what in {c.name for c in recipe.corpora} | {m.source for m in chosen}:
            say(f"passed over {what}: {why}")
    work = Following(recipe, task, searches, out, folders, opening, over)
    work.pin(chosen)
    for model in chosen:
        work.extract(model)
    if only:
        say("judging is left to the run without --only, once all models are there")
    else:
        work.judge()
    return work.report(as_json)


# ---- what was given ------------------------------------------------------------------------------


def _searches(recipe: Recipe) -> list[Search]:
    from harness.extract import SEARCHES
    from harness.extract.responsibility import Responsibility

    for name in recipe.searches:
        if name not in SEARCHES:
            raise BadInput(f"recipe {recipe.name}: no search named {name!r}; known: {', '.join(SEARCHES)}")
    chosen = [SEARCHES[name] for name in recipe.searches]
    if len({search.family for search in chosen}) < len(chosen):
        raise BadInput(f"recipe {recipe.name}: two searches of one family; keep one of {recipe.searches}")
    return [
        dataclasses.replace(search, repetitions=recipe.repetitions)
        if isinstance(search, Responsibility) and recipe.repetitions is not None
        else search
        for search in chosen
    ]


def _folders(given: Sequence[str], recipe: Recipe) -> dict[str, Path]:
    known = [corpus.name for corpus in recipe.corpora]
    found: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or not folder:
            raise BadInput(f"--corpus-folder {text!r} is not of the form CORPUS=FOLDER")
        if name not in known:
            raise BadInput(f"recipe {recipe.name} has no corpus {name!r}; it has: {', '.join(known)}")
        if name in found:
            raise BadInput(f"--corpus-folder gives {name} twice")
        if not Path(folder).is_dir():
            raise BadInput(f"--corpus-folder {name}: no folder at {folder}")
        found[name] = Path(folder)
    return found


def _chosen(only: Sequence[str], recipe: Recipe) -> list[RecipeModel]:
    """The models asked for, in the order of the recipe; a folder by its path or its name."""
    wanted = dict.fromkeys(only)
    found = [m for m in recipe.models if not only or {m.source, *_names(m)} & set(wanted)]
    known = {name for model in recipe.models for name in (model.source, *_names(model))}
    if unknown := [name for name in wanted if name not in known]:
        names = ", ".join(next(iter(_names(m)), m.source) for m in recipe.models)
        raise BadInput(f"recipe {recipe.name} has no model {unknown[0]!r}; it has: {names}")
    return found


def _names(model: RecipeModel) -> Iterator[str]:
    from harness.recipes.reading import is_folder

    if is_folder(model.source):
        yield Path(model.source).name


def _passed_over(recipe: Recipe, folders: Mapping[str, Path]) -> dict[str, str]:
    """Models and corpora that cannot be used as the recipe stands -> why, and what to do."""
    lacks = {
        "label map": "needs a label map: look its classes up, copy the recipe, and give `labels` and"
        " `labels_from` there",
        "safetensors": "needs safetensors: its weights are a pickle; load it where you trust it, save it"
        " again with save_pretrained, and name that folder in a copy of the recipe",
    }
    over = {model.source: lacks[model.needs] for model in recipe.models if model.needs is not None}
    for corpus in recipe.corpora:
        if corpus.obtain is not None and corpus.name not in folders:
            over[corpus.name] = f"{corpus.obtain}; then --corpus-folder {corpus.name}=FOLDER"
    return over
