"""Ten thousand models on the page of a task: all of them found, few of them in the document at a time.

How long it takes is measured in `tests.benchmarks.pages`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from leaderboard.board.types import Board
from leaderboard.site.task_page import FIRST
from tests.benchmarks import pages
from tests.helpers import page_visits

N = 10_000

TOO_WIDE = "all => all.filter((cell) => cell.scrollWidth > cell.clientWidth).length"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a task with that many models."""
    made = tmp_path_factory.mktemp("large") / "task.html"
    pages.write_page(made, pages.made_up(N, 3))
    return made


def test_ten_thousand_models_are_sorted_filtered_and_paged_and_few_stand_in_the_document(
    browser: Browser, path: Path
) -> None:
    assert path.stat().st_size < 5_000_000
    with page_visits.opened(browser) as visit:
        page = visit.open(path)
        rows, name = page.locator("table.board tbody tr"), page.locator("table.board td.model > a")
        count, status = page.locator(".pager span"), page.get_by_role("status").first

        def few() -> bool:
            n_elements: int = page.evaluate("document.querySelectorAll('*').length")
            return rows.count() <= FIRST + 1 and n_elements < 4_000

        assert few()
        assert count.inner_text() == f"1 to {FIRST} of 10,000"
        page.get_by_role("button", name="Next").click()
        assert few()
        assert name.first.inner_text() == f"org-{FIRST}/model-{FIRST:05}"
        page.locator("th.parameters button").click()
        page.locator("th.parameters button").click()
        assert few()
        assert name.first.inner_text() == f"org-{(N - 1) % 97}/model-{N - 1:05}"
        page.get_by_role("searchbox").fill("model-04")
        assert few()
        assert status.inner_text().startswith("1,000 of 10,000 models")
        page.get_by_role("searchbox").fill("model-04711")
        assert name.all_inner_texts() == [f"org-{4711 % 97}/model-04711"]
        assert visit.said == []
        assert visit.asked == [path.resolve().as_uri()]


@pytest.mark.parametrize("width", [360, pytest.param(700, marks=pytest.mark.slow)])
def test_a_place_among_thousands_is_read_beside_a_name_that_stays(
    browser: Browser, path: Path, width: int
) -> None:
    with page_visits.opened(browser, width=width) as visit:
        page = visit.open(path, f"?page={N // FIRST}")
        ranks = page.locator("td.rank")
        assert ranks.last.inner_text().split() == ["10000", "9996–10004"]
        page.locator(".ranking .scroll").evaluate("area => (area.scrollLeft = 9999)")
        assert page.locator(".ranking .scroll").evaluate("area => area.scrollLeft") > 100
        assert ranks.evaluate_all(TOO_WIDE) == 0
        area, rank, name = (
            place.bounding_box()
            for place in (page.locator(".ranking .scroll"), ranks.last, page.locator("td.model").last)
        )
        assert area is not None
        assert rank is not None
        assert name is not None
        assert rank["x"] == pytest.approx(area["x"] + 1, abs=1)
        assert name["x"] == pytest.approx(rank["x"] + rank["width"], abs=1)
        assert name["x"] + name["width"] < area["x"] + area["width"] - 60


@pytest.mark.parametrize("n", [12, pytest.param(400, marks=pytest.mark.slow)])
def test_no_place_is_cut_off_by_the_name_beside_it(browser: Browser, tmp_path: Path, n: int) -> None:
    (ranking,) = pages.made_up(n, 3).rankings
    rows = tuple(replace(row, panel_low=row.rank_low, panel_high=row.rank_high) for row in ranking.rows)
    pages.write_page(tmp_path / "task.html", Board((replace(ranking, rows=rows),)))
    for width in (360, 700):
        with page_visits.opened(browser, width=width) as visit:
            page = visit.open(tmp_path / "task.html", f"?page={-(-n // FIRST)}")
            ranks = page.locator("td.rank")
            assert ranks.last.inner_text().split() == [f"{n}", f"{n - 4}–{n + 4}", f"({n - 4}–{n + 4})"]
            assert ranks.evaluate_all(TOO_WIDE) == 0
