"""Every door says of each task what there is to say of it, of a suite that is synthetic in one task alone."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from harness import cli
from harness.cli import common
from harness.cli import leaderboard as commands
from harness.dataset import licences
from harness.dataset.suite_notes import SMALL_MODELS, SYNTHETIC
from harness.dataset.suites import Suite
from harness.entries import store
from harness.schemas import Entry
from leaderboard import exports
from leaderboard.app import app
from leaderboard.board import ranking as table
from leaderboard.board.frame import frame
from leaderboard.board.types import Board
from leaderboard.reports import entry_report
from leaderboard.site import builder
from tests.helpers import noted_suite
from tests.helpers.board_world import World
from tests.helpers.noted_suite import CORPORA, SECOND

NOTES = dict(zip(CORPORA, (SYNTHETIC, SMALL_MODELS), strict=True))
BOTH = f"{SECOND}: {SMALL_MODELS} tone: {SYNTHETIC}"
BANNER = re.compile('<p class="note banner" role="note">(.*?)</p>')


@pytest.fixture(scope="module")
def suite(world: World, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return noted_suite.make(world.suite, tmp_path_factory.mktemp("noted"))


@pytest.fixture(scope="module")
def board(world: World) -> Board:
    """The world's rankings under both tasks."""
    rankings = [
        replace(ranking, task=task, suite_note=note)
        for task, note in sorted(NOTES.items())
        for ranking in world.board.rankings
    ]
    return Board(tuple(rankings))


@pytest.fixture(scope="module")
def site(board: Board, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builder.write(tmp_path_factory.mktemp("noted-site") / "site", board, suite).parent


def _entry(world: World, task: str) -> Entry:
    """An entry of the world as if it were of a task of the suite."""
    entry = store.read(world.board.current[0].rows[0].folder)  # type: ignore[arg-type]
    return replace(entry, task=task, signals=replace(entry.signals, config=task))


def _banners(path: Path) -> list[str]:
    return [unescape(text) for text in BANNER.findall(path.read_text(encoding="utf-8"))]


def test_the_board_has_the_note_of_each_task(world: World, suite: Suite) -> None:
    built = table.build(world.submissions, suite)
    assert {r.task: r.suite_note for r in built.current} == NOTES
    (other,) = (r for r in built.rankings if r.stale)
    assert (other.task, other.suite_note) == ("tone", None)
    assert not any(r.suite_note for r in world.board.rankings)


def test_every_page_has_one_banner_with_the_notes_of_its_tasks(site: Path) -> None:
    for folder in ("tasks", "evidence"):
        for task, note in NOTES.items():
            assert _banners(site / folder / f"{task}.html") == [note]
    several = [site / "index.html", site / "models.html", *(site / "models").iterdir()]
    assert len(several) > 5
    for path in several:
        assert _banners(path) == [BOTH], path.name


def test_where_the_sounds_of_voices_are_played_the_voices_are_named(
    world: World, suite: Suite, site: Path, tmp_path: Path
) -> None:
    verdicts = store.verdicts(world.board.current[0].rows[0].folder)  # type: ignore[arg-type]
    for task, corpus in CORPORA.items():
        entry_report.write(tmp_path / "report.html", _entry(world, task), verdicts.assign(task=task), suite)
        for path in (site / "evidence" / f"{task}.html", tmp_path / "report.html"):
            text = path.read_text(encoding="utf-8")
            assert "<audio" in text
            assert text.count("Allison Smith") == (1 if corpus in licences.ATTRIBUTIONS else 0)


def test_a_page_of_sounds_is_made_again_when_other_voices_are_to_be_named(
    board: Board, suite: Suite, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(site, tmp_path / "site")
    monkeypatch.setattr(licences, "ATTRIBUTIONS", {CORPORA["tone"]: "Voice: Nobody."})
    root = builder.write(tmp_path / "site", board, suite).parent
    pages = {task: (root / "evidence" / f"{task}.html").read_text(encoding="utf-8") for task in CORPORA}
    assert ["Voice: Nobody." in pages[task] for task in CORPORA] == [True, False]
    assert not any("Allison Smith" in text for text in pages.values())


def test_a_task_page_tells_the_notes_of_other_signals_from_the_current_one(
    board: Board, tmp_path: Path
) -> None:
    rankings = [replace(r, suite_note=SYNTHETIC if r.stale else SMALL_MODELS) for r in board.rankings]
    root = builder.write(tmp_path / "site", Board(tuple(rankings)), None).parent
    assert _banners(root / "tasks/tone.html") == [f"tone: {SMALL_MODELS} tone on other signals: {SYNTHETIC}"]


def test_no_page_of_another_suite_has_a_note(world: World, tmp_path: Path) -> None:
    root = builder.write(tmp_path / "site", world.board, world.suite).parent
    written = [*root.rglob("*.html"), *root.rglob("*.svg"), *root.rglob("*.csv"), *root.rglob("*.tex")]
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert not any(note in text or "note banner" in text for note in NOTES.values())


def test_every_export_has_the_note_of_its_task(board: Board, site: Path) -> None:
    for task, note in NOTES.items():
        (other,) = {*NOTES.values()} - {note}
        for suffix in ("csv", "json", "tex"):
            text = (site / "data" / f"{task}.{suffix}").read_text(encoding="utf-8")
            assert note in text
            assert other not in text
    table_of_all = frame(board)
    assert dict(table_of_all.groupby("task")["suite_note"].unique().map(list)) == {
        task: [note] for task, note in NOTES.items()
    }
    assert {(r["task"], r["suite_note"]) for r in table.as_json(board)} == {*NOTES.items()}


def test_a_badge_says_in_a_few_words_and_in_its_title_what_its_task_is(board: Board) -> None:
    words = {"tone": "(synthetic clips)", SECOND: "(real voices, small models)"}
    for ranking in board.current:
        badge = exports.badge(ranking.rows[0], ranking)
        assert f">goodenough {ranking.task} {words[ranking.task]}</text>" in badge
        assert NOTES[ranking.task] in badge
        plain = exports.badge(ranking.rows[0], replace(ranking, suite_note=None))
        assert f">goodenough {ranking.task}</text>" in plain


@pytest.mark.parametrize("task", NOTES)
def test_the_scorecard_and_the_report_of_an_entry_have_the_note_of_its_task(
    world: World, suite: Suite, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = _entry(world, task)
    common.show(entry, suite)
    printed = " ".join(capsys.readouterr().out.split())
    assert [note in printed for note in NOTES.values()] == [note == NOTES[task] for note in NOTES.values()]
    verdicts = store.verdicts(world.board.current[0].rows[0].folder)  # type: ignore[arg-type]
    entry_report.write(tmp_path / "report.html", entry, verdicts.assign(task=task), suite)
    assert _banners(tmp_path / "report.html") == [NOTES[task]]


def test_the_board_in_a_terminal_has_each_note_below_its_task(
    board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    commands._print_rankings(board)
    text = " ".join(capsys.readouterr().err.split())
    assert text.count(SYNTHETIC) == text.count(SMALL_MODELS) == 1
    assert text.index(SMALL_MODELS) < text.index(SYNTHETIC)


def test_the_app_begins_with_the_notes_of_its_suite(world: World, suite: Suite) -> None:
    assert BANNER.findall(unescape(app._head(suite))) == [f"tone: {SYNTHETIC} {SECOND}: {SMALL_MODELS}"]
    assert "banner" not in app._head(world.suite)


def test_evaluate_on_the_embedded_suite_names_the_notes_of_its_tasks(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("harness.starter.paths.embedded", lambda: suite.root)
    assert cli.run(["evaluate", str(tmp_path / "nowhere")]) == 2
    first = capsys.readouterr().err.splitlines()[0]
    notes = f"tone: {SYNTHETIC} {SECOND}: {SMALL_MODELS}"
    assert first.endswith(f"No --signals given: using the embedded starter suite. {notes}")
    assert cli.run(["evaluate", str(tmp_path / "nowhere"), "--task", SECOND]) == 2
    assert capsys.readouterr().err.splitlines()[0].endswith(f"starter suite. {SMALL_MODELS}")
