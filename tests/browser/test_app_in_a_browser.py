"""The app as a visitor meets it: the real command, a real browser, and nobody else on the line."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

from harness.starter import paths
from tests.helpers import board_world as making
from tests.helpers import suite_parts
from tests.helpers.repository import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the path"
)


"""The name of a model."""


@dataclass
class App:
    """The command at work, with a temporary folder of its own."""

    address: str
    temporary: Path
    process: subprocess.Popen[str]

    def rooms(self) -> list[Path]:
        return sorted(self.temporary.glob("goodenough-app-*/room-*"))


@dataclass
class Visit:
    """A page and everything it said and asked for while it was open."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Visiting = Callable[..., Visit]


def started(temporary: Path, environment: dict[str, str], *options: str) -> App:
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "leaderboard", *options],
        cwd=ROOT,
        env={**environment, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return App(process.stdout.readline().strip(), temporary, process)


def ended(app: App, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    app.process.send_signal(number)
    _, errors = app.process.communicate(timeout=60)
    return app.process.returncode, errors


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    import os

    return {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[App]:
    temporary = tmp_path_factory.mktemp("app") / "tmp"
    suite, submissions = suite_parts.of_tasks(("emotion", "music-genre"), tmp_path_factory.mktemp("tasks"))
    shown = ("--signals", str(suite.root), "--submissions", str(submissions))
    options = ("app", *shown, "--port", "0", "--ci-width", "0.3")
    running = started(temporary, environment, *options)
    yield running
    code, errors = ended(running)
    assert code == 0, errors
    assert "Traceback" not in errors
    assert list(temporary.glob("goodenough-app-*")) == []


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visiting]:
    """Opens the app; every page of a test is closed at its end."""
    contexts: list[BrowserContext] = []

    def begin(app: App, width: int = 1280, scheme: str = "light") -> Visit:
        contexts.append(
            browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
            )
        )
        return _opened(contexts[-1], app)

    yield begin
    for context in contexts:
        context.close()


def _opened(context: BrowserContext, app: App) -> Visit:
    visit = Visit(context.new_page())
    visit.page.on("console", lambda said: visit.complaints.append(said.text))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("request", lambda request: visit.requests.append(request.url))
    visit.page.goto(app.address)
    _board(visit.page).locator("h1").wait_for(timeout=60_000)
    return visit


def _board(page: Page) -> FrameLocator:
    return page.frame_locator("iframe.board")


def _names(page: Page) -> list[str]:
    return _board(page).locator("td.model > a").all_inner_texts()


def _candidate(task: str) -> Path:
    return next(folder for folder in paths.models("candidate") if task in folder.name)


def _choose(page: Page, model: str, task: str) -> None:
    page.get_by_role("tab", name="Try a model").click()
    page.get_by_label("Model", exact=True).fill(model)
    page.get_by_label("Task").last.click()
    page.get_by_role("option", name=task).click()


def _nobody_home(app: App) -> bool:
    until = time.monotonic() + 60
    while app.rooms() and time.monotonic() < until:
        time.sleep(0.1)
    return not app.rooms()


def test_the_board_is_the_site_with_its_tables_models_and_sounds(visit: Visiting, app: App) -> None:
    seen = visit(app)
    page, board = seen.page, _board(seen.page)
    board.get_by_role("link", name="music-genre").first.click()
    board.locator("td.model > a").first.wait_for()
    assert _names(page)[0] == "local/starter-genre-data2vec"
    board.get_by_role("searchbox").fill("wav2vec2")
    assert _names(page) == ["local/starter-genre-wav2vec2"]
    board.locator("td.model > a").first.click()
    expect(board.locator("h1")).to_have_text("local/starter-genre-wav2vec2")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open in a new tab").click()
    alone = opened.value
    alone.get_by_role("link", name="emotion").first.click()
    alone.wait_for_url(f"{app.address}site/tasks/emotion.html")
    alone.goto(f"{app.address}site/evidence/emotion.html")
    assert alone.locator("audio").first.evaluate("(a) => a.play().then(() => a.duration)") > 0
    with urllib.request.urlopen(f"{app.address}site/index.html", timeout=20) as answer:  # noqa: S310 - here
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    for path in ("site/../room", "site/%2e%2e/answer.json", "site/.goodenough-site/../.."):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{app.address}{path}", timeout=20)  # noqa: S310 - on this machine
    assert seen.complaints == []


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), pytest.param(390, "dark", marks=pytest.mark.slow)]
)
def test_every_tab_fits_asks_nobody_else_and_has_the_site_s_colours(
    visit: Visiting, app: App, width: int, scheme: str
) -> None:
    seen = visit(app, width, scheme)
    page = seen.page
    for tab, there in (("Leaderboard", "iframe"), ("Evidence", "audio"), ("Try a model", "textarea")):
        page.get_by_role("tab", name=tab).click()
        page.locator(f"{there}:visible").first.wait_for(timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth") == width
    ink = page.locator(".ge h1").evaluate("(h) => getComputedStyle(h).color")
    assert ink == {"light": "rgb(27, 35, 44)", "dark": "rgb(232, 236, 240)"}[scheme]
    assert [url for url in seen.requests if not url.startswith((app.address, "data:"))] == []
    assert seen.complaints == []


def test_every_answer_forbids_the_page_to_fetch_from_elsewhere(app: App) -> None:
    with urllib.request.urlopen(app.address, timeout=20) as answer:  # noqa: S310 - on this machine
        policy = answer.headers["content-security-policy"]
        assert "https://fonts" not in answer.read().decode()
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy


def test_evidence_is_heard_by_the_model_that_is_chosen(visit: Visiting, app: App) -> None:
    page = visit(app).page
    page.get_by_role("tab", name="Evidence").click()
    page.locator("audio").first.wait_for(timeout=60_000)
    page.wait_for_function("[...document.querySelectorAll('audio')].every((a) => a.readyState > 0)")
    cards = page.locator("article.card").all()
    assert cards
    for card in cards:  # clip, signal and swap, and matched where there is one
        assert card.locator("audio").count() in (3, 4)
    assert page.get_by_text("Drawn by the answers of local/starter-emotion-ast").is_visible()
    page.get_by_label("music-genre").last.check()
    page.get_by_text("Drawn by the answers of local/starter-genre-data2vec").wait_for(timeout=60_000)


@pytest.mark.slow
def test_a_model_is_tried_and_its_room_goes_with_its_visitor(visit: Visiting, app: App) -> None:
    seen = visit(app)
    page = seen.page
    _choose(page, "--trust-remote-code", "emotion")
    page.get_by_role("button", name="Try it").click()
    page.get_by_text("no model '--trust-remote-code'; expected a Hub id").wait_for(timeout=60_000)
    page.get_by_label("Model", exact=True).fill(str(_candidate("emotion")))
    page.get_by_role("button", name="Try it").click()
    page.get_by_text(re.compile("Provisional place")).wait_for(timeout=120_000)
    assert page.get_by_text("It is no rank").is_visible()
    assert page.get_by_text("Partial: the headline family alone was judged").is_visible()
    said = page.get_by_label("What the commands say").input_value()
    assert "$ goodenough check --json --task emotion --signals /" in said
    assert "emotion: " in said
    assert not page.get_by_role("button", name="Download the entry").is_visible()
    assert len(app.rooms()) >= 1
    assert seen.complaints == []
    page.context.close()
    assert _nobody_home(app)


@pytest.mark.slow
def test_cancel_ends_the_command_and_the_next_visitor_has_their_turn(visit: Visiting, app: App) -> None:
    page, other = visit(app).page, visit(app).page
    for one in (page, other):
        _choose(one, str(_candidate("genre")), "music-genre")
        one.get_by_role("button", name="Try it").click()
    page.get_by_text(re.compile(r"^Checking, \d+ s$")).wait_for(timeout=60_000)
    other.get_by_text("Waiting for its turn").wait_for(timeout=60_000)
    other.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel").click()
    for one in (page, other):
        one.get_by_role("alert").get_by_text("cancelled").wait_for(timeout=60_000)
        expect(one.get_by_role("button", name="Try it")).to_be_enabled(timeout=60_000)
        assert "$ goodenough evaluate" not in one.get_by_label("What the commands say").input_value()
    for one in (page, other):
        one.context.close()
    assert _nobody_home(app)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # every sound of a task of the starter suite, on whatever machine
def test_a_full_evaluation_is_an_entry_to_download(visit: Visiting, app: App, tmp_path: Path) -> None:
    from harness.entries import store, validate
    from harness.tasks import TASKS

    page = visit(app).page
    _choose(page, str(_candidate("genre")), "music-genre")
    page.get_by_role("button", name="Evaluate fully").click()
    page.get_by_text(re.compile("Provisional place")).wait_for(timeout=1_000_000)
    with page.expect_download() as fetched:
        page.get_by_role("button", name="Download the entry").click()
    fetched.value.save_as(tmp_path / "entry.zip")
    with zipfile.ZipFile(tmp_path / "entry.zip") as archive:
        archive.extractall(tmp_path / "in")
    (folder,) = store.find(tmp_path / "in")
    assert validate.validate_entry(folder, [*TASKS.values()], strict_files=True) == []
    page.context.close()


def test_an_entry_whose_name_is_markup_is_left_out_by_name_and_a_service_can_end_the_app(
    visit: Visiting,
    environment: dict[str, str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    suite, _ = making.made(tmp_path_factory.getbasetemp() / "world")
    entries = tmp_path / "entries"
    making.add_entry(entries, suite, "acme/plain", making.Manner(0.8, 0.2))
    folder = making.add_entry(entries, suite, "acme/hostile", making.Manner(0.9, 0.1))
    text = (folder / "entry.json").read_text()
    hostile = "acme/<img src=x onerror=window.mine=1>${window.mine=1}{{this}}"
    (folder / "entry.json").write_text(text.replace('"acme/hostile"', f'"{hostile}"'))
    options = ("app", "--port", "0", "--submissions", str(entries), "--signals", str(suite.root))
    running = started(tmp_path / "tmp", environment, *options)
    seen = visit(running)
    board = _board(seen.page)
    board.get_by_role("link", name="tone").first.click()
    board.locator("td.model > a").first.wait_for()
    names = _names(seen.page)
    assert "acme/plain" in names
    assert [name for name in names if "<img" in name or "hostile" in name] == []
    assert [frame.evaluate("window.mine") for frame in seen.page.frames] == [None, None]
    assert seen.complaints == []
    seen.page.context.close()
    code, errors = ended(running, signal.SIGTERM)
    assert code == 0, errors
    assert f"left out: {folder}: " in errors
