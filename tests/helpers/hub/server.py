"""The HTTP around the Hub."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.helpers.hub.answers import UNANSWERED, Answer, Request


class Server:
    """Serves on a free port of 127.0.0.1, every connection in a thread of its own."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self._http = _Quiet(("127.0.0.1", 0), _handler(answer))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(answer: Callable[[Request], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._handle()

        def do_GET(self) -> None:
            self._handle()

        def do_POST(self) -> None:
            self._handle()

        def do_PUT(self) -> None:
            self._handle()

        def do_DELETE(self) -> None:
            self._handle()

        def _handle(self) -> None:
            split = urlsplit(self.path)
            parts = tuple(unquote(part) for part in split.path.strip("/").split("/"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            headers |= {"target": self.path, "path": split.path}
            query = dict(parse_qsl(split.query, keep_blank_values=True))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if len(body) < int(self.headers.get("Content-Length", 0)):  # who asked was killed meanwhile
                self.close_connection = True
                return
            self._send(answer(Request(self.command, parts, query, headers, body)))

        def _send(self, answer: Answer) -> None:
            if answer.cut_at is not None:
                self.close_connection = True
            if answer.cut_at == UNANSWERED:
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut_at])

    return Handler
