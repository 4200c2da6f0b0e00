"""One corpus of a recipe and the signals folder made of it: extracted by every model, judged by every model.

Public: ReferenceStatus, RecipeRun, judged_by_all, source_of.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from harness.cli.common import class_names_for, info, label_map_for
from harness.cli.progress import progress_bar
from harness.plurals import plural

if TYPE_CHECKING:
    from harness.cli.backends import Backend
    from harness.cli.common import ModelOptions
    from harness.dataset.corpora import Corpus
    from harness.extract.search import Search
    from harness.manifest import CorpusRef
    from harness.models.checkpoints import Checkpoint
    from harness.recipes.pins import Pins
    from harness.recipes.reading import Recipe, RecipeCorpus, RecipeModel
    from harness.tasks import Task


@dataclass
class ReferenceStatus:
    """What became of one reference."""

    corpus: str
    """Name of the corpus."""
    model: str
    """The model, as the recipe names it."""
    revision: str | None
    """Its commit, or what a folder is known by; None while that is not known."""
    state: str
    """extracted, there, passed over, failed."""
    why: str | None = None
    """Of what was passed over, or failed."""


@dataclass(frozen=True)
class _Ready:
    """A model that may work on a corpus."""

    checkpoint: Checkpoint
    label_map: Path | None
    told: ReferenceStatus


def source_of(corpus: RecipeCorpus, pins: Pins) -> str:
    """What to open: a dataset of the Hub at its pin, or a folder."""
    pin = pins.corpora.get(corpus.name)
    return f"{corpus.source}@{pin}" if pin else corpus.source


@dataclass(frozen=True)
class RecipeRun:
    """One corpus, and the signals folder that is made of it."""

    recipe: Recipe
    task: Task
    corpus: RecipeCorpus
    source: str
    place: Path
    out: Path

    def extracted(self, todo: Sequence[ReferenceStatus], work: Backend) -> Iterator[_Ready]:
        """Every model that has its signals in the folder, after it was seen to."""
        from harness.errors import BadCorpus
        from harness.models import checkpoints

        try:
            corpus = self._opened()
        except BadCorpus as error:
            for told in todo:
                told.why = str(error)
            info(f"failed, corpus {self.corpus.name}: {error}")
            return
        identity = cache(lambda: corpus.ref(list(corpus.clips(self.task))))
        models = {m.source: m for m in self.recipe.models}
        for told in todo:
            with _reported(told):
                checkpoint = checkpoints.resolve(told.model, told.revision)
                told.revision = checkpoint.ref.revision
                ready = _Ready(checkpoint, self._label_map(models[told.model], checkpoint), told)
                self._see_to(ready, models[told.model], corpus, identity, work)
                yield ready
        for note in corpus.notes():
            info(f"{self.corpus.name}: {note}")
        for skipped in corpus.skipped:
            info(f"{self.corpus.name}: skipped {skipped.clip_id}: {skipped.why}")

    def _opened(self) -> Corpus:
        from harness.dataset.corpora import Columns, open_corpus

        said = self.corpus
        columns = Columns(said.audio, said.label, said.labels)
        corpus = open_corpus(
            self.source, self.task, split=said.split, limit=self.recipe.limit, columns=columns
        )
        if corpus.choice is not None:
            info(f"{said.name}: {corpus.choice}")
        if corpus.licence is None:
            corpus.licence = said.licence
        elif said.licence is not None and corpus.licence != said.licence:
            info(f"{said.name}: its licence is {corpus.licence}, where the recipe says {said.licence}")
        return corpus

    def _label_map(self, model: RecipeModel, checkpoint: Checkpoint) -> Path | None:
        """The recipe's reading of its classes as a file, bound to this commit."""
        from harness.journal import replace_file

        if model.labels is None:
            return None
        content = {
            "model": checkpoint.ref.repo_id,
            "revision": checkpoint.ref.revision,
            "task": self.task.name,
            "labels": model.labels,
            "reviewed_by": f"the author of the recipe {self.recipe.name}",
            "why": model.labels_from or "",
        }
        path = self.out / ".label-maps" / f"{checkpoint.ref.slug}.json"
        path.parent.mkdir(exist_ok=True)
        replace_file(path, (json.dumps(content, indent=2) + "\n").encode())
        return path

    def _see_to(
        self,
        ready: _Ready,
        model: RecipeModel,
        corpus: Corpus,
        identity: Callable[[], CorpusRef],
        work: Backend,
    ) -> None:
        """Extract what is not there yet."""
        from harness.dataset import licences
        from harness.extract import build_reference
        from harness.extract.search_task import Draws, Limits

        ref, told = ready.checkpoint.ref, ready.told
        class_names = class_names_for(ready.checkpoint, work.open)
        labels = label_map_for(class_names, ref, self.task, ready.label_map)
        limits = Limits(self.recipe.budget, self.recipe.alpha)
        draws = Draws(self.recipe.seed, self.recipe.draws)
        searches = _searches(self.recipe)
        if build_reference.is_there(self.place, self.task, ref, labels, searches, limits, draws, identity):
            told.state = "there"
            return
        classifier = work.open(ready.checkpoint)
        if classifier.facts.sample_rate_hz != model.sample_rate_hz:
            hears = f"{classifier.facts.sample_rate_hz:,} Hz, where the recipe says {model.sample_rate_hz:,}"
            info(f"{told.model} expects {hears}")
        locked = not self.corpus.redistributable or licences.problem(corpus.name, corpus.licence)
        with progress_bar(f"{ref.repo_id} on {self.corpus.name}", len(corpus), "queries") as step:
            record = build_reference.add(
                *(classifier, labels, self.task, corpus, searches, self.place),
                limits=limits,
                draws=draws,
                masks_only=bool(locked),
                engine=work.extract,
                progress=step,
            )
        told.state = "extracted"
        counts = ", ".join(f"{c.n_signals} {c.family}" for c in record.counts)
        info(f"{told.model} on {self.corpus.name}: {counts}; {len(record.skipped)} skipped")


class _reported:  # noqa: N801 - reads as a statement
    """What goes wrong with one model is put down, and the others go on; a cluster's trouble is not one's."""

    def __init__(self, told: ReferenceStatus) -> None:
        self.told = told

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        from harness.errors import BadCluster, BadInput, NotValid

        if not isinstance(error, BadInput | NotValid) or isinstance(error, BadCluster):
            return False
        self.told.state, self.told.why = "failed", str(error)
        info(f"failed, {self.told.model}: {' '.join(str(error).split())}")
        return True


def judged_by_all(bench: RecipeRun, ready: Sequence[_Ready], opening: ModelOptions, work: Backend) -> None:
    """Everybody's verdicts on all signals; those on an earlier state of the folder go."""
    from harness.cli.cached_evaluation import evaluate_cached
    from harness.dataset.paths import VERDICTS
    from harness.dataset.suites import Suite
    from harness.entries import store

    if not ready:
        return
    suite = Suite(bench.place, f"local/{bench.place.resolve().name}")
    kept = set()
    for one in ready:
        with _reported(one.told):
            kept.add(
                evaluate_cached(
                    *(one.checkpoint, suite, bench.task, bench.place / VERDICTS, one.label_map, opening, work)
                )
            )
    now = suite.ref(bench.task.name).sha256
    models = {store.read(folder).model for folder in kept}
    for folder in suite.verdicts():
        entry = store.read(folder)
        if entry.task == bench.task.name and entry.signals.sha256 != now and entry.model in models:
            shutil.rmtree(folder)
    only = "" if bench.corpus.redistributable else " --masks-only"
    publish = f"goodenough publish {quote(str(bench.place))}{only}"
    info(f"{bench.place}: {plural(len(kept), 'reference')}; to publish: {publish}")


def _searches(recipe: Recipe) -> list[Search]:
    from harness.extract import SEARCHES
    from harness.extract.responsibility import Responsibility

    found = []
    for name in recipe.searches:
        search = SEARCHES[name]
        if isinstance(search, Responsibility):
            search = replace(search, **_settings(recipe))
        found.append(search)
    return found


def _settings(recipe: Recipe) -> dict[str, Any]:
    """What a recipe says of the search `responsibility`."""
    settings: dict[str, Any] = {}
    if recipe.repetitions is not None:
        settings["repetitions"] = recipe.repetitions
    if recipe.bands is not None:
        settings["n_bands"] = None if recipe.bands == "all" else recipe.bands
    return settings
