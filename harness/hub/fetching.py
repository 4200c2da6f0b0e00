"""Files on the Hub, at one commit of a repository.

Conventions: a revision is resolved to its commit, 40 hex digits, before anything else; what follows is about
that moment, whatever is pushed meanwhile. What was fetched is in the cache of huggingface_hub, and answers
without a network. What models need of the Hub is in `checkpoints`.

Public: commit_of, is_private, files_of, fetch, fetch_all.
"""

from __future__ import annotations

from pathlib import Path

from harness.hub.repository import Remote, Repository, hub_errors, retry


def commit_of(repository: Repository, revision: str | None) -> str:
    """The commit that a branch, a tag or a commit stands for now; offline, what it stood for last.

    Raises:
        BadInput: no such repository or revision, or it cannot be reached.
    """
    from huggingface_hub import HfApi

    def resolve() -> str:
        api = HfApi()
        resolution = api.resolve_revision(repository.repo_id, repo_type=repository.kind, revision=revision)
        return str(resolution.resolved)

    with hub_errors(repository, revision):
        return retry(resolve)


def is_private(repository: Repository) -> bool | None:
    """Whether only its owners see a repository; None where there is none that this login sees.

    Raises:
        BadInput: it cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    def ask() -> bool | None:
        try:
            return bool(HfApi().repo_info(repository.repo_id, repo_type=repository.kind).private)
        except RepositoryNotFoundError:
            return None

    with hub_errors(repository, None):
        return retry(ask)


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

    with hub_errors(repository, revision):
        return retry(ask)


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

    with hub_errors(repository, commit, path):
        return retry(get)


def fetch_all(repository: Repository, commit: str, folder: str) -> Path:
    """All files of one commit below a folder; returns the root they lie in.

    Raises:
        BadInput: see `commit_of`.
    """
    from huggingface_hub import snapshot_download

    def get() -> Path:
        name, kind = repository.repo_id, repository.kind
        return Path(snapshot_download(name, repo_type=kind, revision=commit, allow_patterns=f"{folder}*"))

    with hub_errors(repository, commit):
        return retry(get)
