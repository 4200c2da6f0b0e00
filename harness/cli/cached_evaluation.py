"""The result of a model on a task: an earlier one where nothing has changed since, or a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import BadInput
from harness.progress import live_table

if TYPE_CHECKING:
    from harness.cli.backends import PinnedModel
    from harness.cli.options import ModelOptions
    from harness.dataset.suites import Suite
    from harness.tasks import Task
    from harness.types import LabelMap, ModelRef


def earlier_result(
    root: Path, model: ModelRef, labels: LabelMap, suite: Suite, task: Task, opening: ModelOptions
) -> Path | None:
    """The folder of a complete entry below `root` that a new run would only repeat; None if there is none.

    As for single answers (`evaluation.answer_cache`), all that a logit depends on must be the same: weights,
    config, preprocessor, type, device where one was named, compiler, versions; and so must signals, labels
    and batch size. Versions of goodenough of one protocol compute the same.
    """
    from harness.dataset.parquet_io import sha256_of
    from harness.entries import store
    from harness.models.classifiers import compile_backend
    from harness.provenance import versions
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
        and compile_backend(entry.run.frontend) == opening.compile_backend
        and (opening.device is None or _device_type(opening.device) == _device_type(entry.run.device))
        and entry.run.versions == versions()
        and (folder / store.VERDICTS).is_file()
        and sha256_of(folder / store.VERDICTS) == entry.verdicts_sha256
    )
    return folder if is_same else None


def _device_type(device: str) -> str:
    """The device without its index, which does not matter."""
    return device.split(":")[0]


def evaluate_cached(
    model: PinnedModel, suite: Suite, task: Task, root: Path, label_map: Path | None, *elsewhere: Path
) -> Path:
    """The folder of a model's entry; the model is loaded only if there is no earlier result.

    That is looked for below `root` and `elsewhere`; a new one is written below `root`.

    Raises:
        BadLabels: its classes cannot be mapped to the task.
    """
    from harness.entries import store
    from harness.evaluation import runner

    labels, ref = model.labels(task, label_map), model.source.ref
    for results in (root, *elsewhere):
        if (folder := earlier_result(results, ref, labels, suite, task, model.opening)) is not None:
            return folder
    with live_table(f"{task.name}: {ref.repo_id} judges") as progress:
        result = runner.evaluate(
            model.classifier, labels, suite, task, root, judge=model.backend.judge, progress=progress
        )
    return store.write(root, result.entry, result.lazy_verdicts)
