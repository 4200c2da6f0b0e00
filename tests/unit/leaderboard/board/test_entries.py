from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.dataset import parquet_io, parquet_schema
from harness.dataset.paths import VERDICTS
from harness.dataset.suites import Suite
from harness.entries import store
from harness.metrics import scorecard
from harness.metrics.likeness import likeness_of
from harness.schemas import Entry, to_json
from harness.types import PROTOCOL
from leaderboard.board import entries, valid_entries
from leaderboard.board import ranking as table
from leaderboard.board.entries import BoardEntry
from leaderboard.board.types import LoadedEntry, Ranking
from tests.helpers.board_world import REFERENCES, TASK, Manner, World, add_entry
from tests.helpers.families import HEADLINE


@pytest.fixture
def own(world: World, tmp_path: Path) -> Suite:
    """The suite with its references' entries, to be spoiled."""
    shutil.copytree(world.suite.root, tmp_path / "signals")
    (tmp_path / "submissions").mkdir()
    return Suite(tmp_path / "signals", "local/tones")


def _built(suite: Suite) -> Ranking:
    (ranking,) = table.build(
        suite.root.parent / "submissions", suite, problems=valid_entries.look(suite.verdicts(), suite)
    ).rankings
    return ranking


def _folder(suite: Suite, name: str = "lab/beta") -> Path:
    (folder,) = (suite.root / VERDICTS / name.replace("/", "__")).glob("*/*")
    return folder


def _rewrite(folder: Path, **changed: object) -> None:
    (folder / store.ENTRY).write_text(to_json(replace(store.read(folder), **changed)))  # type: ignore[arg-type]


def test_a_suite_alone_ranks_its_references_over_each_other(own: Suite) -> None:
    ranking = _built(own)
    assert [row.rank for row in ranking.rows] == [1, 2, 3]
    assert {row.name for row in ranking.rows} == set(REFERENCES)
    for row in ranking.rows:
        assert row.reference
        headline = store.read(row.folder).scorecard.headline
        others = [cell.rates.lift.value for cell in headline.cells if not cell.same_weights]
        assert len(others) == 2
        assert headline.rates.lift.value == pytest.approx(sum(others) / 2)


def test_a_reference_submitted_under_another_name_stands_there_once(own: Suite) -> None:
    folder = _folder(own)
    entry = store.read(folder)
    other = replace(entry, model=replace(entry.model, repo_id="copycat/beta", revision="f" * 40))
    place = own.root.parent / "submissions" / other.path
    shutil.copytree(folder, place)
    (place / store.ENTRY).write_text(to_json(other))
    assert sorted(row.name for row in _built(own).all_rows) == sorted(REFERENCES)


def test_a_submission_under_the_name_of_a_reference_cannot_replace_it_with_other_weights(own: Suite) -> None:
    entry = store.read(_folder(own))
    place = own.root.parent / "submissions" / entry.path
    shutil.copytree(_folder(own), place)
    _rewrite(place, model=replace(entry.model, weights_sha256="e" * 64))
    (row,) = (r for r in _built(own).rows if r.name == "lab/beta")
    assert store.read(row.folder) == entry


def test_a_reference_submitted_where_the_suite_has_no_entries_is_marked_by_its_weights(own: Suite) -> None:
    entry = store.read(_folder(own))
    other = replace(entry, model=replace(entry.model, repo_id="copycat/beta", revision="f" * 40))
    place = own.root.parent / "submissions" / other.path
    shutil.copytree(_folder(own), place)
    (place / store.ENTRY).write_text(to_json(other))
    shutil.rmtree(own.root / VERDICTS)
    add_entry(own.root.parent / "submissions", own, "a/candidate", Manner(0.9, 0.1))
    ranking = _built(own)
    assert {row.name: row.reference for row in ranking.all_rows} == {
        "copycat/beta": True,
        "a/candidate": False,
    }
    matrix = ranking.matrices[0]
    assert [m.repo_id for m in matrix.models] == ["copycat/beta", "a/candidate"]
    assert matrix.n_references == 1


def test_an_entry_of_the_suite_that_does_not_pass_the_checks_is_set_apart(own: Suite) -> None:
    entry = store.read(_folder(own))
    better = replace(entry.scorecard.headline.rates, lift=entry.scorecard.headline.rates.transfer)
    families = (replace(entry.scorecard.families[0], rates=better), *entry.scorecard.families[1:])
    _rewrite(_folder(own), scorecard=replace(entry.scorecard, families=families))
    ranking = _built(own)
    (apart,) = ranking.unranked
    assert (apart.name, apart.reference) == ("lab/beta", True)
    assert "own entry of it is not valid: scorecard.families.0.rates.lift" in str(
        apart.entry.scorecard.unranked_because
    )
    matrix = ranking.matrices[0]
    assert [m.repo_id for m in matrix.references] == list(REFERENCES)
    assert "lab/beta" not in [m.repo_id for m in matrix.models]


def test_an_entry_of_the_suite_that_left_out_signals_is_set_apart(own: Suite) -> None:
    folder = _folder(own)
    entry, rows = store.read(folder), store.verdicts(folder)
    fewer = tuple(replace(r, n_degenerate=2) for r in entry.references)
    first = rows["signal_id"].dropna().str.split(":").str[0].min()
    rows = rows[rows["signal_id"].isna() | (rows["clip_id"] != first)]
    card = scorecard.summarise(rows, TASK, entry.model, fewer, entry.label_map, HEADLINE)
    likeness = likeness_of(rows, TASK, entry.label_map, own)
    _write(folder, replace(entry, references=fewer, scorecard=card, likeness=likeness), rows)
    (apart,) = _built(own).unranked
    assert "references: not those of the suite" in str(apart.entry.scorecard.unranked_because)


def test_a_candidate_that_lies_among_the_entries_of_the_suite_is_set_apart(own: Suite) -> None:
    add_entry(own.root / VERDICTS, own, "a/smuggled", Manner(1.0, 0.0))
    ranking = _built(own)
    (apart,) = ranking.unranked
    assert (apart.name, apart.reference, apart.rank) == ("a/smuggled", False, None)
    assert "is of none of its references" in str(apart.entry.scorecard.unranked_because)
    assert len(ranking.matrices[0].models) == 3


def test_what_an_entry_set_apart_says_of_other_references_is_in_no_heat_map(own: Suite) -> None:
    folder = add_entry(own.root.parent / "submissions", own, "a/liar", Manner(0.9, 0.1))
    text = (folder / store.ENTRY).read_text().replace("lab/alpha", "lab/invented")
    (folder / store.ENTRY).write_text(text)
    ranking = _built(own)
    assert [row.name for row in ranking.unranked] == ["a/liar"]
    assert [m.repo_id for m in ranking.matrices[0].references] == list(REFERENCES)


def test_what_a_model_says_of_further_levels_moves_no_place_no_rate_and_no_figure(own: Suite) -> None:
    add_entry(own.root.parent / "submissions", own, "acme/echo", Manner(0.9, 0.1))
    before = table.build(own.root.parent / "submissions", own)
    for folder in (*store.find(own.root / VERDICTS), *store.find(own.root.parent / "submissions")):
        _turn_levels(folder)
    board = table.build(own.root.parent / "submissions", own)
    assert board.current[0].unranked == ()
    assert table.as_json(board) == table.as_json(before)
    assert board.current[0].matrices == before.current[0].matrices


def test_only_the_answers_to_further_levels_were_turned(own: Suite) -> None:
    before = store.verdicts(_folder(own))
    _turn_levels(_folder(own))
    after = store.verdicts(_folder(own))
    changed = (before["predicted"] != after["predicted"]).groupby(before["level"].fillna(-1)).all()
    assert changed.to_dict() == {-1: False, 0: False} | dict.fromkeys(range(1, 8), True)


def _turn_levels(folder: Path) -> None:
    """Every answer to levels 1 to 7 becomes another, and the scorecard is counted again."""
    rows, entry = store.verdicts(folder), store.read(folder)
    above = rows["level"].fillna(0) > 0
    assert above.sum() == 7 * 105
    names = dict(zip(entry.label_map.canonical, entry.label_map.names, strict=True))
    labels = list(TASK.labels)
    said = rows["predicted"].where(
        ~above, rows["predicted"].map(dict(zip(labels, labels[1:] + labels[:1], strict=True)))
    )
    rows = rows.assign(
        predicted=said,
        predicted_raw=said.map(names),
        p=[[float(label == s) for label in labels] for s in said],
        p_expected=(said == rows["expected"]).astype(float).where(rows["expected"].notna()),
    )
    card = scorecard.summarise(rows, TASK, entry.model, entry.references, entry.label_map, HEADLINE)
    _write(folder, replace(entry, scorecard=card), rows)


def _write(folder: Path, entry: Entry, rows: pd.DataFrame) -> None:
    """An entry with other verdicts, hash and count as they should be."""
    pq.write_table(
        pa.Table.from_pandas(
            rows, schema=parquet_schema.VERDICTS, preserve_index=False
        ).replace_schema_metadata(),
        folder / store.VERDICTS,
    )
    sha256 = parquet_io.sha256_of(folder / store.VERDICTS)
    changed = replace(entry, verdicts_sha256=sha256, n_verdicts=len(rows))
    (folder / store.ENTRY).write_text(to_json(changed))


def _answering(entry: Entry, sha256: str, protocol: int = 1, *names: str) -> list[BoardEntry]:
    signals = replace(entry.signals, sha256=sha256)
    made = []
    for name in names:
        model = replace(entry.model, repo_id=name)
        answered = replace(entry, signals=signals, protocol=protocol, model=model)
        made.append(BoardEntry(answered, Path(name), LoadedEntry(answered, (), None, "")))
    return made


@pytest.fixture
def entry(world: World) -> Entry:
    return store.read(_folder(world.suite))


def test_without_a_suite_those_signals_are_current_that_most_models_answered(entry: Entry) -> None:
    groups = {
        ("a", 1): _answering(entry, "a", 1, "x/one", "x/two"),
        ("b", 1): _answering(entry, "b", 1, "x/one", "x/one", "x/one"),
    }
    key, because = entries.current(groups)
    assert key == ("a", 1)
    assert "(2; the next: 1)" in because


def test_a_later_date_does_not_make_signals_current(entry: Entry) -> None:
    late = replace(entry, run=replace(entry.run, created="2999-01-01T00:00:00Z"))
    groups = {
        ("a", 1): _answering(entry, "a", 1, "x/one", "x/two"),
        ("b", 1): _answering(late, "b", 1, "x/three"),
    }
    assert entries.current(groups)[0] == ("a", 1)


def test_signals_that_as_many_models_answered_are_both_set_apart_with_the_reason(entry: Entry) -> None:
    groups = {("a", 1): _answering(entry, "a", 1, "x/one"), ("b", 1): _answering(entry, "b", 1, "x/two")}
    key, because = entries.current(groups)
    assert key is None
    assert because.endswith("none is the current one.")


def test_another_protocol_is_current_only_where_it_is_alone(entry: Entry) -> None:
    old = {("a", 0): _answering(entry, "a", 0, "x/one", "x/two", "x/three")}
    assert entries.current(old) == (("a", 0), "")
    now = {("b", PROTOCOL): _answering(entry, "b", PROTOCOL, "x/one")}
    assert entries.current(old | now)[0] == ("b", PROTOCOL)


def test_a_board_without_a_suite_tells_what_decided(world: World, tmp_path: Path) -> None:
    for folder in store.find(world.submissions):
        if "acme__echo" in str(folder):
            shutil.copytree(folder, tmp_path / folder.relative_to(world.submissions))
    board = table.build(tmp_path, None)
    assert (board.current, board.tasks, len(board.stale(TASK.name))) == ((), (TASK.name,), 2)
    assert {r.note for r in board.rankings} == {board.rankings[0].note} != {""}
    add_entry(tmp_path, world.suite, "acme/second", Manner(0.5, 0.5))
    board = table.build(tmp_path, None)
    assert board.current_of(TASK.name) == board.current[0]
    assert board.current[0].signals.sha256 == world.suite.ref(TASK.name).sha256
    assert "most models" in board.current[0].note
    assert [r.note for r in board.stale(TASK.name)] == [""]
    assert json.dumps(table.as_json(board))
