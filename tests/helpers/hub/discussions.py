"""Discussions and pull requests."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import Any

from tests.helpers.hub.store import Commit, Conflict, Entry, Repository, Store, changes, merged


@dataclass
class Discussion:
    """A discussion; a pull request if it has a head."""

    number: int
    """From 1, discussions and pull requests counted together."""
    title: str
    """One line."""
    author: str
    """The user who opened it."""
    created: str
    """Date."""
    status: str
    """`draft`, `open`, `closed` or `merged`."""
    base: str | None = None
    """Id of the commit it departed from, None for a discussion."""
    head: str | None = None
    """Id of its last commit, None for a discussion."""
    merge_commit: str | None = None
    """Id of the commit on main that merged it."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """Comments, commits and changes of status and title, as the Hub tells them."""


def start(
    store: Store, repository: Repository, user: str, title: str, description: str, base: Commit | None
) -> Discussion:
    """Open a discussion, or a pull request that departs from a commit."""
    oid = base.oid if base else None
    number = len(repository.discussions) + 1
    discussion = Discussion(number, title, user, store.now(), "open", oid, oid)
    repository.discussions.append(discussion)
    comment(store, discussion, user, description)
    return discussion


def add_event(
    store: Store, discussion: Discussion, user: str, kind: str, data: dict[str, Any]
) -> dict[str, Any]:
    """Note that something happened."""
    event = {
        "id": f"{discussion.number:08x}{len(discussion.events):016x}",
        "type": kind,
        "createdAt": store.now(),
        "author": {"name": user},
        "data": data,
    }
    discussion.events.append(event)
    return event


def comment(store: Store, discussion: Discussion, user: str, words: str) -> dict[str, Any]:
    """Add a comment."""
    latest = {"raw": words, "html": words, "updatedAt": store.now(), "author": {"name": user}}
    data = {"edited": False, "hidden": False, "latest": latest, "history": [latest]}
    return add_event(store, discussion, user, "comment", data)


def set_status(store: Store, discussion: Discussion, user: str, status: str) -> dict[str, Any]:
    """Change the status."""
    discussion.status = status
    return add_event(store, discussion, user, "status-change", {"status": status})


def note_commit(store: Store, discussion: Discussion, user: str, commit: Commit) -> None:
    """Note that a commit was pushed to it."""
    add_event(store, discussion, user, "commit", {"subject": commit.title, "oid": commit.oid})


def merge(store: Store, repository: Repository, discussion: Discussion, user: str) -> Commit:
    """Put what a pull request changes onto main, as one commit.

    Raises:
        Conflict: main has changed the same files since.
    """
    base, head = repository.commits[str(discussion.base)], repository.commits[str(discussion.head)]
    main = repository.commits[repository.branches["main"]]
    tree = merged(base.tree, main.tree, head.tree)
    title = f"{discussion.title} (#{discussion.number})"
    commit = store.add(repository, main, tree, user, title, f"- {head.title} ({head.oid})", "refs/heads/main")
    discussion.merge_commit = commit.oid
    set_status(store, discussion, user, "merged")
    return commit


def conflicts(repository: Repository, discussion: Discussion) -> list[str]:
    """Files that keep a pull request from being merged."""
    if discussion.status == "merged":
        return []
    base, head = repository.commits[str(discussion.base)], repository.commits[str(discussion.head)]
    try:
        merged(base.tree, repository.commits[repository.branches["main"]].tree, head.tree)
    except Conflict as found:
        return [str(path) for path in found.args]
    return []


def summary(repository: Repository, discussion: Discussion) -> dict[str, Any]:
    """A line of the list of discussions."""
    return {
        "num": discussion.number,
        "title": discussion.title,
        "author": {"name": discussion.author},
        "createdAt": discussion.created,
        "status": discussion.status,
        "isPullRequest": discussion.head is not None,
        "numComments": sum(event["type"] == "comment" for event in discussion.events),
        "repo": {"name": repository.repo_id, "type": repository.kind},
    }


def details(store: Store, repository: Repository, discussion: Discussion) -> dict[str, Any]:
    """All that there is to tell."""
    summary_json = {**summary(repository, discussion), "events": discussion.events}
    if discussion.head is None:
        return summary_json
    merge_commit = {} if discussion.merge_commit is None else {"mergeCommitId": discussion.merge_commit}
    return {
        **summary_json,
        "changes": {"base": "refs/heads/main", **merge_commit},
        "filesWithConflicts": conflicts(repository, discussion),
        "diff": _diff(store, repository, discussion),
    }


def _diff(store: Store, repository: Repository, discussion: Discussion) -> str:
    base, head = repository.commits[str(discussion.base)], repository.commits[str(discussion.head)]
    lines: list[str] = []
    for path, entry in changes(base.tree, head.tree).items():
        old, new = _text(store, base.tree.get(path)), _text(store, entry)
        names = (f"a/{path}" if path in base.tree else "/dev/null", f"b/{path}" if entry else "/dev/null")
        lines += [f"diff --git a/{path} b/{path}", *difflib.unified_diff(old, new, *names, lineterm="")]
    return "\n".join(lines) + "\n"


def _text(store: Store, entry: Entry | None) -> list[str]:
    if entry is None:
        return []
    text = entry.pointer if entry.is_lfs else store.blobs[entry.sha256].decode(errors="replace")
    return text.splitlines()
