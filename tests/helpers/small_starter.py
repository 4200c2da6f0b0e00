"""The embedded suite with a few of its clips, and what a model of it says of them; made once in a session.

Of several processes that test, the first makes them; nobody changes them.
"""

from __future__ import annotations

import os
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

from harness import cli
from harness.entries import store
from harness.starter import paths
from harness.starter.paths import open_suite
from tests.helpers import suite_parts
from tests.helpers.families import FAMILIES

TASK = "emotion"
MODELS = paths.SUITE / "models"
MODEL = "starter-emotion-wav2vec2"
REFERENCES = ("local/starter-emotion-ast", "local/starter-emotion-whisper")
N_CLIPS = 5
"""Of each class: enough for a lift."""
N_DRAWS = 2
"""Extractions of a clip: all there are."""


@cache
def small_suite(base: Path) -> Path:
    """What can stand for `harness.starter.paths.SUITE`: two references of one task.

    Args:
        base: folder for temporary files, of all tests of this process.
    """
    place = _shared(base) / "small-suite"
    with FileLock(place.with_suffix(".lock")):
        if not place.is_dir():
            _make_suite(place.with_suffix(".part"))
            place.with_suffix(".part").rename(place)
    return place


def _shared(base: Path) -> Path:
    """A folder of all processes: with several of them, each has its own below it."""
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def _make_suite(place: Path) -> None:
    suite = open_suite(None)
    by_label = defaultdict(list)
    for line in suite.clip_lines(TASK):
        by_label[line.label].append(line.clip_id)
    chosen = {clip_id for of_label in by_label.values() for clip_id in of_label[:N_CLIPS]}
    suite_parts.of_clips(
        suite,
        TASK,
        chosen,
        place / "signals",
        references=REFERENCES,
        families=FAMILIES,
        n_draws=N_DRAWS,
    )
    (place / "models").symlink_to(MODELS)


@cache
def small_entry(base: Path) -> Path:
    """Folder of the entry of one of its models, no reference, on its signals."""
    results = _shared(base) / "small-results"
    with FileLock(results.with_suffix(".lock")), pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "SUITE", small_suite(base))
        if not results.is_dir():
            part = results.with_suffix(".part")
            assert cli.run(["evaluate", str(MODELS / MODEL), "--task", TASK, "--out", str(part)]) == 0
            part.rename(results)
    (folder,) = store.find(results)
    return folder
