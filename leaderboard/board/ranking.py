"""Builds the board: which entries are comparable, and their ranks.

Conventions: entries are comparable when they answered the same signals under the same protocol: that pair is
the key. Each task has one current key, that of the suite (where it has no such task: `entries.current`);
entries with another are stale and are never ranked among the current ones. References and candidates share
one ranking: a rate of a reference is a mean over the other references. Nothing a scorecard holds is
computed again: only ranks, their intervals and the order of rows are computed here. A board may have ten
thousand rows: their entries are without the cells of their scorecards, of which `Row.cells` has what a page
shows, and without references that they are not like; the matrices have all cells, for the references and the
best candidates.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from math import nan
from pathlib import Path
from typing import Any

from harness.code_hash import code_hash
from harness.dataset.suite_notes import note_of_signals
from harness.dataset.suites import Suite
from harness.entries import held_back, notices, store
from harness.entries.held_back import HeldBack
from harness.errors import BadInput
from harness.families import in_order
from harness.schemas import Entry, ReferenceCounts, from_own_json, to_json
from harness.types import PROTOCOL, DatasetRef
from leaderboard.board import anchors, contamination, entries, rank_intervals, remarks, verification_status
from leaderboard.board.content_cache import NO_CACHE, ContentCache, key_of
from leaderboard.board.entries import NO_PROBLEMS, BoardEntry, Key, Problems
from leaderboard.board.file_hashes import FileHashes
from leaderboard.board.matrix import matrix_of
from leaderboard.board.rank_intervals import ModelRank
from leaderboard.board.types import Board, Matrix, Ranking, Row
from leaderboard.process_pool import Progress, quiet, without_cycle_collection

MAX_CANDIDATES = 40
"""Candidates in a matrix, besides the references: the best, then those that are not ranked."""

_OTHER_REFERENCES = "Its references and their numbers of signals are not those of the suite it names."


@without_cycle_collection()
def build(
    submissions: Path,
    suite: Suite | None,
    progress: Progress = quiet,
    problems: Problems = NO_PROBLEMS,
    cache: Path | None = None,
) -> Board:
    """Read every entry and rank what is comparable.

    `suite` is what models are evaluated on now; the verdicts below its root are those of its references.
    Entries without a problem (`valid_entries.look`) are valid. What was read of an entry, ranks and anchors
    are kept in the folder `cache`, by the content of the files they are made of; nowhere if it is not given.

    Raises:
        BadInput: no such folder, or none of its entries can be read.
    """
    groups: dict[str, dict[Key, list[BoardEntry]]] = defaultdict(lambda: defaultdict(list))
    messages: list[str] = []
    results, hashes = board_cache(cache), FileHashes(cache)
    all_entries = entries.find(submissions, suite, progress, problems, messages, results, hashes)
    for board_entry in all_entries:
        groups[board_entry.entry.task][board_entry.key].append(board_entry)
    signals_by_task = {} if suite is None else {name: suite.ref(name) for name in suite.task_names}
    rankings: list[Ranking] = []
    for task in sorted({*groups, *signals_by_task}):
        by_key = groups[task]
        sizes = entries.models_by_key(by_key)
        current_key: Key | None
        if task in signals_by_task:
            current_key, note = (signals_by_task[task].sha256, PROTOCOL), ""
        else:
            current_key, note = entries.current(by_key)
        if current_key is not None and current_key not in by_key:
            empty = Ranking(task, signals_by_task[task], PROTOCOL, False, (), (), ())
            rankings.append(replace(empty, suite_note=note_of_signals(signals_by_task[task], suite)))
        for key in sorted(by_key, key=lambda k: (k != current_key, -sizes[k], k)):
            signals, reference_counts = by_key[key][0].entry.signals, None
            corpora: frozenset[str] = frozenset()
            if suite is not None and task in signals_by_task and key == current_key:
                signals, reference_counts = signals_by_task[task], suite.counts(task)
                corpora = contamination.corpora(suite, task)
            stale, ranking_note = key != current_key, note if current_key in (key, None) else ""
            question = (task, signals, by_key[key], reference_counts, corpora)
            ranking = _ranking(*question, results, stale=stale, note=ranking_note)
            if reference_counts is not None and suite is not None:
                valid_folders = {each.folder for each in by_key[key] if each.exclusion_reason is None}
                own_folders = [folder for folder in suite.verdicts() if folder in valid_folders]
                of_task = anchors.build(suite, task, own_folders, results, hashes)
                ranking = replace(ranking, anchors=of_task)
            rankings.append(replace(ranking, suite_note=note_of_signals(signals, suite)))
    opt_outs = notices.opt_outs_below(submissions)
    for i, ranking in enumerate(rankings):
        if not ranking.stale:
            opted_out = tuple(notice for notice in opt_outs if notice.task == ranking.task)
            rankings[i] = replace(ranking, opted_out=opted_out)
    hashes.save()
    return Board(tuple(rankings), tuple(messages))


def board_cache(cache: Path | None) -> ContentCache:
    """The results below a cache folder that this code made."""
    if cache is None:
        return NO_CACHE
    return ContentCache(cache, code_hash(__name__, "leaderboard.board.model_traits"))


def as_json(board: Board) -> list[dict[str, Any]]:
    """The board as plain data, one item per ranking."""
    return [
        {
            "task": ranking.task,
            "signals": asdict(ranking.signals),
            "protocol": ranking.protocol,
            "stale": ranking.stale,
            "note": ranking.note,
            "suite_note": ranking.suite_note or "",
            "rows": [*map(_row_json, ranking.all_rows), *map(anchors.as_json, ranking.anchors)],
        }
        for ranking in board.rankings
    ]


def _row_json(row: Row) -> dict[str, Any]:
    scorecard = row.entry.scorecard
    names = ("rank", "rank_low", "rank_high", "panel_low", "panel_high", "tie")
    return {
        **{name: getattr(row, name) for name in names},
        "model": asdict(row.entry.model),
        "role": "reference" if row.reference else "",
        "status": asdict(row.status),
        "unranked_because": remarks.unranked(row.entry) or None,
        "rates": None if scorecard.headline is None else asdict(scorecard.headline.rates),
        "whole": asdict(scorecard.whole),
        "held_back": None if row.held_back is None else asdict(row.held_back.held_back_lift),
    }


def _ranking(
    task: str,
    signals: DatasetRef,
    group: Sequence[BoardEntry],
    reference_counts: tuple[ReferenceCounts, ...] | None,
    corpora: Collection[str],
    cache: ContentCache,
    *,
    stale: bool,
    note: str,
) -> Ranking:
    # An entry states its own references: one that left some out is not compared with the others.
    # Equal ones are one object (`loading`), so that each is compared only once.
    n_entries_by_id = Counter(id(board_entry.entry.references) for board_entry in group)
    references_by_id = {id(each.entry.references): each.entry.references for each in group}
    expected = reference_counts or references_by_id[n_entries_by_id.most_common(1)[0][0]]
    matching_ids = {name for name, references in references_by_id.items() if references == expected}
    weights = {count.model.weights_sha256 for count in expected}
    protocol = group[0].entry.protocol
    statuses = {
        each.folder: verification_status.of(each.folder, stale=stale, protocol=protocol) for each in group
    }

    def exclusion_reason(board_entry: BoardEntry) -> str | None:
        if not statuses[board_entry.folder].ranks:
            return statuses[board_entry.folder].note
        has_others = id(board_entry.entry.references) not in matching_ids
        return board_entry.exclusion_reason or (_OTHER_REFERENCES if has_others else None)

    comparable, lower_entries = [], []
    for board_entry in group:
        if (reason := exclusion_reason(board_entry)) is None:
            comparable.append(board_entry)
        else:
            # Shown below the ranking, with the reason; its cells are in no heat map.
            scorecard = replace(board_entry.entry.scorecard, ranked=False, unranked_because=reason)
            entry = replace(board_entry.entry, scorecard=scorecard)
            lower_entries.append(replace(board_entry, entry=entry, exclusion_reason=reason))
    ranked_entries = [each for each in comparable if each.entry.scorecard.ranked]
    ranked_entries.sort(key=lambda each: (-_lift(each.entry), each.entry.path))
    unranked_entries = [each for each in comparable if not each.entry.scorecard.ranked]

    def row(board_entry: BoardEntry) -> Row:
        return Row(
            board_entry.entry,
            reference=board_entry.entry.model.weights_sha256 in weights,
            folder=board_entry.folder,
            status=statuses[board_entry.folder],
            cells=() if board_entry.exclusion_reason else board_entry.data.cells,
            sha256=board_entry.data.sha256,
            overlap=contamination.overlap(board_entry.entry.facts.trained_on, corpora),
            held_back=_held_back(board_entry.folder),
        )

    lower_entries = sorted([*unranked_entries, *lower_entries], key=lambda each: each.entry.path)
    judging_rows = [*map(row, ranked_entries), *map(row, unranked_entries)]
    rows = (_with_ranks(task, ranked_entries, judging_rows, cache), tuple(map(row, lower_entries)))
    return Ranking(task, signals, protocol, stale, *rows, _matrices(judging_rows), note)


def _matrices(rows: Sequence[Row]) -> tuple[Matrix, ...]:
    """The matrices of the references and the best candidates, whose entries are read again in full."""
    candidates = [row for row in rows if not row.reference]
    omitted_folders = {row.folder for row in candidates[MAX_CANDIDATES:]}
    folders = [row.folder for row in rows if row.folder and row.folder not in omitted_folders]
    full_entries = [*map(store.read, folders)]
    names = (reference.family for entry in full_entries for reference in entry.references)
    families = in_order(names, full_entries[0].signals.headline) if full_entries else ()
    matrices = (matrix_of(full_entries, family) for family in families)
    return tuple(replace(m, n_left_out=len(omitted_folders)) for m in matrices if m.references)


def _held_back(folder: Path) -> HeldBack | None:
    """The record next to an entry of its lift on unpublished signals; None where there is no valid one."""
    try:
        return held_back.read(folder)
    except BadInput:
        return None


def _lift(entry: Entry) -> float:
    lift = entry.scorecard.lift
    # `entries.find` leaves out entries without one.
    return nan if lift is None or lift.value is None else lift.value


def _with_ranks(
    task: str, group: Sequence[BoardEntry], rows: Sequence[Row], cache: ContentCache
) -> tuple[Row, ...]:
    """The first rows, one for each entry of the group and in its order, with ranks and intervals."""
    if not group:
        return ()
    return tuple(
        replace(
            row,
            rank=model_rank.rank,
            rank_low=model_rank.low,
            rank_high=model_rank.high,
            tie=model_rank.tie,
            panel_low=model_rank.without and model_rank.without[0],
            panel_high=model_rank.without and model_rank.without[1],
        )
        for row, model_rank in zip(rows, _model_ranks(task, group, cache), strict=False)
    )


def _model_ranks(task: str, group: Sequence[BoardEntry], cache: ContentCache) -> Sequence[ModelRank]:
    """The ranks of entries: those that the same entries, in the same order, had before."""
    keys = [board_entry.data.key for board_entry in group]
    key = None if None in keys else key_of("ranks", task, *filter(None, keys))
    if key is not None and (content := cache.read(key)) is not None:
        return from_own_json(tuple[ModelRank, ...], content)
    import numpy as np

    lifts = [board_entry.data.lifts for board_entry in group if board_entry.data.lifts is not None]
    values = np.array([_lift(board_entry.entry) for board_entry in group])
    model_ranks = tuple(rank_intervals.ranks_with_intervals(lifts, values, (task,)))
    if key is not None:
        cache.write(key, to_json(model_ranks).encode())
    return model_ranks
