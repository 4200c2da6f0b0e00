"""The documentation: built without a warning, and looked at in a browser; nothing comes from another host."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
import yaml
from playwright.sync_api import Browser, Page, Route, expect

import goodenough
from harness import cli
from tests.helpers import page_visits, recorded_answers
from tests.helpers.repository import ROOT

SECONDS = 900
"""A build takes less than a minute on an idle machine."""

pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Site:
    folder: Path
    said: str
    """Everything that the build said."""
    address: str
    """Where it is served."""

    @property
    def pages(self) -> list[str]:
        """Paths of its pages."""
        return [path.relative_to(self.folder).as_posix() for path in page_visits.pages_of(self.folder)]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, built once with --strict, and a server of it; most answers of the model are there already."""
    folder, cache = tmp_path_factory.mktemp("documentation"), tmp_path_factory.mktemp("cache")
    recorded_answers.put_candidate("emotion", cache / "library")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "NO_MKDOCS_2_WARNING": "1",
            "GOODENOUGH_CACHE": str(cache),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder, built.stdout + built.stderr, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


# Without a browser


class _Loaded(HTMLParser):
    """Addresses that a page loads when it is opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        loads = {"src", "srcset", "poster", "data"} | ({"href"} if tag in ("link", "use", "image") else set())
        if known.get("rel") not in ("canonical", "prev", "next"):
            self.addresses += [known[name] for name in loads & set(known)]


def test_the_site_is_built_without_a_warning(site: Site) -> None:
    assert re.findall(r"^(?:WARNING|ERROR).*", site.said, re.MULTILINE) == []
    assert "Documentation built" in site.said


def test_every_page_of_the_folder_is_in_the_navigation(site: Site) -> None:
    assert {"index.html", "404.html", "reference/cli.html", "reference/api.html"} <= set(site.pages)
    assert "INFO    -  The following pages exist" not in site.said
    assert not list(site.folder.rglob("*.py"))


def test_no_page_names_another_host_from_which_something_is_loaded(site: Site) -> None:
    for name in site.pages:
        loaded = _Loaded((site.folder / name).read_text(encoding="utf-8")).addresses
        assert loaded
        assert [a for a in loaded if urlsplit(a).netloc] == [], name
    for path in site.folder.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"@import|url\(\s*[\"']?(?:https?:)?//", text) == [], path.name


def _commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield " ".join([*words, name]), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))


def test_the_reference_has_every_command_with_every_option(site: Site) -> None:
    text = (site.folder / "reference" / "cli.html").read_text(encoding="utf-8")
    n_options = 0
    for words, command in _commands(cli.goodenough):
        section = text.split(f'<h{len(words.split()) + 1} id="{words.replace(" ", "-")}">')[1].split("<h2")[0]
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                n_options += 1
                assert f"<code>{option.opts[0]}" in section, (words, option.opts)
    assert n_options > 100


def test_the_reference_has_every_public_name(site: Site) -> None:
    text = (site.folder / "reference" / "api.html").read_text(encoding="utf-8")
    names = [name for name in goodenough.__all__ if name != "__version__"]
    assert [name for name in names if f'id="goodenough.{name}"' not in text] == []
    for method in ("Suite.signals", "Result.to_frame", "Result.save", "Signal.play", "Classifier.logits"):
        assert f'id="goodenough.{method}"' in text


def test_the_site_says_what_the_benchmarks_say(site: Site) -> None:
    shown = (site.folder / "benchmarks.html").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", (ROOT / "tests/benchmarks/README.md").read_text(), re.MULTILINE)
    assert headings
    assert [heading for heading in headings if f">{heading}<" not in shown] == []


def test_its_versions_are_pinned() -> None:
    plugins = {"mkdocs", "mkdocs-material", "mkdocstrings", "mkdocstrings-python", "griffelib", "jupytext"}
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert plugins | {"nbclient", "ipykernel", "pymdown-extensions"} <= pinned
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text())["strict"] is True


# In a browser


@dataclass
class Look:
    page: Page
    said: list[str]
    """Messages of the console, and errors."""
    asked: list[str]
    """Addresses outside of the site that were asked for."""


@pytest.fixture
def look(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Look]:
    width, dark = getattr(request, "param", (1280, False))
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    seen = Look(context.new_page(), [], [])
    seen.page.on("console", lambda message: seen.said.append(f"{message.type}: {message.text}"))
    seen.page.on("pageerror", lambda error: seen.said.append(f"error: {error}"))

    def answer(route: Route) -> None:
        url = route.request.url
        if url.startswith((site.address, site.folder.as_uri(), "data:", "blob:")):
            route.continue_()
        else:
            seen.asked.append(url)
            route.abort()

    context.route("**/*", answer)
    yield seen
    context.close()


LOOKS = {"desktop": (1280, False), "dark": (1280, True), "phone": (390, False)}


@pytest.mark.parametrize("share", ["some", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS, indirect=True)
def test_a_page_looked_at_asks_no_other_host_says_nothing_and_fits(
    look: Look, site: Site, share: str, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id.split("-")[0]
    pages = site.pages if share == "all" else site.pages[list(LOOKS).index(name) :: 5 * len(LOOKS)]
    pictures = os.environ.get("GOODENOUGH_SCREENSHOTS")
    width, _ = LOOKS[name]
    faults: dict[str, list[str]] = {}
    for path in pages:
        look.page.goto(f"{site.address}/{path}")
        found = page_visits.serious_violations(look.page)
        if (n := look.page.evaluate("document.documentElement.scrollWidth")) != width:
            found.append(f"{n} pixels wide, expected {width}")
        if pictures:
            picture = f"{path.removesuffix('.html').replace('/', '-')}-{name}.png"
            look.page.screenshot(path=Path(pictures) / picture)
        if found + look.said + look.asked:
            faults[path] = found + look.said + look.asked
        look.said.clear()
        look.asked.clear()
    assert faults == {}


@pytest.mark.parametrize("place", ["served", "opened as a file"])
def test_the_search_finds_a_page_without_another_host(look: Look, site: Site, place: str) -> None:
    root = site.address if place == "served" else site.folder.as_uri()
    look.page.goto(f"{root}/reference/cli.html")
    box = look.page.get_by_role("textbox", name="Search")
    box.click()
    expect(look.page.locator(".md-search-result__meta")).to_have_text("Type to start searching")
    box.fill("Halper")
    box.press("n")  # what is typed counts when a key is released
    hit = look.page.locator(".md-search-result__link[href*='definitions.html']").first
    expect(hit).to_be_visible()
    hit.click()
    expect(look.page.locator("h1")).to_contain_text("Definitions")
    assert look.page.url.startswith(root)
    assert look.said == look.asked == []


def test_the_scheme_is_chosen_and_kept(look: Look, site: Site) -> None:
    look.page.goto(f"{site.address}/index.html")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert look.page.evaluate(paper) == "rgb(251, 251, 250)"
    for name in ("Switch to light mode", "Switch to dark mode"):
        look.page.get_by_title(name).click()
    assert look.page.evaluate(paper) == "rgb(15, 20, 24)"
    look.page.goto(f"{site.address}/definitions.html")
    assert look.page.evaluate(paper) == "rgb(15, 20, 24)"
