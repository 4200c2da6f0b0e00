"""Checks what a user selects against what exists: an unknown name is refused, and never widens a selection.

Public: Shard, OutputPath, single_entry, named_tasks, searches_with, require_clips, require_something_to_hear,
require_references, require_needed, refuse_with, refuse_without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import given
from harness.disk_errors import refuse_package
from harness.errors import BadInput

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.extract.search import Search
    from harness.models.checkpoints import Checkpoint
    from harness.tasks import Task
    from harness.types import ModelRef


class Shard(click.ParamType):  # type: ignore[type-arg]
    """`i/n` as (i, n)."""

    name = "i/n"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """The two numbers, 1 <= i <= n; a usage error where they are not."""
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", str(value))
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is not a shard; expected i/n, as 1/4 to 4/4", param, ctx)
        return int(match[1]), int(match[2])


class OutputPath(click.Path):
    """A path that a command writes at, or below: any but one of the installed package."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """The path; BadInput where it lies in the package."""
        path = Path(str(super().convert(value, param, ctx)))
        refuse_package(path)
        return path


def single_entry(path: Path) -> Path:
    """The folder of the one entry at or below a path.

    Raises:
        BadInput: there is none, or more than one.
    """
    from harness.entries import store

    folder, *others = store.find_all([path])
    if others:
        raise BadInput(f"{path} holds {len(others) + 1} entries; give the folder of one, as {folder}")
    return folder


def named_tasks(suite: Suite, names: Sequence[str]) -> list[Task]:
    """The tasks of a suite that were named; a task file is read for its name, the suite holds the task.

    Raises:
        BadSignals: the suite has no such task.
        BadTask: no such file.
    """
    from harness import tasks

    task_names = [tasks.find(name).name if name.endswith((".yaml", ".yml")) else name for name in names]
    return [suite.task(name) for name in dict.fromkeys(task_names)]


def searches_with(names: Iterable[str], repetitions: int | None, bands: int | str | None) -> list[Search]:
    """Searches by name; with these repetitions and bands, a number or `all`, where they have any."""
    from harness.extract import SEARCHES
    from harness.extract.responsibility import Responsibility

    settings: dict[str, Any] = {"repetitions": repetitions, "n_bands": bands}
    changes: dict[str, Any] = {
        name: None if value == "all" else value for name, value in settings.items() if value is not None
    }
    searches = [SEARCHES[name] for name in names]
    return [replace(s, **changes) if isinstance(s, Responsibility) else s for s in searches]


def require_clips(suite: Suite, tasks: Sequence[Task]) -> None:
    """Refuse tasks of which there are only masks, before a model is loaded.

    Raises:
        BadSignals: the clips of one cannot be heard; the line says how to rebuild them.
    """
    for task in tasks:
        if not suite.has_clips(task.name):
            suite.clips(task.name)


def require_something_to_hear(suite: Suite, tasks: Sequence[Task]) -> None:
    """Refuse a suite of masks alone: for the named tasks, or for all tasks of the suite."""
    if tasks or not any(suite.has_clips(task.name) for task in suite.tasks):
        names = [task.name for task in tasks]
        require_clips(suite, [task for task in suite.tasks if not tasks or task.name in names])


def require_references(checkpoints: Sequence[Checkpoint], references: Sequence[ModelRef], owner: str) -> None:
    """Refuse a model that was named as a reference and is none of those of the `owner`, a suite.

    Raises:
        BadInput: one of them has the weights of no reference.
    """
    for checkpoint in checkpoints:
        if checkpoint.ref.weights_sha256 not in {model.weights_sha256 for model in references}:
            names = ", ".join(dict.fromkeys(model.repo_id for model in references))
            raise BadInput(
                f"--reference {checkpoint.ref.repo_id} does not have the weights of any reference of {owner};"
                f" the references are: {names}"
            )


def require_needed(
    models: Sequence[Checkpoint], references: Sequence[Checkpoint], folders: Sequence[Path]
) -> None:
    """Refuse a model or a reference that was named for entries and belongs to none of them.

    A single model is compared with an entry of a local model later. Where an entry cannot be read, what was
    named may be for that one.

    Raises:
        BadInput: one of them is not needed.
    """
    from harness.entries import store

    try:
        entries = [store.read(folder) for folder in folders]
    except BadInput:
        return
    suite_references = [count.model for entry in entries for count in entry.references]
    require_references(references, suite_references, "the suites of these entries")
    entry_models = [entry.model for entry in entries]
    is_single = len(models) == 1 and any(model.repo_id.startswith("local/") for model in entry_models)
    for ref in [] if is_single else [checkpoint.ref for checkpoint in models]:
        if not any(ref.repo_id == m.repo_id or ref.weights_sha256 == m.weights_sha256 for m in entry_models):
            names = ", ".join(dict.fromkeys(model.repo_id for model in entry_models))
            raise BadInput(
                f"--model {ref.repo_id} is not the model of any of these entries; theirs are: {names}"
            )


def refuse_with(option: str, *parameters: str, hint: str = "") -> None:
    """Refuse parameters that were given and mean nothing beside an option.

    Raises:
        BadInput: one of them was given; `hint` is the end of the line.
    """
    for name in _given(parameters):
        raise BadInput(f"{name} cannot be combined with {option}; leave one of them out{hint}")


def refuse_without(option: str, *parameters: str) -> None:
    """Refuse parameters that were given without the option that they belong to.

    Raises:
        BadInput: one of them was given.
    """
    for name in _given(parameters):
        raise BadInput(f"{name} requires {option}; add it, or leave {name} out")


def _given(names: Sequence[str]) -> list[str]:
    """The parameters that were given, of some, as a command line names them."""
    return [
        parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for name, parameter in given().items()
        if name in names
    ]
