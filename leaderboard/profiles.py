"""The page of a model: what its entries say, pair by pair, and how to make them again.

Conventions: the tables of pairs are long and made in Python as compact rows, every text in them escaped; all
else is the template's. What an entry that was set apart says of pairs is not shown, as it is in no heat map.

Public: Profile, Pairs, of_board, context, content, command.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.documents import Cell, Entry, Rates
from harness.records import Estimate, ModelRef
from leaderboard import heat, paths, profile_plots
from leaderboard.columns import RATES, THIN, UNKNOWN, Column, share
from leaderboard.table import Board, Matrix, Ranking, Row
from leaderboard.texts import escaped
from leaderboard.traits import Traits


@dataclass(frozen=True)
class Pairs:
    """One table of pairs."""

    family: str
    """One of FAMILIES."""
    rows: Markup
    """Its body."""
    n_left_out: int = 0
    """Judges that are not in it."""


@dataclass(frozen=True)
class Profile:
    """An entry and where it stands."""

    row: Row
    """Entry and place."""
    ranking: Ranking
    """Where it stands."""
    place: str
    """Anchor of the task, or of a ranking that is not current."""
    shown: tuple[Matrix, ...]
    """Its matrices as they are shown, with the best candidates."""

    @property
    def judges(self) -> tuple[ModelRef, ...]:
        """The models whose verdicts on this model's own signals are shown."""
        model = self.row.entry.model
        return tuple(dict.fromkeys(g for m in self.shown for g in m.models if (model, g) in m.cells))


def of_board(board: Board) -> dict[ModelRef, list[Profile]]:
    """Every model with its entries, the current ones first."""
    profiles: dict[ModelRef, list[Profile]] = defaultdict(list)
    for ranking in board.rankings:
        place = paths.anchor(ranking.task)
        if ranking.stale:
            place = f"{place}-{ranking.signals.sha256[:8]}-{ranking.protocol}"
        shown = heat.trimmed(ranking)
        for row in ranking.all_rows:
            profiles[row.entry.model].append(Profile(row, ranking, place, shown))
    return profiles


def context(
    model: ModelRef,
    profiles: Iterable[Profile],
    links: Mapping[ModelRef, str],
    names: Mapping[ModelRef, str],
    traits: Mapping[tuple[str, ModelRef], Traits],
    sounds: Mapping[tuple[str, ModelRef], str],
) -> dict[str, Any]:
    """What the page of a model speaks of.

    Args:
        model: the model.
        profiles: its entries.
        links: page of each model as seen from this page.
        names: short names.
        traits: by task and reference, where the suite is at hand.
        sounds: by task and reference, where its signals can be heard.
    """
    return {
        "model": model,
        "hub": paths.hub_page(model.repo_id, model.revision),
        "home": "../index.html",
        "profiles": [
            {
                "place": p.place,
                "row": p.row,
                "ranking": p.ranking,
                "page": f"../tasks/{paths.task_page(p.ranking.task)}",
                "judged": _judged(p, links, names, {} if p.ranking.stale else sounds),
                "judges": _judges(p, links, names),
                "traits": None if p.ranking.stale else _pictured(traits.get((p.ranking.task, model))),
                "sounds": None if p.ranking.stale else sounds.get((p.ranking.task, model)),
                "command": command(p.row.entry),
            }
            for p in profiles
        ],
    }


def content(profile: Profile, digest: str, judges: Iterable[str]) -> tuple[Any, ...]:
    """Everything about a profile that its part of the page follows from, apart from names and links.

    Args:
        profile: the profile.
        digest: of its entry.
        judges: digests of the entries that judged its signals.
    """
    row, ranking = profile.row, profile.ranking
    places = (row.rank, row.rank_low, row.rank_high, row.tie, row.reference)
    card = row.entry.scorecard
    of_ranking = (repr(ranking.signals), ranking.protocol, ranking.stale, len(ranking.rows))
    return profile.place, digest, places, card.unranked_because, of_ranking, tuple(judges)


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


def _judged(
    profile: Profile,
    links: Mapping[ModelRef, str],
    names: Mapping[ModelRef, str],
    sounds: Mapping[tuple[str, ModelRef], str],
) -> list[Pairs]:
    """By family: each reference whose signals it judged (its column of the matrix)."""
    model, task, found = profile.row.entry.model, profile.ranking.task, []
    for i, m in enumerate(profile.ranking.matrices):
        rows = [
            _pair(
                f,
                m.cells[f, model],
                links,
                names,
                # One id a pair: the first family has it.
                f' id="{paths.pair_anchor(profile.place, f)}"' if i == 0 else "",
                sounds.get((task, f)),
            )
            for f in m.references
            if (f, model) in m.cells
        ]
        if rows:
            found.append(Pairs(m.family, _markup(rows)))
    return found


def _judges(profile: Profile, links: Mapping[ModelRef, str], names: Mapping[ModelRef, str]) -> list[Pairs]:
    """By family: each model that judged its own signals (its row of the matrix)."""
    model, found = profile.row.entry.model, []
    all_of = {m.family: len(m.models) for m in profile.ranking.matrices}
    for m in profile.shown:
        rows = [_pair(g, cell, links, names) for g in m.models if (cell := m.cells.get((model, g)))]
        if rows:
            found.append(Pairs(m.family, _markup(rows), all_of[m.family] - len(m.models)))
    return found


def _pair(
    model: ModelRef,
    cell: Cell,
    links: Mapping[ModelRef, str],
    names: Mapping[ModelRef, str],
    id: str = "",
    sound: str | None = None,
) -> str:
    name = escaped(names[model])
    if model in links:
        name = f'<a href="{escaped(links[model])}">{name}</a>'
    own = ' <span class="badge">own</span>' if cell.same_weights else ""
    heard = f' <a class="hear" href="{escaped(sound)}">listen</a>' if sound else ""
    of_which = f", {cell.n_degenerate} degenerate" if cell.n_degenerate else ""
    return (
        f'<tr{id}><th class="text" scope="row">{name}{own}{heard}'
        f"<small>{cell.n_applicable} of {cell.n_signals} apply{of_which}</small></th>"
        f"{_numbers(cell.rates)}</tr>"
    )


_TOLD = ("lift", "transfer")
"""Rates whose interval stands below them; the others tell it when pointed at."""

_CELLS = tuple(
    (
        "<td>%+.1f<small>%+.1f to %+.1f</small></td>"
        if column.kind == "difference"
        else "<td>%.1f<small>%.1f to %.1f</small></td>"
        if column.key in _TOLD
        else '<td title="%.1f to %.1f">%.1f</td>'
    )
    for column in RATES
)
_WHOLE_ROW = "".join(_CELLS)


def _numbers(rates: Rates) -> str:
    """The cells of a row; all at once where every number has its interval, which is the rule."""
    found: list[list[float]] = []
    for column in RATES:
        estimate = getattr(rates, column.key)
        value, low, high = estimate.value, estimate.low, estimate.high
        if value is None or low is None or high is None:
            return "".join(map(_number, (getattr(rates, c.key) for c in RATES), RATES))
        told = column.key in _TOLD
        found.append([value, low, high] if told else [low, high, value])
    return _plain(_WHOLE_ROW % tuple([100 * x for three in found for x in three]))


def _number(estimate: Estimate, column: Column) -> str:
    if estimate.value is None:
        return f"<td>{UNKNOWN}</td>"
    sign = "+" if column.kind == "difference" else ""
    return _plain(f"<td>{100 * estimate.value:{sign}.1f}</td>")


def _plain(numbers: str) -> str:
    """No sign before a zero, and a minus for a hyphen."""
    return numbers.replace("-0.0", "0.0").replace("+0.0", "0.0").replace("-", "−")


def _markup(rows: list[str]) -> Markup:
    return Markup("\n".join(rows))  # noqa: S704 - escaped in _pair


def _pictured(traits: Traits | None) -> dict[str, Any] | None:
    if traits is None:
        return None
    return {
        "of": traits,
        "bands": Markup(profile_plots.band_use(traits)),  # noqa: S704 - numbers only
        "curve": Markup(profile_plots.curve(traits)) if traits.curve else None,  # noqa: S704 - numbers only
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
