"""The pages as a reader meets them, in a real browser without a network."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from harness.entries import store
from leaderboard.board import ranking
from leaderboard.reports import entry_report as report
from leaderboard.site import builder
from tests.helpers import board_world as making
from tests.helpers.families import MINIMAL


@dataclass
class Visit:
    """A page and everything it said and asked for while it was open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pages:
    index: Path
    task: Path
    sounds: Path
    profile: Path
    report: Path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    root = tmp_path_factory.mktemp("pages")
    suite, submissions = making.made(tmp_path_factory.getbasetemp() / "world")
    board = ranking.build(submissions, suite)
    index = builder.write(root / "site", board, suite)
    row = board.current[0].rows[0]
    assert row.folder is not None
    report.write(root / "report.html", store.read(row.folder), store.verdicts(row.folder), suite)
    return Pages(
        index,
        index.parent / "tasks" / "tone.html",
        index.parent / "evidence" / "tone.html",
        index.parent / "models" / builder.page_of(row.entry.model),
        root / "report.html",
    )


def _visit(browser: Browser, path: Path, width: int = 1280, scheme: str = "light") -> Visit:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        offline=True,
    )
    visit = Visit(context.new_page())
    visit.page.on("console", lambda said: visit.complaints.append(said.text))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("request", lambda request: visit.requests.append(request.url))
    visit.page.goto(path.as_uri())
    return visit


def _names(page: Page) -> list[str]:
    return page.locator("#board-tone td.model > a:visible").all_inner_texts()


def test_a_click_and_a_key_sort_the_table_and_say_so(browser: Browser, pages: Pages) -> None:
    visit = _visit(browser, pages.task)
    page = visit.page
    ranked = _names(page)
    assert ranked[0] == "acme/echo"
    head = page.locator("#board-tone th.transfer")
    assert head.get_attribute("aria-sort") is None
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#board-tone th.rank").get_attribute("aria-sort") is None
    values = [float(text) for text in page.locator("#board-tone td.transfer").all_inner_texts()][:6]
    assert values == sorted(values, reverse=True)
    assert page.get_by_role("status").first.inner_text() == "7 of 7 models, by transfer"
    assert _names(page) != ranked
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    page.locator("#board-tone th.rank button").press("Space")
    assert _names(page) == ranked
    assert _names(page)[-1] == "someone/half-deaf"
    assert visit.complaints == []


def test_the_filter_leaves_what_matches_and_counts_it(browser: Browser, pages: Pages) -> None:
    page = _visit(browser, pages.task).page
    page.get_by_label("Show").first.select_option("references")
    assert _names(page) == ["lab/alpha", "lab/beta", "lab/gamma"]
    assert page.get_by_role("status").first.inner_text() == "3 of 7 models"
    page.get_by_label("Show").first.select_option("all models")
    page.get_by_label("Filter").first.fill("reference")
    assert _names(page) == ["lab/alpha", "lab/beta", "lab/gamma"]
    assert not page.locator("#board-tone").get_by_text("Not ranked", exact=True).is_visible()
    page.get_by_label("Filter").first.fill("ECHO acme")
    assert _names(page) == ["acme/echo"]
    page.get_by_label("Filter").first.fill("")
    assert len(_names(page)) == 7


def test_a_reader_of_the_screen_hears_which_models_are_references(browser: Browser, pages: Pages) -> None:
    page = _visit(browser, pages.task).page
    rows = page.locator("#board-tone").get_by_role("row")
    heard = [rows.nth(i).get_by_role("cell").nth(1).aria_snapshot() for i in range(1, 5)]
    assert [" reference " in text for text in heard] == [name.startswith("lab/") for name in _names(page)[:4]]
    assert "lab/alpha reference " in heard[1]
    assert page.get_by_text("never over its own signals").is_visible()


def test_a_model_name_leads_to_its_page_and_back(browser: Browser, pages: Pages) -> None:
    visit = _visit(browser, pages.index)
    visit.page.get_by_role("link", name="Full ranking").click()
    assert visit.page.url == pages.task.as_uri()
    visit.page.locator("#board-tone td.model > a").first.click()
    assert visit.page.url == pages.profile.as_uri()
    assert visit.page.locator("h1").inner_text() == "acme/echo"
    visit.page.get_by_role("link", name="All tasks").click()
    assert visit.page.url == pages.index.as_uri()
    assert all(url.startswith("file:") or url == "data:," for url in visit.requests)
    assert visit.complaints == []


def test_the_report_asks_for_nothing_says_nothing_and_its_players_hold_sound(
    browser: Browser, pages: Pages
) -> None:
    visit = _visit(browser, pages.report)
    page = visit.page
    page.wait_for_function("[...document.querySelectorAll('audio')].every((a) => a.readyState > 0)")
    seconds = page.locator("audio").evaluate_all("(all) => all.map((a) => a.duration)")
    assert len(seconds) == 24
    assert all(s == pytest.approx(0.5) for s in seconds)
    assert [url for url in visit.requests if not url.startswith("data:")] == [pages.report.as_uri()]
    assert visit.complaints == []


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        pytest.param(name, scheme, marks=() if i % 2 == j else pytest.mark.slow)
        for i, name in enumerate(("index", "task", "sounds", "profile", "report"))
        for j, scheme in enumerate(("light", "dark"))
    ],
)
def test_a_phone_shows_a_page_without_sideways_scrolling_in_its_own_colours(
    browser: Browser, pages: Pages, name: str, scheme: str
) -> None:
    visit = _visit(browser, getattr(pages, name), width=390, scheme=scheme)
    page = visit.page
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(251, 251, 250)", "dark": "rgb(15, 20, 24)"}[scheme]
    assert visit.complaints == []


def test_a_table_that_is_wider_than_the_screen_says_so(browser: Browser, pages: Pages) -> None:
    hints = {width: _visit(browser, pages.task, width=width).page.locator(".hint") for width in (390, 1280)}
    assert hints[390].first.is_visible()
    assert hints[390].first.inner_text() == "Scroll sideways to see all columns →"
    assert not any(hint.is_visible() for hint in hints[1280].all())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_cells_of_a_heat_map_stand_out_from_the_page_the_more_they_hold(
    browser: Browser, pages: Pages, scheme: str
) -> None:
    page = _visit(browser, pages.task, scheme=scheme).page
    cells = page.locator(".grid tbody td:not(.own):not(.none)").evaluate_all(
        "(all) => all.map((td) => [parseFloat(td.innerText), getComputedStyle(td).backgroundColor])"
    )
    assert len({value for value, _ in cells}) >= 3
    by_value = sorted((value, sum(map(int, re.findall(r"\d+", colour)))) for value, colour in cells)
    light = [shade for _, shade in by_value]
    assert light == sorted(light, reverse=scheme == "light")


def test_a_cell_of_the_heat_map_leads_to_the_pair_and_from_there_to_its_sounds(
    browser: Browser, pages: Pages
) -> None:
    visit = _visit(browser, pages.task)
    page = visit.page
    cell = page.locator(".grid tbody tr").nth(1).locator("td a").nth(3)
    told = cell.get_attribute("aria-label") or ""
    assert told.startswith("signals of beta, judged by echo: transfer ")
    cell.hover()
    assert page.locator(".readout").inner_text() == told
    page.get_by_role("button", name="Lift", exact=True).last.click()
    assert "judged by echo: lift +" in (cell.get_attribute("aria-label") or "")
    page.get_by_role("button", name=MINIMAL, exact=True).last.click()
    page.locator(".grid tbody td a").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/models/*")
    assert page.url == f"{pages.profile.as_uri()}#pair-tone-lab__beta"
    row = page.locator("tr:target")
    assert row.get_by_role("rowheader").inner_text().startswith("beta")
    row.get_by_role("link", name="listen").click()
    assert page.url == f"{pages.sounds.as_uri()}#pair-of-lab__beta"
    assert page.locator("article:target h3").inner_text().startswith("Signal of beta")
    assert visit.complaints == []


@pytest.mark.parametrize("n", [16, pytest.param(None, id="all", marks=pytest.mark.slow)])
def test_the_sounds_of_a_task_can_be_played(browser: Browser, pages: Pages, n: int | None) -> None:
    page = _visit(browser, pages.sounds).page
    length_of = """(audio) => new Promise((tell) => {
        audio.onloadedmetadata = () => tell(audio.duration);
        audio.onerror = () => tell(audio.error.message);
        audio.preload = "metadata";
        audio.load();
    })"""
    players = page.locator("audio").all()
    # The swap, the matched control and the signal itself of three references; a signal may lack a control.
    assert len(players) == page.locator(".player").count() > 12 * (1 + 3 * 2)
    some = players if n is None else random.Random(0).sample(players, n)
    seconds = [audio.evaluate(length_of) for audio in some]
    assert all(s == pytest.approx(0.5) for s in seconds)


def test_without_a_script_the_first_rows_are_there(browser: Browser, pages: Pages) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(pages.task.as_uri())
    assert len(_names(page)) == 7
    assert not page.get_by_label("Filter").first.is_visible()
    context.close()


def test_the_page_of_a_task_is_walked_by_keyboard(browser: Browser, pages: Pages) -> None:
    page = _visit(browser, pages.task).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    seen = set()
    for _ in range(50):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.tagName"))
    assert {"A", "BUTTON", "INPUT", "SUMMARY"} <= seen


def test_a_script_that_got_into_a_page_would_not_run(browser: Browser, pages: Pages, tmp_path: Path) -> None:
    text = pages.index.read_text(encoding="utf-8")
    spoiled = tmp_path / "index.html"
    spoiled.write_text(text.replace("</main>", "<script>document.title = 'mine'</script></main>"))
    visit = _visit(browser, spoiled)
    assert visit.page.title().startswith("goodenough")
    assert any("Content Security Policy" in said for said in visit.complaints)
