"""Filters the requests that reach gradio.

gradio answers far more routes than the page needs: files of the machine by their paths, other servers by
proxy, uploads, functions of components. Only requests to ROUTES are passed on, and these are bounded: the
size of a body, the time it may take to arrive, the requests that are open at a time.

Conventions: a server on this machine alone (not `public`) answers under the names of this machine only, so
that another web page cannot use it by DNS rebinding; and a request that came through a proxy is treated as
from a stranger. A browser says in `Origin` which page a request comes from: one of another page is always
refused.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_LOG = logging.getLogger(__name__)
_API = "/gradio_api"

ROUTES: Mapping[str, str] = {
    "GET": (
        r"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt"
        r"|/(site|assets|static)/.+"
        rf"|{_API}/(info|theme\.css|startup-events|app_id|queue/data|heartbeat/\w{{1,64}})/?"
    ),
    "POST": rf"{_API}/(queue/join|run/predict|cancel|reset)/?",
}
"""Paths that are answered, by method; HEAD is as GET. Besides these, packages of a session."""

MOST_BODY_BYTES = 65_536
"""Of a request: what a visitor types, and no file."""

MOST_BODY_S = 10.0
"""In which a body has to arrive."""

MOST_OPEN = 400
"""Requests that are answered at a time; every page that is open keeps one or two."""

_PROXIES = ("via", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "x-cluster-client-ip")
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def is_local(headers: Mapping[str, str], client: str | None) -> bool:
    """Whether a request, its headers in lower case, was made on this machine and through no proxy."""
    proxy_headers = [name for name in headers if name in _PROXIES or name.startswith(("x-forwarded-", "cf-"))]
    return (
        not proxy_headers
        and client in ("127.0.0.1", "::1")
        and _name(headers.get("host", "")) in _LOCAL_HOSTS
    )


class RequestFilter:
    """ASGI middleware that refuses all other requests, and adds headers to every answer."""

    def __init__(self, app: Any, sessions_root: Path, headers: Mapping[str, str], *, public: bool) -> None:
        """Wrap an app; `public`: it is reached under any name. Packages in sessions are served, too."""
        self._app, self._sessions_root, self._public = app, sessions_root, public
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._open = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return

        has_begun = False

        async def answer(message: Any) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        if refusal := self._refusal(scope):
            return await _refuse(answer, *refusal)
        if self._open >= MOST_OPEN:
            return await _refuse(answer, 503, "too many requests are open; try again in a minute")
        self._open += 1
        try:
            if scope["method"] == "POST":
                try:
                    receive = await asyncio.wait_for(_buffer_body(receive), MOST_BODY_S)
                except TimeoutError:
                    return await _refuse(answer, 408, f"expected the whole request within {MOST_BODY_S:g} s")
                except ValueError:
                    return await _refuse(answer, 413, f"expected at most {MOST_BODY_BYTES} bytes")
            await self._app(scope, receive, answer)
        except Exception as error:  # gradio cannot answer requests that its own page never sends
            _LOG.warning("%s %s: %s: %.200r", scope["method"], scope["path"], type(error).__name__, error)
            if not has_begun:
                await _refuse(answer, 400, "this is no request of the page")
        finally:
            self._open -= 1

    def _refusal(self, scope: Any) -> tuple[int, str] | None:
        """Status and line for a request that is refused; None for one that is passed on."""
        headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in scope["headers"]}
        host, method = headers.get("host", ""), scope["method"]
        if not self._public and _name(host) not in _LOCAL_HOSTS:
            return 403, "this app answers on this machine alone; for others, start it with --public"
        hosts = {host, *(name.strip() for name in headers.get("x-forwarded-host", "").split(","))}
        origin = headers.get("origin")
        match = re.fullmatch(r"https?://([^/@]+)", origin or "")
        if origin is not None and (match is None or match[1] not in hosts):
            return 403, "a request of another page is not answered"
        path = scope["path"]
        if path.startswith(_API) and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return 403, "a request of another page is not answered"
        pattern = ROUTES.get("GET" if method == "HEAD" else method, "")
        if pattern and re.fullmatch(pattern, path) and ".." not in unquote(path).split("/"):
            return None
        if method in ("GET", "HEAD") and self._is_package(path):
            return None
        return 404, "there is nothing here"

    def _is_package(self, path: str) -> bool:
        """Whether a path is that of a package, whose path only its visitor knows."""
        package = rf"{_API}/file={re.escape(str(self._sessions_root))}/room-\w+/[\w.@-]+\.zip"
        return re.fullmatch(package, path) is not None


async def _buffer_body(receive: Any) -> Any:
    """Read the whole body of a request; returns a `receive` that gives it at once.

    Raises:
        ValueError: it is too large.
    """
    body, has_more = b"", True
    while has_more:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            raise ValueError
        has_more = message.get("more_body", False)
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return parts.pop() if parts else await receive()

    return again


async def _refuse(send: Any, status: int, line: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{line}\n".encode()})


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
