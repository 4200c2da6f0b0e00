"""The Hugging Face Hub: files fetched and pushed at one moment of a repository, and failures in a line each.

Conventions: a revision is resolved to its commit, 40 hex digits, before anything else; what follows is about
that moment, whatever is pushed meanwhile. Whatever changes a repository looks first at what is there, so that
doing it again, here or by the same command, changes nothing twice. What models need of the Hub is in
`checkpoints`.

Public: Repository, Remote, Offer, commit_of, files_of, fetch, push, offer, tag, require_token, split.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from harness.errors import BadInput

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Told the files done and the bytes they have, since it was last called."""

WAITS = (1.0, 4.0, 15.0)
"""Seconds before each further try when the Hub or the network stumbles."""

_STUMBLES = (429, 500, 502, 503, 504)
_BLOCK = 1 << 20
_AT_ONCE = 5
"""Large files that are sent side by side."""

_REPO_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*")


@dataclass(frozen=True)
class Repository:
    """A dataset or a model of the Hub."""

    repo_id: str
    """`org/name`."""
    kind: Literal["dataset", "model"] = "dataset"
    """Which of the two."""

    def __str__(self) -> str:
        return self.repo_id


@dataclass(frozen=True)
class Remote:
    """A file of a repository."""

    digest: str
    """sha256 of a large file, git's hash of a small one."""
    n_bytes: int
    """Its size."""


@dataclass(frozen=True)
class Offer:
    """A pull request."""

    url: str
    """Where people look at it."""
    number: int
    """Its number."""
    was_open: bool
    """It was there already, with the same content: nothing was sent."""


def split(source: str) -> tuple[str, str | None] | None:
    """`org/name[@revision]` as (repo_id, revision); None where it is no such thing."""
    repo_id, at, revision = source.partition("@")
    if not _REPO_ID.fullmatch(repo_id) or (at and not re.fullmatch(r"[\w./-]+", revision)):
        return None
    return repo_id, revision or None


def require_token(instead: str) -> None:
    """Somebody is logged in.

    Args:
        instead: what can be done without; the end of a sentence.

    Raises:
        BadInput: nobody is.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise BadInput(
            f"not logged in to the Hub, and this needs a token that may write: hf auth login; {instead}"
        )


def commit_of(repository: Repository, revision: str | None) -> str:
    """The commit that a branch, a tag or a commit stands for now; offline, what it stood for last.

    Raises:
        BadInput: no such repository or revision, or it cannot be reached.
    """
    from huggingface_hub import HfApi

    def resolve() -> str:
        api = HfApi()
        found = api.resolve_revision(repository.repo_id, repo_type=repository.kind, revision=revision)
        return str(found.resolved)

    with refusals(repository, revision):
        return _persistently(resolve)


def files_of(repository: Repository, revision: str) -> dict[str, Remote]:
    """What lies there, by path.

    Raises:
        BadInput: see `commit_of`.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    def ask() -> dict[str, Remote]:
        tree = HfApi().list_repo_tree(
            repository.repo_id, repo_type=repository.kind, revision=revision, recursive=True
        )
        files = (item for item in tree if isinstance(item, RepoFile))
        return {f.path: Remote(f.lfs.sha256 if f.lfs else f.blob_id, f.size) for f in files}

    with refusals(repository, revision):
        return _persistently(ask)


def fetch(repository: Repository, commit: str, path: str, *, again: bool = False) -> Path:
    """A file of one commit, from the cache where it is there; a fetch that was cut off is continued.

    Args:
        repository: whose.
        commit: 40 hex digits.
        path: below its root.
        again: what the cache has is not to be trusted.

    Raises:
        BadInput: see `commit_of`; or there is no such file.
    """
    from huggingface_hub import hf_hub_download

    def get() -> Path:
        return Path(
            hf_hub_download(
                repository.repo_id, path, repo_type=repository.kind, revision=commit, force_download=again
            )
        )

    with refusals(repository, commit, path):
        return _persistently(get)


def push(
    repository: Repository,
    files: Mapping[str, Path],
    message: str,
    *,
    private: bool = False,
    ours: Callable[[str], bool] = lambda path: False,
    progress: Progress = lambda n, n_bytes: None,
) -> str:
    """Make a repository hold these files, in one commit; large files go first, and each only once.

    A push that is cut off changes nothing; the next one sends what is missing. A repository that has all of
    it already keeps its commit.

    Args:
        repository: made if need be.
        files: path in the repository -> file.
        message: of the commit.
        private: of a repository that is made.
        ours: whether a path there that is not among the files is to go.
        progress: see `Progress`.

    Returns:
        The commit that holds them.

    Raises:
        BadInput: it cannot be reached or written, or somebody else pushed meanwhile.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()

    def make() -> None:
        api.create_repo(repository.repo_id, repo_type=repository.kind, private=private, exist_ok=True)

    def send() -> str:
        head = commit_of(repository, None)
        there = files_of(repository, head)
        changed = [name for name, path in files.items() if not _is(path, there.get(name))]
        gone = [name for name in there if name not in files and ours(name)]
        if not changed and not gone:
            return head
        additions = [CommitOperationAdd(name, files[name]) for name in changed]
        for i in range(0, len(additions), _AT_ONCE):
            some = additions[i : i + _AT_ONCE]
            api.preupload_lfs_files(repository.repo_id, some, repo_type=repository.kind, free_memory=False)
            progress(len(some), sum(files[addition.path_in_repo].stat().st_size for addition in some))
        operations: list[Any] = [*additions, *(CommitOperationDelete(name) for name in gone)]
        done = api.create_commit(
            repository.repo_id,
            operations,
            repo_type=repository.kind,
            commit_message=message,
            parent_commit=head,
        )
        return done.oid

    with refusals(repository, None):
        _persistently(make)
        return _persistently(send)


def tag(repository: Repository, commit: str, wanted: str | None) -> str:
    """Give a commit a tag; the one it has is kept, and without a name it gets the next of `v1`, `v2`, ...

    Raises:
        BadInput: the tag stands for another commit.
    """
    from huggingface_hub import HfApi

    api = HfApi()

    def give() -> str:
        refs = api.list_repo_refs(repository.repo_id, repo_type=repository.kind)
        tags = {t.name: t.target_commit for t in refs.tags}
        here = sorted(name for name, target in tags.items() if target == commit)
        if here and wanted in (None, *here):
            return wanted or here[-1]
        if wanted in tags:
            raise BadInput(
                f"{repository} has a tag {wanted} for another commit, {tags[wanted][:12]}, and tags do not"
                " move; choose another with --tag"
            )
        numbers = [int(name[1:]) for name in tags if re.fullmatch(r"v\d{1,6}", name)]
        name = wanted or f"v{max(numbers, default=0) + 1}"
        api.create_tag(repository.repo_id, repo_type=repository.kind, tag=name, revision=commit)
        return name

    with refusals(repository, commit):
        return _persistently(give)


def offer(repository: Repository, files: Mapping[str, Path | bytes], title: str, text: str) -> Offer:
    """Open a pull request that adds files; one that is open, and adds the same, is left as it is.

    Args:
        repository: to whom.
        files: path in the repository -> file or content.
        title: of the pull request; by it, and by its content, an open one is recognised.
        text: what it says of itself.

    Raises:
        BadInput: it cannot be reached, or takes no pull requests.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()

    def open_one() -> Offer:
        known = api.get_repo_discussions(
            repository.repo_id, repo_type=repository.kind, discussion_type="pull_request"
        )
        for found in known:
            if found.title == title and found.status in ("open", "draft"):
                there = files_of(repository, f"refs/pr/{found.num}")
                if all(_is(content, there.get(name)) for name, content in files.items()):
                    return Offer(found.url, found.num, was_open=True)
        done = api.create_commit(
            repository.repo_id,
            [CommitOperationAdd(name, content) for name, content in files.items()],
            repo_type=repository.kind,
            commit_message=title,
            commit_description=text,
            create_pr=True,
        )
        return Offer(str(done.pr_url), int(done.pr_num or 0), was_open=False)

    with refusals(repository, None):
        return _persistently(open_one)


def _is(content: Path | bytes, there: Remote | None) -> bool:
    """Whether a file is what lies there, by either of the Hub's hashes."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if there is None or there.n_bytes != size:
        return False
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    digest = hashlib.sha256() if len(there.digest) == 64 else git
    return _digest(digest, content) == there.digest


def _digest(digest: Any, content: Path | bytes) -> str:
    if isinstance(content, bytes):
        digest.update(content)
        return str(digest.hexdigest())
    with open(content, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return str(digest.hexdigest())


def _persistently(do: Callable[[], T]) -> T:
    """Do it, and again after a pause where the Hub or the network stumbled."""
    for wait in WAITS:
        try:
            return do()
        except Exception as error:
            if not _stumbled(error):
                raise
        time.sleep(wait)
    return do()


def _stumbled(error: Exception) -> bool:
    """Whether the same request may well succeed in a moment."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _STUMBLES
    if isinstance(error, LocalEntryNotFoundError):  # what a failed download ends in: the network is its cause
        return isinstance(error.__cause__, Exception) and _stumbled(error.__cause__)
    # The client lets the errors of its HTTP library through.
    return type(error).__module__.startswith("httpx") or isinstance(error, TimeoutError)


@contextmanager
def refusals(repository: Repository, revision: str | None, path: str | None = None) -> Iterator[None]:
    """What goes wrong between here and the Hub, each as a BadInput of one line."""
    from huggingface_hub import errors

    what = f"{repository.kind} {repository}"
    at = f"{what}@{revision}" if revision else what
    try:
        yield
    except BadInput:
        raise
    except errors.RevisionNotFoundError:
        raise BadInput(
            f"{what} has no revision {revision!r}; give a branch, a tag or all 40 digits of a commit"
        ) from None
    except errors.RemoteEntryNotFoundError:
        raise BadInput(f"{at} has no file {path}") from None
    except errors.GatedRepoError:
        raise BadInput(f"{what} is gated: ask for access on its page, then: hf auth login") from None
    except errors.RepositoryNotFoundError as error:
        raise BadInput(_not_found(what, error)) from None
    except errors.HFValidationError:
        raise BadInput(f"{repository} is no name of a {repository.kind}; expected ORG/NAME") from None
    except errors.HfHubHTTPError as error:
        raise BadInput(_refused(what, error)) from None
    except (errors.LocalEntryNotFoundError, errors.RevisionResolutionError, errors.OfflineModeIsEnabled):
        raise BadInput(
            f"the Hub cannot be reached, and {at} is not complete in the local cache; fetch it once with a"
            f" network and without HF_HUB_OFFLINE: goodenough download {repository}"
        ) from None
    except Exception as error:
        if not (_stumbled(error) or isinstance(error, OSError)):
            raise
        told = " ".join(str(error).split())[:200]
        raise BadInput(
            f"the Hub did not answer for {at} ({type(error).__name__}: {told}); the same command again goes"
            " on where this one stopped"
        ) from None


def _not_found(what: str, error: Any) -> str:
    if error.response.status_code == 401:
        return (
            f"no {what} for this login: check the spelling, or log in again, its token may have expired:"
            " hf auth login"
        )
    return f"no {what} on the Hub, or it is private; check the spelling, or log in with: hf auth login"


def _refused(what: str, error: Any) -> str:
    """A line about a status that the client has no name for."""
    status = error.response.status_code
    said = " ".join((error.server_message or "").split())[:160]
    because = f" ({said})" if said else ""
    if status == 401:
        return f"the Hub does not know the token{because}; log in again: hf auth login"
    if status == 403:
        return f"the token may not write to {what}{because}; log in as somebody who may: hf auth login"
    if status in (409, 412):
        return f"somebody pushed to {what} meanwhile{because}; look at it, then give the same command again"
    if status in _STUMBLES:
        return f"the Hub has trouble with {what} now (status {status}); the same command again goes on"
    return f"the Hub refuses {what}: status {status}{because}"
