"""`goodenough extract --recipe`: every model of a recipe extracts, then judges the signals of all the others.

A recipe of one corpus makes a signals folder of --out itself; of several, one below it for each. What fails
is reported, and the others go on; the same command again does what is not done yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.common import info, print_json
from harness.cli.options import ModelOptions
from harness.cli.recipe_work import RecipeRun, ReferenceStatus, judge_all
from harness.errors import BadInput, NotValid, likely

if TYPE_CHECKING:
    from harness.cli.backends import EngineOptions
    from harness.recipes.recipe_file import Recipe
    from harness.tasks import Task

_HELP = {
    "label map": "needs a label map: copy the recipe, fill in its `labels` and `labels_from`, and"
    " remove `needs`",
    "safetensors": "needs safetensors: convert it if you trust it, and name the copy in a recipe of your own",
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
    """Do what a recipe says; with `dry_run` say what it would cost, ask no network and write nothing.

    The options are those of the command line: `name` is that of a shipped recipe or a file, `only` is empty
    for all models, `corpus_folders` are NAME=FOLDER.

    Raises:
        BadInput: something given is not right, or nothing can be done at all.
        NotValid: a model or a corpus failed; the others are done.
    """
    from harness.recipes import recipe_file

    recipe, task = recipe_file.read(name)
    folders = _folders(recipe, corpus_folders)
    sources = _select_models(recipe, only)
    reasons = {m.source: _HELP[m.needs] for m in recipe.models if m.needs}
    for corpus in recipe.corpora:
        if corpus.obtain and corpus.name not in folders:
            reasons[corpus.name] = f"{corpus.obtain}; then --corpus-folder {corpus.name}=FOLDER"
    for source, reason in reasons.items():
        if source not in {m.source for m in recipe.models} - set(sources):
            info(f"passed over, {source}: {reason}")
    if dry_run:
        from harness.cli.recipe_cost import show

        show(recipe, task, sources, folders, reasons, as_json)
        return
    _require_something(recipe, sources, reasons)
    statuses = _run(recipe, task, out, sources, folders, reasons, opening, engine)
    if as_json:
        print_json({"recipe": recipe.name, "references": statuses}, indent=2)
    _report(statuses, out)


def _run(
    recipe: Recipe,
    task: Task,
    out: Path,
    sources: Sequence[str],
    folders: dict[str, str],
    reasons: dict[str, str],
    opening: ModelOptions,
    engine: EngineOptions,
) -> list[ReferenceStatus]:
    """Run the recipe; returns the status of every reference."""
    from harness.recipes.pinned_commits import pin

    pins, pin_errors = pin(recipe, task, out, {*reasons, *folders})
    statuses = []
    with engine.backend(opening) as backend:
        for corpus in recipe.corpora:
            corpus_statuses = [ReferenceStatus(corpus.name, m, pins.models.get(m), "failed") for m in sources]
            for status in corpus_statuses:
                status.why = pin_errors.get(corpus.name) or pin_errors.get(status.model)
                if reason := reasons.get(corpus.name) or reasons.get(status.model):
                    status.state, status.why = "passed over", reason
                elif status.why is not None:
                    info(f"failed, {status.model} on {corpus.name}: {status.why}")
            statuses += corpus_statuses
            commit = pins.corpora.get(corpus.name)
            pinned = f"{corpus.source}@{commit}" if commit else corpus.source
            source = folders.get(corpus.name, pinned)
            folder = out if len(recipe.corpora) == 1 else out / corpus.name
            pending = [status for status in corpus_statuses if status.why is None]
            if pending:
                recipe_run = RecipeRun(recipe, task, corpus, source, folder, out, opening, backend)
                judge_all(recipe_run, list(recipe_run.extract(pending)))
    return statuses


def _folders(recipe: Recipe, options: Sequence[str]) -> dict[str, str]:
    """--corpus-folder NAME=FOLDER, read."""
    names = [corpus.name for corpus in recipe.corpora]
    folders: dict[str, str] = {}
    for text in options:
        name, separator, folder = text.partition("=")
        if not separator or not folder:
            raise BadInput(f"--corpus-folder is {text!r}; expected NAME=FOLDER, as in {names[0]}=recordings/")
        if name not in names:
            hint = likely(name, names)
            raise BadInput(f"recipe {recipe.name} has no corpus {name!r}; it has {', '.join(names)}{hint}")
        if name in folders:
            raise BadInput(f"--corpus-folder names {name} twice")
        if not Path(folder).expanduser().is_dir():
            raise BadInput(f"--corpus-folder {name}: there is no folder at {folder}")
        folders[name] = str(Path(folder).expanduser())
    return folders


def _select_models(recipe: Recipe, only: Sequence[str]) -> list[str]:
    """Sources of the models, all or those named by source or by the last part of a folder."""
    from harness.recipes.recipe_file import is_folder

    folders = {Path(m.source).name: m.source for m in recipe.models if is_folder(m.source)}
    by_name = folders | {m.source: m.source for m in recipe.models}
    if unknown := [name for name in only if name not in by_name]:
        source_text, hint = ", ".join(m.source for m in recipe.models), likely(unknown[0], by_name)
        raise BadInput(f"recipe {recipe.name} has no model {unknown[0]!r}; it has {source_text}{hint}")
    sources = {by_name[name] for name in only}
    return [m.source for m in recipe.models if not only or m.source in sources]


def _require_something(recipe: Recipe, sources: Sequence[str], reasons: dict[str, str]) -> None:

    for kind, names in (("model", sources), ("corpus", [c.name for c in recipe.corpora])):
        if all(name in reasons for name in names):
            raise BadInput(
                f"nothing to do: no {kind} of recipe {recipe.name} can be used as it is; the first,"
                f" {names[0]}: {reasons[names[0]]}"
            )


def _report(statuses: Sequence[ReferenceStatus], out: Path) -> None:

    n = Counter(status.state for status in statuses)
    failures = [status for status in statuses if status.state == "failed"]
    info(f"{out}: {n['extracted']} extracted, {n['there']} there before, {n['passed over']} passed over")
    if failures:
        first = failures[0]
        raise NotValid(
            f"{len(failures)} of {len(statuses)} failed, the others are done; the first, {first.model} on"
            f" {first.corpus}: {' '.join((first.why or '').split())}"
        )
