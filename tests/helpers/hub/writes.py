"""What changes the Hub: repositories, uploads, commits, branches, tags, discussions."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from tests.helpers.hub import discussions
from tests.helpers.hub.answers import Answer, Refused, Request, json_answer
from tests.helpers.hub.reads import commit_of, discussion_of, head_of
from tests.helpers.hub.store import Commit, Conflict, Entry, Repository, is_large

if TYPE_CHECKING:
    from tests.helpers.hub.loopback import LoopbackHub


@dataclass
class Upload:
    """A place that an object may be sent to."""

    repository: Repository
    """Where it is for."""
    oid: str
    """sha256 that it must have."""
    parts: dict[int, bytes] = field(default_factory=dict)
    """What has come, by number, from 1."""


# --- repositories


def create(hub: LoopbackHub, request: Request) -> Answer:
    """Make a repository."""
    user, payload = hub.may_write(request.user), request.json()
    kind = f"{payload.get('type') or 'model'}s"
    name = f"{kind}/{payload.get('organization') or user}/{payload['name']}"
    url = f"{hub.endpoint}/{name.removeprefix('models/')}"
    if hub.store.open(name) is not None:
        words = f"You already created this {kind[:-1]} repo"
        return json_answer({"error": words, "url": url}, 409, {"X-Error-Message": words})
    hub.store.create(name, user)
    if payload.get("visibility") == "private":
        hub.private.add(name)
    return json_answer({"url": url, "name": name.split("/", 1)[1], "id": name})


def delete(hub: LoopbackHub, request: Request) -> Answer:
    """Take a repository away."""
    user, payload = hub.may_write(request.user), request.json()
    name = f"{payload.get('type') or 'model'}s/{payload.get('organization') or user}/{payload['name']}"
    repository = hub.store.open(name)
    if repository is None:
        raise Refused(404, "Repository not found", "RepoNotFound")
    hub.store.delete(repository)
    hub.private.discard(name)
    return json_answer({})


def settings(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Make a repository private, public, gated or open."""
    hub.may_write(request.user)
    payload = request.json()
    if "visibility" in payload:
        (hub.private.add if payload["visibility"] == "private" else hub.private.discard)(repository.name)
    if "gated" in payload:
        (hub.gated.add if payload["gated"] else hub.gated.discard)(repository.name)
    return json_answer(payload)


def validate_yaml(hub: LoopbackHub, request: Request) -> Answer:
    """Whether the head of a card can be read."""
    try:
        head = head_of(request.json()["content"])
    except yaml.YAMLError as error:
        return json_answer({"errors": [{"message": str(error)}], "warnings": []}, 400)
    warning = [] if head else [{"message": "empty or missing yaml metadata in repo card"}]
    return json_answer({"errors": [], "warnings": warning})


# --- uploads


def preupload(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """How each file is to be sent, and what lies there already."""
    hub.may_write(request.user, pull_request=_for_pull_request(request, rest[0]))
    tree = commit_of(repository, rest[0]).tree

    def line(payload: dict[str, Any]) -> dict[str, Any]:
        path = payload["path"]
        known = {"oid": tree[path].etag} if path in tree else {}
        mode = "lfs" if is_large(path, payload["size"]) else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, **known}

    return json_answer({"files": [line(payload) for payload in request.json()["files"]]})


def lfs_batch(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Where to send objects; those that are there need not be sent."""
    payload = request.json()
    ref = payload.get("ref", {}).get("name")
    hub.may_write(request.user, pull_request=ref is None or ref.startswith("refs/pr/"))
    lines = []
    for thing in payload["objects"]:
        line: dict[str, Any] = {"oid": thing["oid"], "size": thing["size"]}
        if thing["oid"] not in repository.objects:
            key = secrets.token_hex(8)
            hub.uploads[key] = Upload(repository, thing["oid"])
            line["actions"] = _actions(hub, key, thing["size"])
        lines.append(line)
    return json_answer({"transfer": "basic", "objects": lines})


def _actions(hub: LoopbackHub, key: str, size: int) -> dict[str, Any]:
    url = f"{hub.endpoint}/lfs/{key}"
    verify = {"href": f"{url}/verify", "header": {}}
    if size <= hub.part_size:
        return {"upload": {"href": url, "header": {}}, "verify": verify}
    numbers = range(1, -(-size // hub.part_size) + 1)
    header = {"chunk_size": str(hub.part_size), **{f"{n:05d}": f"{url}/{n}" for n in numbers}}
    return {"upload": {"href": f"{url}/complete", "header": header}, "verify": verify}


def upload(hub: LoopbackHub, request: Request) -> Answer:
    """Take an object, or a part of one, or the word that all has come."""
    _, key, *step = request.parts
    place = hub.uploads[key]
    if step == ["verify"]:
        message = request.json()
        sizes = {oid: len(hub.store.blobs[oid]) for oid in place.repository.objects}
        if sizes.get(message["oid"]) != message["size"]:
            raise Refused(404, f"{message['oid']} of {message['size']} bytes is not there")
        return json_answer({})
    if step == ["complete"]:
        return _store_object(hub, place, [place.parts[p["partNumber"]] for p in request.json()["parts"]])
    if step:
        place.parts[int(step[0])] = request.body
        return Answer(200, {"ETag": f'"{hashlib.sha256(request.body).hexdigest()}"'})
    return _store_object(hub, place, [request.body])


def _store_object(hub: LoopbackHub, place: Upload, parts: list[bytes]) -> Answer:
    content = b"".join(parts)
    if hashlib.sha256(content).hexdigest() != place.oid:
        raise Refused(400, f"What came is not {place.oid}")
    hub.store.keep(content, is_lfs=True)
    place.repository.objects.add(place.oid)
    return Answer(200, {"ETag": f'"{place.oid}"'})


# --- commits


def commit(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Add a commit to a branch or a pull request, or open a pull request with it."""
    opens = _for_pull_request(request, "")
    user = hub.may_write(request.user, pull_request=_for_pull_request(request, rest[0]))
    head = commit_of(repository, rest[0])
    header, *lines = [json.loads(line) for line in request.body.splitlines() if line]
    title, message = header["value"]["summary"], header["value"].get("description", "")
    parent = header["value"].get("parentCommit")
    if parent is not None and opens:
        head = commit_of(repository, parent)
    elif parent not in (None, head.oid):
        raise Refused(412, "A commit has happened since. Please refresh and try again.")
    tree = _changed(hub, repository, head, lines)
    if not opens:
        hub.may_write(user, pull_request=_owns(repository, rest[0], user))
        added = hub.store.add(repository, head, tree, user, title, message, _target(repository, rest[0]))
        if rest[0].startswith("refs/pr/"):
            pull = discussion_of(repository, rest[0].removeprefix("refs/pr/"))
            discussions.note_commit(hub.store, pull, user, added)
        return json_answer(_told(hub, repository, added))
    pull = discussions.start(hub.store, repository, user, title, message, head)
    ref = f"refs/pr/{pull.number}"
    added = hub.store.add(repository, head, tree, user, title, message, ref)
    discussions.note_commit(hub.store, pull, user, added)
    place = f"{hub.endpoint}/{repository.name.removeprefix('models/')}/discussions/{pull.number}"
    return json_answer({**_told(hub, repository, added), "pullRequestUrl": place})


def _for_pull_request(request: Request, revision: str) -> bool:
    return request.query.get("create_pr") == "1" or revision.startswith("refs/pr/")


def _owns(repository: Repository, revision: str, user: str) -> bool:
    """Whether a revision is a pull request that the user opened."""
    number = revision.removeprefix("refs/pr/")
    return number != revision and discussion_of(repository, number).author == user


def _target(repository: Repository, revision: str) -> str:
    """The ref that a commit moves."""
    name = revision.removeprefix("refs/heads/")
    if name in repository.branches:
        return f"refs/heads/{name}"
    if not revision.startswith("refs/pr/"):
        raise Refused(400, f"{revision} is no branch: nothing can be committed to it")
    if discussion_of(repository, revision.removeprefix("refs/pr/")).status not in ("draft", "open"):
        raise Refused(403, "This pull request is closed")
    return revision


def _changed(
    hub: LoopbackHub, repository: Repository, head: Commit, lines: list[dict[str, Any]]
) -> dict[str, Entry]:
    """The files of a commit once the operations are done."""
    tree = dict(head.tree)
    for line in lines:
        key, value = line["key"], line["value"]
        path = value["path"]
        if path.startswith("/") or {"", ".", "..", ".git"} & set(path.rstrip("/").split("/")):
            raise Refused(400, f"{path!r} is no path")
        if key == "file":
            tree[path] = hub.store.keep(base64.b64decode(value["content"], validate=True), is_lfs=False)
        elif key == "lfsFile":
            if value["oid"] not in repository.objects:
                raise Refused(400, f"LFS pointer of {path} points to a file that was not uploaded")
            tree[path] = hub.store.keep(hub.store.blobs[value["oid"]], is_lfs=True)
        else:
            below = f"{path.rstrip('/')}/"
            goes = {"deletedFile": path.__eq__, "deletedFolder": lambda p, below=below: p.startswith(below)}
            kept = {p: e for p, e in tree.items() if not goes[key](p)}
            if len(kept) == len(tree):
                raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            tree = kept
    return tree


def _told(hub: LoopbackHub, repository: Repository, added: Commit) -> dict[str, Any]:
    url = f"{hub.endpoint}/{repository.name.removeprefix('models/')}/commit/{added.oid}"
    return {"success": True, "commitOid": added.oid, "commitUrl": url, "hookOutput": ""}


# --- branches and tags


def branch(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Make or delete a branch."""
    hub.may_write(request.user)
    name = "/".join(rest)
    if request.method == "DELETE":
        if name == "main":
            raise Refused(403, "The branch main stays")
        if repository.branches.pop(name, None) is None:
            raise Refused(404, f"no branch {name}", "RevisionNotFound")
        return json_answer({})
    start = commit_of(repository, request.json().get("startingPoint") or "main")
    if name in repository.branches:
        raise Refused(409, f"Reference refs/heads/{name} already exists")
    repository.branches[name] = start.oid
    return json_answer({})


def tag(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Make or delete a tag."""
    hub.may_write(request.user)
    if request.method == "DELETE":
        if repository.tags.pop("/".join(rest), None) is None:
            raise Refused(404, f"no tag {'/'.join(rest)}", "RevisionNotFound")
        return json_answer({})
    name, commit = request.json()["tag"], commit_of(repository, rest[0])
    if name in repository.tags:
        raise Refused(409, f"Tag reference exists already: {name}")
    repository.tags[name] = commit.oid
    return json_answer({})


# --- discussions


def discuss(hub: LoopbackHub, repository: Repository, request: Request, rest: tuple[str, ...]) -> Answer:
    """Open a discussion or a pull request, or do something with one."""
    payload = request.json()
    if not rest:
        user = hub.may_write(request.user, pull_request=True)
        base = commit_of(repository, "main") if payload.get("pullRequest") else None
        opened = discussions.start(
            hub.store, repository, user, payload["title"], payload["description"], base
        )
        opened.status = "draft" if base else "open"
        place = f"{hub.endpoint}/{repository.name.removeprefix('models/')}/discussions/{opened.number}"
        return json_answer({"num": opened.number, "url": place, "pullRequest": base is not None})
    one, action = discussion_of(repository, rest[0]), "/".join(rest[1:])
    is_own = one.author == request.user and action in ("title", "status")
    user = hub.may_write(request.user, pull_request=is_own or action == "comment")
    if action == "comment":
        return json_answer({"newMessage": discussions.comment(hub.store, one, user, payload["comment"])})
    if action == "title":
        data = {"from": one.title, "to": payload["title"]}
        one.title = payload["title"]
        return json_answer({"newTitle": discussions.add_event(hub.store, one, user, "title-change", data)})
    message = {}
    if action == "status":
        message = {"newStatus": discussions.set_status(hub.store, one, user, payload["status"])}
    elif action == "merge":
        merge(hub, repository, one, user)
    else:
        raise Refused(404, f"nothing is known of {action!r}")
    if payload.get("comment"):
        discussions.comment(hub.store, one, user, payload["comment"])
    return json_answer(message)


def merge(hub: LoopbackHub, repository: Repository, one: discussions.Discussion, user: str) -> Commit:
    """Merge a pull request.

    Raises:
        Refused: it is none, or not open, or main has changed the same files since.
    """
    if one.head is None or one.status != "open":
        raise Refused(400, f"#{one.number} cannot be merged: it is no pull request, or {one.status}")
    try:
        return discussions.merge(hub.store, repository, one, user)
    except Conflict as found:
        raise Refused(409, f"#{one.number} has conflicts: {', '.join(map(str, found.args))}") from None
