"""Where things stand on the site: files, anchors, and the few addresses outside that a page may name.

Conventions: every path and anchor is made of letters, digits, `.`, `_` and `-` alone, whatever a model or a
task is called; a name that had to be changed for that is told apart by a hash. An address outside is that of
a repository of the Hub whose id is one, and no other.

Public: DIRECTORY, page_of, task_page, evidence_page, anchor, class_anchor, pair_anchor, hub_page.
"""

from __future__ import annotations

import re
from functools import lru_cache

from harness.hub import repository
from harness.seeds import seed_of
from harness.types import ModelRef

_HERE = ("local", "embedded")
"""Owners of repositories that are folders of somebody's machine."""

DIRECTORY = "models.html"
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


def class_anchor(place: str) -> str:
    """Where a model's page tells what it makes of each class of signals.

    Args:
        place: anchor of the task, or of a ranking of it that is not current.
    """
    return f"classes-{place}"


def pair_anchor(place: str, reference: ModelRef) -> str:
    """Where a model's page tells how it judges the signals of a reference.

    Args:
        place: anchor of the task, or of a ranking of it that is not current.
        reference: whose signals.
    """
    return f"pair-{place}-{_plain(reference.slug, repr(reference))}"


def hub_page(repo_id: str, revision: str | None = None, kind: str = "model") -> str | None:
    """Address of a repository on the Hub; None for a folder of a machine, or what is no id of one."""
    owner = repo_id.split("/")[0]
    if owner in _HERE or not repo_id.isascii() or repository.split(repo_id) != (repo_id, None):
        return None
    place = "datasets/" if kind == "dataset" else ""
    commit = f"/tree/{revision}" if re.fullmatch("[0-9a-f]{40}", revision or "") else ""
    return f"https://huggingface.co/{place}{repo_id}{commit}"


@lru_cache(maxsize=2**16)
def _plain(name: str, whole: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")
    changed = plain != name or not 0 < len(plain) <= 150
    return f"{plain[:150]}-{seed_of('page', whole):x}" if changed else plain
