"""Parts of a suite, for tests whose point is not its size: some clips of a task, some tasks of it."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from harness.dataset import writer
from harness.dataset.paths import ANCHORS, MANIFEST, VERDICTS
from harness.dataset.suites import Suite
from harness.entries import store
from harness.schemas import to_json
from harness.starter import paths as starter
from tests.helpers.families import FAMILIES
from tests.helpers.repository import SUBMISSIONS

NAME = "embedded/starter"


def of_clips(
    suite: Suite,
    task: str,
    clip_ids: Collection[str],
    root: Path,
    *,
    references: Collection[str] | None = None,
    families: Collection[str] = FAMILIES[:1],
    n_draws: int = 1,
) -> Suite:
    """A suite of some clips of another one, of which nothing but the masks is stored.

    Args:
        suite: clips and signals.
        task: a task of it.
        clip_ids: the clips.
        root: folder of the new suite, which is made.
        references: names of the references; None for all.
        families: of signals; the headline alone if not given.
        n_draws: extractions of each clip, at most.
    """
    of_task = suite.task(task)
    clips = [clip for clip_id, clip in suite.clips(task).items() if clip_id in clip_ids]
    for record in suite.references(task):
        if references is not None and record.model.repo_id not in references:
            continue
        every = (signal for signal, _ in suite.signals(task, record.model.slug))
        some = [s for s in every if s.clip_id in clip_ids and s.family in families and s.draw <= n_draws]
        n_signals = Counter(signal.family for signal in some)
        n_degenerate = Counter(signal.family for signal in some if signal.degenerate)
        counts = tuple(
            dataclasses.replace(
                c,
                n_signals=n_signals[c.family],
                n_degenerate=n_degenerate[c.family],
                n_draws=min(c.n_draws, n_draws),
            )
            for c in record.counts
            if c.family in families
        )
        skipped = tuple(s for s in record.skipped if s.clip_id in clip_ids)
        part = dataclasses.replace(record, counts=counts, skipped=skipped)
        writer.add_reference(root, of_task, part, clips, some, masks_only=True)
    return Suite(root, "local/part")


def of_tasks(tasks: tuple[str, ...], out: Path) -> tuple[Suite, Path]:
    """The starter suite and its submissions, of some tasks alone, in new folders.

    What is known of a task does not depend on the others: its signals keep their hash, its entries hold.

    Args:
        tasks: their names.
        out: folder of both, which is made.
    """
    whole, signals = starter.embedded(), out / "signals"
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
