"""What is asked of the Hub and what it answers, before either is HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

UNANSWERED = -1


@dataclass(frozen=True)
class Request:
    """A request."""

    method: str
    """`GET`, `HEAD`, `POST`, `PUT` or `DELETE`."""
    parts: tuple[str, ...]
    """Of the path, each unquoted: a revision is one part, whatever is in its name."""
    query: dict[str, str]
    """Parameters by name, the last of each."""
    headers: dict[str, str]
    """By name in small letters."""
    body: bytes = b""
    """What was sent."""
    user: str | None = None
    """Who asks, None for somebody without a token."""

    def json(self) -> Any:
        """The body, read as JSON; {} for none."""
        return json.loads(self.body) if self.body else {}

    def form(self) -> dict[str, list[str]]:
        """The body, read as a form: values by name."""
        found: dict[str, list[str]] = {}
        for name, value in parse_qsl(self.body.decode(), keep_blank_values=True):
            found.setdefault(name, []).append(value)
        return found


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int = 200
    """Of HTTP."""
    headers: dict[str, str] = field(default_factory=dict)
    """Without Content-Length."""
    body: bytes = b""
    """Left away when the request was HEAD, though its length is told."""
    cut_at: int | None = None
    """Bytes of the body after which the connection closes; None for all, UNANSWERED for not even a status."""


class Refused(Exception):
    """Ends the work on a request; holds the answer."""

    def __init__(self, status: int, words: str, code: str | None = None, **headers: str) -> None:
        super().__init__(words)
        self.answer = refusal(status, words, code, headers)


def refusal(
    status: int, words: str, code: str | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """An error as the Hub words it.

    Args:
        status: of HTTP.
        words: for people.
        code: for huggingface_hub, which makes exceptions of it, e.g. RepoNotFound.
        headers: further ones, with `_` for `-`.
    """
    error_headers = {"X-Error-Message": words, **({} if code is None else {"X-Error-Code": code})}
    more = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    return json_answer({"error": words}, status, {**error_headers, **more})


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status, {**kind, **(headers or {})}, json.dumps(content).encode())
