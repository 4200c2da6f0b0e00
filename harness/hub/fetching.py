"""Files on the Hub, at one commit of a repository.

Conventions: a revision is resolved to its commit, 40 hex digits, before anything else; what follows is about
that moment, whatever is pushed meanwhile. What was fetched is in the cache of huggingface_hub, and answers
without a network. What models need of the Hub is in `checkpoints`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from harness.hub.repository import Remote, Repository, request


def commit_of(repository: Repository, revision: str | None) -> str:
    """The commit that a branch, a tag or a commit refers to now; offline, the last one known.

    Raises:
        BadInput: no such repository or revision, or it cannot be reached.
    """
    from huggingface_hub import HfApi

    resolve = partial(HfApi().resolve_revision, **repository.key, revision=revision)
    return str(request(resolve, repository, revision).resolved)


def is_private(repository: Repository) -> bool | None:
    """Whether only its owners see a repository; None where there is none that this login sees.

    Raises:
        BadInput: it cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    def ask() -> bool | None:
        try:
            return bool(HfApi().repo_info(**repository.key).private)
        except RepositoryNotFoundError:
            return None

    return request(ask, repository)


def files_of(repository: Repository, revision: str) -> dict[str, Remote]:
    """What lies there, by path.

    Raises:
        BadInput: see `commit_of`.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    def ask() -> dict[str, Remote]:
        tree = HfApi().list_repo_tree(**repository.key, revision=revision, recursive=True)
        files = (item for item in tree if isinstance(item, RepoFile))
        return {f.path: Remote(f.lfs.sha256 if f.lfs else f.blob_id, f.size) for f in files}

    return request(ask, repository, revision)


def fetch(repository: Repository, commit: str, path: str, *, again: bool = False) -> Path:
    """A file of one commit, from the cache unless it is fetched `again`; a fetch cut off is continued.

    Raises:
        BadInput: see `commit_of`; or there is no such file.
    """
    from huggingface_hub import hf_hub_download

    get = partial(hf_hub_download, **repository.key, filename=path, revision=commit, force_download=again)
    return Path(request(get, repository, commit, path))


def fetch_all(repository: Repository, commit: str, folder: str) -> Path:
    """All files of one commit below a folder; returns the root they lie in.

    Raises:
        BadInput: see `commit_of`.
    """
    from huggingface_hub import snapshot_download

    get = partial(snapshot_download, **repository.key, revision=commit, allow_patterns=f"{folder}*")
    return Path(request(get, repository, commit))
