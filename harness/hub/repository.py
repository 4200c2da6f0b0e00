"""Repositories of the Hugging Face Hub, and the errors of requests to it, in a line each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from harness.disk_errors import no_room
from harness.errors import BadInput

T = TypeVar("T")

WAITS = (1.0, 4.0, 15.0)
"""Seconds before each retry after a transient error of the Hub or the network."""

_TRANSIENT_STATUSES = (429, 500, 502, 503, 504)
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

    @property
    def key(self) -> dict[str, Any]:
        """What functions of huggingface_hub take for it."""
        return {"repo_id": self.repo_id, "repo_type": self.kind}


@dataclass(frozen=True)
class Remote:
    """A file of a repository."""

    digest: str
    """sha256 of a large file, git's hash of a small one."""
    n_bytes: int
    """Its size."""


def split(source: str) -> tuple[str, str | None] | None:
    """`org/name[@revision]` as (repo_id, revision); None where it is no such thing."""
    repo_id, at, revision = source.partition("@")
    if not _REPO_ID.fullmatch(repo_id) or (at and not re.fullmatch(r"[\w./-]+", revision)):
        return None
    return repo_id, revision or None


def request(
    call: Callable[[], T], repository: Repository, revision: str | None = None, path: str | None = None
) -> T:
    """Call a function that asks the Hub, and again after a pause where Hub or network failed for a moment.

    Raises:
        BadInput: see `hub_errors`.
    """
    with hub_errors(repository, revision, path):
        for wait in WAITS:
            try:
                return call()
            except Exception as error:
                if not _is_transient(error):
                    raise
            time.sleep(wait)
        return call()


def _is_transient(error: BaseException) -> bool:
    """Whether the same request may well succeed in a moment."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in _TRANSIENT_STATUSES
    if isinstance(error, LocalEntryNotFoundError):  # what a failed download ends in: the network is its cause
        return isinstance(error.__cause__, Exception) and _is_transient(error.__cause__)
    if type(error) is OSError and error.errno is None:  # a file that is shorter than was announced
        return True
    # The client lets the errors of its HTTP library through.
    return type(error).__module__.startswith("httpx") or isinstance(error, TimeoutError)


@contextmanager
def hub_errors(repository: Repository, revision: str | None, path: str | None = None) -> Iterator[None]:
    """Turn errors of the Hub into BadInput, each in one line."""
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
    except errors.RemoteEntryNotFoundError as error:
        raise BadInput(f"{at} has no file {path}" if path else not_found(what, error)) from None
    except errors.GatedRepoError:
        raise BadInput(f"{what} is gated: ask for access on its page, then: hf auth login") from None
    except errors.RepositoryNotFoundError as error:
        raise BadInput(not_found(what, error)) from None
    except errors.HFValidationError:
        raise BadInput(f"{repository} is no name of a {repository.kind}; expected ORG/NAME") from None
    except Exception as error:
        line = fault(error, what, at)
        if line is None and isinstance(error, OSError):
            line = f"cannot read or write {error.filename}: {error.strerror}" if error.filename else None
            line = line or _no_answer(error, at)
        if line is None:
            raise
        raise BadInput(line) from None


def fault(error: BaseException, repository: str, full_name: str = "") -> str | None:
    """The line about a Hub that refuses, is not asked or does not answer, or a full disk; else None.

    It is the same wherever it is met, in loading and in sending: the errors that clients wrap it in say less.
    The repository is named as `dataset org/name`, in `full_name` with a revision if one was asked for.
    """
    from huggingface_hub import constants, errors

    if line := no_room(error):
        return line
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, errors.HfHubHTTPError):
            return _refusal(repository, cause)
    offline_errors = (errors.LocalEntryNotFoundError, errors.RevisionResolutionError, ConnectionError)
    if constants.HF_HUB_OFFLINE and any(isinstance(cause, offline_errors) for cause in causes):
        return (
            "the Hub cannot be reached while HF_HUB_OFFLINE is set, and what this needs of"
            f" {full_name or repository} is not in the local cache; give the same command once with a"
            " network and without it"
        )
    for cause in causes:
        if isinstance(cause, ConnectionError) or _is_transient(cause):
            return _no_answer(cause, full_name or repository)
    return _no_answer(causes[-1], full_name or repository) if isinstance(error, offline_errors) else None


def _no_answer(error: BaseException, at: str) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"the Hub did not answer for {at} ({type(error).__name__}: {reason}); the same command again goes on"
        " where this one stopped"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from, in order."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def not_found(repository: str, error: Any) -> str:
    """The line about what the Hub says is not there; `error` is its RepositoryNotFoundError."""
    from huggingface_hub import get_token

    # Without a login, the Hub also answers 401 for what does not exist.
    if error.response.status_code == 401 and get_token() is not None:
        return (
            f"no {repository} for this login: check the spelling, or log in again, its token may have"
            " expired: hf auth login"
        )
    return f"no {repository} on the Hub, or it is private; check the spelling, or log in with: hf auth login"


def _refusal(repository: str, error: Any) -> str:
    """A line about a status that the client has no name for."""
    status = error.response.status_code
    message = " ".join((error.server_message or "").split())[:160]
    suffix = f" ({message})" if message else ""
    if status == 401:
        return f"the Hub does not know the token{suffix}; log in again: hf auth login"
    if status == 403:
        request = error.response.request
        is_read = request.method in ("GET", "HEAD") and not request.url.path.endswith("/write")
        action = f"{'read' if is_read else 'write to'} {repository}"
        return f"the token may not {action}{suffix}; log in as somebody who may: hf auth login"
    if status in (409, 412):
        return (
            f"somebody pushed to {repository} meanwhile{suffix}; look at it, then give the same command again"
        )
    if status in _TRANSIENT_STATUSES:
        return f"the Hub has trouble with {repository} now (status {status}); the same command again goes on"
    return f"the Hub refuses {repository}: status {status}{suffix}"
