"""What huggingface_hub makes of a Hub that fails; our own code leans on what is written down here."""

from __future__ import annotations

import hashlib
import json
import socket
from collections import Counter
from typing import Any

import pytest

from tests.helpers.hub import Fault, LoopbackHub
from tests.helpers.hub.clients import put, run


@pytest.fixture
def hub(tmp_path):
    with LoopbackHub(tmp_path) as hub:
        hub.tokens["good"] = "ann"
        yield hub


DOWNLOAD = """
from hashlib import sha256
for name, wanted in json.loads(arguments[0]).items():
    del slept[:]
    found = attempt(lambda: Path(hf_hub_download("org/name", name)))
    if isinstance(found, Path):
        blob = found.resolve().name
        found = [sha256(found.read_bytes()).hexdigest() == wanted, len(found.read_bytes()), blob[:6]]
    say(found, slept)
"""
GONE = ["LocalEntryNotFoundError", None]
"""What hf_hub_download makes of a Hub that does not answer as it should."""
CUT = ["RemoteProtocolError", None]


def test_how_downloads_meet_faults(hub):
    """Files are called after what happens to them; all have 10,000 bytes, and LFS stores the .bin.

    What is left to our own code: to ask again after 5xx of a GET; to compare the sha256, since nobody notices
    a flipped byte, a wrong ETag, or, of a file that LFS does not store, a length that HEAD and GET agree on;
    and to ask with force_download, since what was wrong stays in the cache under the name of what is right.
    """
    half = {"keep": 5_000}
    faults: dict[str, dict[str, Any]] = {
        "slow.bin": {"kind": "slow", "seconds": 0.01},
        "get429.bin": {"kind": "status", "status": 429, "retry_after": 3},
        "get500.bin": {"kind": "status", "status": 500},
        "get503.bin": {"kind": "status", "status": 503},
        "head429.bin": {"kind": "status", "method": "HEAD", "status": 429},
        "head502.bin": {"kind": "status", "method": "HEAD", "status": 502, "times": 2},
        "head500.bin": {"kind": "status", "method": "HEAD", "status": 500, "times": 7},
        "head401.bin": {"kind": "status", "method": "HEAD", "status": 401},
        "head403.bin": {"kind": "status", "method": "HEAD", "status": 403},
        "head404.bin": {"kind": "status", "method": "HEAD", "status": 404},
        "dropped.bin": {"kind": "drop", **half},
        "dropped_early.bin": {"kind": "drop"},
        "dropped_always.bin": {"kind": "drop", "times": 6},
        "dropped_head.bin": {"kind": "drop", "method": "HEAD"},
        "short.bin": {"kind": "truncate", **half},
        "short_twice.bin": {"kind": "truncate", "method": "GET|HEAD", "times": 2, **half},
        "short_twice.txt": {"kind": "truncate", "method": "GET|HEAD", "times": 2, **half},
        "etag.bin": {"kind": "etag", "method": "HEAD"},
        "flipped.bin": {"kind": "corrupt"},
    }
    contents = {name: (name * 10_000)[:10_000].encode() for name in faults}
    put(hub, "models/org/name", contents)
    for name, fault in faults.items():
        hub.fail(Fault(path=f"/resolve/main/{name}$", **fault))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    told = dict(zip(faults, run(hub, DOWNLOAD, json.dumps(hashes)), strict=True))

    def right(name):
        return [True, 10_000, hashes[name][:6]]

    assert {fault.path for fault, _ in hub.fired} == {f"/resolve/main/{name}$" for name in faults}
    n_fired = Counter(request.rpartition("/")[2] for _, request in hub.fired)
    assert n_fired == {name: fault.get("times", 1) for name, fault in faults.items()}
    assert told == {
        "slow.bin": [right("slow.bin"), []],
        "get429.bin": [right("get429.bin"), [4.0]],
        "get500.bin": [["HfHubHTTPError", 500], []],
        "get503.bin": [["HfHubHTTPError", 503], []],
        "head429.bin": [right("head429.bin"), []],
        "head502.bin": [right("head502.bin"), [1]],
        "head500.bin": [GONE, [1, 2, 4, 8, 8]],
        "head401.bin": [["HfHubHTTPError", 401], []],
        "head403.bin": [GONE, []],
        "head404.bin": [["RemoteEntryNotFoundError", 404], []],
        "dropped.bin": [right("dropped.bin"), [1]],
        "dropped_early.bin": [right("dropped_early.bin"), [1]],
        "dropped_always.bin": [CUT, [1, 1, 1, 1, 1]],
        "dropped_head.bin": [CUT, []],
        "short.bin": [["OSError", None], []],
        "short_twice.bin": [["OSError", None], []],
        "short_twice.txt": [[False, 5_000, told["short_twice.txt"][0][2]], []],
        "etag.bin": [[True, 10_000, told["etag.bin"][0][2]], []],
        "flipped.bin": [[False, 10_000, hashes["flipped.bin"][:6]], []],
    }
    assert told["etag.bin"][0][2] != hashes["etag.bin"][:6]
    # Less than a chunk of 10 MiB is thrown away, not resumed.
    assert hub.ranges == []


def test_a_download_that_was_cut_is_resumed_at_its_last_full_chunk(hub):
    content = bytes(range(256)) * (11 << 12)
    put(hub, "models/org/name", {"large.bin": content})
    hub.fail(Fault("drop", path="large.bin", keep=(10 << 20) + 9))
    found, slept = run(hub, DOWNLOAD, json.dumps({"large.bin": hashlib.sha256(content).hexdigest()}))[0]
    assert found[:2] == [True, 11 << 20]
    assert len(hub.fired) == len(slept) == 1
    assert hub.ranges == ["GET /org/name/resolve/main/large.bin bytes=10485760-"]


UPLOADS = """
add = lambda name, **how: api.create_commit("org/name", [CommitOperationAdd(name, name.encode())],
                                            commit_message=name, **how).oid
say(add("large.bin"), slept)
for branch in ("refused", "unseen", "never"):
    api.create_branch("org/name", branch=branch)
    del slept[:]
    said = attempt(lambda: add("more.txt", revision=branch))
    say(said, [c.title for c in api.list_repo_commits("org/name", revision=branch)][0], slept)
"""


def test_how_uploads_meet_faults(hub):
    """All that comes before a commit is asked for again; the commit is not, and may have happened anyway."""
    put(hub, "models/org/name", {"a.txt": b"a"})
    faults = [
        Fault("status", "POST", "/preupload/main", status=429, retry_after=1),
        Fault("drop", "POST", "/objects/batch"),
        Fault("status", "PUT", "^/lfs/[0-9a-f]+$", status=500),
        Fault("drop", "PUT", "^/lfs/[0-9a-f]+$", after=True),
        Fault("status", "POST", "/verify$", status=503),
        Fault("status", "POST", "/commit/refused", status=502),
        Fault("drop", "POST", "/commit/unseen", after=True),
        Fault("drop", "POST", "/commit/never"),
    ]
    for fault in faults:
        hub.fail(fault)
    (large, waited), refused, unseen, never = run(hub, UPLOADS, by="good")
    assert [fault for fault, _ in hub.fired] == faults
    assert (large, waited) == (hub.commit("models/org/name"), [2.0, 1, 1, 2, 1])
    assert refused == [["HfHubHTTPError", 502], "large.bin", []]
    assert unseen == [["RemoteProtocolError", None], "more.txt", []]
    assert never == [["RemoteProtocolError", None], "large.bin", []]


def test_an_object_that_is_not_what_it_says_is_refused(hub):
    put(hub, "models/org/name", {"a.txt": b"a"})
    code = """
operation = CommitOperationAdd("large.bin", b"large")
operation.path_or_fileobj = b"other"
say(attempt(lambda: api.create_commit("org/name", [operation], commit_message="x")))
"""
    assert run(hub, code, by="good") == [[["RuntimeError", None]]]
    assert [r.split("/")[0] for r in hub.requests if not r.startswith("GET")] == ["POST ", "POST ", "PUT "]
    assert hub.files("models/org/name") == {"a.txt": b"a"}


def test_a_fault_that_cannot_happen_is_no_fault(tmp_path):
    with pytest.raises(ValueError, match="no fault 'melt'; there are: status, drop"):
        Fault("melt")
    hub = LoopbackHub(tmp_path).__enter__()
    put(hub, "models/org/name", {"a.txt": b"a"})
    hub.fail(Fault("truncate", path="a.txt", keep=9))
    run(hub, "hf_hub_download('org/name', 'a.txt')")
    with pytest.raises(ValueError, match=r"can do nothing to GET /org/name/resolve/main/a\.txt"):
        hub.__exit__(None, None, None)


def test_a_request_whose_body_never_came_is_as_if_it_was_not_made(hub):
    host, _, port = hub.endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(b"POST /lfs/key/verify HTTP/1.1\r\nHost: hub\r\nContent-Length: 90\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert hub.broken == []
