"""Entries in, board out: who stands where, and which entries may stand together at all.

Conventions: entries are comparable when they answered the same signals under the same protocol: that pair is
the key. Each task has one current key, that of the suite (where it has no such task: `entries.current`);
entries with another are stale and are never ranked among the current ones. References and candidates share
one ranking: a rate of a reference is a mean over the other references. Nothing a scorecard holds is
computed again: what is made here is places, their intervals and the arrangement. A board may have ten
thousand rows: their entries are without the cells of their scorecards, of which `Row.cells` tells what a page
says; the matrices have all of them, for the references and the best candidates.

Public: SHOWN, build, as_json.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from math import nan
from pathlib import Path
from typing import Any

from harness.dataset.suites import Suite
from harness.dataset.synthetic import SYNTHETIC, of_synthetic
from harness.entries import held_back, notices, store
from harness.entries.held_back import HeldBack
from harness.errors import BadInput
from harness.schemas import Entry, ReferenceCounts
from harness.types import FAMILIES, PROTOCOL, DatasetRef
from leaderboard.board import anchors, contamination, entries, rank_intervals, remarks, status
from leaderboard.board.entries import NONE, BoardEntry, Key, Problems
from leaderboard.board.matrix import matrix_of
from leaderboard.board.types import Board, Matrix, Ranking, Row
from leaderboard.process_pool import Progress, quiet

SHOWN = 40
"""Candidates in a matrix, beside the references: the best, then those that are not ranked."""

_OTHERS = "Its references and their numbers of signals are not those of the suite it names."


def build(
    submissions: Path, suite: Suite | None, progress: Progress = quiet, problems: Problems = NONE
) -> Board:
    """Read every entry and rank what is comparable.

    Args:
        submissions: folder of entries.
        suite: what models are evaluated on now; the verdicts below its root are those of its references.
        progress: told of what is read.
        problems: what is wrong with entries, by folder (`validity.look`); the others are believed.

    Raises:
        BadInput: no such folder, or none of its entries can be read.
    """
    groups: dict[str, dict[Key, list[BoardEntry]]] = defaultdict(lambda: defaultdict(list))
    left_out: list[str] = []
    for found in entries.find(submissions, suite, progress, problems, left_out):
        groups[found.entry.task][found.key].append(found)
    offered = {} if suite is None else {t.name: suite.ref(t.name) for t in suite.tasks}
    rankings: list[Ranking] = []
    for task in sorted({*groups, *offered}):
        by_key = groups[task]
        sizes = entries.models_by_key(by_key)
        now, note = entries.current(by_key) if task not in offered else ((offered[task].sha256, PROTOCOL), "")
        if now is not None and now not in by_key:
            empty = Ranking(task, offered[task], PROTOCOL, False, (), (), ())
            rankings.append(replace(empty, synthetic=of_synthetic(offered[task], suite)))
        for key in sorted(by_key, key=lambda k: (k != now, -sizes[k], k)):
            named, counts = by_key[key][0].entry.signals, None
            corpora: frozenset[str] = frozenset()
            if suite is not None and task in offered and key == now:
                named, counts = offered[task], suite.counts(task)
                corpora = contamination.corpora(suite, task)
            told = note if key == now or now is None else ""
            ranking = _ranking(task, named, by_key[key], counts, corpora, stale=key != now, note=told)
            if counts is not None and suite is not None:
                own = set(suite.verdicts())
                sound = [f.folder for f in by_key[key] if f.folder in own and f.apart is None]
                ranking = replace(ranking, anchors=anchors.build(suite, task, sound))
            rankings.append(replace(ranking, synthetic=of_synthetic(named, suite)))
    declined = notices.declines_below(submissions)
    rankings = [
        r if r.stale else replace(r, declined=tuple(d for d in declined if d.task == r.task))
        for r in rankings
    ]
    return Board(tuple(rankings), tuple(left_out))


def as_json(board: Board) -> list[dict[str, Any]]:
    """The board as plain data, one item per ranking."""
    return [
        {
            "task": ranking.task,
            "signals": asdict(ranking.signals),
            "protocol": ranking.protocol,
            "stale": ranking.stale,
            "note": ranking.note,
            "suite_note": SYNTHETIC if ranking.synthetic else "",
            "rows": [
                *(_row_json(row) for row in ranking.all_rows),
                *(anchors.as_json(anchor) for anchor in ranking.anchors),
            ],
        }
        for ranking in board.rankings
    ]


def _row_json(row: Row) -> dict[str, Any]:
    card = row.entry.scorecard
    return {
        "rank": row.rank,
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "panel_low": row.panel_low,
        "panel_high": row.panel_high,
        "tie": row.tie,
        "model": asdict(row.entry.model),
        "role": "reference" if row.reference else "",
        "status": asdict(row.status),
        "unranked_because": remarks.unranked(row.entry) or None,
        "rates": None if card.headline is None else asdict(card.headline.rates),
        "whole": asdict(card.whole),
        "held_back": None if row.held_back is None else asdict(row.held_back.held_back_lift),
    }


def _ranking(
    task: str,
    named: DatasetRef,
    group: Sequence[BoardEntry],
    counts: tuple[ReferenceCounts, ...] | None,
    corpora: Collection[str],
    *,
    stale: bool,
    note: str,
) -> Ranking:
    # What an entry says of its references is its own word: who left some out is not compared with the others.
    # Where they are equal they are one object (`loading`), and need not be compared again.
    named_by = Counter(id(f.entry.references) for f in group)
    told = {id(f.entry.references): f.entry.references for f in group}
    usual = counts or told[max(told, key=named_by.__getitem__)]
    alike = {name for name, references in told.items() if references == usual}
    weights = {count.model.weights_sha256 for count in usual}
    statuses = {f.folder: status.of(f.folder, stale=stale, protocol=f.entry.protocol) for f in group}
    believed = [f if statuses[f.folder].ranks else replace(f, apart=statuses[f.folder].note) for f in group]
    judged = [
        f if f.apart or id(f.entry.references) in alike else replace(f, apart=_OTHERS) for f in believed
    ]
    sound = [f for f in judged if f.apart is None]
    apart = [_set_apart(f, f.apart) for f in judged if f.apart is not None]
    counted = [f for f in sound if f.entry.scorecard.ranked]
    counted.sort(key=lambda f: (-_lift(f.entry), f.entry.path))
    rest = [f for f in sound if not f.entry.scorecard.ranked]

    def row(found: BoardEntry) -> Row:
        return Row(
            found.entry,
            reference=found.entry.model.weights_sha256 in weights,
            folder=found.folder,
            status=statuses[found.folder],
            cells=() if found.apart else found.read.cells,
            sha256=found.read.sha256,
            overlap=contamination.overlap(found.entry.facts.trained_on, corpora),
            held_back=_held_back(found.folder),
        )

    below = sorted([*rest, *apart], key=lambda f: f.entry.path)
    judging = [*map(row, counted), *map(row, rest)]
    return Ranking(
        task,
        named,
        group[0].entry.protocol,
        stale,
        _placed(task, counted, judging),
        tuple(map(row, below)),
        _matrices(judging),
        note,
    )


def _matrices(judging: Sequence[Row]) -> tuple[Matrix, ...]:
    """Of the references and the first of the candidates, with what is read of them for it."""
    candidates = [row for row in judging if not row.reference]
    left_out = {row.folder for row in candidates[SHOWN:]}
    shown = [store.read(row.folder) for row in judging if row.folder and row.folder not in left_out]
    made = (replace(matrix_of(shown, family), n_left_out=len(left_out)) for family in FAMILIES)
    return tuple(matrix for matrix in made if matrix.references)


def _set_apart(found: BoardEntry, because: str) -> BoardEntry:
    """As it is shown: below the ranking with the reason. Its cells, whoever they name, are in no heat map."""
    card = replace(found.entry.scorecard, ranked=False, unranked_because=because)
    return replace(found, entry=replace(found.entry, scorecard=card))


def _held_back(folder: Path) -> HeldBack | None:
    """What lies beside an entry about signals that are not published; a record that is not valid is none."""
    try:
        return held_back.read(folder)
    except BadInput:
        return None


def _lift(entry: Entry) -> float:
    lift = entry.scorecard.lift
    # `entries.find` leaves out those that have none.
    return nan if lift is None or lift.value is None else lift.value


def _placed(task: str, group: Sequence[BoardEntry], rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows of a group, in its order, with their places and the intervals of these."""
    if not group:
        return ()
    import numpy as np

    lifts = [f.read.lifts for f in group if f.read.lifts is not None]
    values = np.array([_lift(f.entry) for f in group])
    ranked = rank_intervals.places(lifts, values, (task,))
    return tuple(
        replace(
            row,
            rank=place.rank,
            rank_low=place.low,
            rank_high=place.high,
            tie=place.tie,
            panel_low=place.without and place.without[0],
            panel_high=place.without and place.without[1],
        )
        for row, place in zip(rows, ranked, strict=False)
    )
