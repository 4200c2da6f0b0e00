"""Reads a recipe from YAML, strictly: the models, corpora and searches of one suite.

    name: instrument
    task: instrument.yaml             # a built-in task, or a file beside this one
    about: One line.
    searches: [responsibility, minimal]
    limit: 400                        # clips of each corpus at most
    corpora:
      - name: studio
        source: ./recordings          # a Hub id, or a folder that begins with ., / or ~
        ...
    models:
      - source: org/name
        ...

Conventions: what is not known is left out, and is None. A revision is all 40 digits of a commit, or a
placeholder, a branch name, which is pinned when the suite is built. A folder has no revision. Paths are
relative to the recipe's own file. A model whose class names say nothing, and whose order nobody confirmed,
stays in the recipe with what it needs, and is passed over until somebody supplies it: never guessed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from harness import tasks, untrusted
from harness.completions import ZERO, parse_completion
from harness.dataset import licences
from harness.disk_errors import pointer
from harness.errors import BadInput, BadTask, likely
from harness.families import RESPONSIBILITY, family_of_search, kind_of
from harness.name_matching import apart, key, nfc
from harness.schemas import from_json
from harness.tasks import Task
from harness.types import STRICT

Evidence = Literal["docs", "second-hand", "no"]
"""How what a recipe says was checked: a copy of the Hub's own page was read, others say so, or not at all."""

MAX_DRAWS = 100
"""Extractions of a clip."""

Needs = Literal["label map", "safetensors"]
"""What a model lacks before it can be used: an order of its classes that was confirmed, weights that are no
pickle."""


@dataclasses.dataclass(frozen=True)
class RecipeCorpus:
    """Recordings of one origin."""

    __pydantic_config__ = STRICT

    name: str
    """What it is called on the command line, and its folder: lower case letters, digits and hyphens."""
    source: str
    """Hub id, or a folder with metadata.csv."""
    licence: str | None
    """As the corpus states it; None where it states none."""
    redistributable: bool
    """Whether parts of its recordings may be passed on, under its licence, to anybody."""
    seen: Evidence
    """How all of this was checked."""
    checked: str
    """What was seen where, in a sentence."""
    masks_only_because: str | None = None
    """Why audio may not be passed on; there if and only if it may not."""
    revision: str | None = None
    """Of a Hub dataset: a branch, pinned at build time, or a commit."""
    split: str | None = None
    """Which split; None takes `test`, or the only one."""
    audio: str | None = None
    """Its column of recordings; None for the only one."""
    label: str = "label"
    """Its column of class names."""
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    """Class names that the task does not understand -> canonical label."""
    obtain: str | None = None
    """How to make a folder of it, where the Hub's copy cannot be loaded; None where it can."""
    clips: int | None = None
    """Recordings expected in the split."""
    seconds: float | None = None
    """Their median length, expected."""


@dataclasses.dataclass(frozen=True)
class RecipeModel:
    """A model that will be a reference."""

    __pydantic_config__ = STRICT

    source: str
    """Hub id, or a folder."""
    architecture: str
    """Its model type in transformers."""
    seen: Evidence
    """How all of this was checked."""
    note: str
    """What is known of it, and from where, in a sentence."""
    revision: str | None = None
    """Of a Hub model: a branch, pinned at build time, or a commit."""
    parameters_m: float | None = None
    """Parameters that a query passes through, in millions."""
    sample_rate_hz: int = 16_000
    """The rate it expects."""
    labels: dict[str, str | None] | None = None
    """Its class names -> canonical label, or null for none; None where the names can be read by
    themselves."""
    labels_from: str | None = None
    """Where that order was read, in a sentence; there if and only if `labels` is."""
    needs: Needs | None = None
    """What has to be supplied before it can be used."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One suite: every model extracts its signals from every corpus, then judges those of the others."""

    __pydantic_config__ = STRICT

    name: str
    """Lower case letters, digits and hyphens."""
    task: str
    """A built-in task, or a YAML file."""
    about: str
    """One line."""
    searches: tuple[str, ...]
    """Searches as NAME or NAME@RESOLUTION, one for each family."""
    corpora: tuple[RecipeCorpus, ...]
    """Recordings; each makes a separate signals folder."""
    models: tuple[RecipeModel, ...]
    """References."""
    limit: int | None = None
    """Clips of each corpus at most, the classes in turn."""
    repetitions: int | None = None
    """Random partitions of the search `responsibility`; None for its default."""
    budget: int | None = None
    """Queries that a search may spend on a clip."""
    alpha: float = 0.0
    """Share of the original confidence that a signal has to keep."""
    completion: str = "zero"
    """What stands in for the rest of a signal (`completions`)."""
    robust: float | None = None
    """Share of draws of the completion in which a signal has to keep its class."""
    seed: int = 0
    """Of the searches."""
    draws: int = 1
    """Independent extractions of each clip."""


def shipped() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.yaml"))


def read(name: str) -> tuple[Recipe, Task]:
    """A shipped recipe by name, or a user's own from a YAML file; with its task.

    Raises:
        BadInput: no such recipe, or one that does not say what it must.
    """
    path = Path(name)
    if name in shipped():
        path = Path(__file__).parent / f"{name}.yaml"
    elif not name.endswith((".yaml", ".yml")):
        raise BadInput(
            f"no recipe named {name!r}; known: {', '.join(shipped())}; a recipe of your own is a file:"
            f" --recipe path/to/recipe.yaml{likely(name, shipped())}"
        )
    elif not path.is_file():
        raise BadInput(f"no recipe file at {name}; known without a file: {', '.join(shipped())}")
    if line := pointer(path):
        raise BadInput(line)
    raw = _yaml(path)
    for field in _empty(raw):
        raise BadInput(f"{path}: {field} is empty; give it a value, or leave the line out")
    if isinstance(raw, dict) and "bands" in raw:
        raise BadInput(
            f"{path}: a recipe has no field `bands`; name the bands with the search, as in"
            " `searches: [responsibility@bands32]`"
        )
    try:
        recipe = from_json(Recipe, json.dumps(raw))
    except (ValueError, TypeError) as error:
        first, *others = str(error).splitlines()
        more = f" (and {len(others)} more)" if others else ""
        raise BadInput(f"{path} is no recipe: {first}{more}") from None
    recipe = _with_absolute_paths(recipe, path.parent)
    try:
        task = tasks.find(recipe.task)
    except BadTask as error:
        raise BadInput(f"{path}: {error}") from None
    for problem in _problems(recipe, task):
        raise BadInput(f"{path}: {problem}")
    return recipe, task


def is_folder(source: str) -> bool:
    """Whether a model or corpus of a recipe is a folder, not a name on the Hub."""
    return source.startswith((".", "/", "~"))


def content_sha256(recipe: Recipe, task: Task) -> str:
    """Hash of what a recipe asks for: notes and expectations do not count, nor where a folder lies."""
    content = dataclasses.asdict(recipe)
    for entry in (*content["corpora"], *content["models"]):
        for field in ("note", "checked", "seen", "clips", "seconds", "parameters_m", "obtain", "labels_from"):
            entry.pop(field, None)
        if is_folder(entry["source"]):
            entry["source"] = Path(entry["source"]).name
    content.pop("about")
    spellings = {label: task.aliases.get(label, ()) for label in task.labels}
    content["task"] = [task.name, spellings, task.sample_rate_hz, task.max_seconds]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# ---- as it is written ----------------------------------------------------------------------------


def _yaml(path: Path) -> Any:
    try:
        return untrusted.yaml_of(untrusted.content(path))
    except untrusted.Unreadable as error:
        raise BadInput(f"{path} is not readable YAML: {error}") from None


def _empty(raw: Any) -> Iterator[str]:
    """Fields without a value that would otherwise read as absent, and select more."""
    corpora = raw.get("corpora") if isinstance(raw, dict) else None
    for table in (raw, *(corpora if isinstance(corpora, list) else ())):
        for field in ("limit", "split"):
            if isinstance(table, dict) and table.get(field, field) in (None, ""):
                yield f"`{field}`"


def _with_absolute_paths(recipe: Recipe, base: Path) -> Recipe:
    """The recipe with its relative paths resolved against the folder of its file."""

    def absolute(source: str) -> str:
        return str((base / Path(source).expanduser()).resolve()) if is_folder(source) else source

    task = recipe.task
    if task.endswith((".yaml", ".yml")):
        task = str(base / Path(task).expanduser())
    return dataclasses.replace(
        recipe,
        task=task,
        corpora=tuple(dataclasses.replace(c, source=absolute(c.source)) for c in recipe.corpora),
        models=tuple(dataclasses.replace(m, source=absolute(m.source)) for m in recipe.models),
    )


# ---- what must hold ------------------------------------------------------------------------------


def _problems(recipe: Recipe, task: Task) -> Iterator[str]:
    """All problems, one line each."""
    yield from _of_searches(recipe)
    corpora, models = [c.name for c in recipe.corpora], [m.source for m in recipe.models]
    for field, names in (("corpora", corpora), ("models", models)):
        if not names:
            yield f"`{field}` is empty; a suite needs at least one"
        yield from (f"{field} lists {n} twice" for n in names if names.count(n) > 1)
    if not _PLAIN.fullmatch(recipe.name):
        yield f"name {recipe.name!r} must be lower case letters, digits and hyphens"
    for corpus in recipe.corpora:
        yield from (f"corpus {corpus.name}: {line}" for line in _of_corpus(corpus, task))
    for model in recipe.models:
        yield from (f"model {model.source}: {line}" for line in _of_model(model, task))


_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"[A-Za-z][\w.-]*(/[\w.-]+)*")
_MIN_LABELS = 2
"""Canonical labels that a label map has to name."""


def _of_searches(recipe: Recipe) -> Iterator[str]:
    for field in ("limit", "repetitions", "budget", "draws"):
        value = getattr(recipe, field)
        if value is not None and value < 1:
            yield f"{field} is {value}; expected at least 1"
    if not 0 <= recipe.alpha <= 1:
        yield f"alpha is {recipe.alpha:g}; expected a share, 0 to 1"
    if not recipe.searches:
        yield "`searches` is empty; responsibility and minimal are the usual ones"
    families = []
    for name in recipe.searches:
        try:
            families.append(family_of_search(name))
        except BadInput as error:
            yield str(error)
    if len(set(families)) < len(families):
        yield f"two of the searches {', '.join(recipe.searches)} are of one family; name one of each"
    if recipe.repetitions is not None and not any(kind_of(f) == RESPONSIBILITY for f in families):
        yield "`repetitions` is of the search responsibility, which is not asked for"
    try:
        completion = parse_completion(recipe.completion)
    except BadInput as error:
        yield str(error)
    else:
        if recipe.robust is not None and completion == ZERO:
            yield "`robust` needs a `completion` other than zero: of silence there is only one draw"
    if recipe.robust is not None and not 0 < recipe.robust <= 1:
        yield f"robust is {recipe.robust:g}; expected a share above 0, at most 1"
    if recipe.draws > MAX_DRAWS:
        yield f"draws is {recipe.draws}; expected at most {MAX_DRAWS}"
    if recipe.seed < 0:
        yield f"seed is {recipe.seed}; expected 0 or more"


def _of_corpus(corpus: RecipeCorpus, task: Task) -> Iterator[str]:
    yield from _of_source(corpus.source, corpus.revision)
    yield from _of_labels(corpus.labels, task)
    if not _PLAIN.fullmatch(corpus.name):
        yield "its name must be lower case letters, digits and hyphens"
    if corpus.redistributable == bool(corpus.masks_only_because):
        yield "say either `redistributable: true`, or false and `masks_only_because`"
    if corpus.redistributable and (reason := licences.problem(corpus.name, corpus.licence)):
        yield f"it is not redistributable ({reason.removeprefix(f'{corpus.name}: ')})"
    for field in ("clips", "seconds"):
        value = getattr(corpus, field)
        if value is not None and value <= 0:
            yield f"{field} is {value}; expected more than 0"


def _of_model(model: RecipeModel, task: Task) -> Iterator[str]:
    yield from _of_source(model.source, model.revision)
    if (model.labels is None) != (model.labels_from is None):
        yield "`labels` and `labels_from`, where their order was read, go together"
    if model.labels is not None:
        labels = {name: label for name, label in model.labels.items() if label is not None}
        yield from _of_labels(labels, task, allow_names=True)
        if len({*labels.values()}) < _MIN_LABELS:
            yield f"`labels` must name at least {_MIN_LABELS} labels of {task.name}"
        if model.needs == "label map":
            yield "it has `labels` and yet needs a label map"
    if model.parameters_m is not None and model.parameters_m <= 0:
        yield f"parameters_m is {model.parameters_m:g}; expected more than 0"


def _of_source(source: str, revision: str | None) -> list[str]:
    if is_folder(source):
        return [] if revision is None else [f"a folder has no revision {revision!r}; leave it out"]
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", source):
        return [f"{source!r} is no Hub id (org/name), and no folder either: that begins with ., / or ~"]
    if revision is None:
        return ["a Hub id needs a revision; `main` is pinned when the suite is built"]
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return []
    if re.fullmatch(r"[0-9a-fA-F]{7,}", revision) or not _PLACEHOLDER.fullmatch(revision):
        return [f"revision {revision!r} is neither all 40 digits of a commit nor a branch"]
    return []


def _of_labels(labels: dict[str, str], task: Task, *, allow_names: bool = False) -> Iterator[str]:
    for name, label in labels.items():
        if nfc(label) not in map(nfc, task.labels):
            hint = "".join(apart(label, other) for other in task.labels)
            yield f"{name!r} is mapped to {label!r}, which is no label of {task.name}{hint}"
        elif not allow_names and key(name) == key(label):
            yield f"{name!r} is mapped to itself; leave it out"
