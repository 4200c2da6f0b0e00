"""Checks what a user selects against what exists: an unknown name is refused, never a wider selection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import BadInput

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.models.loading import ModelSource
    from harness.tasks import Task
    from harness.types import ModelRef


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


def require_references(sources: Sequence[ModelSource], references: Sequence[ModelRef], owner: str) -> None:
    """Refuse a model that was named as a reference and is none of those of the `owner`, a suite.

    Raises:
        BadInput: one of them has the weights of no reference.
    """
    for source in sources:
        if source.ref.weights_sha256 not in {model.weights_sha256 for model in references}:
            names = ", ".join(dict.fromkeys(model.repo_id for model in references))
            raise BadInput(
                f"--reference {source.ref.repo_id} does not have the weights of any reference of {owner};"
                f" the references are: {names}"
            )


def require_needed(
    models: Sequence[ModelSource], references: Sequence[ModelSource], folders: Sequence[Path]
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
    for ref in [] if is_single else [source.ref for source in models]:
        if not any(ref.repo_id == m.repo_id or ref.weights_sha256 == m.weights_sha256 for m in entry_models):
            names = ", ".join(dict.fromkeys(model.repo_id for model in entry_models))
            raise BadInput(
                f"--model {ref.repo_id} is not the model of any of these entries; theirs are: {names}"
            )
