"""Journals: what was finished is never lost, what was torn or damaged is never read."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput
from harness.journal import Journal, finished_items, remove_stale_locks, replace_file

WORK = {"model": "a", "classes": ["x", "y"]}
ITEMS = [{"clip": i, "text": "ä" * i} for i in range(4)]


def written(path: Path, items: list[dict[str, Any]] = ITEMS, work: dict[str, Any] = WORK) -> bytes:
    """The bytes of a journal with these items."""
    journal = Journal(path, work, "hint")
    try:
        journal.append(*items)
    finally:
        journal.close()
    return path.read_bytes()


def read(path: Path, hint: str | None = "hint") -> list[dict[str, Any]]:
    journal = Journal(path, WORK, hint)
    items = list(journal.items)
    journal.close()
    return items


def old_form(*lines: Any) -> bytes:
    """A journal of a version that had no checksums."""
    return b"".join(json.dumps(line, sort_keys=True).encode() + b"\n" for line in lines)


def test_a_journal_gives_back_what_was_finished(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "j"
    journal = Journal(path, {"model": "a"}, "hint")
    journal.append({"clip": 1}, {"clip": 2})
    journal.close()
    again = Journal(path, {"model": "a"}, "hint")
    assert list(again.items) == [{"clip": 1}, {"clip": 2}]
    again.append({"clip": 3})
    assert list(finished_items(path, {"model": "a"})) == [{"clip": 1}, {"clip": 2}, {"clip": 3}]
    assert list(finished_items(path, {"model": "b"})) == []
    again.remove()
    assert not path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_journal_cut_anywhere_continues_with_whole_items_only(tmp_path: Path) -> None:
    path = tmp_path / "j"
    data = written(path)
    for n_bytes in range(len(data)):
        path.write_bytes(data[:n_bytes])
        n_whole = max(0, data[:n_bytes].count(b"\n") - 1)
        again = Journal(path, WORK, "hint")
        assert list(again.items) == ITEMS[:n_whole]
        again.append(*ITEMS[n_whole:])
        again.close()
        assert path.read_bytes() == data


def flips(data: bytes, n: int) -> Iterator[tuple[int, int]]:
    places = [(i, bit) for i in range(len(data)) for bit in range(8)]
    return iter(random.Random(0).sample(places, min(n, len(places))))


@pytest.mark.parametrize("n", [120, pytest.param(10**6, marks=pytest.mark.slow)])
def test_a_bit_that_flips_anywhere_costs_its_line_and_changes_nothing_else(
    tmp_path: Path, n: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "j"
    data = written(path)
    ends = [i for i, byte in enumerate(data) if byte == 10]
    for at, bit in flips(data, n):
        caplog.clear()
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
        line = data[:at].count(b"\n")
        # The first line says what the others do, too; an end that is hit takes the next line with it.
        lost = {line - 1} | ({line} if at in ends else set())
        left = [item for i, item in enumerate(ITEMS) if i not in lost]
        assert list(finished_items(path, WORK)) == left, (at, bit)
        assert read(path) == left, (at, bit)
        is_torn = at == ends[-1]
        assert len(caplog.records) == (0 if is_torn else 1)
        # What was damaged is gone from the file: it is told of once.
        caplog.clear()
        assert read(path) == left
        assert caplog.records == []
        path.write_bytes(data)


def test_a_line_of_other_work_does_not_pass_for_one_of_this(tmp_path: Path) -> None:
    ours, other = written(tmp_path / "a"), written(tmp_path / "b", work={"model": "b", "classes": []})
    (tmp_path / "a").write_bytes(ours + other.splitlines(keepends=True)[1])
    assert read(tmp_path / "a") == ITEMS


FOREIGN: dict[str, bytes] = {
    "other work": old_form({"model": "b"}, {"clip": 1}),
    "text": b"A note of mine.\nAnd another line.\n",
    "json of another kind": b'[1, 2]\n"x"\nnull\n',
    "deeply nested": b"[" * 100_000 + b"\n" + b'{"a":' * 100_000 + b"\n",
    "a deeply nested object": b'{"a":' * 100_000 + b"\n",
    "noise": random.Random(1).randbytes(5000) + b"\n",
    "zeros": bytes(4096) + b"\n",
    "empty lines": b"\n\n\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_something_else_is_put_aside_where_nobody_is_asked(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "j"
    path.write_bytes(FOREIGN[kind])
    assert list(finished_items(path, WORK)) == []
    assert read(path, hint=None) == []
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert (tmp_path / "j.damaged").read_bytes() == FOREIGN[kind]
    assert written(path)
    assert read(path) == ITEMS


@pytest.mark.parametrize("data", [b"", b"{", b'1234abcd {"model": "a"'])
def test_an_empty_or_torn_beginning_is_begun_again(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "j").write_bytes(data)
    assert list(finished_items(tmp_path / "j", WORK)) == []
    assert written(tmp_path / "j") == written(tmp_path / "whole")


def test_a_journal_of_an_earlier_version_is_read_once_and_gets_its_checksums(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(old_form(WORK, *ITEMS) + b'{"clip": 9, "te')
    assert list(finished_items(path, WORK)) == ITEMS
    assert read(path) == ITEMS
    assert path.read_bytes() == written(tmp_path / "now")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j", "now"]


def test_a_line_of_an_earlier_version_that_is_none_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(old_form(WORK, ITEMS[0]) + b'{"clip": \n' + old_form(*ITEMS[1:]))
    assert read(tmp_path / "j") == ITEMS


def test_an_item_that_its_reader_cannot_read_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written(path, [{"clip": 1}, {"other": 2}, {"clip": 3}])
    journal = Journal(path, WORK, "hint", lambda item: item["clip"])
    assert list(journal.items) == [{"clip": 1}, {"clip": 3}]
    journal.close()
    assert read(path) == [{"clip": 1}, {"clip": 3}]


def test_a_journal_of_other_work_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    begun = Journal(tmp_path / "j", {"model": "a", "task": "t"}, "hint")
    begun.append({"clip": 1})
    begun.close()
    data = (tmp_path / "j").read_bytes()
    for form in (data, old_form({"model": "a", "task": "t"}, {"clip": 1})):
        (tmp_path / "j").write_bytes(form)
        with pytest.raises(BadInput, match="begun with another model; do this"):
            Journal(tmp_path / "j", {"model": "b", "task": "t"}, "do this")
        assert (tmp_path / "j").read_bytes() == form


def test_a_journal_in_which_nothing_was_finished_is_not_left_behind(tmp_path: Path) -> None:
    Journal(tmp_path / "j", {"model": "a"}, "hint").close()
    assert not list(tmp_path.iterdir())
    Journal(tmp_path / "j", {"model": "b"}, "hint").close()


def test_two_runs_of_the_same_work_do_not_write_into_each_other(tmp_path: Path) -> None:
    one = Journal(tmp_path / "j", {"model": "a"}, "hint")
    with pytest.raises(BadInput, match="another run is at work on"):
        Journal(tmp_path / "j", {"model": "a"}, "hint")
    one.append({"clip": 1})
    one.close()
    again = Journal(tmp_path / "j", {"model": "a"}, "hint")
    assert list(again.items) == [{"clip": 1}]
    again.remove()


def test_a_lock_that_a_kill_left_is_taken_away_and_one_that_is_held_stays(tmp_path: Path) -> None:
    (tmp_path / "gone.lock").write_text("")
    journal = Journal(tmp_path / "held", WORK, "hint")
    remove_stale_locks(tmp_path, "*.lock")
    remove_stale_locks(tmp_path / "none", "*.lock")
    assert [path.name for path in tmp_path.glob("*.lock")] == ["held.lock"]
    journal.close()


# --- a disk that takes no more


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
@pytest.mark.parametrize("n_before", [0, 2])
def test_what_cannot_be_written_is_one_line_and_the_next_run_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, n_before: int
) -> None:
    path = tmp_path / "j"
    whole = written(tmp_path / "whole")
    journal = Journal(path, WORK, "hint")
    if n_before:
        journal.append(*ITEMS[:n_before])

    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(BadInput, match=rf"{path}[:;] ") as error:
            journal.append(*ITEMS[n_before:])
        journal.close()
    assert "\n" not in str(error.value)
    assert path.exists() == bool(n_before)
    again = Journal(path, WORK, "hint")
    assert list(again.items) == ITEMS[:n_before]
    again.append(*ITEMS[n_before:])
    again.close()
    assert path.read_bytes() == whole


def limited(path: Path, n_bytes: int, write: Callable[[Path], object]) -> str:
    """What is said where no file may have more bytes; Python ignores the signal that would end it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        write(path)
    except BadInput as error:
        return str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return ""


def replaced(path: Path) -> None:
    replace_file(path, path.with_name("whole").read_bytes())


@pytest.mark.parametrize("write", [written, replaced])
def test_a_limit_on_the_size_of_a_file_is_one_line_and_costs_nothing(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    whole = written(tmp_path / "whole")
    for n_bytes in range(0, len(whole), 90):
        line = limited(tmp_path / "j", n_bytes, write)
        assert line.startswith("no file may get so large here for ")
        assert line.endswith(", then give the same command again")
        assert not list(tmp_path.glob("*.part")) + list(tmp_path.glob("*.lock"))
    write(tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == whole


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    replace_file(tmp_path / "a" / "f", b"one")
    replace_file(tmp_path / "a" / "f", b"two")
    assert (tmp_path / "a" / "f").read_bytes() == b"two"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["f"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write"):
        replace_file(tmp_path / "file" / "f", b"x")
