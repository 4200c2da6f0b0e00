"""The result of a model on a task: an earlier one where nothing has changed since, or a new one.

Public: earlier_result, evaluate_cached.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.common import class_names_for, label_map_for
from harness.progress import live_table

if TYPE_CHECKING:
    from harness.cli.backends import Backend
    from harness.cli.common import ModelOptions
    from harness.dataset.suites import Suite
    from harness.models.checkpoints import Checkpoint
    from harness.tasks import Task
    from harness.types import LabelMap, ModelRef


def earlier_result(
    root: Path, model: ModelRef, labels: LabelMap, suite: Suite, task: Task, opening: ModelOptions
) -> Path | None:
    """The folder of a complete entry that a new run would only repeat; None if there is none.

    As for single answers (`evaluation.answer_cache`), all that a logit depends on must be the same: weights,
    config, preprocessor, type, device where one was named, versions; and so must signals, labels and batch
    size.

    Args:
        root: folder of entries.
        model: the model, pinned.
        labels: how its classes are read.
        suite: what it would be evaluated on.
        task: the task.
        opening: how it would be opened.
    """
    from harness.dataset.parquet_io import sha256_of
    from harness.entries import store
    from harness.errors import BadInput
    from harness.provenance import own_version, versions
    from harness.schemas import entry_path
    from harness.types import PROTOCOL

    folder = root / entry_path(model, task.name, suite.ref(task.name).sha256)
    try:
        entry = store.read(folder)
    except BadInput:
        return None
    is_same = (
        entry.complete
        and entry.protocol == PROTOCOL
        and entry.model == model
        and entry.signals.sha256 == suite.ref(task.name).sha256
        and entry.references == suite.counts(task.name)
        and entry.label_map == labels
        and entry.run.dtype == opening.dtype
        and entry.run.batch_size == opening.batch_size
        and (opening.device is None or _device_type(opening.device) == _device_type(entry.run.device))
        and entry.run.versions == versions()
        and entry.run.goodenough == own_version()
        and (folder / store.VERDICTS).is_file()
        and sha256_of(folder / store.VERDICTS) == entry.verdicts_sha256
    )
    return folder if is_same else None


def _device_type(device: str) -> str:
    """The device without its index, which does not matter."""
    return device.split(":")[0]


def evaluate_cached(
    checkpoint: Checkpoint,
    suite: Suite,
    task: Task,
    root: Path,
    label_map: Path | None,
    opening: ModelOptions,
    backend: Backend,
) -> Path:
    """The folder of a model's entry below `root`; the model is opened only if there is no earlier result.

    Args:
        checkpoint: the model.
        suite: what it is evaluated on.
        task: the task.
        root: folder of entries.
        label_map: an explicit reading of its class names.
        opening: how it is opened.
        backend: opens it and computes its answers.

    Raises:
        BadLabels: its classes cannot be mapped to the task.
    """
    from harness.entries import store
    from harness.evaluation import runner

    class_names = class_names_for(checkpoint, backend.open)
    labels = label_map_for(class_names, checkpoint.ref, task, label_map)
    if (folder := earlier_result(root, checkpoint.ref, labels, suite, task, opening)) is not None:
        return folder
    with live_table(f"{task.name}: {checkpoint.ref.repo_id} judges") as progress:
        result = runner.evaluate(
            backend.open(checkpoint), labels, suite, task, root, judge=backend.judge, progress=progress
        )
    return store.write(root, result.entry, result.verdicts)
