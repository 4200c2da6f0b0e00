"""`.source.json` of a downloaded signals folder: where its files came from, and which were rebuilt here.

    {
      "source": "org/name",
      "commit": "0123456789abcdef0123456789abcdef01234567",
      "manifest": "<sha256 of manifest.json>",
      "rebuilt": {"<path>": {"from": "<sha256>", "to": "<sha256>"}}
    }

A file was rebuilt from a download of masks and the clips of a corpus.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import untrusted
from harness.dataset.paths import SOURCE
from harness.errors import BadSignals


def read(root: Path) -> dict[str, Any] | None:
    """The fields of `.source.json`; None where a folder has none.

    Raises:
        BadSignals: there is something else.
    """
    path = root / SOURCE
    if not path.is_file():
        return None
    try:
        fields = untrusted.json_of(untrusted.content(path))
        problem = None if _is_valid(fields) else "expected the fields source, commit, manifest and rebuilt"
    except untrusted.Unreadable as error:
        problem = str(error)
    if problem:
        raise BadSignals(f"{path} does not say where the signals came from ({problem}); download them again")
    return dict(fields)


def _is_valid(fields: Any) -> bool:
    if not isinstance(fields, dict) or set(fields) != {"source", "commit", "manifest", "rebuilt"}:
        return False
    texts = [
        fields["source"],
        *(fields[name] for name in ("commit", "manifest") if fields[name] is not None),
    ]
    rebuilt = fields["rebuilt"]
    if not isinstance(rebuilt, dict):
        return False
    for paths in rebuilt.values():
        if not isinstance(paths, dict) or set(paths) != {"from", "to"}:
            return False
        texts += paths.values()
    return all(isinstance(value, str) for value in texts)
