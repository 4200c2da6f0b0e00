"""What is told around the tables: what is new, all models, where verdicts can be read, previews of links."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from harness.entries import notices, store
from leaderboard import urls
from leaderboard.board import activity
from leaderboard.board import ranking as table
from leaderboard.board.types import Board
from leaderboard.site import builder, model_page, models_page
from tests.helpers.board_world import Manner, World, add_entry


def _dated(board: Board, dates: list[str]) -> Board:
    """The board with runs that ended on these days, best model first."""
    ranking = board.current[0]
    rows = tuple(
        replace(row, entry=replace(row.entry, run=replace(row.entry.run, created=date)))
        for row, date in zip(ranking.rows, dates, strict=False)
    )
    return Board((replace(ranking, rows=rows, unranked=()),))


def test_the_newest_events_come_first_and_what_is_no_date_is_none(world: World) -> None:
    dates = ["2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z", "yesterday", "9999", "2026-04-01T09:00:00Z"]
    board = _dated(world.board, dates)
    first, second, *_, last = board.rankings[0].rows[:5]
    found = activity.events(board.rankings, 2)
    assert [(event.date, event.name) for event in found] == [
        ("2026-05-01", second.name),
        ("2026-04-01", last.name),
    ]
    assert activity.newest(board.rankings) == "2026-05-01"
    assert first.name not in {event.name for event in found}
    assert activity.newest([]) is None


def test_a_status_that_somebody_gave_and_an_opt_out_are_news(world: World, tmp_path: Path) -> None:
    folder = add_entry(tmp_path, world.suite, "a/one", Manner(0.9, 0.1))
    notices.invalidate(folder, "Ada", "the wrong weights")
    refusal = notices.new_opt_out("b/two", "f" * 40, world.board.tasks[0], "Bo", "trained on it")
    notices.opt_out(tmp_path, refusal)
    board = table.build(tmp_path, world.suite)
    told = {(event.name, event.what, event.model is None) for event in activity.events(board.rankings, 20)}
    assert {
        ("a/one", "invalidated", False),
        ("a/one", "evaluated", False),
        ("b/two", "opted out", True),
    } <= told


def test_all_entries_stand_by_name_with_their_place_in_their_task(world: World) -> None:
    links = {row.entry.model: "x" for ranking in world.board.rankings for row in ranking.all_rows}
    shown = models_page.context(world.board, links)["shown"]
    assert shown["n_rows"] == sum(len(ranking.all_rows) for ranking in world.board.rankings)
    names = [row.name for row in shown["rows"] if row.rank is not None]
    assert names == sorted(names)
    assert [column.key for column in shown["columns"]][:3] == ["rank", "model", "task"]
    places = {(row.name, row.entry.signals.sha256): row.rank for row in shown["rows"]}
    for ranking in world.board.rankings:
        for row in ranking.rows:
            assert places[row.name, row.entry.signals.sha256] == row.rank


def test_verdicts_are_linked_where_entries_can_be_read_and_none_of_the_suite_s_own(
    world: World, tmp_path: Path
) -> None:
    address = "https://huggingface.co/datasets/org/entries/tree/main/submissions"
    out = builder.write(tmp_path / "site", world.board, world.suite, entries=address).parent
    for row in world.board.current[0].all_rows:
        text = (out / "models" / urls.page_of(row.entry.model)).read_text(encoding="utf-8")
        linked = f'href="{address}/{row.entry.path}"' in text
        assert linked == (row.folder not in world.suite.verdicts())
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.html")}
    builder.write(out, world.board, world.suite, entries=address)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.html")}


def test_a_model_of_the_hub_can_be_loaded_by_what_its_page_says_unless_it_brings_code(
    world: World, tmp_path: Path
) -> None:
    ranking = world.board.current[0]
    row = next(row for row in ranking.rows if row.name == "acme/echo")
    out = builder.write(tmp_path / "site", world.board, None).parent
    page = out / "models" / urls.page_of(row.entry.model)
    call = f'classify = pipeline("audio-classification", "acme/echo", revision="{row.entry.model.revision}")'
    assert call in unescape(page.read_text(encoding="utf-8"))
    compile(model_page.LOAD.format(repo_id="acme/echo", revision="0" * 40), "load", "exec")
    facts = replace(row.entry.facts, remote_code=True)
    strange = replace(row, entry=replace(row.entry, facts=facts))
    builder.write(out, Board((replace(ranking, rows=(strange,)),)), None)
    assert "from transformers" not in page.read_text(encoding="utf-8")


def test_a_pasted_link_says_what_is_there(world: World, tmp_path: Path) -> None:
    out = builder.write(tmp_path / "site", world.board, world.suite).parent
    told = {}
    for path in out.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        (plain,) = re.findall(r'<meta name="description" content="([^"]+)">', text)
        (shown,) = re.findall(r'<meta property="og:description" content="([^"]+)">', text)
        assert plain == shown
        told[path.name] = plain
    best = world.board.current[0].rows[0]
    line = told[urls.page_of(best.entry.model)]
    assert line.startswith("tone: rank 1 of 6, lift +")
    assert f"n = {best.entry.scorecard.headline.rates.lift.n}" in line
    assert store.read(best.folder).task in told["tone.html"]


@pytest.mark.parametrize("text", ["2026-11-25", "2026-1-1", "x"])
def test_only_whole_days_are_dates(world: World, text: str) -> None:
    board = _dated(world.board, [f"{text}T00:00:00Z"])
    assert (activity.newest(board.rankings) == text) == (len(text) == 10)
