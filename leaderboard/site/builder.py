"""The leaderboard as a static site: an overview, a page per task and model, sounds; no server, no requests.

    <out>/index.html                        written last: where it stands the site is whole
    <out>/models.html                       every entry of every task in one table, by name
    <out>/tasks/<task>.html                 every entry in one table, and the matrix
    <out>/models/<org>__<model>-<rev>.html  one per model and revision
    <out>/evidence/<task>.html              sounds, where the licences of the clips allow it
    <out>/figures/<task>-<measure>.svg      the matrix of the headline family, for a README
    <out>/figures/<task>-<size|time>.svg    lift over size, and over the day of release
    <out>/data/<task>.<csv|json|parquet|tex>  every number; and goodenough.bib
    <out>/badges/<model>-<task>.svg         lift and place, for a model's own page
    <out>/.goodenough-site                  what of this a build made, and from what (`place`)

Conventions: made in a fresh folder beside `out`, then moved in file by file. A page's key is a hash of
everything that its text follows from; a page that stands there under the same key is not made again. Pages
of models that are gone are removed; a folder that holds anything no build made is refused.

Public: write, page_of, command, FIGURES.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args
from urllib.parse import quote

from harness.dataset.suites import Suite
from harness.disk import unwritable
from harness.errors import BadInput
from harness.schemas import to_json
from harness.types import FAMILIES, ModelRef
from leaderboard import exports, process_pool, render, urls
from leaderboard.board import model_traits as traits
from leaderboard.board.matrix import short_names
from leaderboard.board.model_traits import ReferenceProfile
from leaderboard.board.types import Board, Ranking, Row
from leaderboard.plots import inline, scatter
from leaderboard.process_pool import Progress
from leaderboard.site import audio_page, home_page, model_page, models_page, output_folder, task_page
from leaderboard.site.audio_page import AudioPages
from leaderboard.site.model_page import PageContext, Profile
from leaderboard.site.model_page import command as command
from leaderboard.site.pair_table import Named
from leaderboard.urls import page_of as page_of

T = TypeVar("T")

FIGURES = ("lift", "transfer")
"""Measures drawn as figures for a README."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """A file of the site."""

    path: str
    """Below its folder."""
    key: str
    """Of everything that its text follows from."""
    make: Callable[[], T]
    """Makes the text, or what the text of a model's page is made of."""


def write(
    out: Path,
    board: Board,
    suite: Suite | None,
    progress: Progress = lambda what, n, total: None,
    entries: str | None = None,
) -> Path:
    """Write the site.

    Args:
        out: its folder; an earlier site there is replaced, page by page where something changed.
        board: what stands on it.
        suite: the current signals, for sounds and what is told of the references; None leaves that out.
        progress: told of the pages of models.
        entries: address of the folder of submissions, for links to their verdicts.

    Returns:
        Path of index.html.

    Raises:
        BadInput: `out` holds something else, or cannot be written.
    """
    ours = output_folder.owned(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise BadInput(unwritable(out, error, "choose another --out")) from None
    try:
        wanted: dict[str, str | None] = {}

        def new(name: str, key: str) -> Path | None:
            """Where to make a file, unless it stands there already."""
            wanted[name] = key
            if output_folder.standing(out, name, ours.get(name), key):
                return None
            (fresh / name).parent.mkdir(exist_ok=True)
            return fresh / name

        site = _Site(board, suite, entries)
        jobs = [(path, page.make()) for page in site.models() if (path := new(page.path, page.key))]
        # Everything else is made here while other processes write these.
        with process_pool.batches(_write_some, jobs) as batches:
            for page in site.others():
                if path := new(page.path, page.key):
                    path.write_text(page.make(), encoding="utf-8")
            for name, data in exports.files(board).items():
                if path := new(name, hashlib.sha256(data).hexdigest()[:32]):
                    path.write_bytes(data)
            for n in batches:
                progress("Writing pages", n, len(jobs))
        output_folder.publish_files(fresh, out, ours, wanted)
    except OSError as error:
        raise BadInput(unwritable(out, error, "choose another --out")) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return out / "index.html"


def _write_some(jobs: Sequence[tuple[Path, PageContext]]) -> int:
    for path, job in jobs:
        path.write_text(model_page.text(job), encoding="utf-8")
    return len(jobs)


class _Site:
    """Everything the pages share, each thing counted once and when it is needed."""

    def __init__(self, board: Board, suite: Suite | None, entries: str | None) -> None:
        self.board = board
        self.suite = suite
        self.entries = entries
        self.own = frozenset(() if suite is None else suite.verdicts())
        self.profiles = model_page.of_board(board)
        matrices = [matrix for r in board.rankings for matrix in r.matrices]
        judged = {m: None for matrix in matrices for m in (*matrix.references, *matrix.models)}
        self.names = short_names([*{**dict.fromkeys(self.profiles), **judged}])
        self.beside = {model: page_of(model) for model in self.profiles}
        self.below = {model: f"models/{page}" for model, page in self.beside.items()}
        self.across = {model: f"../models/{page}" for model, page in self.beside.items()}
        self.chosen = dict(self._chosen())
        self.traits = cache(self._traits)
        self.traits_key = cache(self._traits_key)
        self.named = cache(self._named)
        self.sounds = {
            task: {
                h.reference: f"../evidence/{urls.task_page(task)}#{audio_page.anchor_of(h.reference)}"
                for h in heard
            }
            for task, heard in self.chosen.items()
        }
        self.by_place = {
            model_page.place_of(r): {row.entry.model: row for row in r.all_rows} for r in board.rankings
        }
        self._digests: dict[tuple[Any, ...], str] = {}

    def models(self) -> Iterator[Page[PageContext]]:
        """The pages of models."""
        for model, found in self.profiles.items():
            yield self._model(model, found)

    def others(self) -> Iterator[Page[str]]:
        """Every other page."""
        for task in self.board.tasks:
            ranking = self.board.current_of(task)
            if ranking is not None:
                yield from self._figures(ranking)
                yield from self._scatters(ranking)
            if task in self.chosen and ranking is not None:
                yield self._evidence(task, ranking)
            yield self._task(task)
        yield self._directory()
        yield self._index()

    def _index(self) -> Page[str]:
        sounds = {task: f"evidence/{urls.task_page(task)}" for task in self.chosen}

        def make() -> str:
            context = home_page.context(self.board, self.suite, self.below, sounds)
            return render.render("index.html.j2", context)

        return Page("index.html", _key("index", *map(self._ranking_key, self.board.rankings), sounds), make)

    def _task(self, task: str) -> Page[str]:
        sounds = f"../evidence/{urls.task_page(task)}" if task in self.chosen else None

        def make() -> str:
            marks = {m: t.mark for m, t in self.traits(task).items() if t.mark is not None}
            context = task_page.context(self.board, task, self.suite, self.across, sounds, marks)
            return render.render("task.html.j2", context)

        of_task = [self._ranking_key(r) for r in self.board.rankings if r.task == task]
        records = () if self.suite is None else [r for r in self.suite.manifest.references if r.task == task]
        key = _key("task", of_task, records, sounds, self.traits_key(task))
        return Page(f"tasks/{urls.task_page(task)}", key, make)

    def _directory(self) -> Page[str]:
        def make() -> str:
            return render.render("directory.html.j2", models_page.context(self.board, self.below))

        return Page(urls.DIRECTORY, _key("directory", *map(self._ranking_key, self.board.rankings)), make)

    def _model(self, model: ModelRef, found: tuple[Profile, ...]) -> Page[PageContext]:
        parts: list[Any] = []
        for p in found:
            judges = dict.fromkeys(g for of in p.judges for g in of.models)
            by_model = self.by_place[p.place]
            told = [self._digest(by_model[g]) for g in judges if g in by_model]
            parts.append(model_page.content(p, self._digest(p.row), told))
            if p.row.reference and not p.stale:
                parts.append(self.traits_key(p.task))
        named, named_key = self.named(tuple(dict.fromkeys(p.place for p in found)))
        sounds = {p.task: self.sounds[p.task] for p in found if p.task in self.sounds}

        verdicts = self._verdicts(found)

        def job() -> PageContext:
            of = {p.task: self.traits(p.task) for p in found if p.row.reference and not p.stale}
            told = {task: traits[model] for task, traits in of.items() if model in traits}
            return PageContext(model, found, named, told, sounds, verdicts)

        told_of = [sorted(s.values()) for s in sounds.values()]
        key = _key("model", model, parts, named_key, told_of, sorted(verdicts.values()))
        return Page(f"models/{self.beside[model]}", key, job)

    def _verdicts(self, found: tuple[Profile, ...]) -> dict[str, str]:
        """By path of an entry that was submitted: address of its folder."""
        if self.entries is None:
            return {}
        theirs = [p.row.entry for p in found if p.row.folder not in self.own]
        return {entry.path: f"{self.entries}/{quote(entry.path, safe='/@')}" for entry in theirs}

    def _evidence(self, task: str, ranking: Ranking) -> Page[str]:
        matrix = ranking.matrices[0]
        by_model = self.by_place[model_page.place_of(ranking)]
        judges = [
            (m, self.names[m], by_model[m].entry.verdicts_sha256) for m in matrix.models if m in by_model
        ]

        def make() -> str:
            assert self.suite is not None  # noqa: S101 - nothing is chosen without one
            rows = ranking.all_rows
            context = {
                "task": task,
                "synthetic": ranking.synthetic,
                "page": f"../tasks/{urls.task_page(task)}",
                "cards": audio_page.cards(self.suite, task, self.chosen[task], matrix, rows),
                "n_judges": len(judges),
                "n_models": len(rows),
                "references": set(matrix.references),
                "links": self.across,
                "names": self.names,
                "home": "../index.html",
                "corpora": sorted(
                    {(r.corpus.name, r.corpus.licence) for r in self.suite.references(task)}, key=repr
                ),
            }
            return render.render("evidence.html.j2", context)

        key = _key("evidence", ranking.signals, self.chosen[task], judges, len(ranking.all_rows))
        return Page(f"evidence/{urls.task_page(task)}", key, make)

    def _figures(self, ranking: Ranking) -> Iterator[Page[str]]:
        shown = ranking.matrices
        if not shown or shown[0].family != FAMILIES[0]:
            return
        by_model = self.by_place[model_page.place_of(ranking)]
        told = [self._digest(by_model[m]) for m in shown[0].models if m in by_model]
        for measure in FIGURES:
            path = f"figures/{urls.anchor(ranking.task)}-{measure}.svg"
            key = _key("figure", measure, shown[0].references, told)
            yield Page(path, key, lambda measure=measure: inline.heatmap(shown[0], measure))  # type: ignore[misc]

    def _scatters(self, ranking: Ranking) -> Iterator[Page[str]]:
        for kind in get_args(scatter.Kind):
            if len(scatter.points(ranking.rows, kind)) > 1:
                path = f"figures/{urls.anchor(ranking.task)}-{kind}.svg"
                key = _key(kind, self._ranking_key(ranking))
                yield Page(path, key, lambda kind=kind: scatter.draw(ranking.rows, kind) or "")  # type: ignore[misc]

    def _chosen(self) -> Iterator[tuple[str, tuple[AudioPages, ...]]]:
        """What is heard of each task that may be heard."""
        for task in () if self.suite is None else self.suite.tasks:
            ranking = self.board.current_of(task.name)
            if self.suite is None or ranking is None or not ranking.matrices:
                continue
            if audio_page.why_silent(self.suite, task.name) is None:
                heard = audio_page.choose(self.suite, task.name)
                if heard:
                    yield task.name, heard

    def _traits(self, task: str) -> Mapping[ModelRef, ReferenceProfile]:
        if self.suite is None or all(t.name != task for t in self.suite.tasks):
            return {}
        return traits.of_task(self.suite, task, self._standing(task))

    def _traits_key(self, task: str) -> str:
        if self.suite is None or all(t.name != task for t in self.suite.tasks):
            return ""
        return _key(traits.evidence_key(self.suite, task), sorted(map(repr, self._standing(task))))

    def _standing(self, task: str) -> frozenset[ModelRef]:
        """References of the suite whose entries stand in its heat map."""
        ranking = self.board.current_of(task)
        if ranking is None or self.suite is None or all(t.name != task for t in self.suite.tasks):
            return frozenset()
        return frozenset(m for matrix in ranking.matrices for m in matrix.models[: matrix.n_references])

    def _named(self, places: tuple[str, ...]) -> tuple[Named, str]:
        """Names and links of the models that pages of some rankings name, and a hash of both."""
        models: dict[ModelRef, None] = {}
        for ranking in self.board.rankings:
            if model_page.place_of(ranking) in places:
                for matrix in ranking.matrices:
                    models.update(dict.fromkeys((*matrix.references, *matrix.models)))
        names = {model: self.names[model] for model in models}
        links = {model: self.beside[model] for model in models if model in self.beside}
        return Named(names, links), _key(names, links)

    def _ranking_key(self, ranking: Ranking) -> str:
        rows = [
            (
                self._digest(r),
                (r.rank, r.rank_low, r.rank_high, r.tie, r.panel_low, r.panel_high),
                (r.reference, r.entry.scorecard.ranked),
            )
            for r in ranking.all_rows
        ]
        of = (ranking.task, ranking.signals, ranking.protocol, ranking.stale, ranking.note, ranking.declined)
        return _key(*of, rows, ranking.anchors, ranking.synthetic)

    def _digest(self, row: Row) -> str:
        entry = row.entry
        name = (
            entry.model,
            entry.task,
            entry.signals.sha256,
            entry.protocol,
            entry.scorecard.unranked_because,
            row.status,
        )
        if name not in self._digests:
            of_entry = row.sha256 or to_json(entry)
            self._digests[name] = hashlib.sha256(
                f"{row.status!r} {row.overlap} {row.held_back!r} {of_entry}".encode()
            ).hexdigest()
        return self._digests[name]


def _key(*parts: Any) -> str:
    digest = hashlib.sha256(render.version().encode())
    for part in parts:
        digest.update(repr(part).encode() + b"\0")
    return digest.hexdigest()[:32]
