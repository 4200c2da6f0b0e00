"""Journals: what was finished is never lost, what was torn is never read."""

import json

import pytest

from harness.errors import BadInput
from harness.journal import Journal, replace_file


def test_a_journal_gives_back_what_was_finished(tmp_path):
    path = tmp_path / "deep" / "j"
    journal = Journal(path, {"model": "a"}, "hint")
    journal.append({"clip": 1}, {"clip": 2})
    journal.close()
    again = Journal(path, {"model": "a"}, "hint")
    assert again.items == [{"clip": 1}, {"clip": 2}]
    again.append({"clip": 3})
    again.remove()
    assert not path.exists()


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_journal_torn_anywhere_continues_with_whole_items_only(tmp_path, cut):
    path = tmp_path / "j"
    journal = Journal(path, {"model": "a"}, "hint")
    journal.append({"clip": 1})
    journal.append({"clip": 2})
    journal.close()
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - cut)])
    again = Journal(path, {"model": "a"}, "hint")
    assert again.items == [{"clip": 1}, {"clip": 2}][: len(again.items)]
    done = {item["clip"] for item in again.items}
    for clip in {1, 2} - done:
        again.append({"clip": clip})
    again.close()
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [
        {"model": "a"},
        {"clip": 1},
        {"clip": 2},
    ]


def test_a_journal_of_other_work_is_refused_and_says_what_differs(tmp_path):
    begun = Journal(tmp_path / "j", {"model": "a", "task": "t"}, "hint")
    begun.append({"clip": 1})
    begun.close()
    with pytest.raises(BadInput, match="begun with another model; do this"):
        Journal(tmp_path / "j", {"model": "b", "task": "t"}, "do this")


def test_a_journal_in_which_nothing_was_finished_is_not_left_behind(tmp_path):
    Journal(tmp_path / "j", {"model": "a"}, "hint").close()
    assert not list(tmp_path.iterdir())
    Journal(tmp_path / "j", {"model": "b"}, "hint").close()


def test_two_runs_of_the_same_work_do_not_write_into_each_other(tmp_path):
    one = Journal(tmp_path / "j", {"model": "a"}, "hint")
    with pytest.raises(BadInput, match="another run is at work on"):
        Journal(tmp_path / "j", {"model": "a"}, "hint")
    one.append({"clip": 1})
    one.close()
    again = Journal(tmp_path / "j", {"model": "a"}, "hint")
    assert again.items == [{"clip": 1}]
    again.remove()


def test_a_journal_damaged_in_its_middle_is_refused(tmp_path):
    (tmp_path / "j").write_text('{"model": "a"}\n{"clip": \n{"clip": 2}\n')
    with pytest.raises(BadInput, match="is damaged; delete it"):
        Journal(tmp_path / "j", {"model": "a"}, "hint")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    replace_file(tmp_path / "a" / "f", b"one")
    replace_file(tmp_path / "a" / "f", b"two")
    assert (tmp_path / "a" / "f").read_bytes() == b"two"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["f"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot write"):
        replace_file(tmp_path / "file" / "f", b"x")
