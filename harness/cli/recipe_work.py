"""One corpus of a recipe and its signals folder: extracted by every model, judged by every model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from harness.cli.backends import PinnedModel
from harness.cli.common import info
from harness.dataset.paths import VERDICTS
from harness.errors import BadCluster, BadCorpus, BadInput, NotValid
from harness.plurals import plural
from harness.progress import progress_bar

if TYPE_CHECKING:
    from harness.cli.backends import Backend
    from harness.cli.options import ModelOptions
    from harness.dataset.corpora import Corpus
    from harness.manifest import CorpusRef
    from harness.models.checkpoints import Checkpoint
    from harness.recipes.recipe_file import Recipe, RecipeCorpus, RecipeModel
    from harness.tasks import Task


@dataclass
class ReferenceStatus:
    """The status of one reference."""

    corpus: str
    model: str
    """As the recipe names it."""
    revision: str | None
    """Its commit, or what a folder is known by; None while that is not known."""
    state: str
    """extracted, there, passed over, failed."""
    why: str | None = None
    """Of what was passed over, or failed."""


@dataclass(frozen=True)
class _Ready:
    """A model that is resolved and has a label map."""

    checkpoint: Checkpoint
    label_map: Path | None
    status: ReferenceStatus


@dataclass(frozen=True)
class RecipeRun:
    """One corpus, and the signals folder that is made of it."""

    recipe: Recipe
    task: Task
    corpus: RecipeCorpus
    source: str
    folder: Path
    out: Path
    opening: ModelOptions
    backend: Backend

    def extract(self, statuses: Sequence[ReferenceStatus]) -> Iterator[_Ready]:
        """Extract with every model; yields those whose signals are in the folder."""
        from harness.models import checkpoints

        try:
            corpus = self._open_corpus()
        except BadCorpus as error:
            for status in statuses:
                status.why = str(error)
            info(f"failed, corpus {self.corpus.name}: {error}")
            return
        identity = cache(lambda: corpus.ref(corpus.clip_sequence(self.task)))
        models = {m.source: m for m in self.recipe.models}
        for status in statuses:
            with _report_errors(status):
                checkpoint = checkpoints.resolve(status.model, status.revision)
                status.revision = checkpoint.ref.revision
                ready = _Ready(checkpoint, self._label_map(models[status.model], checkpoint), status)
                self._extract_model(ready, models[status.model], corpus, identity)
                yield ready
        for note in corpus.notes():
            info(f"{self.corpus.name}: {note}")
        for skip in corpus.skipped:
            info(f"{self.corpus.name}: skipped {skip.clip_id}: {skip.why}")

    def _open_corpus(self) -> Corpus:
        from harness.dataset.corpora import Columns, open_corpus

        settings = self.corpus
        columns = Columns(settings.audio, settings.label, settings.labels)
        limit = self.recipe.limit
        corpus = open_corpus(self.source, self.task, split=settings.split, limit=limit, columns=columns)
        if corpus.choice is not None:
            info(f"{settings.name}: {corpus.choice}")
        corpus.licence = corpus.licence or settings.licence
        if settings.licence not in (None, corpus.licence):
            info(
                f"{settings.name}: its licence is {corpus.licence}, where the recipe says {settings.licence}"
            )
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

    def _extract_model(
        self,
        ready: _Ready,
        model: RecipeModel,
        corpus: Corpus,
        identity: Callable[[], CorpusRef],
    ) -> None:
        """Extract the signals of one model, unless they exist."""
        from harness.completions import parse_completion
        from harness.dataset import licences
        from harness.extract import build_reference, named
        from harness.extract.search_task import Draws, Limits

        ref, status = ready.checkpoint.ref, ready.status
        pinned = PinnedModel(ready.checkpoint, self.opening, self.backend)
        labels = pinned.labels(self.task, ready.label_map)
        completion = parse_completion(self.recipe.completion)
        limits = Limits(self.recipe.budget, self.recipe.alpha, completion, self.recipe.robust)
        draws = Draws(self.recipe.seed, self.recipe.draws)
        searches = [named(name, self.recipe.repetitions) for name in self.recipe.searches]
        if build_reference.exists(self.folder, self.task, ref, labels, searches, limits, draws, identity):
            status.state = "there"
            return
        classifier = pinned.classifier
        if classifier.facts.sample_rate_hz != model.sample_rate_hz:
            rates = f"{classifier.facts.sample_rate_hz:,} Hz, where the recipe says {model.sample_rate_hz:,}"
            info(f"{status.model} expects {rates}")
        masks_only = not self.corpus.redistributable or licences.problem(corpus.name, corpus.licence)
        with progress_bar(f"{ref.repo_id} on {self.corpus.name}", len(corpus), "queries") as step:
            record = build_reference.add(
                *(classifier, labels, self.task, corpus, searches, self.folder),
                limits=limits,
                draws=draws,
                masks_only=bool(masks_only),
                engine=self.backend.extract,
                progress=step,
            )
        status.state = "extracted"
        counts = ", ".join(f"{c.n_signals} {c.family}" for c in record.counts)
        info(f"{status.model} on {self.corpus.name}: {counts}; {len(record.skipped)} skipped")


@contextmanager
def _report_errors(status: ReferenceStatus) -> Iterator[None]:
    """Records an error of one model in its status, so that the others go on; errors of a cluster pass."""
    try:
        yield
    except BadCluster:
        raise
    except (BadInput, NotValid) as error:
        status.state, status.why = "failed", str(error)
        info(f"failed, {status.model}: {' '.join(str(error).split())}")


def judge_all(run: RecipeRun, ready: Sequence[_Ready]) -> None:
    """Evaluate every model on all signals; deletes verdicts on an earlier state of the folder."""
    from harness.cli.cached_evaluation import evaluate_cached
    from harness.dataset.suites import Suite
    from harness.entries import store

    if not ready:
        return
    suite = Suite(run.folder, f"local/{run.folder.resolve().name}")
    folders = set()
    for model in ready:
        with _report_errors(model.status):
            pinned = PinnedModel(model.checkpoint, run.opening, run.backend)
            folders.add(evaluate_cached(pinned, suite, run.task, run.folder / VERDICTS, model.label_map))
    sha256 = suite.ref(run.task.name).sha256
    models = {store.read(folder).model for folder in folders}
    for folder in suite.verdicts():
        entry = store.read(folder)
        if entry.task == run.task.name and entry.signals.sha256 != sha256 and entry.model in models:
            shutil.rmtree(folder)
    only = "" if run.corpus.redistributable else " --masks-only"
    publish = f"goodenough publish {quote(str(run.folder))}{only}"
    info(f"{run.folder}: {plural(len(folders), 'reference')}; to publish: {publish}")
