"""A page in a browser, everything it says and asks for, and what must hold of any page of ours.

Conventions: pages are found by walking every .html below a folder, so that a new kind of page is tested from
the day it is made. A fault is one line; a page without any is a list without any.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

TO_HUB = "https://huggingface.co/"
"""The one address outside that a page may lead to."""

_WATCH = """
window.__broken = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.__broken.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

_LOOK = """() => {
  const all = [...document.querySelectorAll("*")];
  const attributes = all.flatMap((e) => [...e.attributes]
    .map((a) => [e.localName, a.name.toLowerCase(), a.value]));
  const addresses = new Set(["href", "xlink:href", "src", "action", "formaction", "data", "srcset", "poster",
    "background", "ping", "cite", "manifest", "codebase", "srcdoc", "to", "from", "values"]);
  const scripts = [...document.querySelectorAll("script")];
  return {
    pwned: "__pwned" in window,
    broken: window.__broken,
    tags: [...new Set(all.map((e) => e.localName))],
    handlers: attributes.filter(([, name]) => name.startsWith("on")),
    addresses: attributes.filter(([tag, name]) => addresses.has(name)),
    styles: attributes.filter(([, name]) => name === "style").map(([, , value]) => value),
    sheets: [...document.querySelectorAll("style")].map((e) => e.textContent),
    policy: document.querySelector("meta[http-equiv='Content-Security-Policy']")?.content ?? "",
    metas: [...document.querySelectorAll("meta[http-equiv]")].map((e) => e.httpEquiv),
    programs: scripts.filter((e) => e.type !== "application/json").map((e) => e.textContent),
    data: scripts.filter((e) => e.type === "application/json").map((e) => e.textContent),
  };
}"""

_FORBIDDEN = (
    *("iframe", "frame", "object", "embed", "applet", "base", "form", "portal", "math", "foreignobject"),
    *("animate", "animatetransform", "animatemotion", "set", "image", "template", "slot", "dialog"),
)


@dataclass
class Visit:
    """A page and everything it said and asked for while it was open."""

    page: Page
    said: list[str] = field(default_factory=list)
    """Console messages, errors and dialogs."""
    asked: list[str] = field(default_factory=list)
    """Addresses asked for, those of data in the page left out."""

    def open(self, path: Path, fragment: str = "") -> Page:
        """Go there, and forget what was."""
        self.said.clear()
        self.asked.clear()
        self.page.goto(path.resolve().as_uri() + fragment)
        return self.page


@contextmanager
def opened(
    browser: Browser, *, width: int = 1280, height: int = 900, dark: bool = False, **options: Any
) -> Iterator[Visit]:
    """A fresh context without a network; further options are Playwright's."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        offline=True,
        **options,
    )
    context.add_init_script(_WATCH)
    visit = Visit(context.new_page())
    visit.page.on("console", lambda message: visit.said.append(f"{message.type}: {message.text}"))
    visit.page.on("pageerror", lambda error: visit.said.append(f"error: {error}"))
    visit.page.on("popup", lambda popup: visit.said.append(f"popup: {popup.url}"))
    visit.page.on("request", lambda request: _asked(visit, request.url))

    def asked_back(dialog: Any) -> None:
        visit.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    visit.page.on("dialog", asked_back)
    try:
        yield visit
    finally:
        context.close()


def _asked(visit: Visit, url: str) -> None:
    if not url.startswith("data:"):
        visit.asked.append(url)


def pages_of(root: Path) -> list[Path]:
    """Every page below a folder."""
    found = sorted(root.rglob("*.html"))
    assert found
    return found


def faults(visit: Visit, root: Path) -> list[str]:
    """What does not hold of the page that is open.

    Args:
        visit: of a page below `root`.
        root: folder of the site; links inside lead to files below it.
    """
    here = Path(unquote(urlsplit(visit.page.url).path))
    seen = visit.page.evaluate(_LOOK)
    found = [f"said {line}" for line in visit.said]
    found += [f"asked for {url}" for url in visit.asked if url.split("#")[0] != here.as_uri()]
    found += ["ran what a stranger wrote"] if seen["pwned"] else []
    found += [f"tried to break the policy: {line}" for line in seen["broken"]]
    found += [f"holds <{tag}>" for tag in seen["tags"] if tag.lower() in _FORBIDDEN]
    found += [f"holds <{tag} {name}={value!r}>" for tag, name, value in seen["handlers"]]
    found += [
        f"<{tag} {name}={value[:80]!r}> leads elsewhere"
        for tag, name, value in seen["addresses"]
        if not _may_lead(value, here, root.resolve(), tag)
    ]
    found += [f"style {style!r} fetches" for style in seen["styles"] if re.search(r"url|@|expression", style)]
    found += ["a sheet of styles fetches" for sheet in seen["sheets"] if re.search(r"url\(|@import", sheet)]
    found += [f"holds meta {name}" for name in seen["metas"] if name != "Content-Security-Policy"]
    if here.suffix == ".html":
        found += [
            "holds a script that its policy does not name"
            for program in seen["programs"]
            if base64.b64encode(hashlib.sha256(program.encode()).digest()).decode() not in seen["policy"]
        ]
        found += [] if seen["policy"].startswith("default-src 'none'") else ["has no policy"]
    return found


def serious_violations(page: Page) -> list[str]:
    """What axe finds serious or critical on the page that is open: a line for each rule."""
    answer = Axe().run(page).response
    assert answer["violations"] or answer["testEngine"]["name"] == "axe-core"
    lines = []
    for violation in answer["violations"]:
        if violation["impact"] in ("serious", "critical"):
            nodes = violation["nodes"]
            first = f"{nodes[0]['html'][:120]} {nodes[0].get('failureSummary', '')[:200]}"
            lines.append(f"{violation['id']}: {len(nodes)}, as {first}")
    return lines


def _may_lead(value: str, here: Path, root: Path, tag: str) -> bool:
    if value.startswith(("data:,", "data:image/", "data:audio/")) and tag in ("img", "audio", "link"):
        return ";base64," in value or value == "data:,"
    if value.startswith("https:"):
        parts = urlsplit(value)
        return tag == "a" and parts.netloc == "huggingface.co" and value.startswith(TO_HUB)
    if re.match(r"[\w.+-]+:|[/\\]|\s", value) or not value:
        return False
    path = (here.parent / unquote(urlsplit(value).path)).resolve() if not value.startswith("#") else here
    return path.is_file() and path.is_relative_to(root)
