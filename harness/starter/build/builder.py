"""Builds the starter suite: models, signals and verdicts in separate steps, assembled at the end.

The suite replaces the old one as a whole, and only when no step is missing. Files that come out the same
have the same bytes: a change of a search changes masks and verdicts and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import cast

from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness import labels
from harness.dataset import writer
from harness.dataset.corpora import Corpus, Row
from harness.dataset.paths import ANCHORS, VERDICTS
from harness.dataset.suites import Suite
from harness.entries import store
from harness.evaluation import runner
from harness.extract import build_reference
from harness.journal import replace_file
from harness.manifest import ReferenceRecord
from harness.models import classifiers, loading
from harness.starter import paths
from harness.starter.build import baselines, keys, spectrum_baseline
from harness.starter.build.clips import clips, corpus_of
from harness.starter.build.steps import (
    ASKING,
    DRAWS,
    KINDS,
    LIMITS,
    SEARCHES,
    STEPS,
    Plan,
    Step,
    packaged,
    stale,
    steps,
)
from harness.starter.build.train import train
from harness.tasks import TASKS, Task
from harness.types import Clip

BASELINE = "baseline.json"
"""File of a baseline: its accuracy, and the clips it was examined on."""

NAME = "embedded/starter"
"""What the suite is called in entries."""


def build(plan: Plan, only: Sequence[str], suite: Path) -> bool:
    """Make what is stale, and put the suite together where nothing is missing any more.

    Args:
        plan: what is built.
        only: see `steps.stale`.
        suite: folder of the suite; it gets `baselines/`, `models/`, `signals/` and STEPS.

    Returns:
        Whether the suite is complete and current.

    Raises:
        BadInput: see `steps.stale`; or a program that makes sound is not installed.
    """
    work = paths.cache() / "starter"
    work.mkdir(parents=True, exist_ok=True)
    with FileLock(work / ".lock"):
        todo = stale(plan, only, suite)
        if not todo and packaged(suite) == _keys(plan):
            return True
        for step in steps(plan).values():
            _adopt(step, plan, suite)
        with _pool() as pool, _bar() as bar:
            for kind in KINDS:
                if some := [step for step in todo if step.kind == kind]:
                    _make_all(plan, some, pool, bar)
        if stale(plan, (), suite):
            return False
        _put_together(plan, suite)
    return True


def _keys(plan: Plan) -> dict[str, str]:
    return {step.name: step.key for step in steps(plan).values()}


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True))


def _pool() -> ProcessPoolExecutor:
    """Workers for steps of every kind: as many as there are cores, each begun when it is needed."""
    return ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=_quiet_worker)


def _make_all(plan: Plan, some: Sequence[Step], pool: ProcessPoolExecutor, bar: Progress) -> None:
    """Make steps of one kind."""
    kind = some[0].kind
    bar_task = bar.add_task(f"{kind}: clips", total=len(some))
    about = {step.what if kind in _OF_TASKS else plan.recipe(step.what).task for step in some}
    for task in (task for task in plan.tasks if task.name in about):
        if kind in ("baseline", "model"):
            clips(task, "train", plan.n_train_of(task))
            clips(task, "held-out", plan.n_held_out)
        elif kind == "signals":
            clips(task, "test", plan.n_test_of(task))
        else:
            if kind == "anchor":
                clips(task, "train", plan.n_anchor_of(task))
            _panel(plan, task)
    bar.update(bar_task, description=kind)
    doing = [pool.submit(_make, plan, step) for step in some]
    try:
        for finished in as_completed(doing):
            bar.update(bar_task, description=finished.result(), advance=1)
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    bar.update(bar_task, description=kind)


def _quiet_worker() -> None:
    """A worker of the pool: one thread, as there are as many workers as cores, and no progress bars."""
    import torch
    from threadpoolctl import threadpool_limits
    from transformers.utils import logging

    threadpool_limits(1)
    torch.set_num_threads(1)
    logging.disable_progress_bar()


def _make(plan: Plan, step: Step) -> str:
    """Make one step; what a killed run left of it is continued.

    Returns:
        Its name.
    """
    if not step.folder.is_dir():
        part = step.folder.with_name(step.folder.name + ".part")
        _MAKE[step.kind](plan, step, part)
        part.rename(step.folder)
    return step.name


def _baseline(plan: Plan, step: Step, part: Path) -> None:
    task = TASKS[step.what]
    accuracy = spectrum_baseline.baseline(task, plan.n_train_of(task), plan.n_held_out)
    replace_file(part / BASELINE, json.dumps({"accuracy": accuracy, "n": plan.n_held_out}).encode())


def _model(plan: Plan, step: Step, part: Path) -> None:
    shutil.rmtree(part, ignore_errors=True)
    recipe = plan.recipe(step.what)
    train(recipe, part, plan.n_train_of(TASKS[recipe.task]), plan.n_held_out)


def _signals(plan: Plan, step: Step, part: Path) -> None:
    classifier, task = _reference(plan, step)
    corpus = _corpus(task, plan.n_test_of(task))
    label_map = labels.harmonise(classifier.class_names, task)
    about = (classifier, label_map, task, corpus, SEARCHES, part)
    build_reference.add(*about, limits=LIMITS, draws=DRAWS, masks_only=True)


def _verdicts(plan: Plan, step: Step, part: Path) -> None:
    classifier, task = _reference(plan, step)
    label_map = labels.harmonise(classifier.class_names, task)
    suite = Suite(_panel(plan, task), NAME)
    result = runner.evaluate(classifier, label_map, suite, task, _answers())
    store.write(part, result.entry, result.lazy_verdicts)


def _anchor(plan: Plan, step: Step, part: Path) -> None:
    task = TASKS[step.what]
    suite = Suite(_panel(plan, task), NAME)
    learnt = clips(task, "train", plan.n_anchor_of(task))
    network = paths.cache() / "starter" / f"named-{step.key}" / baselines.RANDOM
    if not network.is_dir():
        unfinished = network.with_name(network.name + ".part")
        baselines.random_weights(plan.candidate(task.name), unfinished, learnt)
        unfinished.rename(network)
    # What is asked of a model in an evaluation the regression has, too.
    regression = cast(classifiers.Classifier, baselines.regression(learnt))
    anchors = {
        baselines.RANDOM: loading.load(str(network), batch_size=64),
        baselines.REGRESSION: regression,
    }
    for name, model in anchors.items():
        label_map = labels.harmonise(model.class_names, task)
        result = runner.evaluate(model, label_map, suite, task, _answers())
        store.write(part / name, result.entry, result.lazy_verdicts)


def _answers() -> Path:
    """Where answers stay while the code that asks is the same: counting anew asks nothing again."""
    return paths.cache() / "starter" / f"answers-{keys.code(*ASKING)}"


_MAKE = MappingProxyType(
    {
        "baseline": _baseline,
        "model": _model,
        "signals": _signals,
        "verdicts": _verdicts,
        "anchor": _anchor,
    }
)
"""What makes a step, by its kind."""

_OF_TASKS = ("baseline", "anchor")
"""Kinds whose steps are about a task."""


def _reference(plan: Plan, step: Step) -> tuple[classifiers.Classifier, Task]:
    """The model of a step under its own name, and its task."""
    # A model is called after its folder, and lies in one that has its key besides.
    folder = paths.cache() / "starter" / f"named-{step.key}" / step.what
    if not folder.is_dir():
        shutil.copytree(steps(plan)[f"model/{step.what}"].folder, folder)
    return loading.load(str(folder), batch_size=64), TASKS[plan.recipe(step.what).task]


def _corpus(task: Task, n: int) -> Corpus:
    def row(clip: Clip) -> Row:
        sound = (clip.waveform, clip.sample_rate_hz, 1)
        return Row(clip.clip_id, clip.label, lambda: sound, clip.pair)

    name, licence = corpus_of(task)
    return Corpus(name, None, licence, [row(clip) for clip in clips(task, "test", n)])


def _panel(plan: Plan, task: Task) -> Path:
    """A signals folder of all references of a task."""
    every = steps(plan)
    sources = [every[f"signals/{recipe.folder}"] for recipe in plan.panel(task.name)]
    key = keys.key(*(step.key for step in sources))
    folder = paths.cache() / "starter" / f"panel-{task.name}-{key}"
    if not folder.is_dir():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        for step in sources:
            source = Suite(step.folder, NAME)
            _copy_reference(source, source.references(task.name)[0], part)
        part.rename(folder)
    return folder


def _copy_reference(source: Suite, record: ReferenceRecord, folder: Path) -> None:
    """Add a reference of one signals folder to another."""
    task = source.task(record.task)
    signals = [signal for signal, _ in source.signals(task.name, record.model.slug)]
    writer.add_reference(
        folder, task, record, list(source.clips(task.name).values()), signals, masks_only=True
    )


def _adopt(step: Step, plan: Plan, suite: Path) -> None:
    """Take what a step makes from the suite, where the suite has it and the cache has not."""
    if packaged(suite).get(step.name) != step.key or step.folder.is_dir():
        return
    part = step.folder.with_name(step.folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    if step.kind in ("baseline", "model"):
        shutil.copytree(suite / f"{step.kind}s" / step.what, part)
    elif step.kind == "anchor":
        _copy_anchors(suite / "signals" / ANCHORS, part, step.what)
    else:
        source = Suite(suite / "signals", NAME)
        task = plan.recipe(step.what).task
        record = next(r for r in source.references(task) if r.model.repo_id.endswith(f"/{step.what}"))
        if step.kind == "signals":
            _copy_reference(source, record, part)
        else:
            for entry in store.find(suite / "signals" / VERDICTS):
                if store.read(entry).model == record.model:
                    store.file_into(entry, part)
    part.rename(step.folder)


def _copy_anchors(source: Path, folder: Path, task: str) -> None:
    """Copy the entries of one task from a folder of anchors to another."""
    for entry in store.find(source):
        if store.read(entry).task == task:
            store.file_into(entry, folder / entry.relative_to(source).parts[0])


def _put_together(plan: Plan, suite: Path) -> None:
    """Assemble the suite from the results of the steps, copy it next to the old one, and replace that.

    It is made in the cache: nothing but this copy is ever written into the package.
    """
    next_suite, old = suite.with_name(suite.name + ".new"), suite.with_name(suite.name + ".old")
    new = paths.cache() / "starter" / "suite"
    for leftover in (new, next_suite, old):
        shutil.rmtree(leftover, ignore_errors=True)
    every = steps(plan)
    for step in every.values():
        if step.kind in ("baseline", "model"):
            shutil.copytree(step.folder, new / f"{step.kind}s" / step.what)
    for task in plan.tasks:
        source = Suite(_panel(plan, task), NAME)
        for record in source.references(task.name):
            _copy_reference(source, record, new / "signals")
    for step in every.values():
        if step.kind == "verdicts":
            for entry in store.find(step.folder):
                store.file_into(entry, new / "signals" / VERDICTS)
        elif step.kind == "anchor":
            _copy_anchors(step.folder, new / "signals" / ANCHORS, step.what)
    (new / "signals" / ".lock").unlink()
    (new / STEPS).write_text(json.dumps(_keys(plan), indent=2) + "\n", encoding="utf-8")
    shutil.copytree(new, next_suite)
    shutil.rmtree(new)
    if suite.is_dir():
        suite.rename(old)
    next_suite.rename(suite)
    shutil.rmtree(old, ignore_errors=True)
