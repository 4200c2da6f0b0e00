"""Every page of the starter suite and its submissions: found by walking, looked at in every light."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from harness.dataset.suites import Suite
from harness.entries import store
from harness.starter import paths
from leaderboard.board import ranking as table
from leaderboard.board.types import Board
from leaderboard.reports import entry_report
from leaderboard.site import builder
from tests.helpers import page_visits
from tests.helpers import suite_parts as parts
from tests.helpers.repository import SUBMISSIONS

LOOKS = {
    "desktop": {"width": 1280, "height": 900},
    "phone": {"width": 390, "height": 844},
    "dark": {"width": 1280, "height": 900, "dark": True},
}


@dataclass(frozen=True)
class Built:
    root: Path
    board: Board
    pages: tuple[Path, ...]
    """One of each kind: of models a reference and a candidate."""
    is_whole: bool
    """Whether it is of all tasks."""

    def part(self, i: int, n: int) -> tuple[Path, ...]:
        """One of n parts of the pages, which are together all of them; of all tasks every part is all."""
        return self.pages if self.is_whole else self.pages[i::n]


@pytest.fixture(scope="module", params=["one task", pytest.param("all tasks", marks=pytest.mark.slow)])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    out = tmp_path_factory.mktemp("starter")
    suite, submissions = Suite(paths.embedded(), parts.NAME), SUBMISSIONS
    if request.param == "one task":
        suite, submissions = parts.of_tasks(("emotion",), tmp_path_factory.mktemp("task"))
    board = table.build(submissions, suite)
    builder.write(out, board, suite)
    (candidate,) = (f for f in store.find(submissions) if "emotion" in str(f))
    (out / "report").mkdir()
    entry_report.write(
        out / "report" / "report.html", store.read(candidate), store.verdicts(candidate), suite
    )
    kinds: dict[str, Path] = {}
    candidates = {
        builder.page_of(row.entry.model) for r in board.current for row in r.rows if not row.reference
    }
    for page in page_visits.pages_of(out):
        kinds.setdefault(f"{page.parent.name}{page.name in candidates}", page)
    return Built(out, board, tuple(kinds.values()), request.param == "all tasks")


def shown_at(page: Path, built: Built) -> str:
    return page.relative_to(built.root).as_posix()


# Without a browser


class _Anchors(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        self.ids += [known["id"]] if "id" in known else []
        self.links += [known["href"]] if "href" in known and tag == "a" else []
        for name in ("for", "aria-labelledby", "aria-describedby", "aria-controls"):
            self.labels += known.get(name, "").split()

    handle_startendtag = handle_starttag


def test_every_link_leads_to_a_file_and_an_anchor_that_are_there(built: Built) -> None:
    read = {page: _Anchors(page.read_text(encoding="utf-8")) for page in page_visits.pages_of(built.root)}
    n_anchors = 0
    for page, of_page in read.items():
        assert len(of_page.ids) == len(set(of_page.ids)), page
        assert set(of_page.labels) <= set(of_page.ids), page
        for href in of_page.links:
            if href.startswith(page_visits.TO_HUB):
                continue
            parts = urlsplit(href)
            assert not parts.scheme, href
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.is_file(), f"{page.name}: {href}"
            assert target.is_relative_to(built.root), f"{page.name}: {href}"
            if parts.fragment:
                n_anchors += 1
                assert unquote(parts.fragment) in read[target].ids, f"{page.name}: {href}"
    assert n_anchors > len(read)


def test_every_page_is_led_to_from_the_first(built: Built) -> None:
    links = {
        page: {
            (page.parent / unquote(urlsplit(href).path)).resolve()
            for href in _Anchors(page.read_text(encoding="utf-8")).links
            if urlsplit(href).path
        }
        for page in page_visits.pages_of(built.root)
    }
    seen, due = set(), [built.root / "index.html"]
    while due:
        page = due.pop()
        if page not in seen:
            seen.add(page)
            due += [target for target in links[page] if target in links]
    assert {page for page in links if page.parent.name != "report"} == seen


def test_every_page_has_a_title_of_its_own(built: Built) -> None:
    heads = [
        page.read_text(encoding="utf-8").split("</head>")[0] for page in page_visits.pages_of(built.root)
    ]
    titles = [re.findall(r"<title>(.+?)</title>", head) for head in heads]
    assert all(len(found) == 1 for found in titles)
    assert len({found[0] for found in titles}) == len(titles)


# In a browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where pictures of pages are kept."""
    place = Path(os.environ.get("GOODENOUGH_SCREENSHOTS") or tmp_path)
    place.mkdir(parents=True, exist_ok=True)
    return place


@pytest.mark.parametrize("look", LOOKS)
def test_a_page_looked_at_says_nothing_asks_for_nothing_and_fits(
    browser: Browser, built: Built, folder: Path, look: str
) -> None:
    papers = set()
    with page_visits.opened(browser, **LOOKS[look]) as visit:  # type: ignore[arg-type]
        for path in built.part(list(LOOKS).index(look), len(LOOKS)):
            page = visit.open(path)
            page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
            assert page_visits.faults(visit, built.root) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") == LOOKS[look]["width"], path
            papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            page.evaluate("document.querySelectorAll('.chooser').forEach((d) => (d.open = false))")
            name = shown_at(path, built).replace("/", "-").removesuffix(".html")
            picture = page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
            assert picture.startswith(b"\x89PNG")
    assert papers == {"rgb(15, 20, 24)" if look == "dark" else "rgb(251, 251, 250)"}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_has_a_serious_fault_of_accessibility(browser: Browser, built: Built, dark: bool) -> None:
    found: dict[str, list[str]] = {}
    with page_visits.opened(browser, dark=dark, bypass_csp=True) as visit:
        for path in built.part(int(dark), 2):
            page = visit.open(path)
            page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
            lines = page_visits.serious_violations(page)
            if lines:
                found[shown_at(path, built)] = lines
    assert found == {}


def test_every_page_has_landmarks_and_headings_in_order(browser: Browser, built: Built) -> None:
    with page_visits.opened(browser) as visit:
        for path in built.part(0, 3):
            page = visit.open(path)
            for role in ("banner", "main", "contentinfo"):
                assert page.get_by_role(role).count() == 1, (path, role)  # type: ignore[arg-type]
            names = page.get_by_role("navigation").evaluate_all("(all) => all.map((e) => e.ariaLabel)")
            assert names
            assert all(names)
            assert page.locator("html").get_attribute("lang") == "en"
            levels = page.evaluate(
                "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((e) => +e.localName[1])"
            )
            assert levels[0] == 1
            assert levels.count(1) == 1
            assert all(b <= a + 1 for a, b in pairwise(levels)), (path, levels)


def test_the_first_key_leads_past_the_head_and_the_focus_is_seen(browser: Browser, built: Built) -> None:
    with page_visits.opened(browser) as visit:
        for path in built.part(1, 2):
            page = visit.open(path)
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.textContent") == "Skip to content"
            box = page.locator(":focus").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            page.keyboard.press("Enter")
            page.keyboard.press("Tab")
            assert page.evaluate("document.querySelector('main').contains(document.activeElement)"), path
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_the_keyboard_reaches_everything_in_the_order_in_which_it_stands(
    browser: Browser, built: Built
) -> None:
    place = """() => {
        const all = [...document.querySelectorAll("*")];
        const e = document.activeElement;
        const style = getComputedStyle(e);
        return [all.indexOf(e), e.getClientRects().length, style.outlineStyle, e.localName];
    }"""
    with page_visits.opened(browser) as visit:
        for path in built.part(0, 2):
            page = visit.open(path)
            assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0
            before = 0
            for _ in range(40):
                page.keyboard.press("Tab")
                now, n_boxes, outline, name = page.evaluate(place)
                if name == "body":
                    break
                # A player is several stops, all of them of one element.
                assert now > before or (now == before and name == "audio"), path
                assert n_boxes > 0
                assert outline != "none" or name == "audio", path
                before = now
            assert before > 0


def test_nothing_moves_for_those_who_asked_for_it(browser: Browser, built: Built) -> None:
    moving = """[...document.querySelectorAll("*")].filter((e) => {
        const s = getComputedStyle(e);
        const long = (name) => parseFloat(s[name]) > 0.01;
        return long("transitionDuration") || s.scrollBehavior === "smooth"
            || (s.animationName !== "none" && long("animationDuration"));
    }).map((e) => e.localName + "." + e.className)"""
    with page_visits.opened(browser, reduced_motion="reduce") as visit:
        for path in built.part(2, 3):
            page = visit.open(path)
            assert page.evaluate(moving) == [], path
            assert page.evaluate("document.getAnimations().length") == 0, path


# What a reader does


def test_the_ranking_of_the_starter_suite_is_sorted_announced_and_filtered(
    browser: Browser, built: Built
) -> None:
    with page_visits.opened(browser) as visit:
        for ranking in built.board.current:
            page = visit.open(built.root / "tasks" / f"{ranking.task}.html")
            name = page.locator("table.board td.model > a")
            ranked = name.all_inner_texts()
            assert ranked[: len(ranking.rows)] == [row.name for row in ranking.rows]
            head = page.locator("table.board th.accuracy")
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == "descending"
            assert "by accuracy" in page.get_by_role("status").first.inner_text()
            by_hand = sorted(ranking.rows, key=lambda row: -(row.entry.scorecard.whole.accuracy.value or 0.0))
            assert name.first.inner_text() == by_hand[0].name
            head.get_by_role("button").press("Enter")
            assert head.get_attribute("aria-sort") == "ascending"
            page.get_by_role("searchbox").first.fill("no such model")
            assert name.count() == 0
            assert page.get_by_role("status").first.inner_text().startswith("0 of ")
            page.get_by_role("searchbox").first.fill(ranking.rows[-1].name)
            assert name.all_inner_texts() == [ranking.rows[-1].name]
            assert page_visits.faults(visit, built.root) == []


def test_every_cell_of_a_heat_map_leads_to_the_row_of_its_pair(browser: Browser, built: Built) -> None:
    with page_visits.opened(browser) as visit:
        page = visit.open(built.root / "tasks" / "emotion.html")
        cells = page.locator(".grid tbody td a")
        matrix = built.board.current_of("emotion").matrices[0]  # type: ignore[union-attr]
        assert cells.count() == len(matrix.references) * len(matrix.models)
        for i in range(0, cells.count(), 5):
            reference = matrix.references[i // len(matrix.models)]
            model = matrix.models[i % len(matrix.models)]
            cells.nth(i).click()
            # A click does not wait for the page that it leads to.
            expect(page.locator("h1")).to_have_text(model.repo_id)
            row = page.locator("tr:target")
            expect(row).to_be_visible()
            assert reference.repo_id.split("/")[-1] in row.get_by_role("rowheader").inner_text()
            page.go_back()


def test_a_sound_plays_to_its_length_and_stops_the_one_before(browser: Browser, built: Built) -> None:
    pages = [path for path in built.pages if path.parent.name in ("evidence", "report")]
    assert len(pages) == 2
    with page_visits.opened(browser) as visit:
        for path in pages:
            page = visit.open(path)
            first, second = page.locator("audio").nth(0), page.locator("audio").nth(1)
            for player in (first, second):
                player.evaluate("(audio) => audio.play()")
                page.wait_for_function("(a) => a.currentTime > 0.05", arg=player.element_handle())
                assert 0.5 < player.evaluate("(audio) => audio.duration") < 6
            assert first.evaluate("(audio) => audio.paused")
            assert page_visits.faults(visit, built.root) == []
