"""A Hugging Face Hub on 127.0.0.1 that serves folders, for tests of what is downloaded.

It knows the read paths of huggingface_hub and datasets and no others. A repository is a folder
`<root>/models/<org>/<name>` or `<root>/datasets/<org>/<name>`; its only branch is `main`, and its commit is a
hash of its files, so that editing the folder is committing.

huggingface_hub reads HF_ENDPOINT when it is imported: what talks to this Hub runs in a process of its own,
with `LoopbackHub.environment`.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import yaml


class LoopbackHub:
    """Use as a context: it serves while the context is open."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gated: set[str] = set()
        """Repositories nobody may read, e.g. `models/org/name`."""
        self.requests: list[str] = []
        """`METHOD path` of everything asked, in order."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self, cache: Path) -> dict[str, str]:
        """What a process needs in its environment to talk to this Hub, and to no other."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING_FACE"))}
        return {
            **inherited,
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
        }

    def files(self, repository: str) -> dict[str, Path]:
        """Files of a repository by path."""
        folder = self.root / repository
        return {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}

    def commit(self, repository: str) -> str:
        """40 hexadecimal digits."""
        digest = hashlib.sha1(usedforsecurity=False)
        for name, path in self.files(repository).items():
            digest.update(f"{name}\0{_etag(path)}\n".encode())
        return digest.hexdigest()


def _head(card: Path | None) -> dict[str, Any] | None:
    """The YAML head of a card, which the Hub reads for its clients."""
    if card is None:
        return None
    head: dict[str, Any] | None = yaml.safe_load(card.read_text().split("---")[1])
    return head


def _etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def _handler(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.loads(body) if body else {})

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self, body: dict[str, Any] | None = None) -> None:
            hub.requests.append(f"{self.command} {self.path}")
            parts = unquote(urlsplit(self.path).path).strip("/").split("/")
            api = parts[0] == "api"
            parts = parts[1:] if api else parts
            if not api and parts[0] != "datasets":
                parts = ["models", *parts]
            repository, verb = "/".join(parts[:3]), parts[3] if len(parts) > 3 else "revision"
            revision, path = parts[4] if len(parts) > 4 else "main", "/".join(parts[5:])
            if not (hub.root / repository).is_dir():
                return self._refuse(404, "RepoNotFound")
            if repository in hub.gated:
                return self._refuse(403, "GatedRepo")
            commit, files = hub.commit(repository), hub.files(repository)
            if revision not in ("main", commit):
                return self._refuse(404, "RevisionNotFound")
            if not api and verb == "resolve":
                if path not in files:
                    return self._refuse(404, "EntryNotFound")
                headers = {"X-Repo-Commit": commit, "ETag": f'"{_etag(files[path])}"'}
                return self._send(files[path].read_bytes(), "application/octet-stream", headers)
            if verb == "revision":
                siblings = [{"rfilename": name} for name in files]
                return self._json(
                    {
                        "id": "/".join(parts[1:3]),
                        "sha": commit,
                        "siblings": siblings,
                        "private": False,
                        "tags": [],
                        "cardData": _head(files.get("README.md")),
                    }
                )
            if verb == "tree":
                return self._json(
                    self._tree(files, f"{path}/" if path else "", "recursive=true" in self.path)
                )
            if verb == "paths-info":
                wanted = (body or {}).get("paths", [])
                return self._json([self._entry(name, files[name]) for name in wanted if name in files])
            return self._refuse(404, "EntryNotFound")

        def _tree(self, files: dict[str, Path], prefix: str, recursive: bool) -> list[dict[str, Any]]:
            below = [name for name in files if name.startswith(prefix)]
            folders = {p.as_posix() for name in below for p in PurePosixPath(name).parents[:-1]}
            entries = [{"type": "directory", "path": f, "oid": "0" * 40} for f in sorted(folders)]
            entries += [self._entry(name, files[name]) for name in below]
            wanted = (e for e in entries if e["path"].startswith(prefix))
            return [e for e in wanted if recursive or "/" not in e["path"].removeprefix(prefix)]

        def _entry(self, name: str, path: Path) -> dict[str, Any]:
            return {"type": "file", "path": name, "size": path.stat().st_size, "oid": _etag(path)}

        def _refuse(self, status: int, code: str) -> None:
            self._send(b"{}", "application/json", {"X-Error-Code": code, "X-Error-Message": code}, status)

        def _json(self, content: Any) -> None:
            self._send(json.dumps(content).encode(), "application/json", {})

        def _send(self, data: bytes, kind: str, headers: dict[str, str], status: int = 200) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    return Handler
