"""Make the starter suite: train its models, extract its signals, let its references judge each other.

Every model, every reference and every judge is a step of its own; what is there already is not done again, so
that a run that was cut off continues. The suite appears under its name only when it is whole.

Public: build.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from harness import labels, models
from harness.dataset.corpora import Corpus, Row
from harness.dataset.signals import Suite
from harness.extract import reference
from harness.extract.contract import Search
from harness.extract.minimal import Minimal
from harness.extract.responsibility import Responsibility
from harness.records import Clip
from harness.score import evaluation
from harness.starter.clips import clips
from harness.starter.train import RECIPES, Recipe, train
from harness.submit import store
from harness.tasks import TASKS, Task

N_CLIPS = {"music-genre": 40, "emotion": 40, "deepfake": 56}
"""Clips per task. About half of the signals of a deepfake reference are degenerate, hence more."""

SEARCHES: tuple[Search, ...] = (
    Responsibility(repetitions=3, splits=4, n_bands=128),
    Minimal(n_bands=512),
)
"""The searches of the suite: at a lower resolution and with fewer repetitions than usual."""

LICENCE = "apache-2.0"
"""Of everything in the suite: it was made by this code."""


def build(root: Path, recipes: Sequence[Recipe] = RECIPES) -> None:
    """Make the suite in a folder that is not there yet.

    Args:
        root: the folder; it gets `models/` and `signals/`.
        recipes: the models.
    """
    part = root.with_name(root.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    references = [recipe for recipe in recipes if recipe.role == "reference"]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with FileLock(part.with_suffix(".lock")), Progress(*columns, console=console) as bar:
        if root.is_dir():
            return
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), initializer=_quiet_worker) as pool:

            def each(what: str, step: Callable[[Recipe], None], some: Sequence[Recipe]) -> None:
                for _ in bar.track(pool.map(step, some), total=len(some), description=what):
                    pass

            each("training models", partial(_train, part), recipes)
            each("extracting signals", partial(_extract, part), references)
            each("judging signals", partial(_judge, part), references)
        part.rename(root)


def _quiet_worker() -> None:
    """A worker of the pool: one thread, as there are as many workers as cores, and no bars of its own."""
    import torch
    from threadpoolctl import threadpool_limits
    from transformers.utils import logging

    threadpool_limits(1)
    torch.set_num_threads(1)
    logging.disable_progress_bar()


def _folder(part: Path, recipe: Recipe) -> Path:
    return part / "models" / recipe.name.split("/")[1]


def _train(part: Path, recipe: Recipe) -> None:
    folder = _folder(part, recipe)
    if not folder.is_dir():
        unfinished = folder.with_name(folder.name + ".part")
        train(recipe, unfinished)
        unfinished.rename(folder)


def _extract(part: Path, recipe: Recipe) -> None:
    task = TASKS[recipe.task]
    classifier = models.load(str(_folder(part, recipe)), batch_size=64)
    label_map = labels.harmonise(classifier.class_names, task)
    root = part / "signals"
    reference.add(classifier, label_map, task, _corpus(task), SEARCHES, root, masks_only=True)


def _judge(part: Path, recipe: Recipe) -> None:
    task = TASKS[recipe.task]
    classifier = models.load(str(_folder(part, recipe)), batch_size=64)
    label_map = labels.harmonise(classifier.class_names, task)
    suite = Suite(part / "signals", "embedded/starter")
    root = suite.root / "verdicts"
    wanted = (task.name, classifier.ref, suite.ref(task.name))
    for folder in store.find(root):
        entry = store.read(folder)
        if (entry.task, entry.model, entry.signals) == wanted:
            return
    evaluation.evaluate(classifier, label_map, suite, task, root, keep=partial(store.write, root))


def _corpus(task: Task) -> Corpus:
    def row(clip: Clip) -> Row:
        return Row(clip.clip_id, clip.label, lambda: (clip.waveform, clip.sample_rate_hz, 1))

    return Corpus("starter", None, LICENCE, [row(c) for c in clips(task, "test", N_CLIPS[task.name])])
