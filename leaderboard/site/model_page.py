"""The page of a model: what its entries say, pair by pair, and how to make them again.

Conventions: a job holds all that a page is made of, little enough to be handed to another process. What an
entry that was set apart says of pairs is not shown, as it is in no heat map.

Public: LOAD, Profile, PageContext, of_board, place_of, content, text, command.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from harness.schemas import Entry
from harness.types import Estimate, ModelRef
from leaderboard import render, urls
from leaderboard.board.model_traits import ReferenceProfile
from leaderboard.board.types import Board, MatrixRow, Ranking, Row
from leaderboard.formatting import THIN, UNKNOWN, share
from leaderboard.plots import reference_profile
from leaderboard.site import pair_table
from leaderboard.site.pair_table import Named

LOAD = """from transformers import pipeline

classify = pipeline("audio-classification", "{repo_id}", revision="{revision}")
classify("clip.wav")"""
"""What opens a model of the Hub that brings no code."""


@dataclass(frozen=True, eq=False)
class Profile:
    """An entry and where it stands."""

    row: Row
    """Entry and place."""
    task: str
    """Name of the task."""
    place: str
    """Anchor of the task, or of a ranking that is not current."""
    stale: bool
    """Not in the current ranking of the task."""
    n_ranked: int
    """How many have a place in it."""
    references: Mapping[str, tuple[ModelRef, ...]]
    """By family: models whose signals are told of, in this order."""
    judges: tuple[MatrixRow, ...]
    """By family: how its own signals are judged, by the models of the matrix."""
    n_left_out: int
    """Candidates that are not among these."""
    synthetic: bool
    """The clips are synthetic."""


@dataclass(frozen=True, eq=False)
class PageContext:
    """Everything the page of a model is made of."""

    model: ModelRef
    """The model."""
    profiles: tuple[Profile, ...]
    """Its entries."""
    named: Named
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
        place = place_of(ranking)
        references = {m.family: m.references for m in ranking.matrices}
        judges = _judges(ranking)
        n_left_out = max((m.n_left_out for m in ranking.matrices), default=0)
        for row in ranking.all_rows:
            found = Profile(
                row=row,
                task=ranking.task,
                place=place,
                stale=ranking.stale,
                n_ranked=len(ranking.rows),
                references=references,
                judges=judges.get(row.entry.model, ()),
                n_left_out=n_left_out,
                synthetic=ranking.synthetic,
            )
            profiles[row.entry.model].append(found)
    return {model: tuple(found) for model, found in profiles.items()}


def place_of(ranking: Ranking) -> str:
    """An anchor for the rows of a ranking: that of its task, or one of its own where it is not current."""
    place = urls.anchor(ranking.task)
    return f"{place}-{ranking.signals.sha256[:8]}-{ranking.protocol}" if ranking.stale else place


def content(profile: Profile, digest: str, judges: Iterable[str]) -> tuple[Any, ...]:
    """Everything about a profile that its part of the page follows from, apart from names and links.

    Args:
        profile: the profile.
        digest: of its entry.
        judges: digests of the entries that judged its signals.
    """
    row = profile.row
    places = (row.rank, row.rank_low, row.rank_high, row.tie, row.panel_low, row.panel_high, row.reference)
    n_left_out = profile.n_left_out if profile.judges else 0
    of_ranking = (profile.stale, profile.n_ranked, profile.synthetic, n_left_out)
    because = row.entry.scorecard.unranked_because
    return profile.place, digest, places, because, of_ranking, tuple(judges)


def text(job: PageContext) -> str:
    """The page of a model."""
    model, told = job.model, []
    for p in job.profiles:
        sounds = {} if p.stale else job.sounds.get(p.task, {})
        cells = [of.of(p.references[of.family]) for of in p.row.cells if of.family in p.references]
        told.append(
            {
                "of": p,
                "row": p.row,
                "page": f"../tasks/{urls.task_page(p.task)}",
                "judged": pair_table.pair_tables(cells, p.place, job.named, sounds),
                "judges": pair_table.judges(p.judges, job.named),
                "traits": None if p.stale else _pictured(job.traits.get(p.task)),
                "sounds": sounds.get(model),
                "command": command(p.row.entry),
                "verdicts": job.verdicts.get(p.row.entry.path),
            }
        )
    hub = urls.hub_page(model.repo_id, model.revision)
    remote_code = any(p.row.entry.facts.remote_code for p in job.profiles)
    load = None if hub is None or remote_code else LOAD.format(repo_id=model.repo_id, revision=model.revision)
    context: dict[str, Any] = {
        "model": model,
        "hub": hub,
        "load": load,
        "home": "../index.html",
        "profiles": told,
    }
    context["synthetic"] = any(p.synthetic for p in job.profiles)
    return render.render("model.html.j2", context)


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


def _judges(ranking: Ranking) -> dict[ModelRef, tuple[MatrixRow, ...]]:
    """By reference, and for each family: how its signals are judged (its row of the matrix)."""
    found: dict[ModelRef, list[MatrixRow]] = defaultdict(list)
    cells = {row.entry.model: row.cells for row in ranking.all_rows}
    for matrix in ranking.matrices:
        of_family = {g: c for g in matrix.models for c in cells.get(g, ()) if c.family == matrix.family}
        at = {g: {f: i for i, f in enumerate(c.models)} for g, c in of_family.items()}
        for f in matrix.references:
            there = [(g, of_family[g], at[g][f]) for g in of_family if f in at[g]]
            if there:
                found[f].append(
                    MatrixRow(
                        matrix.family,
                        tuple(g for g, _, _ in there),
                        np.stack([c.counts[i] for _, c, i in there]),
                        np.stack([c.rates[i] for _, c, i in there]),
                    )
                )
    return {f: tuple(of_families) for f, of_families in found.items()}


def _pictured(traits: ReferenceProfile | None) -> dict[str, Any] | None:
    if traits is None:
        return None
    return {
        "of": traits,
        "bands": Markup(reference_profile.band_use(traits)) if traits.n_signals else None,  # noqa: S704
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


def _source(repo_id: str) -> str:
    """A Hub id as it is; a local folder by its name, wherever it lies."""
    return repo_id.removeprefix("local/")
