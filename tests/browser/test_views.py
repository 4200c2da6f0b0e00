"""What a reader makes of a table: a view that a link shows again, models side by side, a sheet of a view."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from leaderboard.board import ranking as table
from leaderboard.board.types import Board
from leaderboard.site import builder
from tests.helpers import board_world as making
from tests.helpers import page_visits
from tests.helpers.families import HEADLINE, MINIMAL


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> tuple[Board, Path]:
    suite, submissions = making.made(tmp_path_factory.getbasetemp() / "world")
    made = table.build(submissions, suite)
    return made, builder.write(tmp_path_factory.mktemp("views") / "site", made, suite).parent


def _names(page: Page) -> list[str]:
    return page.locator("#board-tone td.model > a").all_inner_texts()


def _query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_a_link_shows_the_view_again_and_says_only_what_is_not_as_it_was(
    browser: Browser, board: tuple[Board, Path]
) -> None:
    task = board[1] / "tasks" / "tone.html"
    with page_visits.opened(browser) as visit:
        page = visit.open(task)
        assert _query(page) == {}
        page.get_by_role("searchbox").fill("lab")
        page.locator("#board-tone th.transfer button").click()
        page.get_by_label("Show").first.select_option("references")
        page.locator(".ranking .switch button", has_text=MINIMAL).first.click()
        page.get_by_text("Columns", exact=True).first.click()
        page.get_by_label("Accuracy").first.uncheck()
        page.locator(".matrix .switch button", has_text="Lift").click()
        names, told = _names(page), page.locator("#board-tone td.transfer").all_inner_texts()
        assert len(names) == 3
        found = _query(page)
        assert found.pop("columns")[0].split(".")[:3] == ["lift", "placement", "transfer"]
        assert found == {
            "q": ["lab"],
            "show": ["reference"],
            "sort": ["-transfer"],
            "family": [MINIMAL],
            "measure": ["lift"],
        }
        address = page.url
        assert visit.said == []
        with page_visits.opened(browser) as other:
            again = other.page
            again.goto(address)
            assert _names(again) == names
            assert again.locator("#board-tone td.transfer").all_inner_texts() == told
            assert again.locator("#board-tone th.accuracy").is_hidden()
            assert again.get_by_role("searchbox").input_value() == "lab"
            assert again.locator(".matrix button[aria-pressed=true]").all_inner_texts()[0] == "Lift"
            assert again.url == address
            again.get_by_role("searchbox").fill("")
            assert "q" not in _query(again)


def test_the_rates_of_the_other_family_are_those_of_the_entries(
    browser: Browser, board: tuple[Board, Path]
) -> None:
    with page_visits.opened(browser) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html", f"?family={MINIMAL}")
        rows = board[0].current[0].rows
        shown = page.locator("#board-tone td.transfer").all_inner_texts()
        for row, text in zip(rows, shown, strict=False):
            (score,) = (f for f in row.entry.scorecard.families if f.family == MINIMAL)
            assert float(text) == pytest.approx(100 * score.rates.transfer.value, abs=0.051)
        assert f"places of family {HEADLINE}" in page.get_by_role("status").first.inner_text()


@pytest.mark.parametrize(
    "query",
    [
        "?sort=__proto__&page=1e9&columns=constructor.__proto__&show=toString&with=../../x&family=%00&measure=no",
        "?q="
        + quote("<img src=x onerror=alert(1)>")
        + "&page=-3&sort=--lift&architecture=<b>&size=NaN&licence=[",
        "?" + "&".join(f"{k}={'9' * 2000}" for k in ("q", "page", "sort", "with", "columns", "size")),
    ],
)
def test_an_address_that_means_harm_or_nothing_does_nothing(
    browser: Browser, board: tuple[Board, Path], query: str
) -> None:
    with page_visits.opened(browser) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html", query)
        assert visit.said == []
        page.get_by_role("searchbox").fill("")
        assert len(_names(page)) == 7
        assert page.locator(".comparison").first.is_hidden()
        assert page.evaluate("document.querySelectorAll('img').length") == 0


def test_models_stand_side_by_side_with_their_places_in_words(
    browser: Browser, board: tuple[Board, Path]
) -> None:
    ranking = board[0].current[0]
    first, *_, last = ranking.rows
    with page_visits.opened(browser) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html")
        for row in (first, last):
            page.get_by_role("button", name=f"Compare {row.name}", exact=True).click()
        panel = page.locator(".comparison").first
        told = panel.inner_text()
        overlap = first.rank_high >= last.rank_low
        assert ("overlap: not told apart" in told) == overlap
        assert ("do not overlap" in told) != overlap
        line = panel.locator("tr", has=page.get_by_role("rowheader", name="Lift", exact=True))
        lifts = [row.entry.scorecard.headline.rates.lift for row in (first, last)]
        for text, lift in zip(line.locator("td").all_inner_texts(), lifts, strict=True):
            assert f"{100 * abs(lift.value):.1f}" in text
            assert f"n {lift.n}" in text
        panel.get_by_text("Reference by reference").click()
        of_pair = ranking.matrices[0].cells[ranking.matrices[0].references[0], first.entry.model]
        cell = panel.locator("details tbody tr").first.locator("td").first
        assert f"{100 * abs(of_pair.rates.lift.value):.1f}" in cell.inner_text()
        assert len(_query(page)["with"][0].split()) == 2
        page.reload()
        assert panel.inner_text().splitlines()[:3] == told.splitlines()[:3]
        page.get_by_role("button", name=f"Compare {first.name} no more").click()
        page.get_by_role("button", name=f"Compare {last.name} no more").click()
        assert panel.is_hidden()
        assert _query(page) == {}
        assert visit.said == []


def test_the_sheet_of_a_view_has_its_rows_and_columns_with_intervals(
    browser: Browser, board: tuple[Board, Path], tmp_path: Path
) -> None:
    with page_visits.opened(browser, accept_downloads=True) as visit:
        page = visit.open(
            board[1] / "tasks" / "tone.html", "?show=reference&columns=lift.parameters&sort=model"
        )
        with page.expect_download() as fetched:
            page.get_by_role("button", name="CSV of this view").click()
        fetched.value.save_as(tmp_path / "view.csv")
        names = _names(page)
    with (tmp_path / "view.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["model"] for line in lines] == names
    assert list(lines[0]) == [
        *("rank", "rank_low", "rank_high", "panel_low", "panel_high", "model"),
        *("lift", "lift_low", "lift_high", "lift_n", "parameters"),
    ]
    rows = {row.name: row for row in board[0].current[0].rows}
    for line in lines:
        lift = rows[line["model"]].entry.scorecard.headline.rates.lift
        assert [float(line["lift"]), float(line["lift_low"])] == pytest.approx(
            [lift.value, lift.low], abs=6e-4
        )
        assert int(line["lift_n"]) == lift.n


LINES = (
    """[[[0, 0, 1, 2], [1, "=HYPERLINK(1)", "@x\\r\\ny,\\"z\\""]], [[0, 0, 1, 2], [null, "-2", "plain"]]]"""
)


def test_a_sheet_holds_no_formula(browser: Browser, board: tuple[Board, Path]) -> None:
    with page_visits.opened(browser) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html")
        columns = '[["rank", "", "count"], ["model", "", "text"], ["status", "", "text"]]'
        made = page.evaluate(f"() => sheet({columns}, [0, 1, 2], {LINES})")
    assert list(csv.reader(made.splitlines(keepends=True))) == [
        ["rank", "rank_low", "rank_high", "panel_low", "panel_high", "model", "status"],
        ["1", "1", "2", "", "", "'=HYPERLINK(1)", '\'@x\r\ny,"z"'],
        ["", "1", "2", "", "", "'-2", "plain"],
    ]


def test_menus_leave_what_they_name_and_one_without_a_choice_is_not_there(
    browser: Browser, board: tuple[Board, Path], tmp_path: Path
) -> None:
    current, *others = board[0].rankings
    facts = [
        ("mit", 10**5, "head"),
        (None, 2 * 10**6, "zero-shot"),
        ("=cc-by", 5 * 10**6, "head"),
        ("mit", 3 * 10**9, "language model"),
    ]
    rows = tuple(
        replace(
            row,
            entry=replace(
                row.entry, facts=replace(row.entry.facts, licence=licence, n_parameters=n, kind=kind)
            ),
        )
        for row, (licence, n, kind) in zip(current.rows, facts, strict=False)
    )
    made = replace(current, rows=rows, unranked=())
    index = builder.write(tmp_path / "site", Board((made, *others)), None)
    with page_visits.opened(browser) as visit:
        page = visit.open(index.parent / "tasks" / "tone.html")
        page.locator("#board-tone th.swap button").focus()
        expect(page.locator(".help").first).to_contain_text("Swap: Acceptance of the swap control")
        ranking = page.locator(".ranking").first
        licence, size = (ranking.locator(f"#{key}-board-tone") for key in ("licence", "size"))
        assert licence.locator("option").all_inner_texts() == ["any", "=cc-by", "mit", "not stated"]
        assert ranking.locator("#architecture-board-tone").count() == 0
        for option in ("=cc-by", "mit", "not stated"):
            licence.select_option(option)
            assert _names(page) == [r.name for r in rows if (r.entry.facts.licence or "not stated") == option]
        licence.select_option("any")
        kind = ranking.locator("#kind-board-tone")
        assert kind.locator("option").all_inner_texts() == ["any", "head", "language model", "zero-shot"]
        kind.select_option("zero-shot")
        assert _names(page) == [rows[1].name]
        assert ranking.locator("tbody .badge", has_text="zero-shot").count() == 1
        kind.select_option("any")
        size.select_option("at most 10 M")
        assert _names(page) == [row.name for row in rows[:3]]
        organisation = ranking.locator("#organisation-board-tone")
        assert organisation.locator("option").all_inner_texts()[0] == "any"
        organisation.select_option("lab")
        assert _names(page) == [row.name for row in rows[:3] if row.name.startswith("lab/")]
        organisation.select_option("any")
        size.select_option("over 1 G")
        assert _names(page) == [rows[3].name]
        assert visit.said == []


def test_the_heat_map_by_class_has_the_numbers_of_the_entries_and_leads_to_them(
    browser: Browser, board: tuple[Board, Path]
) -> None:
    ranking = board[0].current[0]
    with page_visits.opened(browser) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html", "?measure=lift")
        page.get_by_role("button", name="by class").click()
        assert page.get_by_role("button", name="Swap", exact=True).last.is_disabled()
        assert _query(page) == {"measure": ["lift"], "rows": ["class"]}
        first = ranking.matrices[0].models[0]
        (row,) = (row for row in ranking.all_rows if row.entry.model == first)
        classes = row.entry.scorecard.headline.by_class
        heads = page.locator(".grid tbody th").all_inner_texts()
        assert heads == sorted(classes)
        for name, line in zip(heads, page.locator(".grid tbody tr").all(), strict=True):
            cell = line.locator("td a").first
            told = cell.get_attribute("aria-label") or ""
            assert told.startswith(f"signals of class {name}, judged by alpha: transfer ")
            assert f"n = {classes[name].n})" in told
            assert float(cell.inner_text()) == pytest.approx(100 * classes[name].value, abs=0.051)
        page.locator(".grid tbody td a").first.click()
        assert page.url.endswith("#classes-tone")
        assert page.locator("#classes-tone").is_visible()
        page.go_back()
        assert page.locator(".grid tbody th").all_inner_texts() == heads
        page.get_by_role("button", name="by reference").click()
        assert page.locator(".grid tbody th").all_inner_texts() == ["alpha", "beta", "gamma"]
        assert "lift" in (page.locator(".grid tbody td a").nth(1).get_attribute("aria-label") or "")
        assert visit.said == []


@pytest.mark.parametrize("width", [360, 1280])
def test_side_by_side_a_long_name_is_whole_and_the_name_of_a_rate_stays(
    browser: Browser, board: tuple[Board, Path], tmp_path: Path, width: int
) -> None:
    current, *others = board[0].rankings
    rows = tuple(
        replace(
            row,
            entry=replace(row.entry, model=replace(row.entry.model, repo_id=f"{'org' * 9}/{i}-{'m' * 40}")),
        )
        for i, row in enumerate(current.rows)
    )
    index = builder.write(tmp_path / "site", Board((replace(current, rows=rows), *others)), None)
    with page_visits.opened(browser, width=width) as visit:
        page = visit.open(index.parent / "tasks" / "tone.html")
        for i in range(4):
            page.locator("#board-tone td.model .pick").nth(i).click()
        panel = page.locator(".comparison").first
        heads = panel.locator("thead").first.locator("th")
        assert heads.count() == 4
        cut = "all => all.filter((cell) => cell.scrollWidth > cell.clientWidth).length"
        assert heads.evaluate_all(cut) == 0
        area = panel.locator(".scroll").first
        area.evaluate("area => (area.scrollLeft = 9999)")
        outer, label = area.bounding_box(), panel.locator("th[scope=row]").first.bounding_box()
        assert outer is not None
        assert label is not None
        assert label["x"] == pytest.approx(outer["x"] + 1, abs=1)
        assert panel.locator("td .ib").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_tap_that_is_no_focus_tells_what_a_column_means(
    browser: Browser, board: tuple[Board, Path]
) -> None:
    with page_visits.opened(browser) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html")
        page.locator("#board-tone th.swap button").evaluate("button => button.click()")
        assert page.evaluate("document.activeElement === document.body")
        expect(page.locator(".help").first).to_contain_text("Swap: Acceptance of the swap control")
        page.locator("#board-tone th.lift button").evaluate("button => button.click()")
        expect(page.locator(".help").first).to_contain_text("Lift: The ranking number")


def test_a_sheet_of_another_family_says_so(
    browser: Browser, board: tuple[Board, Path], tmp_path: Path
) -> None:
    with page_visits.opened(browser, accept_downloads=True) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html", f"?family={MINIMAL}&columns=transfer")
        with page.expect_download() as fetched:
            page.get_by_role("button", name="CSV of this view").click()
        assert fetched.value.suggested_filename == f"board-tone-{MINIMAL}.csv"
        fetched.value.save_as(tmp_path / "view.csv")
    with (tmp_path / "view.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["family"] for line in lines} == {MINIMAL}
    rows = {row.name: row for row in board[0].current[0].rows}
    ranked = [line for line in lines if line["rank"]]
    assert [line["rank"] for line in ranked] == [str(rows[line["model"]].rank) for line in ranked]
    for line in ranked:
        (score,) = (f for f in rows[line["model"]].entry.scorecard.families if f.family == MINIMAL)
        assert float(line["transfer"]) == pytest.approx(score.rates.transfer.value, abs=6e-4)


@pytest.mark.parametrize(
    "query",
    [
        "?family=__proto__",
        "?columns=constructor",
        "?licence=[",
        "?sort=",
        "?sort=rank&page=1&with=",
        "?page=7",
    ],
)
def test_what_an_address_asks_for_in_vain_is_not_passed_on(
    browser: Browser, board: tuple[Board, Path], query: str
) -> None:
    with page_visits.opened(browser) as visit:
        page = visit.open(board[1] / "tasks" / "tone.html", query)
        assert urlsplit(page.url).query == ""
        assert len(_names(page)) == 7
        assert visit.said == []


def _colours(page: Page) -> tuple[str, str]:
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return paper, page.evaluate("getComputedStyle(document.querySelector('.gh .card')).fill")


def test_a_reader_s_choice_of_dark_or_light_outweighs_the_system_s_and_stays(
    browser: Browser, board: tuple[Board, Path]
) -> None:
    light, dark = (
        ("rgb(251, 251, 250)", "rgb(255, 255, 255)"),
        ("rgb(15, 20, 24)", "rgb(21, 27, 33)"),
    )
    for system_is_dark, first, second in ((False, light, dark), (True, dark, light)):
        with page_visits.opened(browser, dark=system_is_dark) as visit:
            page = visit.open(board[1] / "tasks" / "tone.html")
            button = page.locator("button.scheme")
            assert button.inner_text() == ("Light" if system_is_dark else "Dark")
            assert _colours(page) == first
            button.click()
            assert _colours(page) == second
            page.reload()
            assert _colours(page) == second
            other = visit.open(board[1] / "index.html")
            assert other.evaluate("getComputedStyle(document.body).backgroundColor") == second[0]
            other.locator("button.scheme").click()
            assert visit.open(board[1] / "tasks" / "tone.html").evaluate("localStorage.length") == 0
            assert _colours(page) == first
            assert visit.said == []
