"""The leaderboard as a static site: an overview, a page per task and model, sounds; no server, no requests.

    <out>/index.html                        written last: where it exists the site is complete
    <out>/models.html                       every entry of every task in one table, by name
    <out>/tasks/<task>.html                 every entry in one table, and the matrix
    <out>/models/<org>__<model>-<rev>.html  one per model and revision
    <out>/evidence/<task>.html              sounds, where the licences of the clips allow it
    <out>/figures/<task>-<measure>.svg      the matrix of the headline family, for a README
    <out>/figures/<task>-<size|time>.svg    lift over size, and over the day of release
    <out>/data/<task>.<csv|json|parquet|tex>  every number; and goodenough.bib
    <out>/badges/<model>-<task>.svg         lift and place, for a model's own page
    <out>/.goodenough-site                  the files that a build made, with their keys (`output_folder`)

Conventions: the files are made in a new folder by `out`, then moved in one by one. A page's key is a hash
of everything that its text depends on; a page that exists under the same key is not made again. Pages of
models that are gone are removed; a folder with any file that no build made is refused.
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

from harness.dataset import licences, parquet_io
from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from harness.disk_errors import unwritable
from harness.errors import BadInput
from harness.schemas import from_own_json, to_json
from harness.types import ModelRef
from leaderboard import exports, process_pool, render, urls
from leaderboard.board import model_traits as traits
from leaderboard.board.content_cache import ContentCache, key_of
from leaderboard.board.matrix import short_names
from leaderboard.board.model_traits import ReferenceProfile
from leaderboard.board.ranking import board_cache
from leaderboard.board.types import Board, Ranking, Row
from leaderboard.plots import heatmap, inline, scatter
from leaderboard.process_pool import Progress, quiet
from leaderboard.site import audio_page, home_page, model_page, models_page, output_folder, task_page
from leaderboard.site.audio_page import SignalChoice
from leaderboard.site.model_page import PageContext, Profile
from leaderboard.site.model_page import command as command
from leaderboard.site.pair_table import ModelNames
from leaderboard.urls import page_of as page_of

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """A file of the site."""

    path: str
    """Below its folder."""
    key: str
    """Hash of everything that its text depends on."""
    make: Callable[[], T]
    """Makes the text, or the context of a model's page."""


def write(
    out: Path,
    board: Board,
    suite: Suite | None,
    progress: Progress = quiet,
    entries: str | None = None,
    cache: Path | None = None,
) -> Path:
    """Write the site; returns the path of index.html.

    An earlier site in `out` is replaced, page by page where something changed. Without the suite, sounds and
    facts about the references are left out; `entries` is the address of the folder of submissions, for links
    to their verdicts. Facts and pages with sounds are kept in the folder `cache`, by what they depend on;
    nowhere if that is not given.

    Raises:
        BadInput: `out` holds something else, or cannot be written.
    """
    previous = output_folder.previous_files(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        new_folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise BadInput(unwritable(out, error, "choose another --out")) from None
    try:
        keys: dict[str, str | None] = {}

        def new(name: str, key: str) -> Path | None:
            """Path at which to make a file; None where the current one exists already."""
            keys[name] = key
            if output_folder.is_current(out, name, previous.get(name), key):
                return None
            (new_folder / name).parent.mkdir(exist_ok=True)
            return new_folder / name

        site = _Site(board, suite, entries, board_cache(cache))
        jobs = [(path, page.make()) for page in site.models() if (path := new(page.path, page.key))]
        # Everything else is made here while other processes write these.
        with process_pool.batches(_write_some, jobs) as batches:
            for page in site.others():
                if path := new(page.path, page.key):
                    path.write_text(page.make(), encoding="utf-8")
            for file in site.data():
                if path := new(file.path, file.key):
                    path.write_bytes(file.make())
            for name, data in exports.badges(board):
                if path := new(name, hashlib.sha256(data).hexdigest()[:32]):
                    path.write_bytes(data)
            for n in batches:
                progress("Writing pages", n, len(jobs))
        output_folder.publish_files(new_folder, out, previous, keys)
    except OSError as error:
        raise BadInput(unwritable(out, error, "choose another --out")) from None
    finally:
        shutil.rmtree(new_folder, ignore_errors=True)
    return out / urls.INDEX


def _write_some(jobs: Sequence[tuple[Path, PageContext]]) -> int:
    for path, job in jobs:
        path.write_text(model_page.text(job), encoding="utf-8")
    return len(jobs)


class _Site:
    """Everything the pages share, each computed once and when it is needed."""

    def __init__(self, board: Board, suite: Suite | None, entries: str | None, results: ContentCache) -> None:
        self.board = board
        self.results = results
        self.suite = suite
        self.entries = entries
        self.own_folders = frozenset(() if suite is None else suite.verdicts())
        self.profiles = model_page.of_board(board)
        matrices = [matrix for ranking in board.rankings for matrix in ranking.matrices]
        matrix_models = {model: None for matrix in matrices for model in (*matrix.references, *matrix.models)}
        self.names = short_names([*{**dict.fromkeys(self.profiles), **matrix_models}])
        self.links_from_models = {model: page_of(model) for model in self.profiles}
        self.links_from_root = {model: f"models/{page}" for model, page in self.links_from_models.items()}
        self.links_from_tasks = {model: f"../models/{page}" for model, page in self.links_from_models.items()}
        self.choices = dict(self._choose_signals())
        self.traits = cache(self._traits)
        self.traits_key = cache(self._traits_key)
        self.model_names = cache(self._model_names)
        self.sounds = {
            task: {
                c.reference: f"../evidence/{urls.task_page(task)}#{audio_page.anchor_of(c.reference)}"
                for c in choices
            }
            for task, choices in self.choices.items()
        }
        self.rows_by_anchor = {
            model_page.anchor_of(ranking): {row.entry.model: row for row in ranking.all_rows}
            for ranking in board.rankings
        }
        self._digests: dict[tuple[Any, ...], str] = {}
        self._ranking_keys: dict[int, str] = {}

    def models(self) -> Iterator[Page[PageContext]]:
        """The pages of models."""
        for model, profiles in self.profiles.items():
            yield self._model(model, profiles)

    def others(self) -> Iterator[Page[str]]:
        """Every other page."""
        for task in self.board.tasks:
            ranking = self.board.current_of(task)
            if ranking is not None:
                yield from self._figures(ranking)
                yield from self._scatters(ranking)
            if task in self.choices and ranking is not None:
                yield self._evidence(task, ranking)
            yield self._task(task)
        yield self._directory()
        yield self._index()

    def data(self) -> Iterator[Page[bytes]]:
        """The board for other programs."""
        for path, task, make in exports.data_files(self.board):
            rankings = [ranking for ranking in self.board.rankings if task in (None, ranking.task)]
            yield Page(path, _key("data", path, *map(self._ranking_key, rankings)), make)

    def _index(self) -> Page[str]:
        sounds = {task: f"evidence/{urls.task_page(task)}" for task in self.choices}

        def make() -> str:
            context = home_page.context(self.board, self.suite, self.links_from_root, sounds)
            return render.render("index.html.j2", context)

        return Page(urls.INDEX, _key("index", *map(self._ranking_key, self.board.rankings), sounds), make)

    def _task(self, task: str) -> Page[str]:
        sounds = f"../evidence/{urls.task_page(task)}" if task in self.choices else None

        def make() -> str:
            marks = {model: mark for model, traits in self.traits(task).items() if (mark := traits.mark)}
            context = task_page.context(self.board, task, self.suite, self.links_from_tasks, sounds, marks)
            return render.render("task.html.j2", context)

        ranking_keys = [self._ranking_key(ranking) for ranking in self.board.rankings if ranking.task == task]
        all_records = () if self.suite is None else self.suite.manifest.references
        records = [reference for reference in all_records if reference.task == task]
        key = _key("task", ranking_keys, records, sounds, self.traits_key(task))
        return Page(f"tasks/{urls.task_page(task)}", key, make)

    def _directory(self) -> Page[str]:
        def make() -> str:
            return render.render("directory.html.j2", models_page.context(self.board, self.links_from_root))

        return Page(urls.DIRECTORY, _key("directory", *map(self._ranking_key, self.board.rankings)), make)

    def _model(self, model: ModelRef, profiles: tuple[Profile, ...]) -> Page[PageContext]:
        parts: list[Any] = []
        for profile in profiles:
            judges = dict.fromkeys(judge for row in profile.judges for judge in row.models)
            by_model = self.rows_by_anchor[profile.anchor]
            digests = [self._digest(by_model[judge]) for judge in judges if judge in by_model]
            parts.append(model_page.content(profile, self._digest(profile.row), digests))
            if profile.row.reference and not profile.stale:
                parts.append(self.traits_key(profile.task))
        anchors = tuple(dict.fromkeys(profile.anchor for profile in profiles))
        model_names, names_key = self.model_names(anchors)
        tasks = [profile.task for profile in profiles]
        sounds = {task: self.sounds[task] for task in tasks if task in self.sounds}
        verdicts = self._verdicts(profiles)

        def job() -> PageContext:
            own_traits = {
                profile.task: traits
                for profile in profiles
                if profile.row.reference and not profile.stale
                if (traits := self.traits(profile.task).get(model)) is not None
            }
            return PageContext(model, profiles, model_names, own_traits, sounds, verdicts)

        sound_links = [sorted(links.values()) for links in sounds.values()]
        key = _key("model", model, parts, names_key, sound_links, sorted(verdicts.values()))
        return Page(f"models/{self.links_from_models[model]}", key, job)

    def _verdicts(self, profiles: tuple[Profile, ...]) -> dict[str, str]:
        """By path of an entry that was submitted: address of its folder."""
        if self.entries is None:
            return {}
        rows = [profile.row for profile in profiles]
        submissions = [row.entry for row in rows if row.folder not in self.own_folders]
        return {entry.path: f"{self.entries}/{quote(entry.path, safe='/@')}" for entry in submissions}

    def _evidence(self, task: str, ranking: Ranking) -> Page[str]:
        assert self.suite is not None  # noqa: S101 - nothing is chosen without one
        suite, matrix = self.suite, ranking.matrices[0]
        corpora = sorted({(r.corpus.name, r.corpus.licence) for r in suite.references(task)}, key=repr)
        attributions = licences.attributions(name for name, _ in corpora)
        by_model = self.rows_by_anchor[model_page.anchor_of(ranking)]
        judges = [
            (model, self.names[model], by_model[model].entry.verdicts_sha256)
            for model in matrix.models
            if model in by_model
        ]

        def text() -> str:
            rows = ranking.all_rows
            context = {
                "task": task,
                "suite_note": ranking.suite_note,
                "page": f"../tasks/{urls.task_page(task)}",
                "cards": audio_page.cards(suite, task, self.choices[task], matrix, rows),
                "n_judges": len(judges),
                "n_models": len(rows),
                "references": set(matrix.references),
                "links": self.links_from_tasks,
                "names": self.names,
                "home": f"../{urls.INDEX}",
                "corpora": corpora,
                "attributions": attributions,
            }
            return render.render("evidence.html.j2", context)

        sources = (ranking.signals, ranking.suite_note, corpora, attributions)
        key = _key("evidence", *sources, self.choices[task], judges, len(ranking.all_rows))

        def make() -> str:
            cached = self.results.read(key_of("page", key))
            page = text() if cached is None else cached.decode()
            if cached is None:
                self.results.write(key_of("page", key), page.encode())
            return page

        return Page(f"evidence/{urls.task_page(task)}", key, make)

    def _figures(self, ranking: Ranking) -> Iterator[Page[str]]:
        matrices = ranking.matrices
        if not matrices or matrices[0].family != ranking.signals.headline:
            return
        by_model = self.rows_by_anchor[model_page.anchor_of(ranking)]
        digests = [self._digest(by_model[model]) for model in matrices[0].models if model in by_model]
        for measure in inline.HEADLINE_MEASURES:
            path = f"figures/{urls.anchor(ranking.task)}-{measure}.svg"
            key = _key("figure", measure, matrices[0].references, digests)
            yield Page(path, key, lambda measure=measure: heatmap.picture(matrices[0], measure))  # type: ignore[misc]

    def _scatters(self, ranking: Ranking) -> Iterator[Page[str]]:
        for kind in get_args(scatter.Kind):
            if len(scatter.points(ranking.rows, kind)) > 1:
                path = f"figures/{urls.anchor(ranking.task)}-{kind}.svg"
                key = _key(kind, self._ranking_key(ranking))
                yield Page(path, key, lambda kind=kind: scatter.draw(ranking.rows, kind) or "")  # type: ignore[misc]

    def _choose_signals(self) -> Iterator[tuple[str, tuple[SignalChoice, ...]]]:
        """The signals to listen to of each task whose sounds may be published."""
        for task in self.suite.task_names if self.suite else ():
            ranking = self.board.current_of(task)
            if self.suite is None or ranking is None or not ranking.matrices:
                continue
            silent = audio_page.why_silent(self.suite, task) is not None
            if not silent and (choices := self._choices(self.suite, task)):
                yield task, choices

    def _choices(self, suite: Suite, task: str) -> tuple[SignalChoice, ...]:
        key = key_of("choices", task, parquet_io.sha256_of(suite.root / MANIFEST))
        if (content := self.results.read(key)) is not None:
            return from_own_json(tuple[SignalChoice, ...], content)
        choices = audio_page.choose(suite, task)
        self.results.write(key, to_json(choices).encode())
        return choices

    def _traits(self, task: str) -> Mapping[ModelRef, ReferenceProfile]:
        if self.suite is None or not self.suite.has_task(task):
            return {}
        key = key_of("traits", self.traits_key(task))
        if (content := self.results.read(key)) is not None:
            return dict(from_own_json(tuple[tuple[ModelRef, ReferenceProfile], ...], content))
        profiles = traits.of_task(self.suite, task, self._board_references(task))
        self.results.write(key, to_json(tuple(profiles.items())).encode())
        return profiles

    def _traits_key(self, task: str) -> str:
        if self.suite is None or not self.suite.has_task(task):
            return ""
        return _key(traits.evidence_key(self.suite, task), sorted(map(repr, self._board_references(task))))

    def _board_references(self, task: str) -> frozenset[ModelRef]:
        """References of the suite whose entries are in its heat map."""
        ranking = self.board.current_of(task)
        matrices = () if ranking is None else ranking.matrices
        return frozenset(model for matrix in matrices for model in matrix.models[: matrix.n_references])

    def _model_names(self, anchors: tuple[str, ...]) -> tuple[ModelNames, str]:
        """Names and links of the models that pages of some rankings name, and a hash of both."""
        models: dict[ModelRef, None] = {}
        for ranking in self.board.rankings:
            if model_page.anchor_of(ranking) in anchors:
                for matrix in ranking.matrices:
                    models.update(dict.fromkeys((*matrix.references, *matrix.models)))
        names = {model: self.names[model] for model in models}
        links = {model: self.links_from_models[model] for model in models if model in self.links_from_models}
        return ModelNames(names, links), _key([*names.items()], [*links.items()])

    def _ranking_key(self, ranking: Ranking) -> str:
        if id(ranking) not in self._ranking_keys:
            self._ranking_keys[id(ranking)] = self._new_ranking_key(ranking)
        return self._ranking_keys[id(ranking)]

    def _new_ranking_key(self, ranking: Ranking) -> str:
        rows = [
            (
                self._digest(row),
                (row.rank, row.rank_low, row.rank_high, row.tie, row.panel_low, row.panel_high),
                (row.reference, row.entry.scorecard.ranked),
            )
            for row in ranking.all_rows
        ]
        key = _key(ranking.task, ranking.signals, ranking.protocol, ranking.stale, ranking.note)
        return _key(key, ranking.opted_out, rows, ranking.anchors, ranking.suite_note)

    def _digest(self, row: Row) -> str:
        entry = row.entry
        question = (entry.model, entry.task, entry.signals.sha256, entry.protocol)
        key = (*question, entry.scorecard.unranked_because, row.status)
        if key not in self._digests:
            entry_digest = row.sha256 or to_json(entry)
            self._digests[key] = _key(
                *(row.status, row.overlap, row.held_back, entry_digest, entry.scorecard.unranked_because)
            )
        return self._digests[key]


def _key(*parts: Any) -> str:
    digest = hashlib.sha256(render.version().encode())
    for part in parts:
        digest.update(to_json(part).encode() + b"\0")
    return digest.hexdigest()[:32]
