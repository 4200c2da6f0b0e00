"""What a board keeps in the cache: found by content, never trusted when damaged, bounded in size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import code_hash, schemas, untrusted
from harness.entries import store
from harness.errors import BadInput
from harness.schemas import Entry
from leaderboard.board import file_hashes, loading, rank_intervals
from leaderboard.board import ranking as table
from leaderboard.board.content_cache import NO_CACHE, ContentCache, key_of
from leaderboard.board.file_hashes import FileHashes
from leaderboard.board.types import LoadedEntry
from leaderboard.site import builder
from tests.helpers.board_world import World


@pytest.fixture
def submissions(world: World, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(world.submissions, tmp_path / "submissions")
    return tmp_path / "submissions"


def _site(world: World, submissions: Path, out: Path, cache: Path | None) -> dict[str, bytes]:
    board = table.build(submissions, world.suite, cache=cache)
    builder.write(out, board, world.suite, cache=cache)
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*") if path.is_file()}


def test_a_site_from_the_cache_is_the_same_to_the_last_byte(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    expected = _site(world, world.submissions, tmp_path / "without", None)
    assert _site(world, world.submissions, tmp_path / "first", cache) == expected
    monkeypatch.setattr(loading, "_read", lambda folder: pytest.fail("an entry was read again"))
    monkeypatch.setattr(rank_intervals, "ranks_with_intervals", lambda *args: pytest.fail("ranked again"))
    monkeypatch.setattr(file_hashes, "MIN_AGE", -60.0)  # the files are new, and are hashed all the same
    assert _site(world, world.submissions, tmp_path / "again", cache) == expected


def test_an_entry_that_changes_without_its_size_and_time_of_content_is_read_again(
    submissions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_hashes, "MIN_AGE", 0.0)
    folder = store.find(submissions)[0]
    cache, path = ContentCache(tmp_path, "code"), folder / store.ENTRY
    (first,) = loading.read_all([folder], cache=cache, hashes=FileHashes(tmp_path))
    assert isinstance(first, LoadedEntry)
    status, text = path.stat(), path.read_text()
    date = json.loads(text)["run"]["created"]
    path.write_text(text.replace(date, "1999" + date[4:]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    (second,) = loading.read_all([folder], cache=cache, hashes=FileHashes(tmp_path))
    assert isinstance(second, LoadedEntry)
    assert second.entry.run.created.startswith("1999")
    assert second.key != first.key


def test_a_file_that_changed_just_before_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    hashes = FileHashes(tmp_path / "cache")
    hashes.of(path)
    hashes.save()
    assert FileHashes(tmp_path / "cache").of_unchanged(path) is None


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "empty"])
def test_what_is_damaged_in_the_cache_is_made_again(submissions: Path, tmp_path: Path, damage: str) -> None:
    folders, cache = store.find(submissions)[:2], ContentCache(tmp_path, "code")
    first = loading.read_all(folders, cache=cache, hashes=FileHashes(tmp_path))
    assert cache.folder is not None
    for path in [path for path in cache.folder.rglob("*") if path.is_file()]:
        data = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(
                {"cut": data[:-1], "flip": data[:-1] + bytes([data[-1] ^ 1]), "empty": b""}[damage]
            )
    second = loading.read_all(folders, cache=cache, hashes=FileHashes(tmp_path))
    for a, b in zip(first, second, strict=True):
        assert isinstance(a, LoadedEntry)
        assert isinstance(b, LoadedEntry)
        assert (a.entry, a.sha256, a.key) == (b.entry, b.sha256, b.key)
        for row, other in zip(a.cells, b.cells, strict=True):
            np.testing.assert_array_equal(row.rates, other.rates)
            np.testing.assert_array_equal(row.counts, other.counts)


def test_entries_without_what_they_share_are_read_again(submissions: Path, tmp_path: Path) -> None:
    folder, cache = store.find(submissions)[0], ContentCache(tmp_path, "code")
    (first,) = loading.read_all([folder], cache=cache)
    assert isinstance(first, LoadedEntry)
    assert first.key is not None
    assert cache.folder is not None
    for path in cache.folder.rglob("*"):
        if path.is_file() and path.name != first.key:
            path.unlink()
    (second,) = loading.read_all([folder], cache=cache)
    assert isinstance(second, LoadedEntry)
    assert second.entry == first.entry


def test_entries_that_cannot_be_read_are_not_in_the_cache(submissions: Path, tmp_path: Path) -> None:
    folder, cache = store.find(submissions)[0], ContentCache(tmp_path, "code")
    (folder / store.ENTRY).write_text("{}")
    assert isinstance(loading.read_all([folder], cache=cache)[0], BadInput)
    assert cache.folder is not None
    assert not cache.folder.exists()


def test_the_cache_keeps_what_was_used_last(tmp_path: Path) -> None:
    for code in ("a", "b", "c"):
        cache = ContentCache(tmp_path, code)
        cache.write(key_of(code), b"x" * 100)
        cache.trim()
    assert sorted(path.name for path in (tmp_path / "board").iterdir()) == ["b", "c"]
    keys = [key_of(str(i)) for i in range(5)]
    for i, key in enumerate([key_of("c"), *keys]):
        cache.write(key, b"x" * 100)
        os.utime(cache._path(tmp_path / "board" / "c", key), (i, i))
    assert cache.read(keys[0]) == b"x" * 100  # now the last to be used
    cache.trim(max_bytes=350)
    assert [key for key in keys if cache.has(key)] == [keys[0], keys[4]]


def test_nothing_is_kept_without_a_folder_and_nothing_fails_in_one_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    NO_CACHE.write(key_of("a"), b"x")
    assert NO_CACHE.read(key_of("a")) is None
    (tmp_path / "file").write_text("")
    cache = ContentCache(tmp_path / "file", "code")
    cache.write(key_of("a"), b"x")
    cache.trim()
    assert cache.read(key_of("a")) is None


def test_the_code_behind_a_result_is_all_that_is_imported() -> None:
    module = "leaderboard.board.valid_entries"
    program = f"import {module}, sys; print(*(name for name in sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    ours = {name for name in modules.split() if name.split(".")[0] in ("harness", "leaderboard")}
    assert {"harness.families", "harness.dataset.suites"} <= ours
    names, seen = [module], set[str]()
    while names:
        name = names.pop()
        if name not in seen and (part := code_hash._module(name)) is not None:
            seen.add(name)
            names += part[1]
    assert ours <= seen
    assert "harness.dataset.parquet_process" in seen  # a program that is started


def test_a_text_as_it_is_written_needs_no_second_look(
    submissions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.read(store.find(submissions)[0])
    for seconds in (1e38 * 1.01, 1e300):
        with pytest.raises(ValueError, match="beyond"):
            schemas.from_json(Entry, schemas.to_json(replace(entry, run=replace(entry.run, seconds=seconds))))
    with pytest.raises(ValueError, match="beyond"):
        schemas.from_json(Entry, schemas.to_json(replace(entry, n_verdicts=10**39)))
    text = schemas.to_json(entry)
    with pytest.raises(ValueError, match="twice"):
        schemas.from_json(Entry, text.replace("{", '{\n  "protocol": 2,', 1))
    monkeypatch.setattr(untrusted, "require_once", lambda text: pytest.fail("looked at twice"))
    assert schemas.from_json(Entry, text) == schemas.from_json(Entry, text.encode()) == entry
