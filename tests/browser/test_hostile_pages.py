"""Pages of which every text is a stranger's and no check refused it: nothing runs, all is shown as text."""

from __future__ import annotations

import random
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from harness.dataset.suites import Suite
from harness.entries import store
from harness.schemas import Entry
from leaderboard.board import loading
from leaderboard.board import ranking as table
from leaderboard.board.matrix import matrix_of
from leaderboard.board.types import Board
from leaderboard.escaping import neutral
from leaderboard.reports import entry_report
from leaderboard.site import builder
from tests.helpers import board_world as making
from tests.helpers import hostile_board, hostile_files, page_visits
from tests.helpers.hostile_board import Spoiled


@pytest.fixture(scope="module", params=["some texts", pytest.param("all texts", marks=pytest.mark.slow)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Spoiled:
    root = tmp_path_factory.mktemp("spoiled")
    if request.param == "all texts":
        return hostile_board.made(root)
    tasks = random.Random(0).sample([*hostile_files.PATHS.values(), *hostile_files.ATTRIBUTES.values()], 6)
    return hostile_board.made(root, hostile_board.sample(hostile_files.TEXTS, 20), tasks)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, Board]:
    """The invented world as it is."""
    suite, submissions = making.made(tmp_path_factory.getbasetemp() / "world")
    return suite, table.build(submissions, suite)


def as_read(text: str) -> str:
    """A text as a browser holds it: what hides is a mark (`neutral`), and line ends are of one kind."""
    return neutral(text).replace("\r\n", "\n").replace("\r", "\n")


def folded(text: str) -> str:
    return " ".join(text.split())


def some(pages: list[Path], n: int) -> list[Path]:
    """The pages that there is one of, and a seeded sample of those of models and of hostile tasks."""
    many = [page for page in pages if page.parent.name in ("models", "tasks") and page.name != "tone.html"]
    return [*(page for page in pages if page not in many), *random.Random(0).sample(many, n)]


def has_all(world: Spoiled) -> bool:
    return len(world.texts) == len(hostile_files.TEXTS)


def test_no_page_runs_or_fetches_what_a_stranger_wrote(browser: Browser, world: Spoiled) -> None:
    _look(browser, world, some(page_visits.pages_of(world.root), 12 if has_all(world) else 5))


@pytest.mark.slow
@pytest.mark.timeout(1800)  # hundreds of pages, on whatever machine
def test_none_of_all_pages_runs_or_fetches_what_a_stranger_wrote(browser: Browser, world: Spoiled) -> None:
    _look(browser, world, page_visits.pages_of(world.root))


def _look(browser: Browser, world: Spoiled, pages: list[Path]) -> None:
    found: dict[str, list[str]] = {}
    with page_visits.opened(browser) as visit:
        for path in pages:
            root = world.site if path.is_relative_to(world.site) else path.parent
            page = visit.open(path)
            # The menu of columns would lie above the heads.
            page.evaluate(
                "document.querySelectorAll('details:not(.chooser)').forEach((d) => (d.open = true))"
            )
            for button in page.locator("thead button:visible").all()[:3]:
                button.click()
            for pick in page.locator(".pick:visible").all()[:2]:
                pick.click()
            page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
            for field in page.locator("input[type=search]:visible").all()[:2]:
                field.fill("<script>\"'`]),")
                field.fill("")
            page.mouse.move(640, 450)
            if lines := page_visits.faults(visit, root):
                found[path.name] = lines[:10]
    assert found == {}


def test_the_figures_run_nothing_when_they_are_opened_alone(browser: Browser, world: Spoiled) -> None:
    figures = sorted(world.root.rglob("*.svg"))
    assert len(figures) > 4
    if not has_all(world):
        figures = random.Random(0).sample(figures, 4)
    with page_visits.opened(browser) as visit:
        for path in figures:
            visit.open(path)
            # The browser asks for an icon, and matplotlib's figures refer to shapes of their own by `#`.
            lines = [line for line in page_visits.faults(visit, path.parent) if "leads elsewhere" not in line]
            assert [line for line in lines if "fetches" not in line] == [], path


def test_the_name_of_a_model_is_the_heading_of_its_page_letter_by_letter(
    browser: Browser, world: Spoiled
) -> None:
    wanted = {folded(as_read(text)) for text in (*world.texts, *world.others)}
    shown, n = set(), 30 if has_all(world) else 12
    with page_visits.opened(browser, java_script_enabled=False) as visit:
        for path in some(page_visits.pages_of(world.site / "models"), n):
            page = visit.open(path)
            heading = folded(page.locator("h1").text_content() or "")
            assert heading in wanted or heading in making.REFERENCES
            assert folded(page.title()) == folded(heading)
            shown.add(heading)
    assert len(shown) > n - 5


def test_the_table_of_a_task_shows_every_name_as_it_is(browser: Browser, world: Spoiled) -> None:
    with page_visits.opened(browser) as visit:
        page = visit.open(world.site / "tasks" / "tone.html")
        shown: set[str] = set()
        while True:
            shown |= {folded(text) for text in page.locator("#board-tone td.model > a").all_text_contents()}
            on = page.locator(".pager button:visible").last
            if on.count() == 0 or on.is_disabled():
                break
            on.click()
        assert page_visits.faults(visit, world.site) == []
    missing = {folded(as_read(text)) for text in world.texts} - shown
    assert missing == set()


def test_a_name_turns_no_text_beside_it_round(browser: Browser, world: Spoiled) -> None:
    turning = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
    for path in page_visits.pages_of(world.site):
        assert not turning.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("markup", "fault"),
    [
        ("<img src=x onerror=window.__pwned=1>", "onerror"),
        ("<img src=x onerror=window.__pwned=1>", "tried to break the policy"),
        ("<script>window.__pwned=1</script>", "holds a script that its policy does not name"),
        ("<a href='https://huggingface.co@evil.invalid/'>x</a>", "leads elsewhere"),
        ("<a href='javascript:1'>x</a>", "leads elsewhere"),
        ("<a href='nowhere.html'>x</a>", "leads elsewhere"),
        ("<iframe></iframe>", "holds <iframe>"),
        ("<meta http-equiv=refresh content='99;url=x'>", "holds meta refresh"),
        ("<b style='background:url(https://evil.invalid/)'>x</b>", "fetches"),
    ],
)
def test_a_page_that_was_broken_into_would_be_found_out(
    browser: Browser, world: Spoiled, tmp_path: Path, markup: str, fault: str
) -> None:
    text = (world.root / "report" / "report.html").read_text(encoding="utf-8")
    path = tmp_path / "report.html"
    path.write_text(text.replace("</main>", f"{markup}</main>"), encoding="utf-8")
    with page_visits.opened(browser) as visit:
        visit.open(path)
        assert any(fault in line for line in page_visits.faults(visit, tmp_path))


def test_without_its_policy_a_page_that_was_broken_into_would_have_run_it(
    browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text("<title>x</title><img src=x onerror=window.__pwned=1>")
    with page_visits.opened(browser) as visit:
        visit.open(path).wait_for_function("'__pwned' in window")
        assert "ran what a stranger wrote" in page_visits.faults(visit, tmp_path)


def _board(suite_board: Board, entry: Entry) -> Board:
    """The board with an entry of a stranger as its best."""
    ranking = suite_board.current[0]
    first, *others = ranking.rows
    rows = (replace(first, entry=entry, cells=loading.matrix_rows(entry)), *others)
    entries = [entry, *(store.read(row.folder) for row in others if row.folder)]
    matrices = tuple(matrix_of(entries, m.family) for m in ranking.matrices)
    return Board((replace(ranking, rows=rows, matrices=matrices),))


def test_texts_of_a_megabyte_make_no_page_large(plain: tuple[Suite, Board], tmp_path: Path) -> None:
    suite, board = plain
    folder = board.current[0].rows[0].folder
    assert folder is not None
    entry = hostile_board.spoil(store.read(folder), hostile_files.GIANT, hostile_board.KEPT)
    root = tmp_path
    builder.write(root / "plain", Board(board.current), suite)
    builder.write(root / "site", _board(board, entry), suite)
    entry_report.write(root / "plain.html", store.read(folder), store.verdicts(folder), suite)
    entry_report.write(root / "report.html", entry, store.verdicts(folder), suite)
    for name in ("index.html", "tasks/tone.html", "evidence/tone.html"):
        assert (root / "site" / name).stat().st_size < (root / "plain" / name).stat().st_size + 200_000
    assert (root / "report.html").stat().st_size < (root / "plain.html").stat().st_size + 300_000
    assert all(path.stat().st_size < 3_000_000 for path in (root / "site").rglob("*.html"))
    assert sum(path.stat().st_size for path in (root / "site").rglob("*.svg")) < 200_000


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(1.7e308, id="largest"),
        pytest.param(-1.7e308, id="its negative", marks=pytest.mark.slow),
        pytest.param(10**400, id="whole"),
    ],
)
def test_numbers_without_measure_break_no_page(
    browser: Browser, plain: tuple[Suite, Board], tmp_path: Path, number: float
) -> None:
    suite, board = plain
    entry = _counted(store.read(board.current[0].rows[0].folder), number)
    root = tmp_path / "site"
    builder.write(root, _board(board, entry), suite)
    with page_visits.opened(browser) as visit:
        for path in page_visits.pages_of(root):
            if path.parent.name in (root.name, "tasks") or "acme__echo" in path.name:
                visit.open(path)
                assert page_visits.faults(visit, root) == [], path


def _counted(value: Any, number: float) -> Any:
    """A record with a number in place of each of its own kind; whole ones stay whole."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return number if isinstance(number, int) else value
    if isinstance(value, float):
        return value if isinstance(number, int) else number
    if isinstance(value, tuple):
        return tuple(_counted(inner, number) for inner in value)
    if isinstance(value, dict):
        return {key: _counted(inner, number) for key, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _counted(getattr(value, f.name), number) for f in fields(value)})
    return value
