"""Entries in the cache of the Hub, where every file of a snapshot is a link to a blob, are checked alike."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.entries import notices, store
from harness.entries.validate import strays, validate_entry
from harness.tasks import TASKS
from leaderboard.board import valid_entries
from tests.helpers.entries import make_entry

MADE = make_entry(n_clips=6, n_degenerate=1)
CACHE = "datasets--board--submissions"


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """An entry as the cache has it, with what is said against it."""
    entry = store.write(tmp_path / "submissions", *MADE)
    notices.invalidate(entry, "Ada", "measured with another model")
    snapshot, blobs = tmp_path / CACHE / "snapshots" / ("ab" * 20), tmp_path / CACHE / "blobs"
    blobs.mkdir(parents=True)
    for i, path in enumerate(sorted(p for p in tmp_path.glob("submissions/**/*") if p.is_file())):
        shutil.copy(path, blobs / str(i))
        link = snapshot / path.relative_to(tmp_path)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blobs / str(i), link.parent))
    return snapshot / entry.relative_to(tmp_path)


def found(folder: Path) -> list[str]:
    return validate_entry(folder, tuple(TASKS.values()), strict_files=True)


def test_an_entry_in_the_cache_is_valid_and_may_stand_on_a_board(cached: Path) -> None:
    assert all(path.is_symlink() for path in cached.iterdir())
    assert found(cached) == []
    assert valid_entries.look([cached], None) == {}


def test_what_stands_beside_it_is_read(cached: Path) -> None:
    assert [one.author for one in notices.invalidations_of(cached)] == ["Ada"]
    assert strays(cached.parents[2]) == []


def test_the_size_is_that_of_the_blob(cached: Path) -> None:
    most = store.MAX_BYTES[store.ENTRY]
    os.truncate(cached / store.ENTRY, most + 1)
    assert f"{store.ENTRY}: {most + 1} bytes, expected at most {most}" in found(cached)


def test_a_cache_behind_a_link_is_one(cached: Path, tmp_path: Path) -> None:
    (tmp_path / "moved").symlink_to(tmp_path / CACHE)
    assert found(tmp_path / "moved" / cached.relative_to(tmp_path / CACHE)) == []


@pytest.mark.parametrize(
    "to", ["entry.json", "other/blobs/0", f"{CACHE}/blobs/in/0", f"{CACHE}/snapshots/0", "", "itself"]
)
def test_a_link_to_anything_but_a_blob_of_the_cache_is_refused(cached: Path, tmp_path: Path, to: str) -> None:
    link = cached / store.ENTRY
    target = link if to == "itself" else tmp_path / to
    if to not in ("", "itself"):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(link, target)
    link.unlink()
    link.symlink_to(target)
    assert f"{store.ENTRY}: a symlink, expected a file" in found(cached)


def test_blobs_that_lie_elsewhere_are_refused(cached: Path, tmp_path: Path) -> None:
    (tmp_path / CACHE / "blobs").rename(tmp_path / "elsewhere")
    (tmp_path / CACHE / "blobs").symlink_to(tmp_path / "elsewhere")
    assert f"{store.ENTRY}: a symlink, expected a file" in found(cached)


def test_a_blob_that_is_a_link_itself_is_refused(cached: Path, tmp_path: Path) -> None:
    blob = (cached / store.ENTRY).resolve()
    blob.rename(tmp_path / "secret")
    blob.symlink_to(tmp_path / "secret")
    assert f"{store.ENTRY}: a symlink, expected a file" in found(cached)
