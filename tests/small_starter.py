"""The embedded suite with a few of its clips, and what a model of it says of them; made once in a session."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from harness import cli
from harness.cli.terminal import open_suite
from harness.records import FAMILIES
from harness.starter import root
from harness.submit import store
from tests import parts

TASK = "emotion"
MODELS = root.SUITE / "models"
MODEL = "starter-emotion-wav2vec2"
REFERENCES = ("local/starter-emotion-ast", "local/starter-emotion-whisper")
N_CLIPS = 5
"""Of each class: enough for a lift."""
N_DRAWS = 2
"""Extractions of a clip: all there are."""


@cache
def small_suite(base: Path) -> Path:
    """What can stand for `harness.starter.root.SUITE`: two references of one task.

    Args:
        base: folder for temporary files, of all tests of this process.
    """
    suite, place = open_suite(None), base / "small-suite"
    by_label = defaultdict(list)
    for line in suite.clip_lines(TASK):
        by_label[line.label].append(line.clip_id)
    chosen = {clip_id for of_label in by_label.values() for clip_id in of_label[:N_CLIPS]}
    parts.of_clips(
        suite, TASK, chosen, place / "signals", references=REFERENCES, families=FAMILIES, n_draws=N_DRAWS
    )
    (place / "models").symlink_to(MODELS)
    return place


@cache
def small_entry(base: Path) -> Path:
    """Folder of the entry of one of its models, no reference, on its signals."""
    results = base / "small-results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "SUITE", small_suite(base))
        assert cli.run(["evaluate", str(MODELS / MODEL), "--task", TASK, "--out", str(results)]) == 0
    (folder,) = store.find(results)
    return folder
