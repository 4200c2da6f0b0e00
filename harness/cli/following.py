"""A recipe being followed: pinned, extracted model by model, judged, and what went wrong told at the end.

All names are pinned before any work (`recipes.pins`). A model that cannot be used is reported, and the others
go on. Each corpus makes a signals folder: the one named where the recipe has one corpus, a folder of its own
below it where it has more.

Public: Following.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.terminal import Opening, label_map_for, progress_bar, say
from harness.errors import GoodenoughError

if TYPE_CHECKING:
    from harness.checkpoints import Checkpoint
    from harness.dataset.corpora import Corpus
    from harness.extract.contract import Search
    from harness.models import Classifier
    from harness.recipes.pins import Pins
    from harness.recipes.reading import Recipe, RecipeCorpus, RecipeModel
    from harness.tasks import Task


class Following:
    """A recipe being followed, and what came of it."""

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        searches: Sequence[Search],
        out: Path,
        folders: Mapping[str, Path],
        opening: Opening,
        over: Mapping[str, str],
    ) -> None:
        """Begin: nothing is asked or written yet."""
        self.recipe, self.task, self.searches, self.out = recipe, task, searches, out
        self.folders, self.opening, self.over = folders, opening, over
        self.models = [m for m in recipe.models if m.source not in over]
        self.corpora = [c for c in recipe.corpora if c.name not in over]
        self.opened: dict[str, Corpus] = {}
        self.checkpoints: dict[str, Checkpoint] = {}
        self.done: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.pins: Pins

    def root(self, corpus: RecipeCorpus) -> Path:
        """The signals folder of a corpus."""
        return self.out if len(self.recipe.corpora) == 1 else self.out / corpus.name

    def pin(self, chosen: Sequence[RecipeModel]) -> None:
        """Every name to a commit, also of models that are not chosen: another machine may have those."""
        from harness import checkpoints
        from harness.dataset import corpora
        from harness.recipes import pins, reading

        def of_model(model: RecipeModel) -> pins.Pinning:
            folder = reading.is_folder(model.source)
            key = Path(model.source).name if folder else model.source
            return pins.Pinning(key, folder, lambda: checkpoints.pinned(model.source, model.revision))

        def of_corpus(corpus: RecipeCorpus) -> pins.Pinning:
            folder = self.folder(corpus)
            if folder is not None:
                return pins.Pinning(corpus.name, True, lambda: f"folder@{corpora.pinned(str(folder))}")
            ask = lambda: f"{corpus.source}@{corpora.pinned(corpus.source, corpus.revision)}"  # noqa: E731
            return pins.Pinning(corpus.name, False, ask)

        sha256 = reading.content_sha256(self.recipe, self.task)
        models = {m.source: of_model(m) for m in self.models}
        of_corpora = {c.name: of_corpus(c) for c in self.corpora}
        self.pins, failed = pins.keep(self.out, self.recipe.name, sha256, models, of_corpora)
        told = {m.source for m in chosen} | set(of_corpora)
        for what, error in failed.items():
            if what in told:
                self.fail(what, error)
        self.models = [m for m in self.models if m.source not in failed]
        self.corpora = [c for c in self.corpora if c.name not in failed]
        for corpus in list(self.corpora):
            try:
                self.opened[corpus.name] = self.open(corpus)
            except GoodenoughError as error:
                self.fail(corpus.name, error)
                self.corpora.remove(corpus)

    def folder(self, corpus: RecipeCorpus) -> Path | None:
        """Where a corpus lies, if it is a folder."""
        from harness.recipes.reading import is_folder

        return self.folders.get(corpus.name) or (Path(corpus.source) if is_folder(corpus.source) else None)

    def open(self, corpus: RecipeCorpus) -> Corpus:
        """A corpus as it was pinned."""
        from harness.dataset.corpora import Columns, open_corpus

        folder = self.folder(corpus)
        return open_corpus(
            self.pins.corpora[corpus.name] if folder is None else str(folder),
            self.task,
            split=corpus.split,
            limit=self.recipe.limit,
            columns=Columns(corpus.audio, corpus.label, corpus.labels, corpus.licence),
        )

    def checkpoint(self, model: RecipeModel) -> Checkpoint:
        """A model as it was pinned."""
        from harness import checkpoints
        from harness.recipes.reading import is_folder

        if model.source not in self.checkpoints:
            revision = None if is_folder(model.source) else self.pins.models[model.source]
            self.checkpoints[model.source] = checkpoints.resolve(model.source, revision)
        return self.checkpoints[model.source]

    def label_map(self, model: RecipeModel) -> Path | None:
        """The file of a model whose class names the recipe explains."""
        from harness.journal import replace_file

        if model.labels is None:
            return None
        ref = self.checkpoint(model).ref
        content = {
            "model": ref.repo_id,
            "revision": ref.revision,
            "task": self.task.name,
            "labels": model.labels,
            "reviewed_by": f"recipe {self.recipe.name}",
            "why": model.labels_from or "",
        }
        path = self.out / ".recipe.labels" / f"{ref.slug}.json"
        replace_file(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        return path

    def extract(self, model: RecipeModel) -> None:
        """The signals of a model from every corpus; what goes wrong is kept for the end."""
        if model not in self.models:
            return
        classifier: Classifier | None = None
        try:
            self.checkpoint(model)
        except GoodenoughError as error:
            self.fail(model.source, error)
            return
        for corpus in self.corpora:
            try:
                if not self.is_done(model, corpus):
                    classifier = classifier or self.opening.open(self.checkpoint(model))
                    self.add(model, corpus, classifier)
            except GoodenoughError as error:
                self.fail(f"{model.source} on {corpus.name}", error)
                continue
            self.done.append((model.source, corpus.name))

    def is_done(self, model: RecipeModel, corpus: RecipeCorpus) -> bool:
        """Whether the suite has it already, as far as can be told without opening the model."""
        from harness.checkpoints import class_names_of
        from harness.dataset.signals import MANIFEST, Suite
        from harness.extract.running import named

        checkpoint, root = self.checkpoint(model), self.root(corpus)
        labels = label_map_for(class_names_of(checkpoint), checkpoint.ref, self.task, self.label_map(model))
        if self.folder(corpus) is not None or not (root / MANIFEST).is_file():
            return False  # a folder's sounds may have changed under the same metadata.csv
        wanted = {named(search, self.limits) for search in self.searches}
        commit = self.pins.corpora[corpus.name].rpartition("@")[2]
        return any(
            old.model == checkpoint.ref
            and old.label_map == labels
            and old.corpus.revision == commit
            and wanted <= set(old.searches)
            for old in Suite(root, f"local/{root.name}").references(self.task.name)
        )

    @property
    def limits(self) -> Any:
        """What every search is held to."""
        from harness.extract.running import Limits

        return Limits(self.recipe.budget, self.recipe.alpha)

    def add(self, model: RecipeModel, corpus: RecipeCorpus, classifier: Classifier) -> None:
        """Extract one reference."""
        from harness.extract import reference

        clips = self.opened[corpus.name]
        labels = label_map_for(classifier.class_names, classifier.ref, self.task, self.label_map(model))
        with progress_bar(f"{classifier.ref.repo_id} on {corpus.name}", len(clips), "queries") as step:
            record = reference.add(
                classifier,
                labels,
                self.task,
                clips,
                self.searches,
                self.root(corpus),
                limits=self.limits,
                masks_only=not corpus.redistributable,
                progress=step,
            )
        counts = ", ".join(f"{c.n_signals} {c.family}" for c in record.counts)
        say(f"{classifier.ref.repo_id} on {corpus.name}: {counts} signals")
        if record.corpus.licence != corpus.licence:
            own, told = record.corpus.licence or "none", corpus.licence or "none"
            say(f"{corpus.name} states licence {own}, the recipe says {told}; look before it is published")

    def judge(self) -> None:
        """Every reference on every signal, each corpus for itself."""
        from harness.cli.judging import judged
        from harness.dataset.signals import MANIFEST, VERDICTS, load

        for corpus in self.corpora:
            root = self.root(corpus)
            if not (root / MANIFEST).is_file():
                continue
            suite = load(str(root))
            references = {record.model: record for record in suite.references(self.task.name)}
            for model in self.models:
                if (model.source, corpus.name) not in self.done:
                    continue
                try:
                    checkpoint = self.checkpoint(model)
                    references.pop(checkpoint.ref, None)
                    place, labels = root / VERDICTS, self.label_map(model)
                    judged(checkpoint, suite, self.task, place, labels, self.opening)
                except GoodenoughError as error:
                    self.fail(f"{model.source} as a judge of {corpus.name}", error)
            for ref in references:
                say(
                    f"{corpus.name}: {ref.repo_id} did not judge, for it was not made now; evaluate it: --out"
                )

    def fail(self, what: str, error: GoodenoughError) -> None:
        """Keep what went wrong, and say it at once."""
        why = " ".join(str(error).split("\n"))
        self.failed.append((what, why))
        say(f"failed {what}: {why}")

    def report(self, as_json: bool) -> int:
        """What came of it; 1 where something failed."""
        roots = [str(self.root(corpus)) for corpus in self.corpora]
        if as_json:
            content = {
                "recipe": self.recipe.name,
                "folders": roots,
                "references": [{"model": model, "corpus": corpus} for model, corpus in self.done],
                "failed": [{"what": what, "why": why} for what, why in self.failed],
                "passed_over": [{"what": what, "why": why} for what, why in self.over.items()],
            }
            click.echo(json.dumps(content, indent=2, ensure_ascii=False))
        say(f"{len(self.done)} references in {', '.join(roots) or self.out}; {len(self.failed)} failed")
        return 1 if self.failed else 0
