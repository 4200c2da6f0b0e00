"""Entries on disk: written, found, read and filed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pandas.testing import assert_frame_equal

from harness.cli.submit import submit
from harness.dataset import parquet_io
from harness.dataset.parquet_schema import verdict_table
from harness.entries import store
from harness.errors import BadInput, NotValid
from harness.schemas import Entry, to_json
from harness.types import Verdict
from tests.helpers.entries import frame, make_entry

MADE = make_entry(n_clips=4, n_degenerate=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return store.write(tmp_path / "results", *MADE)


def rewritten(folder: Path, **changes: object) -> None:
    entry = dataclasses.replace(store.read(folder), **changes)  # type: ignore[arg-type]
    (folder / store.ENTRY).write_text(to_json(entry))


def test_an_entry_comes_back_as_it_was_written(folder: Path) -> None:
    entry, verdicts = MADE
    sha256 = parquet_io.sha256_of(folder / store.VERDICTS)
    assert store.read(folder) == dataclasses.replace(entry, n_verdicts=len(verdicts), verdicts_sha256=sha256)
    assert_frame_equal(store.verdicts(folder), frame(verdicts))


def test_the_path_says_model_revision_task_and_signals(folder: Path, tmp_path: Path) -> None:
    entry, _ = MADE
    revision, signals = entry.model.revision[:12], entry.signals.sha256[:8]
    assert folder == tmp_path / "results" / "toys__candidate" / revision / f"emotion@{signals}"
    assert sorted(os.listdir(folder)) == ["entry.json", "verdicts.parquet"]


def test_the_same_entry_is_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = store.write(tmp_path / "again", *MADE)
    for name in (store.ENTRY, store.VERDICTS):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


class _Parts:
    """Verdicts in tables of so many rows."""

    def __init__(self, verdicts: Sequence[Verdict], n: int) -> None:
        self.verdicts, self.n = verdicts, n

    def __len__(self) -> int:
        return len(self.verdicts)

    def tables(self) -> Iterator[pa.Table]:
        table = verdict_table(self.verdicts)
        return (table.slice(start, self.n) for start in range(0, len(table), self.n))


@pytest.mark.parametrize("per_group", [1 << 15, 50])
def test_verdicts_in_parts_are_the_same_bytes(
    tmp_path: Path, per_group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_io, "VERDICTS_PER_GROUP", per_group)
    entry, verdicts = MADE
    folder = store.write(tmp_path / "results", entry, verdicts)
    for n in (1, 7, 50, 64, len(verdicts)):
        again = store.write(tmp_path / f"of-{n}", entry, _Parts(verdicts, n))
        assert (again / store.VERDICTS).read_bytes() == (folder / store.VERDICTS).read_bytes()
        assert store.read(again) == store.read(folder)
    assert_frame_equal(store.verdicts(folder), frame(verdicts))
    n_groups = pq.ParquetFile(folder / store.VERDICTS).num_row_groups
    assert n_groups == math.ceil(len(verdicts) / per_group)


def test_verdicts_of_one_group_are_those_of_pyarrow(folder: Path, tmp_path: Path) -> None:
    """Files of earlier versions, in which all verdicts are one group, would be written so today."""
    split = {"p_expected": "p_expected", "energy_seen": "energy_seen", "p": "p.list.element"}
    table = verdict_table(MADE[1])
    pq.write_table(
        table,
        tmp_path / "whole.parquet",
        compression="zstd",
        use_dictionary=[name for name in table.column_names if name not in split],
        use_byte_stream_split=list(split.values()),
    )
    assert (tmp_path / "whole.parquet").read_bytes() == (folder / store.VERDICTS).read_bytes()


def test_verdicts_that_fail_halfway_leave_the_file_as_it_was(folder: Path) -> None:
    class Failing(_Parts):
        def tables(self) -> Iterator[pa.Table]:
            yield next(super().tables())
            raise KeyboardInterrupt

    before = (folder / store.VERDICTS).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        parquet_io.write_verdicts(folder / store.VERDICTS, Failing(MADE[1], 5))
    assert (folder / store.VERDICTS).read_bytes() == before
    assert sorted(os.listdir(folder)) == ["entry.json", "verdicts.parquet"]


def test_entry_json_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "replace_file", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write(tmp_path, *MADE)
    assert [path.name for path in tmp_path.rglob("*.*") if path.is_file()] == ["verdicts.parquet"]
    assert store.find(tmp_path) == []


def test_a_root_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(BadInput, match=r"cannot write .*choose another folder") as caught:
        store.write(tmp_path / "results", *MADE)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_root_is_refused_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match="cannot write"):
        store.write(tmp_path, *MADE)


@pytest.mark.parametrize(
    ("field", "value"),
    [("task", "../../emotion"), ("task", "/etc"), ("repo_id", ".."), ("revision", "../../../..")],
)
def test_names_that_lead_out_of_the_root_are_refused(tmp_path: Path, field: str, value: str) -> None:
    entry, verdicts = MADE
    if field == "task":
        entry = dataclasses.replace(entry, task=value)
    else:
        entry = dataclasses.replace(entry, model=dataclasses.replace(entry.model, **{field: value}))
    with pytest.raises(BadInput, match="would lie at"):
        store.write(tmp_path / "results", entry, verdicts)
    assert list(tmp_path.iterdir()) == []


def test_find_gives_every_entry_sorted_and_follows_no_symlinks(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "results"
    other = store.write(root, *make_entry(repo_id="toys/another", n_clips=4, n_degenerate=1))
    (root / "linked").symlink_to(folder, target_is_directory=True)
    (root / "loop").symlink_to(root, target_is_directory=True)
    assert store.find(root) == [other, folder]
    assert store.find(folder) == [folder]
    assert store.find(tmp_path / "nowhere") == []


def test_find_all_gives_each_entry_once_and_wants_one_below_each_root(folder: Path, tmp_path: Path) -> None:
    assert store.find_all([tmp_path, folder, tmp_path / "results"]) == [folder]
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"no entry.json in .*empty"):
        store.find_all([tmp_path, tmp_path / "empty"])
    with pytest.raises(BadInput, match="nowhere does not exist"):
        store.find_all([tmp_path / "nowhere"])
    with pytest.raises(BadInput, match=r"entry.json is a file"):
        store.find_all([folder / "entry.json"])


def test_reading_what_is_no_entry_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*No such file"):
        store.read(tmp_path)
    content = json.loads((folder / store.ENTRY).read_text())
    del content["task"], content["model"]
    (folder / store.ENTRY).write_text(json.dumps(content))
    with pytest.raises(BadInput, match=r"not an entry of this version.*goodenough validate") as caught:
        store.read(folder)
    assert "\n" not in str(caught.value)


def test_filing_copies_the_entry_and_nothing_beside_it(folder: Path, tmp_path: Path) -> None:
    (folder / "report.html").write_text("<html></html>")
    (folder / "notes.txt").write_text("mine")
    place = store.file_into(folder, tmp_path / "submissions")
    assert place == tmp_path / "submissions" / folder.relative_to(tmp_path / "results")
    assert sorted(os.listdir(place)) == ["entry.json", "verdicts.parquet"]
    for name in os.listdir(place):
        assert (place / name).read_bytes() == (folder / name).read_bytes()


def test_filing_the_same_entry_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    place = store.file_into(folder, tmp_path / "submissions")
    before = (place / store.ENTRY).stat().st_mtime_ns
    assert store.file_into(folder, tmp_path / "submissions") == place
    assert (place / store.ENTRY).stat().st_mtime_ns == before


def test_a_filed_entry_is_never_replaced_by_another(folder: Path, tmp_path: Path) -> None:
    place = store.file_into(folder, tmp_path / "submissions")
    filed = (place / store.ENTRY).read_bytes()
    rewritten(folder, run=dataclasses.replace(MADE[0].run, seconds=99.0))
    with pytest.raises(BadInput, match=r"another entry.json, and entries are immutable"):
        store.file_into(folder, tmp_path / "submissions")
    assert (place / store.ENTRY).read_bytes() == filed


def test_filing_completes_what_a_kill_left_behind(folder: Path, tmp_path: Path) -> None:
    place = store.file_into(folder, tmp_path / "submissions")
    (place / store.ENTRY).unlink()
    (place / store.VERDICTS).write_bytes(b"torn")
    store.file_into(folder, tmp_path / "submissions")
    assert store.read(place) == store.read(folder)
    assert_frame_equal(store.verdicts(place), store.verdicts(folder))


def made_submission(tmp_path: Path, made: tuple[Entry, list[Verdict]] = MADE) -> tuple[Path, Path]:
    (tmp_path / "submissions").mkdir(exist_ok=True)
    return store.write(tmp_path / "results", *made), tmp_path / "submissions"


def test_submit_files_every_entry_and_says_where_and_what_next(tmp_path: Path) -> None:
    made_submission(tmp_path, make_entry(repo_id="toys/another", n_clips=4, n_degenerate=1))
    _, submissions = made_submission(tmp_path)
    arguments = [str(tmp_path / "results"), "--out", str(submissions)]
    result = CliRunner().invoke(submit, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(place) for place in store.find(submissions)]
    assert len(store.find(submissions)) == 2
    assert "pull request" in result.stderr
    again = CliRunner().invoke(submit, [*arguments, "--json"], catch_exceptions=False)
    assert [one["already_there"] for one in json.loads(again.stdout)["filed"]] == [True, True]


def test_submit_copies_nothing_when_one_entry_is_not_valid(tmp_path: Path) -> None:
    made_submission(tmp_path, make_entry(repo_id="toys/another", n_clips=4, n_degenerate=1))
    folder, submissions = made_submission(tmp_path)
    rewritten(folder, n_verdicts=1, protocol=99)
    result = CliRunner().invoke(submit, [str(tmp_path / "results"), "--out", str(submissions)])
    assert isinstance(result.exception, NotValid)
    assert result.exception.exit_code == 1
    assert {line.split(": ")[1] for line in result.stdout.splitlines()} == {"n_verdicts", "protocol"}
    assert list(submissions.iterdir()) == []


@pytest.mark.parametrize("into", [[], ["--out", "nowhere"]])
def test_submit_says_where_entries_go_when_it_is_not_told(tmp_path: Path, into: list[str]) -> None:
    made_submission(tmp_path)
    result = CliRunner().invoke(submit, [str(tmp_path / "results"), *into])
    assert isinstance(result.exception, BadInput)
    assert "submissions/" in str(result.exception)
    assert "\n" not in str(result.exception)


def test_what_an_evaluation_keeps_for_itself_is_no_entry(tmp_path):
    shown = store.write(tmp_path, *MADE)
    store.write(tmp_path / ".own" / "verdicts", *MADE)
    store.write(tmp_path / ".partial", *MADE)
    assert store.find(tmp_path) == [shown]
