"""The steps in which the starter suite is made, and which of them are stale.

    baseline/<task>    accuracy of a model that hears the average spectrum alone
    model/<name>       one model, trained on clips made from seeds
    signals/<name>     those of one reference, extracted from the test clips
    verdicts/<name>    those of one reference on the signals of all references of its task
    anchor/<task>      those of models that the others are read against (`baselines`)

A step has a key: a hash over its code, its settings and the keys of the steps that it builds on. What it
makes lies in the cache under that key: a run that was cut off continues, and only what a change concerns is
made again. STEPS in the suite names the keys that it was made under.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.errors import BadInput, likely
from harness.extract.minimal import Minimal
from harness.extract.responsibility import Responsibility
from harness.extract.search import Search
from harness.extract.search_task import Draws, Limits, family_of
from harness.starter import paths
from harness.starter.build import keys
from harness.starter.build.clips import made_by
from harness.starter.recipes import RECIPES, Recipe
from harness.tasks import TASKS, Task

SEARCHES: tuple[Search, ...] = (
    Responsibility(repetitions=3, splits=5),
    Minimal(),
    Responsibility(repetitions=3, splits=5, resolution="tiles8x16"),
)
"""`responsibility` with fewer partitions than usual, in frequency and in time-frequency; `minimal` by single
bins."""

DRAWS = Draws(by_family=((str(family_of(SEARCHES[0])), 2),))
"""Two extractions of the headline family: how stable a signal is can be told from them."""

LIMITS = Limits(budget=1200)
"""Queries after which a search gives its best so far."""

KINDS = ("baseline", "model", "signals", "verdicts", "anchor")
"""Kinds of steps, each after those it may build on."""

STEPS = "steps.json"
"""File of the suite: key of every step by its name."""

_TRANSFORMS = (
    *("completions", "families", "dataset.completed", "dataset.clip_cache"),
    *("domains.fft", "domains.masks", "domains.atoms", "domains.resolutions"),
    *("domains.frequency", "domains.time", "domains.time_frequency"),
)
"""The modules that decide what a part of a clip is."""

ASKING = (
    *("evaluation.stimuli", "placements"),
    "evaluation.units",
    "evaluation.predict",
    *_TRANSFORMS,
    *("models.classifiers", "models.heads", "models.feature_extractors", "models.frontends"),
    "models.devices",
    "model_facts",
)
"""The modules that decide what a model answers to what."""

_SCORE = (
    *(
        "evaluation.runner",
        "evaluation.units",
        "evaluation.stimuli",
        "placements",
        "evaluation.predict",
        "evaluation.verdict_tables",
        "metrics.scorecard",
    ),
    "metrics.likeness",
    "metrics.panels",
    *("metrics.estimates", "metrics.classification", "schemas", "types", "model_facts"),
    *_TRANSFORMS,
)
"""The modules that decide what is asked and counted."""

_CODE = MappingProxyType(
    {
        "baseline": ("starter.build.spectrum_baseline",),
        "model": ("starter.build.train", "starter.build.networks"),
        "signals": (
            *("extract.search", "extract.minimal", "extract.responsibility", "extract.reduction"),
            *("extract.levels", "extract.objectives", "extract.oracle", "extract.search_task"),
            *("extract.certify", "extract.runner"),
            *_TRANSFORMS,
        ),
        "verdicts": _SCORE,
        "anchor": ("starter.build.baselines", "starter.build.networks", *_SCORE),
    }
)
"""The modules that decide what a step makes, by its kind; `made_by` covers those of the clips."""


@dataclass(frozen=True)
class Plan:
    """What is built: the suite, or a small part of it for a test."""

    recipes: tuple[Recipe, ...] = RECIPES
    """The models."""
    n_train: int = 960
    """Clips to learn from, per task."""
    n_train_binary: int = 1920
    """The same where there are two classes."""
    n_held_out: int = 240
    """Clips that models are examined on, per task."""
    n_test: int = 120
    """Clips that signals are made of, per task."""
    n_test_binary: int = 152
    """The same where there are two classes: about half of the signals are degenerate there."""
    n_anchor: int = 480
    """Of the clips to learn from: those that the anchors of a task learn from, or are scaled to."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of its models."""
        return tuple(TASKS[name] for name in dict.fromkeys(recipe.task for recipe in self.recipes))

    def n_train_of(self, task: Task) -> int:
        """Clips of a task to learn from."""
        return self.n_train_binary if len(task.labels) == 2 else self.n_train

    def n_test_of(self, task: Task) -> int:
        """Test clips of a task."""
        return self.n_test_binary if len(task.labels) == 2 else self.n_test

    def n_anchor_of(self, task: Task) -> int:
        """Clips of a task that its anchors learn from."""
        return min(self.n_anchor, self.n_train_of(task))

    def candidate(self, task: str) -> Recipe:
        """The candidate of a task; where there is none, its first model."""
        of_task = [recipe for recipe in self.recipes if recipe.task == task]
        return next((recipe for recipe in of_task if recipe.role == "candidate"), of_task[0])

    def panel(self, task: str) -> tuple[Recipe, ...]:
        """The references of a task."""
        return tuple(r for r in self.recipes if r.task == task and r.role == "reference")

    def recipe(self, folder: str) -> Recipe:
        """The model that is saved under a name."""
        return next(recipe for recipe in self.recipes if recipe.folder == folder)


@dataclass(frozen=True)
class Step:
    """One thing to be made."""

    kind: str
    """One of KINDS."""
    what: str
    """A task, or the folder name of a model."""
    key: str
    """Hash of all that decides what it makes."""
    needs: tuple[str, ...]
    """Names of the steps that it builds on."""

    @property
    def name(self) -> str:
        """As `--only` matches it."""
        return f"{self.kind}/{self.what}"

    @property
    def folder(self) -> Path:
        """Where what it makes lies, once it is whole."""
        return paths.cache() / "starter" / f"{self.kind}-{self.what}-{self.key}"


def steps(plan: Plan) -> dict[str, Step]:
    """The steps of a plan by name, each after those that it builds on."""
    plan_steps: dict[str, Step] = {}

    def add(kind: str, what: str, needs: Sequence[str], *parts: str) -> None:
        parts = (keys.code(*_CODE[kind]), *parts, *(plan_steps[name].key for name in needs))
        plan_steps[f"{kind}/{what}"] = Step(kind, what, keys.key(kind, what, *parts), tuple(needs))

    for task in plan.tasks:
        learnt = (made_by(task), str(plan.n_train_of(task)), str(plan.n_held_out))
        add("baseline", task.name, (), *learnt)
        for recipe in plan.recipes:
            if recipe.task == task.name:
                add("model", recipe.folder, (), repr(recipe), *learnt)
        panel = plan.panel(task.name)
        settings = (made_by(task), str(plan.n_test_of(task)), repr((SEARCHES, LIMITS, DRAWS)))
        for recipe in panel:
            add("signals", recipe.folder, [f"model/{recipe.folder}"], *settings)
        extractions = [f"signals/{recipe.folder}" for recipe in panel]
        for recipe in panel:
            add("verdicts", recipe.folder, [f"model/{recipe.folder}", *extractions])
        anchored = (made_by(task), str(plan.n_anchor_of(task)), repr(plan.candidate(task.name)))
        add("anchor", task.name, extractions, *anchored)
    return plan_steps


def packaged(suite: Path) -> dict[str, str]:
    """Keys that a suite was made under, by name of the step; none where there is no suite."""
    path = suite / STEPS
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def stale(plan: Plan, only: Sequence[str], suite: Path) -> list[Step]:
    """The steps to run: those that match and those they need, without the ones that are done already.

    Args:
        plan: what is built.
        only: patterns of step names, like those of file names; none means every step.
        suite: the suite as it is; a step whose key it holds is done.

    Raises:
        BadInput: a pattern that matches nothing.
    """
    every, packaged_keys = steps(plan), packaged(suite)
    for pattern in only:
        if not fnmatch.filter(every, pattern):
            raise BadInput(
                f"no step matches {pattern!r}; see them all with: python -m harness.starter --list"
                f"{likely(pattern, every)}"
            )
    required = {name for name in every if not only or any(fnmatch.fnmatch(name, p) for p in only)}
    stale_steps: list[Step] = []
    for step in reversed(every.values()):
        if step.name in required and packaged_keys.get(step.name) != step.key and not step.folder.is_dir():
            stale_steps.append(step)
            required.update(step.needs)
    return stale_steps[::-1]
