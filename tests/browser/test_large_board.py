"""Ten thousand models on the page of a task: all of them found, few of them in the document at a time.

How long it takes is measured in `tests.benchmarks.pages`.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from leaderboard.rankings import FIRST
from tests.benchmarks import pages
from tests.browser import visits

N = 10_000


def test_ten_thousand_models_are_sorted_filtered_and_paged_and_few_stand_in_the_document(
    browser: Browser, tmp_path: Path
) -> None:
    path = tmp_path / "task.html"
    pages.write(path, pages.made_up(N, 3))
    assert path.stat().st_size < 5_000_000
    with visits.opened(browser) as visit:
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
