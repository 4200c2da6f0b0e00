"""Templates to pages: the one door to jinja2.

Conventions: every text is escaped by jinja (autoescape, and no template marks anything as safe), and what
turns the direction of writing round is shown as a mark, what is far too long is cut (`texts`); the only
markup that enters from Python is the SVG of `plots`, the rows of `profiles`, which escape their own text,
data for a script (`embed`) and base64. A page is one file: style and script stand in it, and its
Content-Security-Policy lets it fetch nothing and run no other script.

Public: render, source, embed, version.
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
from leaderboard.escaping import SYNTHETIC, neutral
from leaderboard.plots import inline

SCRIPTS = MappingProxyType(
    {
        "table": ("table.js", "scheme.js"),
        "board": ("common.js", "compare.js", "board.js", "matrix.js", "start.js", "scheme.js"),
    }
)
"""Each page carries one of them, made of these files."""

_IN_SCRIPT = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render(template: str, context: dict[str, Any]) -> str:
    """A page as text.

    Args:
        template: file name in templates/.
        context: what it speaks of.
    """
    return _environment().get_template(template).render(context)


def embed(data: Any) -> Markup:
    """Data for a script of the page, as JSON that cannot end the element it stands in."""
    text = json.dumps(_calm(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_IN_SCRIPT))  # noqa: S704 - nothing in it opens or ends a tag


@lru_cache(maxsize=1)
def version() -> str:
    """A hash of the code and the templates of this room: with another one every page is made again."""
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
        finalize=_shown,
    )
    environment.filters["value"] = formatting.text
    environment.filters["plain"] = _plain
    environment.filters["interval"] = formatting.interval
    environment.filters["told"] = formatting.format_estimate
    environment.filters["plural"] = plural
    environment.filters["compact"] = formatting.compact
    environment.filters["architecture"] = formatting.architecture
    environment.globals.update(
        bar=_bar,
        board_columns=columns.BOARD,
        rate_columns=columns.RATES,
        whole_columns=columns.WHOLE,
        synthetic_text=SYNTHETIC,
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


def _calm(data: Any) -> Any:
    """Data with every text in it as it may stand on a page."""
    if isinstance(data, str):
        return neutral(data)
    if isinstance(data, dict):
        return {neutral(key): _calm(value) for key, value in data.items()}
    return [_calm(value) for value in data] if isinstance(data, list | tuple) else data


def _shown(value: Any) -> Any:
    return neutral(value) if type(value) is str else value


def _plain(value: Any, kind: formatting.Kind) -> str:
    """A number without its unit, where a column has but one."""
    return formatting.text(value, kind).partition(formatting.THIN)[0]


def _bar(estimate: Estimate | None, kind: str, axis: tuple[float, float] | None = None) -> Markup:
    low, high = axis or (-1.0 if kind == "difference" else 0.0, 1.0)
    return Markup(inline.interval_bar(estimate, low, high))  # noqa: S704 - numbers only
