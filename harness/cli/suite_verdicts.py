"""`--update-suite`: the verdicts of a reference, kept in the signals folder that it is a reference of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.common import info
from harness.cli.options import command_line
from harness.dataset.paths import ENTRY, VERDICTS
from harness.disk_errors import refuse_package
from harness.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.dataset.suites import Suite
    from harness.schemas import Entry
    from harness.tasks import Task
    from harness.types import ModelRef


def require_own(suite: Suite, model: ModelRef, tasks: Sequence[Task]) -> None:
    """Refuse a suite that is not the user's to write, or a model that is no reference of it.

    Raises:
        BadInput: the suite is one of the Hub, was downloaded, or is the embedded one; or the model is no
            reference of it on any of these tasks.
    """
    if suite.commit is not None:
        raise BadInput(
            f"--update-suite requires a signals folder of your own, made by goodenough extract;"
            f" {suite.name} is a published suite, which comes with its verdicts"
        )
    refuse_package(suite.root / VERDICTS)
    if not any(_is_reference(suite, model, task.name) for task in tasks):
        names = dict.fromkeys(r.model.repo_id for task in tasks for r in suite.references(task.name))
        raise BadInput(
            f"--update-suite requires a reference, and {model.repo_id} is not a reference of {suite.name};"
            f" its references are: {', '.join(names)}"
        )


def update(suite: Suite, results: Sequence[tuple[Entry, Path]], as_json: bool) -> None:
    """Copy the entries of a reference that accepts all of its own signals into a suite that may be written.

    Raises:
        BadInput: the suite cannot be written.
    """
    from harness.entries import store

    for entry, folder in results:
        if _is_reference(suite, entry.model, entry.task) and entry.scorecard.known_answer == 1.0:
            folder_in_suite = store.copy(folder, suite.root / VERDICTS)
            if not as_json:
                info(f"{entry.task}: its verdicts are in {folder_in_suite}")


def offer(suite: Suite, results: Sequence[tuple[Entry, Path]], model: str, as_json: bool) -> None:
    """Print the command that adds the verdicts of a reference to its suite, if they are missing.

    Args:
        suite: the suite.
        results: entries of one model and their folders.
        model: what the model was given as.
        as_json: print nothing.
    """
    try:
        refuse_package(suite.root)
    except BadInput:
        return
    is_missing = suite.commit is None and any(
        _is_reference(suite, entry.model, entry.task)
        and not (suite.root / VERDICTS / entry.path / ENTRY).is_file()
        for entry, _ in results
    )
    if is_missing and not as_json:
        info(
            f"{results[0][0].model.repo_id} is a reference of {suite.root}; to store its verdicts there, for"
            f" the transfer matrix and for publishing: {command_line(models=model)} --update-suite"
        )


def _is_reference(suite: Suite, model: ModelRef, task: str) -> bool:
    return any(record.model == model for record in suite.references(task))
