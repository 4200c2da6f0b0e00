"""Anchor rows of a board: beside the ranking, and never in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.dataset.paths import ANCHORS
from harness.dataset.suites import Suite
from harness.entries import store
from harness.metrics.anchors import best_reference, consensus
from leaderboard.board import anchors
from leaderboard.board import ranking as table
from tests.helpers import board_world as making

TASK = making.TASK.name


def names(some) -> list[str]:
    return [anchor.name for anchor in some]


def test_a_board_has_the_anchors_that_its_references_give(world) -> None:
    ranking = world.board.current_of(TASK)
    mean, best = ranking.anchors
    folders = world.suite.verdicts()
    answers = [(store.read(folder), store.verdicts(folder)) for folder in folders]
    assert mean.name == "consensus"
    assert (mean.score, mean.accuracy) == consensus(answers, world.suite.task(TASK))
    reference = best_reference([entry for entry, _ in answers])
    assert best.name == "best single reference"
    assert reference.model.repo_id in best.meaning
    assert best.score == reference.scorecard.headline
    assert best.accuracy == reference.scorecard.whole.accuracy


def test_anchors_are_in_no_ranking_and_stale_rankings_have_none(world) -> None:
    for ranking in world.board.rankings:
        assert not ranking.stale or ranking.anchors == ()
        assert {row.name for row in ranking.all_rows}.isdisjoint(names(ranking.anchors))
    assert all(ranking.anchors == () for ranking in table.build(world.submissions, None).rankings)


def with_anchors(world, root: Path) -> Suite:
    """The suite of the world, and an entry as two anchors: a known and an unknown one."""
    shutil.copytree(world.suite.root, root)
    suite = Suite(root, world.suite.name)
    for name in ("random-weights", "something-else"):
        making.add_entry(root / ANCHORS / name, suite, "local/random-weights", making.Manner(0.4, 0.4))
    return suite


def test_what_the_suite_brings_stands_behind_them_and_is_no_row(world, tmp_path: Path) -> None:
    suite = with_anchors(world, tmp_path / "suite")
    ranking = table.build(world.submissions, suite).current_of(TASK)
    assert names(ranking.anchors) == ["consensus", "best single reference", "random weights"]
    (folder,) = suite.anchors("random-weights")
    assert ranking.anchors[-1].score == store.read(folder).scorecard.headline
    before = [row.name for row in world.board.current_of(TASK).all_rows]
    assert [row.name for row in ranking.all_rows] == before


def test_an_anchor_that_is_not_valid_is_left_out(world, tmp_path: Path) -> None:
    suite = with_anchors(world, tmp_path / "suite")
    (folder,) = suite.anchors("random-weights")
    text = (folder / store.ENTRY).read_text("utf-8")
    (folder / store.ENTRY).write_text(text.replace('"n_verdicts": ', '"n_verdicts": 1'), "utf-8")
    assert names(anchors.build(suite, TASK, suite.verdicts())) == ["consensus", "best single reference"]
