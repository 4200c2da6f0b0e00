"""An entry is checked once for each content, and each thing that decides whether it is valid counts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.entries import store, valid_marks, validate
from harness.entries.valid_marks import ValidMarks, mark_of, problems_of
from harness.tasks import TASKS
from tests.helpers.checked_entries import checked_entries
from tests.helpers.entries import make_entry

ALL = (*TASKS.values(),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    entry, verdicts = make_entry()
    return store.write(tmp_path / "results", entry, verdicts)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The entries that were checked, in turn."""
    return checked_entries(monkeypatch)


def test_a_valid_entry_is_checked_once(folder: Path, tmp_path: Path, checked: list[Path]) -> None:
    for _ in range(2):
        assert problems_of(folder, ALL, ValidMarks(tmp_path / "cache", "code")) == []
    assert checked == [folder]
    assert problems_of(folder, ALL, ValidMarks(tmp_path / "cache", "other code")) == []
    assert problems_of(folder, ALL, ValidMarks(None, "code")) == []
    assert len(checked) == 3


def test_an_entry_with_a_problem_is_checked_each_time(
    folder: Path, tmp_path: Path, checked: list[Path]
) -> None:
    (folder / "notes.txt").write_text("")
    for _ in range(2):
        assert "notes.txt" in problems_of(folder, ALL, ValidMarks(tmp_path / "cache", "code"))[0]
    assert len(checked) == 2


def _byte(name: str) -> Callable[[Path], Path]:
    def change(folder: Path) -> Path:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        return folder

    return change


def _beside(folder: Path) -> Path:
    (folder / "report.html").write_text("")
    return folder


def _moved(folder: Path) -> Path:
    return folder.rename(folder.with_name("elsewhere"))


def _linked(folder: Path) -> Path:
    (folder / store.ENTRY).rename(folder.parent / store.ENTRY)
    (folder / store.ENTRY).symlink_to(folder.parent / store.ENTRY)
    return folder


def _large(folder: Path) -> Path:
    with (folder / store.ENTRY).open("ab") as file:
        file.truncate(store.MAX_BYTES[store.ENTRY] + 1)
    return folder


@pytest.mark.parametrize(
    "change", [_byte(store.ENTRY), _byte(store.VERDICTS), _beside, _moved, _linked, _large, shutil.rmtree]
)
def test_what_is_no_longer_the_same_is_checked_again(
    folder: Path, tmp_path: Path, checked: list[Path], change: Callable[[Path], Path | None]
) -> None:
    marks = ValidMarks(tmp_path / "cache", "code")
    assert problems_of(folder, ALL, marks) == []
    now = change(folder) or folder
    problems_of(now, ALL, marks)
    assert checked == [folder, now]


def test_tasks_and_rules_are_part_of_a_mark(folder: Path) -> None:
    marks = {mark_of(folder, tasks, strict_files=strict) for tasks in (ALL, ALL[:1]) for strict in (0, 1)}
    assert len(marks) == 4


def test_an_entry_that_changes_while_it_is_checked_gets_no_mark(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = ValidMarks(tmp_path / "cache", "code")

    def slow(folder: Path, *_: Any, **__: Any) -> list[str]:
        _byte(store.ENTRY)(folder)
        return []

    monkeypatch.setattr(validate, "validate_entry", slow)
    assert problems_of(folder, ALL, marks) == []
    assert mark_of(folder, ALL) not in marks
    assert not (tmp_path / "cache").exists()


def test_an_empty_line_among_the_marks_vouches_for_nothing(tmp_path: Path, checked: list[Path]) -> None:
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid" / "code.txt").write_text("\n\n")
    assert problems_of(tmp_path / "nothing", ALL, ValidMarks(tmp_path, "code"))
    assert len(checked) == 1


def test_a_cache_that_cannot_be_written_costs_time_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    marks = ValidMarks(tmp_path / "file", "code")
    assert problems_of(folder, ALL, marks) == []
    assert mark_of(folder, ALL) in marks


def test_marks_are_of_the_code_that_checks(tmp_path: Path) -> None:
    assert validate.__name__ == valid_marks._CHECK
    marks = valid_marks.validator_marks(tmp_path)
    marks.add(["0" * 64])
    (file,) = (tmp_path / "valid").iterdir()
    assert len(file.stem) == 64
