"""What can be asked of the Hub without changing anything."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import yaml

from tests.helpers.hub import discussions
from tests.helpers.hub.answers import Answer, Refused, Request, json_answer
from tests.helpers.hub.discussions import Discussion
from tests.helpers.hub.store import Commit, Entry, Repository

if TYPE_CHECKING:
    from tests.helpers.hub.loopback import LoopbackHub

PAGE = {"tree": 1000, "commits": 50, "discussions": 10}
"""Lines of an answer; the rest is asked for with another request."""

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def commit_of(repository: Repository, revision: str) -> Commit:
    """The commit that a revision names."""
    commit = repository.find(revision)
    if commit is None:
        raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
    return commit


def whoami(hub: LoopbackHub, request: Request) -> Answer:
    """The user of a token."""
    role = "read" if request.user in hub.readonly else "write"
    token = {"displayName": "test", "role": role}
    orgs = [{"type": "org", "name": "org", "roleInOrg": role}]
    auth = {"type": "access_token", "accessToken": token}
    names = dict.fromkeys(("id", "name", "fullname"), request.user)
    return json_answer({"type": "user", **names, "orgs": orgs, "auth": auth})


def listing(hub: LoopbackHub, request: Request) -> Answer:
    """Repositories of a kind, e.g. those with an author, or a word in their names."""
    term, author = request.query.get("search", "").lower(), request.query.get("author")
    names = [n for n in hub.store.names(request.parts[1]) if hub.shows(n, request.user)]
    names = [n for n in names if term in n.split("/", 1)[1].lower() and author in (None, n.split("/")[1])]
    opened = [r for r in map(hub.store.open, names) if r is not None]
    return json_answer([_facts(hub, r, commit_of(r, "main"), blobs=False) for r in opened])


def info(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """A repository at a revision."""
    commit = commit_of(repository, rest[0] if rest else "main")
    return json_answer(
        _facts(hub, repository, commit, blobs=request.query.get("blobs", "").lower() == "true")
    )


def _facts(hub: LoopbackHub, repository: Repository, commit: Commit, *, blobs: bool) -> dict[str, Any]:
    head = card_head(hub, commit) or {}
    tags = head.get("tags") or []
    facts = {
        "id": repository.repo_id,
        "author": repository.repo_id.split("/")[0],
        "sha": commit.oid,
        "lastModified": commit.date,
        "createdAt": repository.created,
        "private": repository.name in hub.private,
        "gated": "manual" if repository.name in hub.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": tags if isinstance(tags, list) else [tags],
        "cardData": head or None,
        "siblings": [_sibling(path, entry, blobs=blobs) for path, entry in sorted(commit.tree.items())],
        "usedStorage": sum(len(hub.store.blobs[sha256]) for sha256 in repository.objects),
    }
    if repository.kind == "model":
        facts |= {k: head[k] for k in ("pipeline_tag", "library_name") if k in head}
    return facts


def card_head(hub: LoopbackHub, commit: Commit) -> dict[str, Any] | None:
    """The YAML head of the card, which the Hub reads for its clients."""
    if "README.md" not in commit.tree:
        return None
    return head_of(hub.store.blobs[commit.tree["README.md"].sha256].decode())


def head_of(card: str) -> dict[str, Any] | None:
    """The YAML between the first two lines `---`."""
    found = re.match(r"\s*---\n(.*?)\n---(\n|$)", card, re.DOTALL)
    head = yaml.safe_load(found[1]) if found else None
    return head if isinstance(head, dict) else None


def _sibling(path: str, entry: Entry, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    known = {"rfilename": path, "size": entry.size, "blobId": entry.oid}
    lfs = {"sha256": entry.sha256, "size": entry.size, "pointerSize": len(entry.pointer)}
    return {**known, "lfs": lfs} if entry.is_lfs else known


def tree(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Files and folders below a path."""
    commit, path = commit_of(repository, rest[0]), "/".join(rest[1:]).strip("/")
    prefix = f"{path}/" if path else ""
    recursive = request.query.get("recursive", "").lower() in ("true", "1")
    paths = {p for p in (*commit.tree, *_folders(commit)) if p.startswith(prefix)}
    if path and not paths:
        raise Refused(404, f"{path} does not exist on {rest[0]!r}", "EntryNotFound")
    selection = sorted(p for p in paths if recursive or "/" not in p.removeprefix(prefix))
    expand = request.query.get("expand", "").lower() in ("true", "1")
    return paged(hub, request, "tree", [_line(repository, commit, p, expand=expand) for p in selection])


def paths_info(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """What lies at some paths; those that do not exist are left out."""
    commit, form = commit_of(repository, rest[0]), request.form()
    expand = form.get("expand") == ["true"]
    paths = [p.rstrip("/") for p in form.get("paths", [])]
    found = [p for p in paths if p in commit.tree or p in _folders(commit)]
    return json_answer([_line(repository, commit, p, expand=expand) for p in found])


def _folders(commit: Commit) -> set[str]:
    return {parent.as_posix() for p in commit.tree for parent in list(PurePosixPath(p).parents)[:-1]}


def _line(repository: Repository, commit: Commit, path: str, *, expand: bool) -> dict[str, Any]:
    entry = commit.tree.get(path)
    if entry is None:
        below = "".join(f"{p}\0{e.oid}\n" for p, e in sorted(commit.tree.items()) if p.startswith(f"{path}/"))
        oid = hashlib.sha1(below.encode(), usedforsecurity=False).hexdigest()
        line: dict[str, Any] = {"type": "directory", "path": path, "oid": oid, "size": 0}
    else:
        line = {"type": "file", "path": path, "oid": entry.oid, "size": entry.size}
        if entry.is_lfs:
            line["lfs"] = {"oid": entry.sha256, "size": entry.size, "pointerSize": len(entry.pointer)}
    if expand:
        last = repository.last_change(commit, path)
        line["lastCommit"] = {"id": last.oid, "title": last.title, "date": last.date}
    return line


def refs(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Branches, tags and, if wanted, pull requests."""
    every = repository.refs()

    def below(prefix: str) -> list[dict[str, str]]:
        found = {ref.removeprefix(prefix): oid for ref, oid in every.items() if ref.startswith(prefix)}
        return [{"name": n, "ref": f"{prefix}{n}", "targetCommit": oid} for n, oid in found.items()]

    pulls = [{**line, "name": line["ref"]} for line in below("refs/pr/")]
    with_pulls = {"pullRequests": pulls} if "include_prs" in request.query else {}
    return json_answer(
        {"branches": below("refs/heads/"), "tags": below("refs/tags/"), "converts": [], **with_pulls}
    )


def commits(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """The history of a revision, the newest first."""
    history = repository.history(commit_of(repository, rest[0]))
    lines = [
        {"id": c.oid, "title": c.title, "message": c.message, "date": c.date, "authors": [{"user": c.author}]}
        for c in history
    ]
    return paged(hub, request, "commits", lines)


def paged(hub: LoopbackHub, request: Request, kind: str, lines: list[dict[str, Any]]) -> Answer:
    """A page of lines, and where the next one is."""
    start, size = int(request.query.get("cursor", 0)), PAGE[kind]
    headers = {}
    if start + size < len(lines):
        query = urlencode({**request.query, "cursor": start + size})
        headers["Link"] = f'<{hub.endpoint}{request.headers["path"]}?{query}>; rel="next"'
    return json_answer(lines[start : start + size], headers=headers)


def discussion_of(repository: Repository, number: str) -> Discussion:
    """A discussion by its number."""
    if not number.isdigit() or not 1 <= int(number) <= len(repository.discussions):
        raise Refused(404, f"Discussion not found: {number}")
    return repository.discussions[int(number) - 1]


def discussion(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """A discussion by number, or the list of all, the newest first."""
    if rest:
        one = discussion_of(repository, rest[0])
        return json_answer(discussions.details(hub.store, repository, one))
    kind, status = request.query.get("type", "all"), request.query.get("status", "all")
    is_pull = {"discussion": False, "pull_request": True}.get(kind)
    statuses = {"open": ("open", "draft"), "closed": ("closed", "merged")}.get(status)
    author = request.query.get("author")
    found = [
        d
        for d in reversed(repository.discussions)
        if (is_pull is None or is_pull == (d.head is not None))
        and (statuses is None or d.status in statuses)
        and author in (None, d.author)
    ]
    start = int(request.query.get("p", 0)) * PAGE["discussions"]
    lines = [discussions.summary(repository, d) for d in found[start : start + PAGE["discussions"]]]
    n_closed = sum(d.status in ("closed", "merged") for d in repository.discussions)
    return json_answer(
        {"discussions": lines, "count": len(found), "start": start, "numClosedDiscussions": n_closed}
    )


def resolve(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """The bytes of a file, all or a range of them."""
    commit, path = commit_of(repository, rest[0]), "/".join(rest[1:])
    entry = commit.tree.get(path)
    if entry is None:
        raise Refused(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit.oid)
    headers = {
        "Content-Type": "application/octet-stream",
        "X-Repo-Commit": commit.oid,
        "ETag": f'"{entry.etag}"',
        "Accept-Ranges": "bytes",
    }
    if entry.is_lfs:
        headers |= {"X-Linked-Etag": f'"{entry.etag}"', "X-Linked-Size": str(entry.size)}
    return _part(request.headers.get("range"), hub.store.blobs[entry.sha256], headers)


def _part(byte_range: str | None, content: bytes, headers: dict[str, str]) -> Answer:
    found = _RANGE.fullmatch(byte_range or "")
    if found is None:
        return Answer(200, headers, content)
    size, first = len(content), int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if first > last:
        raise Refused(416, "Range Not Satisfiable", Content_Range=f"bytes */{size}")
    return Answer(
        206, {**headers, "Content-Range": f"bytes {first}-{last}/{size}"}, content[first : last + 1]
    )


def auth_check(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Nothing, when the repository may be read, or written."""
    if rest == ("write",):
        hub.may_write(request.user)
    return json_answer({})
