"""Renders templates to pages: the only module that uses jinja2.

Conventions: every text is escaped by jinja (autoescape, and no template marks anything as safe), characters
that reverse the direction of writing are replaced, and very long texts are cut (`escaping`); the only markup
from Python is the SVG of `plots` and the rows of `pair_table`, which escape their own text, data for a script
(`embed`) and base64. A page is one file with its style and script, and its Content-Security-Policy lets it
fetch nothing and run no other script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.plurals import plural
from harness.types import PROTOCOL, Estimate
from leaderboard import exports, formatting
from leaderboard.board import columns, remarks
from leaderboard.escaping import neutral
from leaderboard.plots import inline

SCRIPTS = MappingProxyType(
    {
        "table": ("table.js", "scroll.js", "scheme.js"),
        "board": ("common.js", "compare.js", "board.js", "matrix.js", "start.js", "scroll.js", "scheme.js"),
    }
)
"""Scripts of pages, each made of these files; a page has one of them."""

_IN_SCRIPT = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render(template: str, context: dict[str, Any]) -> str:
    """A page as text, of a file in templates/ and its variables; Markdown is not escaped."""
    environment = _environment()
    if template.endswith(".md.j2"):
        environment = environment.overlay(autoescape=False, finalize=None)
    return environment.get_template(template).render(context)


def picture(template: str, context: dict[str, Any]) -> Markup:
    """An SVG as markup, of a file in templates/ and its variables."""
    return Markup(render(template, context))  # noqa: S704 - jinja has escaped its texts


def embed(data: Any) -> Markup:
    """Data for a script of the page, as JSON that cannot end its script element."""
    text = json.dumps(_neutral_data(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_IN_SCRIPT))  # noqa: S704 - nothing in it opens or ends a tag


@lru_cache(maxsize=1)
def version() -> str:
    """A hash of the code and the templates of this package: when it changes every page is made again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".js", ".css", ".j2"):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = PackageLoader("leaderboard")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"value": formatting.text, "plain": _plain, "interval": formatting.interval}
    environment.filters |= {"summary": formatting.format_estimate, "plural": plural}
    environment.filters |= {"compact": formatting.compact, "architecture": formatting.architecture}
    environment.globals.update(
        bar=_bar,
        fill=inline.fill,
        ink=inline.ink,
        ramp=inline.ramp,
        board_columns=columns.BOARD,
        rate_columns=columns.RATES,
        whole_columns=columns.WHOLE,
        too_few=formatting.TOO_FEW,
        remarks=remarks,
        protocol=PROTOCOL,
        badge_path=exports.badge_path,
        snippet=exports.snippet,
        scripts={
            name: _script("".join(loader.get_source(environment, part)[0] for part in parts))
            for name, parts in SCRIPTS.items()
        },
    )
    return environment


def _script(text: str) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {
        "text": Markup(text),  # noqa: S704 - our own file, byte for byte what the policy allows
        "hash": f"sha256-{digest}",
    }


def _neutral_data(data: Any) -> Any:
    """The data with every text in it neutralised."""
    if isinstance(data, str):
        return neutral(data)
    if isinstance(data, dict):
        return {neutral(key): _neutral_data(value) for key, value in data.items()}
    return [_neutral_data(value) for value in data] if isinstance(data, list | tuple) else data


def _finalize(value: Any) -> Any:
    return neutral(value) if type(value) is str else value


def _plain(value: Any, kind: formatting.Kind) -> str:
    """A number without its unit, for columns with one unit."""
    return formatting.text(value, kind).partition(formatting.THIN)[0]


def _bar(estimate: Estimate | None, kind: str, axis: tuple[float, float] | None = None) -> Markup:
    low, high = axis or (-1.0 if kind == "difference" else 0.0, 1.0)
    return Markup(inline.interval_bar(estimate, low, high))  # noqa: S704 - numbers only
