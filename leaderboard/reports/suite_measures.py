"""What a study measures of a suite alone, kept by content: a study with one model more measures it once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from harness.code_hash import code_hash
from harness.dataset.suites import Suite
from harness.metrics.study import SuiteMeasures, measure_suite
from harness.schemas import from_own_json, to_json
from harness.tasks import Task
from leaderboard.board.content_cache import ContentCache, key_of


def suite_measures(suite: Suite, task: Task, cache: Path) -> SuiteMeasures:
    """`measure_suite` of a task, from a cache folder where the same signals were measured before."""
    kept = ContentCache(cache / "measures", code_hash(measure_suite.__module__))
    key = key_of("measures", task.name, to_json(suite.manifest))  # which has the sha256 of every file
    if (data := kept.read(key)) is not None:
        with suppress(ValueError):
            return from_own_json(SuiteMeasures, data)
    measures = measure_suite(suite, task.name)
    kept.write(key, to_json(measures).encode())
    kept.trim()
    return measures
