"""Templates to pages: the one door to jinja2.

Conventions: every text is escaped by jinja (autoescape, and no template marks anything as safe); the only
markup that enters from Python is the SVG of `plots`, which escapes its own text. A page is one file: style
and script stand in it, and its Content-Security-Policy lets it fetch nothing and run no other script.

Public: render, source.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.records import Estimate
from leaderboard import columns, plots


def render(template: str, context: dict[str, Any]) -> str:
    """A page as text.

    Args:
        template: file name in templates/.
        context: what it speaks of.
    """
    return _environment().get_template(template).render(context)


def source(name: str) -> str:
    """A file of templates/ as it stands."""
    environment = _environment()
    text: str = environment.loader.get_source(environment, name)[0] if environment.loader else ""
    return text


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = PackageLoader("leaderboard")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = loader.get_source(environment, "table.js")[0]
    digest = hashlib.sha256(script.encode()).digest()
    environment.filters["value"] = columns.text
    environment.filters["interval"] = columns.interval
    environment.filters["told"] = columns.told
    environment.filters["compact"] = columns.compact
    environment.globals.update(
        bar=_bar,
        board_columns=columns.BOARD,
        rate_columns=columns.RATES,
        whole_columns=columns.WHOLE,
        script=Markup(script),  # noqa: S704 - our own file, byte for byte what the policy allows
        script_hash=f"sha256-{base64.b64encode(digest).decode()}",
    )
    return environment


def _bar(estimate: Estimate | None, kind: str) -> Markup:
    low = -1.0 if kind == "difference" else 0.0
    return Markup(plots.interval_bar(estimate, low))  # noqa: S704 - numbers only
