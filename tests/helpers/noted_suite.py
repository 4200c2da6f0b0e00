"""The suite of `board_world` with a second task, and corpora that call for notes (`suite_notes`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from tests.helpers.board_world import TASK

SECOND = "hum"
CORPORA = MappingProxyType({TASK.name: "starter", SECOND: "asterisk-core-sounds"})
"""The tasks, synthetic clips and recordings."""


def make(tones: Suite, root: Path, corpora: Mapping[str, str] = CORPORA, name: str | None = None) -> Suite:
    """A new suite below `root` with the clips and signals of `tones` under both tasks, without verdicts."""
    manifest = json.loads((tones.root / MANIFEST).read_text())
    (task,), records, files = manifest["tasks"], manifest["references"], dict(manifest["files"])
    for path, sha256 in manifest["files"].items():
        second = path.replace(TASK.name, SECOND, 1)
        files[second] = sha256
        for target in (path, second):
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tones.root / path, root / target)
    manifest |= {"files": files, "tasks": [{**task, "name": each} for each in corpora]}
    manifest["headlines"] = dict.fromkeys(corpora, manifest["headlines"][TASK.name])
    manifest["references"] = [
        {**record, "task": each, "corpus": {**record["corpus"], "name": corpus}}
        | {"label_map": {**record["label_map"], "task": each}}
        for each, corpus in corpora.items()
        for record in records
    ]
    (root / MANIFEST).write_text(json.dumps(manifest))
    return Suite(root, name or tones.name)
