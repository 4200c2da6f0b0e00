from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.dataset.paths import VERDICTS
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.schemas import to_json
from leaderboard.board import ranking as table
from leaderboard.board.matrix import short_names
from leaderboard.board.types import Ranking
from tests.helpers.board_world import REFERENCES, TASK, Manner, World, add_entry, model
from tests.helpers.families import HEADLINE


@pytest.fixture(scope="module")
def plain(world: World, tmp_path_factory: pytest.TempPathFactory) -> Ranking:
    """Four models that always do the same: lift 1, 0, 0 and -1, each without any spread."""
    root = tmp_path_factory.mktemp("plain")
    for name, manner in {
        "a/everything": Manner(1.0, 1.0),
        "a/nothing": Manner(0.0, 0.0),
        "a/signals": Manner(1.0, 0.0),
        "a/controls": Manner(0.0, 1.0),
    }.items():
        add_entry(root, world.suite, name, manner)
    (ranking,) = table.build(root, None).rankings
    return ranking


def test_places_known_by_hand(plain: Ranking) -> None:
    assert [(row.name, row.rank) for row in plain.rows] == [
        ("a/signals", 1),
        ("a/everything", 2),
        ("a/nothing", 2),
        ("a/controls", 4),
    ]


def test_without_spread_every_place_is_certain_and_equal_models_tie(plain: Ranking) -> None:
    assert [(row.rank_low, row.rank_high) for row in plain.rows] == [(1, 1), (2, 3), (2, 3), (4, 4)]
    assert [row.tie for row in plain.rows] == [1, 2, 2, 3]


def test_rows_fall_by_lift_and_their_intervals_hold_their_places(world: World) -> None:
    (ranking,) = world.board.current
    lifts = [row.entry.scorecard.headline.rates.lift.value for row in ranking.rows]
    assert lifts == sorted(lifts, reverse=True)
    assert all(row.rank_low <= row.rank <= row.rank_high for row in ranking.rows)


def test_references_stand_among_the_models_and_are_marked(world: World) -> None:
    (ranking,) = world.board.current
    assert {row.name for row in ranking.all_rows if row.reference} == set(REFERENCES)
    assert len(ranking.rows) == 6


def test_an_unranked_model_stands_below_with_its_reason(world: World) -> None:
    (ranking,) = world.board.current
    (row,) = ranking.unranked
    assert (row.name, row.rank, row.tie) == ("someone/half-deaf", None, None)
    assert "knows the classes of" in row.entry.scorecard.unranked_because


def test_entries_on_other_signals_are_stale_and_rank_apart(world: World) -> None:
    (stale,) = world.board.stale(TASK.name)
    assert stale.signals.sha256 == "d" * 64
    assert [(row.name, row.rank) for row in stale.rows] == [("acme/echo", 1)]
    assert all(row.entry.signals.sha256 != "d" * 64 for row in world.board.current[0].all_rows)


def test_a_suite_nobody_answered_yet_has_an_empty_ranking(world: World, tmp_path: Path) -> None:
    bare = tmp_path / "signals"
    shutil.copytree(world.suite.root, bare, ignore=shutil.ignore_patterns(VERDICTS))
    (tmp_path / "submissions").mkdir()
    (ranking,) = table.build(tmp_path / "submissions", Suite(bare, "local/tones")).rankings
    assert (ranking.task, ranking.all_rows, ranking.stale) == (TASK.name, (), False)


def test_a_reference_that_was_also_submitted_stands_there_once(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.suite.root / VERDICTS, tmp_path, dirs_exist_ok=True)
    (ranking,) = table.build(tmp_path, world.suite).rankings
    assert sorted(row.name for row in ranking.all_rows) == sorted(REFERENCES)
    assert all(row.reference for row in ranking.all_rows)


def test_the_matrix_has_references_as_rows_and_first_among_the_columns(world: World) -> None:
    matrix = world.board.current[0].matrices[0]
    assert matrix.family == HEADLINE
    assert [m.repo_id for m in matrix.references] == list(REFERENCES)
    assert [m.repo_id for m in matrix.models[:3]] == list(REFERENCES)
    assert [m.repo_id for m in matrix.models[3:]] == [
        row.name for row in world.board.current[0].all_rows if not row.reference
    ]
    assert matrix.n_references == 3
    assert len(matrix.cells) == 3 * 7
    assert matrix.cells[model("lab/beta"), model("lab/beta")].same_weights
    cell = matrix.cells[model("lab/beta"), model("acme/echo")]
    (row,) = (r for r in world.board.current[0].rows if r.name == "acme/echo")
    assert cell in store.read(row.folder).scorecard.headline.cells


def test_the_same_entries_give_the_same_board(world: World) -> None:
    again = table.build(world.submissions, world.suite)
    assert json.dumps(table.as_json(again)) == json.dumps(table.as_json(world.board))


def test_names_are_as_short_as_they_can_be() -> None:
    a, b, c = model("x/one"), model("y/one"), model("x/two")
    d = replace(c, revision="f" * 40)
    names = short_names([a, b, c, d, model("z/three")])
    assert list(names.values()) == [
        "x/one",
        "y/one",
        f"x/two@{c.revision[:7]}",
        "x/two@fffffff",
        "three",
    ]


def test_no_folder_of_submissions_is_bad_input_that_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--submissions DIR"):
        table.build(tmp_path / "nowhere", None)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda folder: (folder / store.ENTRY).write_text("{}"), "goodenough validate"),
        (lambda folder: (folder / store.VERDICTS).write_bytes(b"no"), "verdicts.parquet is not"),
    ],
)
def test_a_broken_entry_is_named(
    world: World, tmp_path: Path, spoil: Callable[[Path], object], match: str
) -> None:
    folder = store.find(world.submissions)[0]
    shutil.copytree(folder, tmp_path / folder.name)
    spoil(tmp_path / folder.name)
    with pytest.raises(BadInput, match=match):
        table.build(tmp_path, None)
    sound = store.find(world.submissions)[1]
    shutil.copytree(sound, tmp_path / sound.name)
    board = table.build(tmp_path, None)
    assert [row.name for ranking in board.rankings for row in ranking.all_rows] == [
        store.read(sound).model.repo_id
    ]
    (line,) = board.messages
    assert re.match(f"left out: .*{match}", line)
    assert str(tmp_path / folder.name) in line


def test_an_entry_that_claims_a_rank_without_a_lift_is_refused(world: World, tmp_path: Path) -> None:
    (folder,) = [f for f in store.find(world.submissions) if "half-deaf" in str(f)]
    shutil.copytree(folder, tmp_path / folder.name)
    path = tmp_path / folder.name / store.ENTRY
    data = json.loads(path.read_text())
    data["scorecard"] |= {"ranked": True, "unranked_because": None}
    path.write_text(json.dumps(data))
    with pytest.raises(BadInput, match="calls itself ranked but has no lift"):
        table.build(tmp_path, None)


def test_an_entry_that_leaves_out_a_reference_is_not_compared(world: World, tmp_path: Path) -> None:
    for name in ("a/honest", "a/other", "a/cherry"):
        add_entry(tmp_path, world.suite, name, Manner(0.8, 0.2))
    (folder,) = (f for f in store.find(tmp_path) if "a__cherry" in str(f))
    entry = store.read(folder)
    (folder / "entry.json").write_text(to_json(replace(entry, references=entry.references[1:])))
    for suite in (world.suite, None):
        (ranking,) = table.build(tmp_path, suite).rankings
        (apart,) = ranking.unranked
        assert apart.name == "a/cherry"
        assert "not those of the suite" in str(apart.entry.scorecard.unranked_because)
        assert {"a/honest", "a/other"} <= {row.name for row in ranking.rows}
