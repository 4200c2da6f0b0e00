"""The starter suite and its submissions, or some tasks of them alone: the same signals, entries and anchors.

What is known of a task does not depend on the others: its signals keep their hash and its entries hold.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from harness.dataset.layout import ANCHORS, MANIFEST, VERDICTS
from harness.dataset.signals import Suite
from harness.documents import to_json
from harness.starter import root
from harness.submit import store

SUBMISSIONS = Path(__file__).parents[2] / "submissions"
NAME = "embedded/starter"


def some(tasks: tuple[str, ...], out: Path) -> tuple[Suite, Path]:
    """The suite of some tasks and the submissions to them, in new folders.

    Args:
        tasks: their names.
        out: folder of both, which is made.
    """
    whole, signals = root.embedded(), out / "signals"
    manifest = Suite(whole, NAME).manifest
    files = {path: sha256 for path, sha256 in manifest.files.items() if _task_of(path) in tasks}
    for path in files:
        _copy(whole / path, signals / path)
    part = dataclasses.replace(
        manifest,
        tasks=tuple(task for task in manifest.tasks if task.name in tasks),
        references=tuple(record for record in manifest.references if record.task in tasks),
        files=files,
    )
    (signals / MANIFEST).write_text(to_json(part))
    for place in (VERDICTS, ANCHORS):
        _entries(whole / place, signals / place, tasks)
    _entries(SUBMISSIONS, out / "submissions", tasks)
    return Suite(signals, NAME), out / "submissions"


def _task_of(path: str) -> str:
    return Path(path).parts[0].removesuffix("_clips").removesuffix("_sets")


def _entries(source: Path, target: Path, tasks: tuple[str, ...]) -> None:
    for folder in store.find(source):
        if store.read(folder).task in tasks:
            for path in folder.parent.glob(f"{folder.name}*"):
                there = target / path.relative_to(source)
                shutil.copytree(path, there) if path.is_dir() else _copy(path, there)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
