"""A model's verdicts on a task: those that lie in a folder, or else made now and kept there.

Public: judged.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.progress import live_table
from harness.cli.terminal import class_names_for, label_map_for

if TYPE_CHECKING:
    from harness.checkpoints import Checkpoint
    from harness.cli.engines import AtWork
    from harness.dataset.signals import Suite
    from harness.tasks import Task


def judged(
    checkpoint: Checkpoint, suite: Suite, task: Task, place: Path, label_map: Path | None, work: AtWork
) -> Path:
    """The folder of a model's entry below `place`; the model is opened only where it is not there yet.

    Args:
        checkpoint: the model.
        suite: what it judges.
        task: the task.
        place: folder of entries.
        label_map: an explicit reading of its class names.
        work: what opens it, and has it judge.

    Raises:
        BadLabels: its classes cannot be mapped to the task.
    """
    from harness.documents import entry_path
    from harness.errors import BadInput
    from harness.records import PROTOCOL
    from harness.score import evaluation
    from harness.submit import store

    class_names = class_names_for(checkpoint, work.open)
    labels = label_map_for(class_names, checkpoint.ref, task, label_map)
    folder = place / entry_path(checkpoint.ref, task.name, suite.ref(task.name).sha256)
    try:
        entry = store.read(folder)
        current = entry.complete and entry.protocol == PROTOCOL
        if current and entry.model == checkpoint.ref and entry.label_map == labels:
            return folder
    except BadInput:
        pass
    with live_table(f"{task.name}: {checkpoint.ref.repo_id} judges") as progress:
        keep = partial(store.write, place)
        classifier = work.open(checkpoint)
        return evaluation.evaluate(
            classifier, labels, suite, task, place, keep=keep, judge=work.judge, progress=progress
        )
