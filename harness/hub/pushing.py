"""Writes to the Hub: a whole repository in one commit, a tag, a pull request.

Whatever changes a repository looks first at what is there, so that doing it again, here or by the same
command, changes nothing twice.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import BadInput
from harness.hub.fetching import commit_of, files_of, is_private
from harness.hub.repository import Remote, Repository, request

Progress = Callable[[int, int], None]
"""Told the files done and the bytes they have, since it was last called."""

_AT_ONCE = 5
"""Large files that are sent side by side."""


@dataclass(frozen=True)
class Offer:
    """A pull request."""

    url: str
    """Where people look at it."""
    number: int
    """Its number."""
    was_open: bool
    """It was there already, with the same content: nothing was sent."""


def require_token(instead: str) -> None:
    """Require a login; `instead` ends the sentence with what can be done without.

    Raises:
        BadInput: nobody is.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise BadInput(
            f"not logged in to the Hub, and this needs a token that may write: hf auth login; {instead}"
        )


def require_writable(repository: Repository, tag: str | None) -> bool | None:
    """Require that this login may write to a repository, which need not be there, as far as the Hub tells.

    The tag is what the next commit is to be called, if that is decided.

    Returns:
        Whether only its owners see it; None where there is none that this login sees.

    Raises:
        BadInput: it may not, the tag stands for an earlier commit, or the Hub cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi()

    def ask() -> None:
        api.auth_check(**repository.key, write=True)
        refs = api.list_repo_refs(**repository.key)
        tags = {ref.name: ref.target_commit for ref in refs.tags}
        heads = [ref.target_commit for ref in refs.branches if ref.name == "main"]
        if tag in tags and tags[tag] not in heads:
            raise BadInput(_tag_is_taken(repository, tag, tags[tag]))

    private = is_private(repository)
    if private is not None:
        request(ask, repository)
    return private


def push(
    repository: Repository,
    files: Mapping[str, Path],
    message: str,
    *,
    private: bool = False,
    ours: Collection[str] = (),
    progress: Progress = lambda n, n_bytes: None,
) -> str:
    """Make a repository hold these files, in one commit; large files go first, and each only once.

    A push that is cut off changes nothing; the next one sends what is missing. A repository that has all of
    it already keeps its commit; one that is not there is made, `private` or not. Paths of `ours` that are not
    among the files go.

    Returns:
        The commit that holds them.

    Raises:
        BadInput: it cannot be reached or written, or somebody else pushed meanwhile.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi()

    def send() -> str:
        head = commit_of(repository, None)
        remote_files = files_of(repository, head)
        names_to_send = [
            name for name, path in files.items() if not is_same_file(path, remote_files.get(name))
        ]
        names_to_delete = [name for name in ours if name not in files and name in remote_files]
        if not names_to_send and not names_to_delete:
            return head
        additions = [CommitOperationAdd(name, files[name]) for name in names_to_send]
        for i in range(0, len(additions), _AT_ONCE):
            batch = additions[i : i + _AT_ONCE]
            api.preupload_lfs_files(**repository.key, additions=batch, free_memory=False)
            progress(len(batch), sum(files[addition.path_in_repo].stat().st_size for addition in batch))
        operations: list[Any] = [*additions, *(CommitOperationDelete(name) for name in names_to_delete)]
        commit = api.create_commit(
            **repository.key, operations=operations, commit_message=message, parent_commit=head
        )
        return str(commit.oid)

    request(partial(api.create_repo, **repository.key, private=private, exist_ok=True), repository)
    return request(send, repository)


def tag(repository: Repository, commit: str, tag_name: str | None) -> str:
    """Give a commit a tag; the one it has is kept, and without a name it gets the next of `v1`, `v2`, ...

    Raises:
        BadInput: the tag stands for another commit.
    """
    from huggingface_hub import HfApi

    api = HfApi()

    def give() -> str:
        refs = api.list_repo_refs(**repository.key)
        tags = {t.name: t.target_commit for t in refs.tags}
        own_tags = sorted(name for name, target in tags.items() if target == commit)
        if own_tags and tag_name in (None, *own_tags):
            return tag_name or own_tags[-1]
        if tag_name in tags:
            raise BadInput(_tag_is_taken(repository, tag_name, tags[tag_name]))
        numbers = [int(name[1:]) for name in tags if re.fullmatch(r"v\d{1,6}", name)]
        name = tag_name or f"v{max(numbers, default=0) + 1}"
        api.create_tag(**repository.key, tag=name, revision=commit)
        return name

    return request(give, repository, commit)


def _tag_is_taken(repository: Repository, tag: str, commit: str) -> str:
    return (
        f"{repository} has a tag {tag} for another commit, {commit[:12]}, and tags do not move; choose"
        " another with --tag"
    )


def offer(repository: Repository, files: Mapping[str, Path | bytes], title: str, text: str) -> Offer:
    """Open a pull request that adds files or content, by path; one that is open is left as it is.

    By its title and its content an open one is known to be the same.

    Raises:
        BadInput: it cannot be reached, or takes no pull requests.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi()

    def open_one() -> Offer:
        for discussion in api.get_repo_discussions(**repository.key, discussion_type="pull_request"):
            if discussion.title == title and discussion.status in ("open", "draft"):
                remote_files = files_of(repository, f"refs/pr/{discussion.num}")
                if all(is_same_file(content, remote_files.get(name)) for name, content in files.items()):
                    return Offer(discussion.url, discussion.num, was_open=True)
        commit = api.create_commit(
            **repository.key,
            operations=[CommitOperationAdd(name, content) for name, content in files.items()],
            commit_message=title,
            commit_description=text,
            create_pr=True,
        )
        return Offer(str(commit.pr_url), int(commit.pr_num or 0), was_open=False)

    return request(open_one, repository)


def is_same_file(content: Path | bytes, remote: Remote | None) -> bool:
    """Whether a file is what lies there, by either of the Hub's hashes."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if remote is None or remote.n_bytes != size:
        return False
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    digest = hashlib.sha256() if len(remote.digest) == 64 else git
    with io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb") as file:
        return hashlib.file_digest(file, lambda: digest).hexdigest() == remote.digest
