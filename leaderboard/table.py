"""Entries in, board out: who stands where, and which entries may stand together at all.

Conventions: entries are comparable when they answered the same signals under the same protocol: that pair is
the key. Each task has one current key, that of the suite (without one: that of the newest entry); entries
with another are stale and are never ranked among the current ones. Nothing a scorecard holds is computed
again: what is made here is places, their intervals and the arrangement.

Public: Row, Matrix, Ranking, Board, build, references_of, matrix_of, short_names, as_json.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.dataset import signals
from harness.dataset.signals import Suite
from harness.errors import BadInput
from harness.records import FAMILIES, PROTOCOL, Cell, DatasetRef, Entry, ModelRef, ReferenceCounts
from harness.submit import store

Key = tuple[str, int]
"""signals.sha256 and protocol: what two entries must share to be compared."""


@dataclass(frozen=True)
class Row:
    """One entry and its place."""

    entry: Entry
    """The record; every number is read from its scorecard."""
    reference: bool
    """Its own signals are part of the suite; its scorecard leaves them out."""
    rank: int | None = None
    """Place by lift, from 1, equal values sharing the better one; None when not ranked."""
    rank_low: int | None = None
    """Best place within the 95 % interval."""
    rank_high: int | None = None
    """Worst place within the 95 % interval."""
    tie: int | None = None
    """Group of models the data do not tell from its best one, from 1 in order of rank."""

    @property
    def name(self) -> str:
        """Hub id of the model."""
        return self.entry.model.repo_id


@dataclass(frozen=True)
class Matrix:
    """Every reference's signals (rows) judged by every model (columns), for one family."""

    family: str
    """One of FAMILIES."""
    references: tuple[ModelRef, ...]
    """Rows, by name."""
    models: tuple[ModelRef, ...]
    """Columns: the references in the same order, then the others as ranked."""
    cells: dict[tuple[ModelRef, ModelRef], Cell]
    """By reference and model; a pair nobody evaluated is not there."""


@dataclass(frozen=True)
class Ranking:
    """The entries of one task that are comparable with each other."""

    task: str
    """Name of the task."""
    signals: DatasetRef
    """What they answered."""
    protocol: int
    """Under which protocol."""
    stale: bool
    """Not the current key of the task."""
    rows: tuple[Row, ...]
    """Ranked, best first."""
    unranked: tuple[Row, ...]
    """Not ranked, by name; the scorecard says why."""
    matrices: tuple[Matrix, ...]
    """One per family, headline first."""

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """Ranked, then unranked."""
        return self.rows + self.unranked


@dataclass(frozen=True)
class Board:
    """Everything the leaderboard shows."""

    rankings: tuple[Ranking, ...]
    """By task; the current one of each task first, then the stale ones, newest first."""

    @property
    def current(self) -> tuple[Ranking, ...]:
        """One per task."""
        return tuple(r for r in self.rankings if not r.stale)

    def stale(self, task: str) -> tuple[Ranking, ...]:
        """Those of other signals or protocols."""
        return tuple(r for r in self.rankings if r.stale and r.task == task)


@dataclass(frozen=True)
class _Found:
    """An entry and where it lies."""

    entry: Entry
    folder: Path
    reference: bool

    @property
    def key(self) -> Key:
        return self.entry.signals.sha256, self.entry.protocol


def build(submissions: Path, suite: Suite | None) -> Board:
    """Read every entry and rank what is comparable.

    Args:
        submissions: folder of entries.
        suite: what models are evaluated on now; the verdicts below its root are those of its references.

    Raises:
        BadInput: no such folder, or an entry or its verdicts that cannot be read.
    """
    if not submissions.is_dir():
        raise BadInput(
            f"no folder at {submissions}; expected one of entries, "
            "<org>__<model>/<revision>/<task>@<signals>; name it with --submissions DIR"
        )
    groups: dict[str, dict[Key, list[_Found]]] = defaultdict(lambda: defaultdict(list))
    for found in _entries(submissions, suite):
        groups[found.entry.task][found.key].append(found)
    offered = {} if suite is None else {t.name: suite.ref(t.name) for t in suite.tasks}
    rankings: list[Ranking] = []
    for task in sorted({*groups, *offered}):
        keys = sorted(groups[task], key=lambda k: _newest(groups[task][k]), reverse=True)
        now = (offered[task].sha256, PROTOCOL) if task in offered else keys[0]
        if now not in keys:
            rankings.append(Ranking(task, offered[task], PROTOCOL, False, (), (), ()))
        for key in sorted(keys, key=lambda k: k != now):
            group = groups[task][key]
            named, counts = group[0].entry.signals, None
            if suite is not None and task in offered and key == now:
                named, counts = offered[task], suite.counts(task)
            rankings.append(_ranking(task, named, group, counts, stale=key != now))
    return Board(tuple(rankings))


def references_of(suite: Suite, task: str) -> list[tuple[Path, Entry]]:
    """The references' own evaluations on the suite as it stands: folder and entry, by path."""
    key = (suite.ref(task).sha256, PROTOCOL)
    found = []
    for folder in store.find(suite.root / signals.VERDICTS):
        entry = store.read(folder)
        if entry.task == task and (entry.signals.sha256, entry.protocol) == key:
            found.append((folder, entry))
    return found


def matrix_of(entries: Sequence[Entry], family: str) -> Matrix:
    """The matrix of entries with one key, models in the order given but references first."""
    references: dict[ModelRef, None] = {}
    cells: dict[tuple[ModelRef, ModelRef], Cell] = {}
    for entry in entries:
        for score in entry.scorecard.families:
            if score.family == family:
                for cell in score.cells:
                    references.setdefault(cell.reference)
                    cells[cell.reference, entry.model] = cell
    rows = tuple(sorted(references, key=lambda m: (m.repo_id, m.revision)))
    models = dict.fromkeys(entry.model for entry in entries)
    return Matrix(family, rows, tuple(sorted(models, key=lambda m: _place(m, rows))), cells)


def short_names(models: Sequence[ModelRef]) -> dict[ModelRef, str]:
    """The shortest name that tells each from the others: `model`, `org/model` or `org/model@revision`."""
    bare = Counter(m.repo_id.split("/")[-1] for m in models)
    full = Counter(m.repo_id for m in models)
    names = {}
    for model in models:
        name = model.repo_id.split("/")[-1]
        if full[model.repo_id] > 1:
            name = f"{model.repo_id}@{model.revision[:7]}"
        elif bare[name] > 1:
            name = model.repo_id
        names[model] = name
    return names


def as_json(board: Board) -> list[dict[str, Any]]:
    """The board as plain data, one item per ranking."""
    return [
        {
            "task": ranking.task,
            "signals": asdict(ranking.signals),
            "protocol": ranking.protocol,
            "stale": ranking.stale,
            "rows": [_row_json(row) for row in ranking.all_rows],
        }
        for ranking in board.rankings
    ]


def _row_json(row: Row) -> dict[str, Any]:
    card = row.entry.scorecard
    return {
        "rank": row.rank,
        "rank_low": row.rank_low,
        "rank_high": row.rank_high,
        "tie": row.tie,
        "model": asdict(row.entry.model),
        "reference": row.reference,
        "unranked_because": card.unranked_because,
        "rates": None if card.headline is None else asdict(card.headline.rates),
        "whole": asdict(card.whole),
    }


def _place(model: ModelRef, references: tuple[ModelRef, ...]) -> int:
    return references.index(model) if model in references else len(references)


def _newest(group: Sequence[_Found]) -> str:
    return max(found.entry.run.created for found in group)


def _entries(submissions: Path, suite: Suite | None) -> list[_Found]:
    """Entries by path; the references' own evaluations win over a submission of the same thing."""
    found: dict[tuple[str, Key], _Found] = {}
    for folder in store.find(submissions):
        entry = store.read(folder)
        known = _Found(entry, folder, entry.scorecard.known_answer is not None)
        found[entry.path, known.key] = known
    if suite is not None:
        for folder in store.find(suite.root / signals.VERDICTS):
            entry = store.read(folder)
            known = _Found(entry, folder, True)
            found[entry.path, known.key] = known
    return sorted(found.values(), key=lambda f: f.entry.path)


def _ranking(
    task: str,
    named: DatasetRef,
    group: Sequence[_Found],
    counts: tuple[ReferenceCounts, ...] | None,
    *,
    stale: bool,
) -> Ranking:
    # What an entry says of its references is its own word: who left some out is not compared with the others.
    usual = counts or Counter(f.entry.references for f in group).most_common(1)[0][0]
    group = [f if f.entry.references == usual else _set_apart(f) for f in group]
    counted = [f for f in group if f.entry.scorecard.ranked]
    rest = [f for f in group if not f.entry.scorecard.ranked]
    rows = _ranked(task, sorted(counted, key=lambda f: (-_lift(f.entry), f.entry.path)))
    unranked = tuple(Row(f.entry, f.reference) for f in rest)
    entries = [row.entry for row in (*rows, *unranked)]
    published = {c.family for entry in entries for c in entry.references}
    return Ranking(
        task,
        named,
        group[0].entry.protocol,
        stale,
        rows,
        unranked,
        tuple(matrix_of(entries, family) for family in FAMILIES if family in published),
    )


def _set_apart(found: _Found) -> _Found:
    because = "Its references and their numbers of signals are not those of the suite it names."
    card = replace(found.entry.scorecard, ranked=False, unranked_because=because)
    return replace(found, entry=replace(found.entry, scorecard=card))


def _lift(entry: Entry) -> float:
    headline = entry.scorecard.headline
    value = None if headline is None else headline.rates.lift.value
    if value is None:
        raise BadInput(
            f"the entry {entry.path} calls itself ranked but has no lift; "
            "its scorecard does not follow from its verdicts: goodenough validate tells more"
        )
    return value


def _ranked(task: str, group: Sequence[_Found]) -> tuple[Row, ...]:
    """Places with their intervals: all models are scored again on the same resampled clips."""
    if not group:
        return ()
    import numpy as np

    from harness.score import estimates, scorecard

    lifts = []
    for found in group:
        entry = found.entry
        lifts.append(
            scorecard.lift_by_clip(
                store.verdicts(found.folder),
                FAMILIES[0],
                entry.references,
                entry.model,
                entry.label_map.covered,
            )
        )
    clips = sorted(set().union(*(frame.index for frame in lifts)))
    weights = estimates.clip_weights(len(clips), ("rank", task, group[0].entry.signals.sha256))
    draws = np.stack([estimates.draws_of(frame.reindex(clips).to_numpy(float), weights) for frame in lifts])
    values = np.array([_lift(found.entry) for found in group])
    ranks = 1 + (values > values[:, None] + 1e-12).sum(axis=1)
    intervals = estimates.rank_intervals(draws)
    ties = estimates.tie_groups(draws, values)
    return tuple(
        Row(found.entry, found.reference, rank, min(low, rank), max(high, rank), tie)
        for found, rank, (low, high), tie in zip(group, ranks.tolist(), intervals, ties, strict=True)
    )
