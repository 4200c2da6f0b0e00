"""Every entry among the submissions is valid, lies where its content says, and is counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.entries import store, verification
from harness.entries.validate import strays, validate_entry
from harness.tasks import TASKS
from tests.helpers.entries import made_verification, make_entry
from tests.helpers.repository import SUBMISSIONS


def committed(submissions: Path) -> list[Path]:
    """Folders three below the root, listed without `store.find`, so that a fault in it is seen."""
    return sorted(path for path in submissions.glob("*/*/*") if path.is_dir())


def check(submissions: Path) -> None:
    """What a pull request with an entry must pass."""
    folders = store.find(submissions)
    assert folders == committed(submissions)
    for folder in folders:
        assert validate_entry(folder, tuple(TASKS.values()), strict_files=True) == []
        assert folder.relative_to(submissions).as_posix() == store.read(folder).path
    assert strays(submissions) == []
    n_files = sum(len(files) for folder, _, files in os.walk(submissions) if Path(folder) != submissions)
    assert n_files == 2 * len(folders) + sum(verification.sidecar_of(folder).is_file() for folder in folders)


def test_every_committed_entry_is_valid_and_lies_where_its_content_says() -> None:
    check(SUBMISSIONS)


def test_the_check_passes_sound_entries(tmp_path: Path) -> None:
    for name in ("toys/one", "toys/two"):
        folder = store.write(tmp_path, *make_entry(repo_id=name, n_clips=4))
    verification.write(folder, made_verification(folder))
    (tmp_path / "README.md").write_text("Entries.")
    check(tmp_path)
    assert len(committed(tmp_path)) == 2


@pytest.mark.parametrize(
    "fault", ["report", "stray", "moved", "no entry.json", "changed", "forged verification", "orphan"]
)
def test_the_check_fails_when_an_entry_does_not_hold(tmp_path: Path, fault: str) -> None:
    folder = store.write(tmp_path, *make_entry(n_clips=4))
    if fault == "report":
        (folder / "report.html").write_text("<html></html>")
    elif fault == "stray":
        (folder.parent / "run.sh").write_text("true")
    elif fault == "moved":
        folder.rename(folder.with_name("emotion@00000000"))
    elif fault == "forged verification":
        path = verification.write(folder, made_verification(folder))
        path.write_text(path.read_text().replace('"n_asked": 40', '"n_asked": 41'))
    elif fault == "orphan":
        verification.write(folder, made_verification(folder)).rename(folder.parent / "emotion.verified.json")
    elif fault == "no entry.json":
        (folder / store.ENTRY).unlink()
    else:
        path = folder / store.ENTRY
        path.write_text(path.read_text().replace('"ranked": false', '"ranked": true'))
    with pytest.raises(AssertionError):
        check(tmp_path)
