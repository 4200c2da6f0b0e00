"""Files and anchors of the site, and the few external addresses that a page may link to.

Conventions: every path and anchor is made of letters, digits, `.`, `_` and `-` alone, whatever a model or a
task is called; a name that had to be changed for that gets a hash. An external address is always that of a
repository of the Hub with a valid id.
"""

from __future__ import annotations

import re
from functools import lru_cache

from harness.hub import repository
from harness.seeds import seed_of
from harness.types import ModelRef

_LOCAL_OWNERS = ("local", "embedded")
"""Owners in the ids of local folders."""

INDEX, DIRECTORY = "index.html", "models.html"
"""Page of all models, below the site."""


def page_of(model: ModelRef) -> str:
    """File name of a model's page."""
    return f"{_plain(f'{model.slug}-{model.revision[:12]}', repr(model))}.html"


def task_page(task: str) -> str:
    """File name of a task's page, and of its evidence in another folder."""
    return f"{anchor(task)}.html"


def anchor(name: str) -> str:
    """A name as an id on a page."""
    return _plain(name, name)


def class_anchor(task_anchor: str) -> str:
    """Anchor of the transfer by class on a model's page."""
    return f"classes-{task_anchor}"


def pair_anchor(task_anchor: str, reference: ModelRef) -> str:
    """Anchor of the row of a reference on a model's page."""
    return f"pair-{task_anchor}-{_plain(reference.slug, repr(reference))}"


def hub_page(repo_id: str, revision: str | None = None) -> str | None:
    """Address of a model on the Hub; None for a local folder or an invalid id."""
    owner = repo_id.split("/")[0]
    if owner in _LOCAL_OWNERS or not repo_id.isascii() or repository.split(repo_id) != (repo_id, None):
        return None
    commit = f"/tree/{revision}" if re.fullmatch("[0-9a-f]{40}", revision or "") else ""
    return f"https://huggingface.co/{repo_id}{commit}"


@lru_cache(maxsize=2**16)
def _plain(name: str, identity: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")
    is_changed = plain != name or not 0 < len(plain) <= 150
    return f"{plain[:150]}-{seed_of('page', identity):x}" if is_changed else plain
