"""The leaderboard as a static site: an overview, a page per model, figures; no server, no requests.

    <out>/index.html                        written last: where it stands the site is whole
    <out>/models/<org>__<model>-<rev>.html  one per model and revision
    <out>/figures/<task>-<measure>.svg      the matrix of the headline family, for a README
    <out>/.goodenough-site                  what of this a build made (`place`)

Conventions: made in a fresh folder beside `out`, then moved in file by file. Pages of models that are gone
are removed; a folder that holds anything no build made is refused.

Public: write, page_of.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from harness.dataset.signals import Suite
from harness.documents import Cell, Entry, ReferenceRecord
from harness.errors import BadInput
from harness.records import FAMILIES, ModelRef
from harness.seeds import seed_of
from leaderboard import pages, place, plots, table
from leaderboard.table import Board, Ranking, Row

FIGURES = ("lift", "transfer")
"""Measures shown as heat maps."""


@dataclass(frozen=True)
class Section:
    """What a page shows of one task."""

    task: str
    """Its name."""
    ranking: Ranking | None
    """The current one; None where nothing tells which that is."""
    figures: tuple[tuple[str, tuple[Markup, ...]], ...]
    """Heat maps by family."""
    references: tuple[ReferenceRecord, ...]
    """Whose signals, where the suite is at hand."""
    stale: tuple[Ranking, ...]
    """The task's other rankings."""


@dataclass(frozen=True)
class Profile:
    """What a model's page shows of one entry."""

    row: Row
    """Entry and place."""
    ranking: Ranking
    """Where it stands."""
    judged: tuple[tuple[str, tuple[tuple[ModelRef, Cell], ...]], ...]
    """By family: each reference whose signals it judged (its column of the matrix)."""
    judges: tuple[tuple[str, tuple[tuple[ModelRef, Cell], ...]], ...]
    """By family: each model that judged its own signals (its row of the matrix)."""
    command: str
    """What makes the entry again."""


def write(out: Path, board: Board, suite: Suite | None) -> Path:
    """Write the site.

    Args:
        out: its folder; an earlier site there is replaced.
        board: what stands on it.
        suite: the current signals, for what is told of the references; None leaves that out.

    Returns:
        Path of index.html.

    Raises:
        BadInput: `out` holds something else, or cannot be written.
    """
    ours = place.owned(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another --out") from None
    try:
        _fill(fresh, board, suite)
        place.move(fresh, out, ours)
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}; choose another --out") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return out / "index.html"


def page_of(model: ModelRef) -> str:
    """File name of a model's page: letters, digits, `.`, `_` and `-` alone, whatever the model is called."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{model.slug}-{model.revision[:12]}").strip(".-")
    changed = plain != f"{model.slug}-{model.revision[:12]}" or len(plain) > 150
    # A name that had to be changed could meet another: the page is told apart by a hash.
    return f"{plain[:150]}-{seed_of('page', repr(model)):x}.html" if changed else f"{plain}.html"


def _fill(root: Path, board: Board, suite: Suite | None) -> None:
    (root / "models").mkdir()
    (root / "figures").mkdir()
    models = {row.entry.model: None for r in board.rankings for row in r.all_rows}
    from_index = {model: f"models/{page_of(model)}" for model in models}
    beside = {model: page_of(model) for model in models}
    for ranking in board.current:
        for measure in FIGURES:
            if _shown(ranking) and ranking.matrices[0].family == FAMILIES[0]:
                figure = plots.heatmap(ranking.matrices[0], measure)
                _put(root / "figures" / f"{_anchor(ranking.task)}-{measure}.svg", figure)
    judged = {m: None for r in board.rankings for matrix in r.matrices for m in matrix.references}
    names = table.short_names([*{**models, **judged}])
    profiles = _profiles(board)
    for model, found in profiles.items():
        context = {
            "model": model,
            "profiles": found,
            "links": beside,
            "names": names,
            "home": "../index.html",
        }
        _put(root / "models" / page_of(model), pages.render("model.html.j2", context))
    context = {
        "sections": [_section(board, task, suite, from_index) for task in board.tasks],
        "links": from_index,
        "anchor": _anchor,
        "home": "index.html",
        "n_models": len(models),
    }
    _put(root / "index.html", pages.render("index.html.j2", context))


def _section(board: Board, task: str, suite: Suite | None, links: Mapping[ModelRef, str]) -> Section:
    ranking = board.current_of(task)
    figures = tuple(
        (
            matrix.family,
            tuple(Markup(plots.heatmap(matrix, m, links)) for m in FIGURES),  # noqa: S704 - escaped there
        )
        for matrix in (() if ranking is None else _shown(ranking))
    )
    references = () if suite is None else suite.references(task)
    return Section(task, ranking, figures, references, board.stale(task))


def _shown(ranking: Ranking) -> list[table.Matrix]:
    return [matrix for matrix in ranking.matrices if matrix.references]


def _profiles(board: Board) -> dict[ModelRef, list[Profile]]:
    profiles: dict[ModelRef, list[Profile]] = defaultdict(list)
    for ranking in board.rankings:
        for row in ranking.all_rows:
            model = row.entry.model
            judged = tuple(
                (m.family, tuple((r, m.cells[r, model]) for r in m.references if (r, model) in m.cells))
                for m in ranking.matrices
            )
            judges = tuple(
                (m.family, tuple((g, c) for g in m.models if (c := m.cells.get((model, g)))))
                for m in ranking.matrices
            )
            profiles[model].append(Profile(row, ranking, judged, judges, command(row.entry)))
    return profiles


def command(entry: Entry) -> str:
    """What evaluates the same model on the same signals again."""
    parts = ["goodenough", "evaluate", _source(entry.model.repo_id)]
    if not entry.model.repo_id.startswith("local/"):
        parts += ["--revision", entry.model.revision]
    parts += ["--task", entry.task]
    if entry.signals.repo_id.startswith("local/"):
        parts += ["--signals", _source(entry.signals.repo_id)]
    elif not entry.signals.repo_id.startswith("embedded/"):
        parts += ["--signals", f"{entry.signals.repo_id}@{entry.signals.revision}"]
    if entry.label_map.source == "file":
        parts += ["--label-map", "FILE"]
    return shlex.join(parts)


def _source(repo_id: str) -> str:
    """A Hub id as it is; a local folder by its name, wherever it lies."""
    return repo_id.removeprefix("local/")


def _anchor(task: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", task.lower())


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
