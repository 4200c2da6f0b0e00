"""The app under attack: the real server in a process of its own, and clients that are no browsers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from leaderboard.app import request_filter, sessions
from leaderboard.app.request_filter import MOST_BODY_BYTES, is_local
from tests.helpers.board_world import World
from tests.helpers.repository import ROOT

API = "/gradio_api"
FILE = {"file": ("x.txt", b"x" * 500)}

SERVER = """
import sys
from pathlib import Path
from harness.dataset.suites import Suite
from leaderboard.app import app, commands, request_filter
from leaderboard.app.try_model import AppState, Limits
from leaderboard.board import ranking

signals, submissions, command = sys.argv[1:]
commands._COMMAND = (sys.executable, "-S", "-P", command)
request_filter.MOST_BODY_S = 0.5
suite = Suite(Path(signals), "local/tones")
state = AppState(ranking.build(Path(submissions), suite), suite, None, on_space=False)
app.serve(state, 0, lambda address: print(address, flush=True), Limits(waiting=8))
"""
COMMAND = """
import sys, time
print("model", sys.argv[-1], file=sys.stderr, flush=True)
time.sleep(600 if sys.argv[-1] == "slow/model" else 0)
sys.exit(2)
"""
"""In place of `goodenough`."""


@dataclass
class App:
    """A server at work."""

    address: str
    temporary: Path
    process: subprocess.Popen[str]
    client: httpx.Client
    fns: dict[str, int] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.address).netloc

    def rooms(self) -> list[Path]:
        return sorted(self.temporary.glob("goodenough-app-*/room-*"))

    def files(self) -> list[Path]:
        """What lies outside of rooms and of the site."""
        return [p for p in self.temporary.rglob("*") if p.is_file() and "/site/" not in str(p)]

    def join(self, name: str, data: list[Any], session: str, **headers: str) -> httpx.Response:
        body = {"data": data, "fn_index": self.fns[name], "session_hash": session}
        return self.client.post(f"{API}/queue/join", json=body, headers=headers)

    def direct(self, name: str, data: list[Any], session: str, **headers: str) -> httpx.Response:
        body = {"data": data, "fn_index": self.fns[name], "session_hash": session}
        return self.client.post(f"{API}/run/predict", json=body, headers=headers)

    def told(self, session: str) -> str:
        """All that a session is told until its run has ended."""
        lines = []
        with self.client.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as answer:
            for line in answer.iter_lines():
                lines.append(line)
                if "close_stream" in line:
                    break
        return "\n".join(lines)

    def tried(self, model: str, session: str, **headers: str) -> str:
        assert self.join("quick", [model, "tone"], session, **headers).status_code == 200
        return self.told(session)

    def settled(self) -> None:
        """Wait until nothing runs or waits any more."""
        _wait_for(lambda: self.join("quick", ["a/b", "tone"], "settled").status_code == 200)
        self.told("settled")


def _served(world: World, folder: Path) -> Iterator[App]:
    temporary = folder / "tmp"
    temporary.mkdir()
    (folder / "command.py").write_text(COMMAND)
    words = (str(world.suite.root), str(world.submissions), str(folder / "command.py"))
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *words],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, (folder / "errors").read_text()
    with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
        app = App(address, temporary, process, client)
        for one in client.get("/config").json()["dependencies"]:
            shape = len(one["inputs"]), len(one["outputs"]), one["queue"]
            name = {(2, 4, True): "quick", (0, 7, False): "wait", (2, 1, True): "listen"}.get(shape)
            name = "cancel" if shape == (0, 0, False) and one["targets"][0][1] == "click" else name
            if name is not None:
                app.fns.setdefault(name, one["id"])
        assert set(app.fns) == {"quick", "wait", "listen", "cancel"}
        yield app
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(60) == 0, (folder / "errors").read_text()
    assert list(temporary.glob("goodenough-app-*")) == []


@pytest.fixture(scope="module")
def app(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    yield from _served(world, tmp_path_factory.mktemp("app"))


# What is answered

CLOSED = [
    *(("GET", f"{API}/file=/etc/passwd"), ("GET", "/file=/etc/passwd"), ("HEAD", f"{API}/file=/etc/passwd")),
    *(("GET", f"{API}/file/etc/passwd"), ("GET", f"{API}/file=https://huggingface.co/robots.txt")),
    *(("GET", f"{API}/file=ROOMS/site/index.html"), ("GET", f"{API}/file=ROOMS/../x/y.zip")),
    *(("GET", f"{API}/file=ROOMS/room-x/../../../../etc/x.zip"), ("GET", f"{API}/file=ROOMS/a/b/c.zip")),
    *(("GET", f"{API}/proxy=https://huggingface.co/"), ("GET", "/proxy=http://169.254.169.254/latest")),
    *(("POST", f"{API}/upload"), ("POST", "/upload"), ("GET", f"{API}/upload_progress?upload_id=x")),
    *(
        ("POST", f"{API}/component_server"),
        ("POST", f"{API}/component_server/"),
        ("POST", "/component_server"),
    ),
    *(("POST", f"{API}/run/quick"), ("POST", f"{API}/api/predict"), ("POST", f"{API}/api/quick/")),
    *(("POST", f"{API}/call/quick"), ("POST", f"{API}/call/v2/quick"), ("GET", f"{API}/call/quick/x")),
    *(("POST", f"{API}/stream/x"), ("POST", f"{API}/process_recording"), ("POST", f"{API}/vibe-edit")),
    *(("GET", f"{API}/vibe-code"), ("POST", f"{API}/vibe-code"), ("GET", f"{API}/deep_link")),
    *(("GET", "/monitoring"), ("GET", "/monitoring/summary"), ("GET", f"{API}/runs"), ("POST", "/login")),
    *(("GET", "/logout"), ("GET", f"{API}/token"), ("GET", f"{API}/user"), ("GET", f"{API}/openapi.json")),
    *(("GET", "/docs"), ("GET", "/openapi.json"), ("GET", f"{API}/custom_component/x/client/y/z.js")),
    *(("GET", f"{API}/queue/status"), ("GET", "/svelte/x"), ("GET", f"{API}/mcp/"), ("POST", f"{API}/mcp")),
    *(("PUT", "/"), ("DELETE", "/site/index.html"), ("OPTIONS", f"{API}/queue/join"), ("PATCH", "/config")),
    *(("POST", "/"), ("TRACE", "/"), ("GET", f"{API}/queue/join"), ("POST", "/site/index.html")),
    *(("GET", "/site/%2e%2e/%2e%2e/etc/passwd"), ("GET", "/static/..%2f..%2froutes.py")),
    *(("GET", "/assets/%252e%252e/x"), ("GET", "//etc/passwd"), ("GET", f"{API}/heartbeat/{'x' * 65}")),
]


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_route_that_the_page_does_not_need_is_not_there_and_writes_nothing(
    app: App, method: str, path: str
) -> None:
    (rooms,) = app.temporary.glob("goodenough-app-*")
    before = app.files()
    files = FILE if method == "POST" else None
    answer = app.client.request(method, path.replace("ROOMS", str(rooms)), files=files)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert app.files() == before


def test_what_the_page_needs_is_there_with_its_headers(app: App) -> None:
    for path in ("/", "/config", "/theme.css", f"{API}/info", f"{API}/startup-events", "/site/index.html"):
        answer = app.client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert app.client.head("/").status_code == 200


# Where a request comes from

FOREIGN = [
    "null",
    "https://evil.example",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://HOST.evil.example",
]
ASKING = [
    *(("POST", f"{API}/queue/join"), ("POST", f"{API}/run/predict"), ("POST", f"{API}/cancel")),
    *(("POST", f"{API}/reset"), ("GET", f"{API}/queue/data?session_hash=x"), ("GET", f"{API}/heartbeat/x")),
    *(("GET", "/"), ("GET", "/config"), ("GET", "/site/index.html"), ("GET", f"{API}/startup-events")),
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(("method", "path"), ASKING)
def test_what_another_page_asks_is_refused(app: App, method: str, path: str, origin: str) -> None:
    headers = {"Origin": origin.replace("HOST", app.host)}
    body = {"data": ["a/b", "tone"], "fn_index": app.fns["quick"], "session_hash": "foreign"}
    answer = app.client.request(method, path, headers=headers, json=body if method == "POST" else None)
    assert answer.status_code == 403
    assert answer.text == "a request of another page is not answered\n"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_says_is_of_another_site_is_refused_without_an_origin_too(app: App, site: str) -> None:
    path = f"{API}/queue/data?session_hash=x"
    assert app.client.get(path, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert app.client.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200  # a link leads here


def test_the_page_itself_may_ask(app: App) -> None:
    response = app.join("quick", ["a/page", "tone"], "own", Origin=f"http://{app.host}")
    assert response.status_code == 200
    assert "model a/page" in app.told("own")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1.evil.example", "10.0.0.1", "["]
)
@pytest.mark.parametrize("path", ["/", "/config", "/site/index.html", f"{API}/startup-events"])
def test_under_another_name_nothing_is_answered_on_this_machine(app: App, host: str, path: str) -> None:
    headers = {"Host": host.replace("PORT", app.host.split(":")[1])}
    headers["Origin"] = f"http://{headers['Host']}"
    answer = app.client.get(path, headers=headers)
    assert (answer.status_code, "--public" in answer.text) == (403, True)


PROXIES = [
    {"X-Forwarded-For": "203.0.113.9"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Host": "board.example", "Origin": "https://board.example"},
    {"X-Real-IP": "203.0.113.9"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"CF-Connecting-IP": "203.0.113.9"},
    {"True-Client-IP": "203.0.113.9"},
]


def test_who_is_at_the_machine_names_a_folder_and_nobody_who_came_through_a_proxy_does(
    app: App, tmp_path: Path
) -> None:
    assert f"model {tmp_path}" in app.tried(str(tmp_path), "here")
    assert f"model {tmp_path}" in app.tried(
        str(tmp_path), "local", Host=f"localhost:{app.host.split(':')[1]}"
    )
    for i, headers in enumerate(PROXIES):
        answer = app.tried(str(tmp_path), f"proxy-{i}", **headers)
        assert "expected a Hub id, as in org/name" in answer, headers
        assert "existing folder" not in answer
        assert f"model {tmp_path}" not in answer


@pytest.mark.parametrize(
    ("headers", "client", "local"),
    [
        ({"host": "127.0.0.1:7860"}, "127.0.0.1", True),
        ({"host": "localhost"}, "::1", True),
        ({"host": "[::1]:7860"}, "::1", True),
        ({"host": "localhost:7860"}, "192.168.0.7", False),
        ({"host": "localhost:7860"}, None, False),
        ({"host": "board.example"}, "127.0.0.1", False),
        ({}, "127.0.0.1", False),
        ({"host": "user@127.0.0.1"}, "127.0.0.1", True),
        ({"host": "127.0.0.1@evil.example"}, "127.0.0.1", False),
        ({"host": "localhost", "x-forwarded-for": ""}, "127.0.0.1", False),
        ({"host": "localhost", "x-forwarded-server": "a"}, "127.0.0.1", False),
    ],
)
def test_local_is_a_request_by_the_machine_s_own_address(
    headers: dict[str, str], client: str | None, local: bool
) -> None:
    assert is_local(headers, client) == local


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "board.example"}, 200),
        ({"host": "board.example", "origin": "https://board.example"}, 200),
        ({"host": "10.0.0.1:7860", "x-forwarded-host": "a.example", "origin": "https://a.example"}, 200),
        ({"host": "board.example", "origin": "https://evil.example"}, 403),
        ({"host": "board.example", "origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"host": "[", "origin": "http://["}, 200),
        ({"host": "board.example", "origin": "http://["}, 403),
        ({"host": "board.example", "origin": "http://user@board.example"}, 403),
    ],
)
def test_a_public_app_answers_under_any_name_and_to_its_own_pages_alone(
    headers: dict[str, str], status: int
) -> None:
    assert _filtered_response("GET", "/", headers, public=True)[0] == status


def test_what_the_app_has_no_answer_to_is_a_line_and_one_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("x" * 1000)

    sent = _filtered_response("GET", "/", {"host": "localhost"}, public=False, behind=broken)
    assert sent[0] == 400
    (line,) = caplog.messages
    assert line.startswith("GET /: KeyError: ")
    assert len(line) < 300


def test_a_request_more_than_may_be_open_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_filter, "MOST_OPEN", 0)
    assert _filtered_response("GET", "/", {"host": "localhost"}, public=False)[0] == 503


def test_a_package_is_handed_out_and_nothing_else_of_a_room(tmp_path: Path) -> None:
    for path, status in (
        ("room-x/a.zip", 200),
        ("room-x/answer.json", 404),
        ("room-x/hub/a.zip", 404),
        ("a.zip", 404),
        ("site/../room-x/a.zip", 404),
        ("room-x/../../a.zip", 404),
        ("../a.zip", 404),
    ):
        there = f"{API}/file={tmp_path}/{path}"
        assert (
            _filtered_response("GET", there, {"host": "localhost"}, public=False, rooms=tmp_path)[0] == status
        )
    there = f"{API}/file={tmp_path}/room-x/a.zip"
    assert _filtered_response("POST", there, {"host": "localhost"}, public=False, rooms=tmp_path)[0] == 404


def _filtered_response(
    method: str,
    path: str,
    headers: dict[str, str],
    *,
    public: bool,
    rooms: Path = Path("/rooms"),
    behind: Any = None,
) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of what an app that answers 200 to everything comes to behind the filter."""
    sent: list[dict[str, Any]] = []

    async def everything(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    app = request_filter.RequestFilter(behind or everything, rooms, {"X-Mark": "1"}, public=public)
    # In a thread of its own: in this one a browser of another test may have left a loop that runs.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(app(scope, receive, send))).result()
    assert dict(sent[0]["headers"])[b"x-mark"] == b"1"
    return sent[0]["status"], dict(sent[0]["headers"])


# Floods


def test_requests_for_a_trial_by_many_visitors_make_no_rooms(app: App) -> None:
    before = len(app.rooms())
    for i in range(100):
        assert app.direct("wait", [], f"flood-{i}").status_code == 200
        assert app.direct("cancel", [], f"flood-{i}").status_code == 200
    assert len(app.rooms()) == before


def test_trials_of_many_visitors_wait_up_to_a_number_and_their_rooms_are_bounded(app: App) -> None:
    codes = [app.join("quick", ["slow/model", "tone"], "slow-0").status_code]
    _wait_for(lambda: len(app.rooms()) > 0)
    with ThreadPoolExecutor(8) as pool:
        joins = [pool.submit(app.join, "quick", ["a/b", "tone"], f"many-{i}") for i in range(60)]
        codes += [one.result().status_code for one in joins]
    assert set(codes) == {200, 503}
    assert codes.count(200) <= 1 + 8 + 1
    assert app.direct("cancel", [], "slow-0").status_code == 200
    app.settled()
    for i in range(sessions.MOST_SESSIONS + 5):
        app.tried("a/b", f"one-after-the-other-{i}")
    assert len(app.rooms()) <= sessions.MOST_SESSIONS


BODIES = {
    "no JSON": b"{",
    "nothing": b"",
    "a number": b"1",
    "deep": b'{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "no such function": b'{"data": [], "fn_index": 999, "session_hash": "x"}',
    "no function": b'{"data": [], "session_hash": "x"}',
    "negative function": b'{"data": [], "fn_index": -1, "session_hash": "x"}',
    "a session of another type": b'{"data": [], "fn_index": 0, "session_hash": {"a": 1}}',
    "not UTF-8": b"\xff\xfe\x00",
    "names of files": b'{"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "tone"],'
    b' "fn_index": QUICK, "session_hash": "typed"}',
    "lists": b'{"data": [["a"], {"b": 1}], "fn_index": QUICK, "session_hash": "typed"}',
    "too few": b'{"data": [], "fn_index": QUICK, "session_hash": "typed"}',
    "no such task": b'{"data": ["a/b", "--out"], "fn_index": QUICK, "session_hash": "typed"}',
    "long": b'{"data": ["' + b"x" * 60_000 + b'", "tone"], "fn_index": QUICK, "session_hash": "typed"}',
}


@pytest.mark.parametrize("route", ["queue/join", "run/predict", "cancel", "reset"])
def test_bodies_that_no_browser_sends_start_no_command_and_the_app_goes_on(app: App, route: str) -> None:
    for name, body in BODIES.items():
        text = body.replace(b"QUICK", str(app.fns["quick"]).encode())
        headers = {"Content-Type": "application/json"}
        answer = app.client.post(f"{API}/{route}", content=text, headers=headers)
        assert "root:" not in answer.text, name
        assert "Traceback" not in answer.text, name
        assert answer.status_code != 500, name
        if answer.status_code == 200 and "event_id" in answer.text:
            assert "$ goodenough" not in app.told(json.loads(text)["session_hash"]), name
    assert "model a/b" in app.tried("a/b", f"after-{route}")


def test_a_body_that_is_large_is_not_read(app: App) -> None:
    for route in ("queue/join", "run/predict", "cancel", "reset"):
        answer = app.client.post(f"{API}/{route}", content=b" " * (MOST_BODY_BYTES + 1))
        assert (answer.status_code, answer.text) == (413, f"expected at most {MOST_BODY_BYTES} bytes\n")
    head = f"POST {API}/queue/join HTTP/1.1\r\nHost: {app.host}\r\nContent-Length: 100000000000\r\n\r\n"
    assert b" 413 " in _raw(app, head.encode() + b" " * (2 * MOST_BODY_BYTES))


def test_a_body_that_does_not_come_is_not_waited_for(app: App) -> None:
    head = f"POST {API}/queue/join HTTP/1.1\r\nHost: {app.host}\r\nContent-Length: 100\r\n\r\n"
    began = time.monotonic()
    assert b" 408 " in _raw(app, head.encode() + b"{")
    assert time.monotonic() - began < 10


def test_what_nobody_fetches_is_kept_for_a_bounded_number_of_sessions(app: App) -> None:
    for i in range(40):
        assert app.join("listen", ["tone", "lab/alpha"], f"unread-{i}").status_code in (200, 503)
    assert app.client.get("/").status_code == 200


def _raw(app: App, sent: bytes) -> bytes:
    host, port = app.host.split(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.settimeout(20)
        connection.sendall(sent)
        return connection.recv(200)


def _wait_for(met: Any) -> None:
    until = time.monotonic() + 30
    while not met():
        assert time.monotonic() < until
        time.sleep(0.02)
