"""Whether a model knows the clips of its task, and how fast it was: what an entry states of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.entries import store
from harness.schemas import Entry, from_json, to_json
from leaderboard import urls
from leaderboard.board import columns, contamination, ranking
from leaderboard.board.frame import frame
from leaderboard.site import builder
from tests.helpers.board_world import Manner, World, add_entry

TRAINED, SPEED = (next(c for c in columns.COLUMNS if c.key == key) for key in ("trained_on", "speed"))


def _stated(folder: Path, **facts: object) -> None:
    entry = store.read(folder)
    changed = replace(entry, facts=replace(entry.facts, **facts))  # type: ignore[arg-type]
    (folder / store.ENTRY).write_text(to_json(changed))


@pytest.mark.parametrize(
    ("named", "overlap"),
    [
        (("org/GTZAN-genres", "x"), ()),
        (("marsyas/gtzan",), ("marsyas/gtzan",)),
        (("other", "copies/GT_ZAN"), ("copies/GT_ZAN",)),
        ((), ()),
        (None, ()),
    ],
)
def test_datasets_are_the_same_but_for_owner_case_and_punctuation(named, overlap) -> None:
    assert contamination.overlap(named, {"gtzan"}) == overlap


def test_the_board_says_what_a_model_was_trained_on_and_where_that_is_the_suite_s_own(
    world: World, tmp_path: Path
) -> None:
    corpus = world.suite.references(world.board.tasks[0])[0].corpus.name
    names = ("a/knows", "a/other", "a/silent")
    knows, other, silent = (add_entry(tmp_path / "in", world.suite, n, Manner(0.9, 0.1)) for n in names)
    _stated(knows, trained_on=("org/else", corpus))
    _stated(other, trained_on=("org/else",))
    board = ranking.build(tmp_path / "in", world.suite)
    rows = {row.name: row for row in board.current[0].all_rows}
    assert [TRAINED.read(rows[name]) for name in names] == [f"overlap: {corpus}", "org/else", None]
    assert ranking.build(tmp_path / "in", None).rankings[0].rows[0].overlap == ()
    told = frame(board).set_index("model")["trained_on"]
    assert told["a/knows"] == f"overlap: {corpus}"
    out = builder.write(tmp_path / "site", board, world.suite).parent / "models"
    said = "By its card it was trained on"
    pages = [out / urls.page_of(rows[name].entry.model) for name in names]
    assert [said in page.read_text(encoding="utf-8") for page in pages] == [True, False, False]
    assert silent.is_dir()


@pytest.mark.parametrize(
    ("n_asked", "n_known", "seconds", "speed"),
    [
        (None, None, 2.0, None),
        (1000, 0, 4.0, 250),
        (1000, None, 4.0, 250),
        (1000, 1000, 4.0, None),
        (0, 0, 1.0, None),
        (1000, 0, 0.0, None),
        (1000, 0, 5e-324, None),
        (10**400, 0, 1.0, 10**15),
    ],
)
def test_a_speed_is_that_of_what_was_asked_where_that_was_most(
    world: World, n_asked, n_known, seconds, speed
) -> None:
    row = world.board.current[0].rows[0]
    run = replace(row.entry.run, n_asked=n_asked, n_known=n_known, seconds=seconds)
    assert SPEED.read(replace(row, entry=replace(row.entry, run=run))) == speed


def test_an_entry_that_says_neither_is_read_as_before(world: World) -> None:
    folder = world.board.current[0].rows[0].folder
    assert folder is not None
    data = json.loads((folder / store.ENTRY).read_text())
    data["facts"].pop("trained_on", None)
    data["run"].pop("n_asked", None)
    data["run"].pop("n_known", None)
    entry = from_json(Entry, json.dumps(data))
    assert (entry.facts.trained_on, entry.run.n_asked) == (None, None)
