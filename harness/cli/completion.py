"""What a shell offers for the arguments and options of a verb; see docs/how-to/completion.md.

Only names in folders are read: this runs at every press of the tab key.

Conventions: a completer is given what the user has typed of a word so far, and returns what the word may be.
An item of type `dir` or `file` stands first; it lets the shell offer paths where no other item fits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from harness.dataset.paths import ENTRY, MANIFEST
from harness.starter.paths import SUITE

_MAX_FOLDERS = 1000
"""Folders that are looked into for one word."""


def _tasks(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Tasks of the suite that --signals named before, or of the starter suite; a file of a task."""
    source = Path(str(ctx.params.get("signals") or SUITE / "signals"))
    root = source if source.is_dir() else SUITE / "signals"
    names = sorted(path.name.removesuffix("_clips") for path in root.glob("*_clips"))
    return [CompletionItem(incomplete, type="file"), *_matching(names, incomplete)]


def _models(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Hub ids of the models of a results folder; folders that are models; models of the starter suite."""
    out = Path(str(ctx.params.get("out") or "results"))
    slugs = sorted(path.name for path in out.glob("*__*") if not path.name.startswith("local__"))
    ids = [slug.replace("__", "/", 1) for slug in slugs]
    folders = _holding("*.safetensors", incomplete, depth=2)
    return [*_folder(incomplete), *_matching([*ids, *folders, *_starter("models/*")], incomplete)]


def _suites(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Folders that are suites, and the starter suite."""
    folders = _holding(MANIFEST, incomplete, depth=2)
    return [*_folder(incomplete), *_matching([*folders, *_starter("signals")], incomplete)]


def _entries(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Folders of entries."""
    return [*_folder(incomplete), *_matching(_holding(ENTRY, incomplete, depth=4), incomplete)]


def _recipes(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The recipes that come with this package; a file of one."""
    names = sorted(path.stem for path in Path(__file__).parents[1].glob("recipes/*.yaml"))
    return [CompletionItem(incomplete, type="file"), *_matching(names, incomplete)]


def _folders(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Any folder."""
    return _folder(incomplete)


COMPLETERS: dict[str, Callable[[click.Context, str], list[CompletionItem]]] = {
    **dict.fromkeys(("task", "task_name", "task_names"), _tasks),
    **dict.fromkeys(("model", "models", "given", "references"), _models),
    **dict.fromkeys(("signals", "source", "held_back", "folder"), _suites),
    **dict.fromkeys(("paths", "entry", "result_dir"), _entries),
    "recipe": _recipes,
    **dict.fromkeys(("submissions", "corpus"), _folders),
}
"""By the name of a parameter, the same for all verbs."""


def _folder(incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="dir")]


def _matching(values: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Those that begin with what was typed, or whose last part does."""
    return [
        CompletionItem(value)
        for value in dict.fromkeys(values)
        if value.startswith(incomplete) or value.rsplit("/", 1)[-1].startswith(incomplete)
    ]


def _starter(pattern: str) -> list[str]:
    return sorted(map(str, SUITE.glob(pattern)))


def _holding(pattern: str, incomplete: str, depth: int) -> list[str]:
    """Folders that hold a file of such a name, below the folder that was typed, spelled as it was."""
    base = incomplete[: incomplete.rfind("/") + 1]
    return sorted(folder for folder in _walk(base, depth) if any(Path(folder).expanduser().glob(pattern)))


def _walk(base: str, depth: int) -> Iterator[str]:
    """Folders below, level by level, without hidden ones and links; the first of very many."""
    level, n_left = [base], _MAX_FOLDERS
    for _ in range(depth):
        names = [(folder, name) for folder in level[:n_left] for name in _subfolders(folder)]
        yield from (f"{folder}{name}" for folder, name in names)
        n_left -= len(level)
        level = [f"{folder}{name}/" for folder, name in names]
        if n_left <= 0:
            return


def _subfolders(folder: str) -> list[str]:
    try:
        with os.scandir(Path(folder).expanduser()) as items:
            return sorted(i.name for i in items if i.name[0] != "." and i.is_dir(follow_symlinks=False))
    except OSError:
        return []
