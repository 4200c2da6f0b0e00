"""The page of a model: its entries, pair by pair, and how to reproduce them.

Conventions: a job holds the whole context of a page, small enough to be sent to another process. The pairs of
an excluded entry are not shown, as they are in no heat map.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from harness.dataset.suite_notes import joined
from harness.schemas import Entry
from harness.types import Estimate, ModelRef
from leaderboard import render, urls
from leaderboard.board.model_traits import ReferenceProfile
from leaderboard.board.types import Board, MatrixRow, Ranking, Row
from leaderboard.formatting import THIN, UNKNOWN, share
from leaderboard.plots import reference_profile
from leaderboard.site import pair_table
from leaderboard.site.pair_table import ModelNames

LOAD = """from transformers import pipeline

classify = pipeline("audio-classification", "{repo_id}", revision="{revision}")
classify("clip.wav")"""
"""Code that loads a model of the Hub that has no custom code."""


@dataclass(frozen=True, eq=False)
class Profile:
    """An entry and its rank."""

    row: Row
    task: str
    anchor: str
    """Anchor of the task, or of a ranking that is not current."""
    stale: bool
    """Not in the current ranking of the task."""
    n_ranked: int
    """How many have a rank in it."""
    references: Mapping[str, tuple[ModelRef, ...]]
    """By family: models whose signals are listed, in this order."""
    judges: tuple[MatrixRow, ...]
    """By family: how its own signals are judged, by the models of the matrix."""
    n_left_out: int
    """Candidates that are not among these."""
    suite_note: str | None
    """Of the signals, as in `Ranking`."""


@dataclass(frozen=True, eq=False)
class PageContext:
    """Everything the page of a model is made of."""

    model: ModelRef
    profiles: tuple[Profile, ...]
    model_names: ModelNames
    """What models are called, and where their pages are as seen from this one."""
    traits: Mapping[str, ReferenceProfile]
    """By task, of a reference where the suite is at hand."""
    sounds: Mapping[str, Mapping[ModelRef, str]]
    """By task: where signals of a reference can be heard."""
    verdicts: Mapping[str, str]
    """By path of an entry: address of its folder, where it is known."""


def of_board(board: Board) -> dict[ModelRef, tuple[Profile, ...]]:
    """Every model with its entries, the current ones first."""
    profiles: dict[ModelRef, list[Profile]] = defaultdict(list)
    for ranking in board.rankings:
        anchor = anchor_of(ranking)
        references = {matrix.family: matrix.references for matrix in ranking.matrices}
        judges = _judges(ranking)
        n_left_out = max((matrix.n_left_out for matrix in ranking.matrices), default=0)
        for row in ranking.all_rows:
            profile = Profile(
                row=row,
                task=ranking.task,
                anchor=anchor,
                stale=ranking.stale,
                n_ranked=len(ranking.rows),
                references=references,
                judges=judges.get(row.entry.model, ()),
                n_left_out=n_left_out,
                suite_note=ranking.suite_note,
            )
            profiles[row.entry.model].append(profile)
    return {model: tuple(of_model) for model, of_model in profiles.items()}


def anchor_of(ranking: Ranking) -> str:
    """An anchor for the rows of a ranking: that of its task, or one of its own where it is not current."""
    anchor = urls.anchor(ranking.task)
    return f"{anchor}-{ranking.signals.sha256[:8]}-{ranking.protocol}" if ranking.stale else anchor


def content(profile: Profile, digest: str, judges: Iterable[str]) -> tuple[Any, ...]:
    """All that a part of the page depends on, besides names and links; digests of its entry, and judges'."""
    row = profile.row
    rank_fields = (row.rank, row.rank_low, row.rank_high, row.tie, row.panel_low, row.panel_high)
    n_left_out = profile.n_left_out if profile.judges else 0
    ranking_fields = (profile.stale, profile.n_ranked, profile.suite_note, n_left_out)
    reason = row.entry.scorecard.unranked_because
    return profile.anchor, digest, rank_fields, row.reference, reason, ranking_fields, tuple(judges)


def text(job: PageContext) -> str:
    """The page of a model."""
    model, sections = job.model, []
    for profile in job.profiles:
        sounds = {} if profile.stale else job.sounds.get(profile.task, {})
        rows = [row for row in profile.row.cells if row.family in profile.references]
        cells = [row.of(profile.references[row.family]) for row in rows]
        sections.append(
            {
                "of": profile,
                "row": profile.row,
                "page": f"../tasks/{urls.task_page(profile.task)}",
                "judged": pair_table.pair_tables(cells, job.model_names, profile.anchor, sounds),
                "judges": pair_table.pair_tables(profile.judges, job.model_names),
                "traits": None if profile.stale else _trait_figures(job.traits.get(profile.task)),
                "sounds": sounds.get(model),
                "command": command(profile.row.entry),
                "verdicts": job.verdicts.get(profile.row.entry.path),
            }
        )
    hub = urls.hub_page(model.repo_id, model.revision)
    remote_code = any(profile.row.entry.facts.remote_code for profile in job.profiles)
    load = None if hub is None or remote_code else LOAD.format(repo_id=model.repo_id, revision=model.revision)
    suite_note = joined((profile.task, profile.suite_note) for profile in job.profiles)
    context = {"model": model, "hub": hub, "load": load, "profiles": sections, "suite_note": suite_note}
    context["home"] = f"../{urls.INDEX}"
    return render.render("model.html.j2", context)


def command(entry: Entry) -> str:
    """What evaluates the same model on the same signals again."""
    adapter = entry.facts.adapter
    model = adapter.name if adapter else entry.model.repo_id.removeprefix("local/")
    parts = ["goodenough", "evaluate", model]
    for name, value in adapter.arguments.items() if adapter else ():
        parts += ["--adapter-arg", f"{name}={value}"]
    if not entry.model.repo_id.startswith("local/"):
        parts += ["--revision", entry.model.revision]
    parts += ["--task", entry.task]
    if entry.signals.repo_id.startswith("local/"):
        parts += ["--signals", entry.signals.repo_id.removeprefix("local/")]
    elif not entry.signals.repo_id.startswith("embedded/"):
        parts += ["--signals", f"{entry.signals.repo_id}@{entry.signals.revision}"]
    if entry.label_map.source == "file":
        parts += ["--label-map", "FILE"]
    return shlex.join(parts)


def _judges(ranking: Ranking) -> dict[ModelRef, tuple[MatrixRow, ...]]:
    """By reference, and for each family: how its signals are judged (its row of the matrix)."""
    judges: dict[ModelRef, list[MatrixRow]] = defaultdict(list)
    cells = {row.entry.model: row.cells for row in ranking.all_rows}
    for matrix in ranking.matrices:
        cells_by_reference: dict[ModelRef, list[tuple[ModelRef, MatrixRow, int]]] = defaultdict(list)
        for judge in matrix.models:
            for row in cells.get(judge, ()):
                for i, reference in enumerate(row.models if row.family == matrix.family else ()):
                    cells_by_reference[reference].append((judge, row, i))
        for reference in matrix.references:
            if of_reference := cells_by_reference[reference]:
                models = tuple(judge for judge, _, _ in of_reference)
                counts = np.stack([row.counts[i] for _, row, i in of_reference])
                rates = np.stack([row.rates[i] for _, row, i in of_reference])
                judges[reference].append(MatrixRow(matrix.family, models, counts, rates))
    return {reference: tuple(matrix_rows) for reference, matrix_rows in judges.items()}


def _trait_figures(traits: ReferenceProfile | None) -> dict[str, Any] | None:
    if traits is None:
        return None
    return {
        "of": traits,
        "bands": Markup(reference_profile.band_use(traits)) if any(traits.mel) else None,  # noqa: S704
        "curve": Markup(reference_profile.curve(traits)) if traits.curve else None,  # noqa: S704 - numbers only
        "size": _share(traits.size),
    }


def _share(estimate: Estimate) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None:
        return UNKNOWN
    if low is None or high is None:
        return share(value)
    return f"{share(value)} (95{THIN}% interval {share(low)} to {share(high)})"
