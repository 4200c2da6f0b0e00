"""What a study measures of a suite alone is measured once for the same signals."""

from pathlib import Path

import pytest

from harness.dataset.suites import Suite, load
from harness.metrics import study
from leaderboard.reports import suite_measures
from tests.helpers import toy_models


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the tasks that were measured."""
    names: list[str] = []

    def measure(suite: Suite, task: str) -> study.SuiteMeasures:
        names.append(task)
        return study.measure_suite(suite, task)

    monkeypatch.setattr(suite_measures, "measure_suite", measure)
    measure.__module__ = study.__name__
    return names


def suite_of(folder: Path, n_clips: int) -> Suite:
    toy_models.add_signals(folder, clips=range(n_clips))
    return load(str(folder))


def test_the_same_signals_are_measured_once(tmp_path: Path, measured: list[str]) -> None:
    suite, task = suite_of(tmp_path / "suite", 3), toy_models.TASK
    first = suite_measures.suite_measures(suite, task, tmp_path / "cache")
    assert first == study.measure_suite(suite, task.name)
    assert sum(portrait.n for portrait in first.portraits) > 0
    again = suite_measures.suite_measures(load(str(tmp_path / "suite")), task, tmp_path / "cache")
    assert again == first
    assert measured == [task.name]


def test_other_signals_and_damaged_files_are_measured_anew(tmp_path: Path, measured: list[str]) -> None:
    suite, task = suite_of(tmp_path / "suite", 3), toy_models.TASK
    first = suite_measures.suite_measures(suite, task, tmp_path / "cache")
    other = suite_measures.suite_measures(suite_of(tmp_path / "other", 4), task, tmp_path / "cache")
    assert other != first
    assert len(measured) == 2
    for path in (path for path in (tmp_path / "cache").rglob("*") if path.is_file()):
        path.write_bytes(path.read_bytes()[:-9])
    assert suite_measures.suite_measures(suite, task, tmp_path / "cache") == first
    assert len(measured) == 3
