"""Pages of which every text is a stranger's and no check refused it: nothing runs, all is shown as text."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from leaderboard.texts import neutral
from tests.browser import spoiled, visits
from tests.browser.spoiled import Spoiled
from tests.leaderboard import world as making


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Spoiled:
    return spoiled.made(tmp_path_factory.mktemp("spoiled"))


def as_read(text: str) -> str:
    """A text as a browser holds it: what hides is a mark (`neutral`), and line ends are of one kind."""
    return neutral(text).replace("\r\n", "\n").replace("\r", "\n")


def folded(text: str) -> str:
    return " ".join(text.split())


def some(pages: list[Path], n: int) -> list[Path]:
    """The pages that there is one of, and a seeded sample of those of models and of hostile tasks."""
    many = [page for page in pages if page.parent.name in ("models", "tasks") and page.name != "tone.html"]
    return [*(page for page in pages if page not in many), *random.Random(0).sample(many, n)]


def test_no_page_runs_or_fetches_what_a_stranger_wrote(browser: Browser, world: Spoiled) -> None:
    _look(browser, world, some(visits.pages_of(world.root), 24))


@pytest.mark.slow
def test_none_of_all_pages_runs_or_fetches_what_a_stranger_wrote(browser: Browser, world: Spoiled) -> None:
    _look(browser, world, visits.pages_of(world.root))


def _look(browser: Browser, world: Spoiled, pages: list[Path]) -> None:
    found: dict[str, list[str]] = {}
    with visits.opened(browser) as visit:
        for path in pages:
            root = world.site if path.is_relative_to(world.site) else path.parent
            page = visit.open(path)
            page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
            for button in page.locator("thead button:visible").all()[:3]:
                button.click()
            for field in page.locator("input[type=search]:visible").all()[:2]:
                field.fill("<script>\"'`]),")
                field.fill("")
            page.mouse.move(640, 450)
            if lines := visits.faults(visit, root):
                found[path.name] = lines[:10]
    assert found == {}


def test_the_figures_run_nothing_when_they_are_opened_alone(browser: Browser, world: Spoiled) -> None:
    figures = sorted(world.root.rglob("*.svg"))
    assert len(figures) > 4
    with visits.opened(browser) as visit:
        for path in figures:
            visit.open(path)
            # The browser asks for an icon, and matplotlib's figures refer to shapes of their own by `#`.
            lines = [line for line in visits.faults(visit, path.parent) if "leads elsewhere" not in line]
            assert [line for line in lines if "fetches" not in line] == [], path


def test_the_name_of_a_model_is_the_heading_of_its_page_letter_by_letter(
    browser: Browser, world: Spoiled
) -> None:
    wanted = {folded(as_read(text)) for text in world.texts}
    shown = set()
    with visits.opened(browser, java_script_enabled=False) as visit:
        for path in some(visits.pages_of(world.site / "models"), 24):
            page = visit.open(path)
            heading = folded(page.locator("h1").text_content() or "")
            assert heading in wanted or heading in making.REFERENCES
            assert folded(page.title()) == folded(heading)
            shown.add(heading)
    assert len(shown) > 20


def test_the_table_of_a_task_shows_every_name_as_it_is(browser: Browser, world: Spoiled) -> None:
    with visits.opened(browser) as visit:
        page = visit.open(world.site / "tasks" / "tone.html")
        shown: set[str] = set()
        while True:
            shown |= {folded(text) for text in page.locator("#board-tone td.model > a").all_text_contents()}
            on = page.locator(".pager button:visible").last
            if on.count() == 0 or on.is_disabled():
                break
            on.click()
        assert visits.faults(visit, world.site) == []
    missing = {folded(as_read(text)) for text in world.texts} - shown
    assert missing == set()


def test_a_name_turns_no_text_beside_it_round(browser: Browser, world: Spoiled) -> None:
    turning = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
    for path in visits.pages_of(world.site):
        assert not turning.search(path.read_text(encoding="utf-8")), path
