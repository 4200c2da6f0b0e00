"""The Hub itself: who may do what, what goes wrong, and what tests ask of it directly.

huggingface_hub reads HF_ENDPOINT when it is imported: what talks to this Hub runs in a process of its own,
with `LoopbackHub.environment`.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.hub import reads, writes
from tests.helpers.hub.answers import Answer, Refused, Request
from tests.helpers.hub.discussions import Discussion
from tests.helpers.hub.faults import Fault
from tests.helpers.hub.server import Server
from tests.helpers.hub.store import KINDS, Repository, Store

_READS = {
    "revision": reads.info,
    "tree": reads.tree,
    "refs": reads.refs,
    "commits": reads.commits,
    "discussions": reads.discussion,
    "auth-check": reads.auth_check,
    "resolve": reads.resolve,
}
_WRITES = {
    ("POST", "paths-info"): reads.paths_info,
    ("POST", "preupload"): writes.preupload,
    ("POST", "info"): writes.lfs_batch,
    ("POST", "commit"): writes.commit,
    ("POST", "branch"): writes.branch,
    ("DELETE", "branch"): writes.branch,
    ("POST", "tag"): writes.tag,
    ("DELETE", "tag"): writes.tag,
    ("POST", "discussions"): writes.discuss,
    ("PUT", "settings"): writes.settings,
}
_OF_NO_REPOSITORY = {
    ("GET", "api/whoami-v2"): reads.whoami,
    ("GET", "api/models"): reads.listing,
    ("GET", "api/datasets"): reads.listing,
    ("POST", "api/validate-yaml"): writes.validate_yaml,
    ("POST", "api/repos/create"): writes.create,
    ("DELETE", "api/repos/delete"): writes.delete,
}
_OF_THE_CLIENT = "/api/agent-harnesses"
"""What huggingface_hub asks for itself, depending on who calls it; it is neither noted nor spoilt."""


class LoopbackHub:
    """Use as a context: it serves while the context is open.

    Repositories are named `<kind>/<org>/<name>`, e.g. `datasets/org/signals` or `models/org/name`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tokens: dict[str, str] = {}
        """Users by token. Reading what is public needs none."""
        self.expired: set[str] = set()
        """Tokens that are good no more."""
        self.readonly: set[str] = set()
        """Users who may not write anything, since their tokens are for reading."""
        self.outsiders: set[str] = set()
        """Users who only open pull requests and comment; what is private they do not see."""
        self.private: set[str] = set()
        """Repositories that are for users only, outsiders not among them."""
        self.gated: set[str] = set()
        """Repositories nobody may read, e.g. `models/org/name`."""
        self.part_size = 8 << 20
        """Larger objects are uploaded in parts of so many bytes."""
        self.requests: list[str] = []
        """`METHOD path` of everything asked, in order."""
        self.ranges: list[str] = []
        """`METHOD path range` of every request for a part of a file."""
        self.fired: list[tuple[Fault, str]] = []
        """Faults that happened, and to which request."""
        self.broken: list[BaseException] = []
        """Faults of the Hub itself, or of its use; the context ends with the first of them."""
        self.store = Store(root)
        self.uploads: dict[str, writes.Upload] = {}
        self._faults: list[Fault] = []  # each as often as it is still to happen
        self._lock = threading.RLock()
        self._server = Server(self.answer)
        self.endpoint = self._server.endpoint

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        if self.broken and error is None:
            raise self.broken[0]

    def environment(self, cache: Path, token: str | None = None) -> dict[str, str]:
        """What a process needs in its environment to talk to this Hub, and to no other."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING_FACE"))}
        return {
            **inherited,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
            **({} if token is None else {"HF_TOKEN": token}),
        }

    # --- what tests ask of it

    def commit(self, repository: str, revision: str = "main") -> str:
        """40 hexadecimal digits of the commit that a revision names."""
        with self._lock:
            return reads.commit_of(self._open(repository), revision).oid

    def files(self, repository: str, revision: str = "main") -> dict[str, bytes]:
        """Content of a repository by path."""
        with self._lock:
            tree = reads.commit_of(self._open(repository), revision).tree
            return {path: self.store.blobs[entry.sha256] for path, entry in tree.items()}

    def titles(self, repository: str, revision: str = "main") -> list[str]:
        """Titles of the commits of a revision, the newest first."""
        with self._lock:
            found = self._open(repository)
            return [c.title for c in found.history(reads.commit_of(found, revision))]

    def tags(self, repository: str) -> dict[str, str]:
        """Commits by tag."""
        with self._lock:
            return dict(self._open(repository).tags)

    def discussions(self, repository: str) -> list[Discussion]:
        """Discussions and pull requests, the oldest first."""
        with self._lock:
            return list(self._open(repository).discussions)

    def merge(self, repository: str, number: int, user: str = "owner") -> str:
        """Merge a pull request, and say what main is then.

        Raises:
            Refused: it is none, or not open, or main has changed the same files since.
        """
        with self._lock:
            found = self._open(repository)
            one = reads.discussion_of(found, str(number))
            return writes.merge(self, found, one, user).oid

    def fail(self, fault: Fault) -> None:
        """Let something go wrong; faults that were asked for earlier go first."""
        with self._lock:
            self._faults += [fault] * fault.times

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._faults.clear()

    def _open(self, name: str) -> Repository:
        found = self.store.open(name)
        if found is None:
            raise KeyError(f"no repository {name}")
        return found

    # --- requests

    def answer(self, request: Request) -> Answer:
        """Carry out a request, or what a fault makes of it."""
        path = request.headers["target"]
        if path == _OF_THE_CLIENT:
            return Refused(404, "not served here").answer
        with self._lock:
            self.requests.append(f"{request.method} {path}")
            if "range" in request.headers:
                self.ranges.append(f"{request.method} {path} {request.headers['range']}")
            fault = self._next_fault(request.method, path)
            if fault is None:
                return self._carry_out(request)
            self.fired.append((fault, f"{request.method} {path}"))
            answer = None if fault.prevents(request.method) else self._carry_out(request)
            spoilt = fault.spoil(answer, request.method)
            if spoilt == answer and fault.kind != "slow":
                self.broken.append(ValueError(f"{fault} can do nothing to {request.method} {path}"))
        time.sleep(fault.seconds)
        return spoilt

    def _next_fault(self, method: str, path: str) -> Fault | None:
        for i, fault in enumerate(self._faults):
            if fault.fits(method, path):
                return self._faults.pop(i)
        return None

    def _carry_out(self, request: Request) -> Answer:
        try:
            return self._route(replace(request, user=self._user(request.headers.get("authorization"))))
        except Refused as refused:
            return refused.answer
        except Exception as error:
            self.broken.append(error)
            return Refused(500, f"the Hub of the tests broke: {error!r}").answer

    def _route(self, request: Request) -> Answer:
        parts = request.parts
        if parts[0] == "lfs":
            return writes.upload(self, request)
        general = _OF_NO_REPOSITORY.get((request.method, "/".join(parts)))
        if general is not None:
            return general(self, request)
        is_api = parts[0] == "api"
        parts = parts[1:] if is_api else parts
        if is_api and parts[0] not in KINDS:
            raise Refused(404, f"{'/'.join(request.parts)} is not known to the Hub of the tests")
        if parts[0] not in KINDS:
            parts = ("models", *parts)
        name = "/".join(parts[:3]).removesuffix(".git")
        verb, rest = parts[3] if len(parts) > 3 else "revision", parts[4:]
        repository = self._readable(name, request.user)
        is_read = request.method in ("GET", "HEAD")
        found = _READS.get(verb) if is_read else _WRITES.get((request.method, verb))
        if found is None or (is_read and is_api == (verb == "resolve")):
            raise Refused(
                404, f"{request.method} {'/'.join(request.parts)} is not known to the Hub of the tests"
            )
        return found(self, repository, request, rest)

    # --- who may do what

    def _user(self, header: str | None) -> str | None:
        token = (header or "").removeprefix("Bearer ")
        if not token:
            return None
        if token not in self.tokens or token in self.expired:
            # The Hub says the same of both.
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.tokens[token]

    def _readable(self, name: str, user: str | None) -> Repository:
        repository = self.store.open(name)
        if repository is None or not self.shows(name, user):
            # The Hub does not tell a stranger whether something private is there.
            raise Refused(401 if user is None else 404, "Repository not found", "RepoNotFound")
        if name in self.gated:
            raise Refused(403, "Access to this repository is restricted", "GatedRepo")
        return repository

    def shows(self, name: str, user: str | None) -> bool:
        """Whether somebody may know that a repository is there."""
        return name not in self.private or (user is not None and user not in self.outsiders)

    def may_write(self, user: str | None, *, pull_request: bool = False) -> str:
        """The user, who may write, or open pull requests and comment when that is all that is wanted.

        Raises:
            Refused: not so.
        """
        if user is None:
            raise Refused(401, "Invalid username or password.", "RepoNotFound")
        if user in self.readonly:
            raise Refused(403, "This token is for reading: it has no write permission")
        if user in self.outsiders and not pull_request:
            raise Refused(403, "pass `create_pr=1` as a query parameter to create a Pull Request")
        return user
