"""Clients of the loopback Hub: processes of their own, which say what they found in lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.helpers.hub.loopback import LoopbackHub
from tests.helpers.repository import ROOT

PRELUDE = """
import json, os, sys, time
from pathlib import Path
slept = []
time.sleep = slept.append  # waiting between retries is noted, not done
from huggingface_hub import *
api = HfApi()
arguments = sys.argv[1:]
def say(*things):
    print(json.dumps(things))
def attempt(ask):
    try:
        return ask()
    except Exception as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        return [type(error).__name__, status]
"""


def start(hub: LoopbackHub, code: str, *arguments: str, by: str | None = None) -> subprocess.Popen[str]:
    """Start a client, with a cache of its own.

    Args:
        hub: whom it talks to.
        code: what it does, with `api`, `say` and `attempt` at hand.
        arguments: what it finds in `arguments`.
        by: its token.
    """
    n_caches = len(list(hub.root.glob("cache*")))
    cache = hub.root / f"cache{n_caches}"
    cache.mkdir()
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, *arguments],
        env=hub.environment(cache, by),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(client: subprocess.Popen[str]) -> list[Any]:
    """What a client says, by line."""
    out, err = client.communicate(timeout=120)
    assert client.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def run(hub: LoopbackHub, code: str, *arguments: str, by: str | None = None) -> list[Any]:
    """Run a client to its end."""
    return said(start(hub, code, *arguments, by=by))


def put(hub: LoopbackHub, repository: str, files: dict[str, bytes]) -> Path:
    """Place files into the folder of a repository."""
    for name, content in files.items():
        path = hub.root / repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return hub.root / repository
