"""What is said of entries, and in the place of them: by name, with a reason, and for good."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from harness import cli
from harness.dataset.parquet_io import sha256_of
from harness.entries import notices, store
from harness.entries.validate import strays
from harness.errors import BadInput
from tests.helpers.repository import ROOT

LATER = {"date": "2099-01-01"}


@pytest.fixture
def submissions(tmp_path):
    shutil.copytree(ROOT / "submissions", tmp_path / "submissions")
    return tmp_path / "submissions"


@pytest.fixture
def folder(submissions):
    return store.find(submissions)[0]


def test_what_was_said_stays_and_what_is_new_is_added(folder, submissions):
    first = notices.invalidate(folder, "Ada", "Trained on the test clips.")
    before = notices.invalidations_of(folder)
    notices.invalidate(folder, "Grace", "Its config was edited.")
    assert first == folder.with_name(folder.name + ".invalidated.json")
    found = notices.invalidations_of(folder)
    assert found[:1] == before
    assert [(i.author, i.reason) for i in found] == [
        ("Ada", "Trained on the test clips."),
        ("Grace", "Its config was edited."),
    ]
    assert {i.entry_sha256 for i in found} == {sha256_of(folder / "entry.json")}
    assert strays(submissions) == []
    assert notices.invalidate(folder, "Ada", "Trained on the test clips.") == first
    assert notices.invalidations_of(folder) == found


@pytest.mark.parametrize(
    ("author", "reason"),
    [("", "why"), ("Ada", " "), ("Ada", "<script>"), ("A" * 101, "x"), ("Ada", "a\u202eb")],
)
def test_author_and_reason_are_plain_text(folder, author, reason):
    with pytest.raises(BadInput, match="expected plain text"):
        notices.invalidate(folder, author, reason)
    assert notices.invalidations_of(folder) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one["invalidations"].clear(), "none, expected at least one"),
        (lambda one: one["invalidations"][0].update(entry_sha256="0" * 64), "of another entry"),
        (lambda one: one["invalidations"][0].update(date="soon"), "expected YYYY-MM-DD"),
        (lambda one: one["invalidations"][0].update(author="<b>"), "expected plain text"),
        (lambda one: one.update(more=1), "more"),
        (
            lambda one: one["invalidations"].insert(0, one["invalidations"][0] | {"date": "2099-01-01"}),
            "order",
        ),
    ],
)
def test_a_list_that_is_none_is_reported_and_believed_by_nobody(folder, submissions, change, told):
    path = notices.invalidate(folder, "Ada", "Because.")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    assert any(told in line for line in strays(submissions))
    with pytest.raises(BadInput, match="is no list of invalidations"):
        notices.invalidations_of(folder)


@pytest.mark.parametrize("kind", ["symlink", "fifo", "giant", "of no entry"])
def test_a_file_that_must_not_be_opened_is_not(folder, submissions, kind):
    path = folder.with_name(folder.name + ".invalidated.json")
    if kind == "symlink":
        path.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "giant":
        path.write_bytes(b" " * (notices.MAX_BYTES + 1))
    else:
        path = path.with_name("emotion@00000000.invalidated.json")
        path.write_text("{}")
    assert len(strays(submissions)) == 1


@pytest.mark.parametrize("kind", ["folder", "endless", "gone"])
def test_what_is_said_of_an_entry_that_cannot_be_read_is_a_problem_and_no_crash(folder, submissions, kind):
    path = notices.invalidate(folder, "Ada", "Because.")
    entry = folder / "entry.json"
    entry.unlink()
    if kind == "folder":
        entry.mkdir()
    elif kind == "endless":
        entry.symlink_to("/dev/zero")
    assert any(path.name in line for line in strays(submissions))
    with pytest.raises(BadInput):
        notices.invalidations_of(folder)


def test_an_opt_out_is_filed_once_under_its_model_and_task(submissions):
    refusal = notices.new_opt_out("org/ear", "a" * 40, "emotion", "Ada", "Trained on these clips.")
    path = notices.opt_out(submissions, refusal)
    assert path == submissions / "org__ear/aaaaaaaaaaaa/emotion.declined.json"
    assert notices.opt_out(submissions, refusal) == path
    assert notices.opt_outs_below(submissions) == [refusal]
    assert strays(submissions) == []
    with pytest.raises(BadInput, match="an opt-out is not changed"):
        notices.opt_out(submissions, notices.new_opt_out("org/ear", "a" * 40, "emotion", "Ada", "Other."))
    moved = path.with_name("deepfake.declined.json")
    path.rename(moved)
    assert "by its content" in strays(submissions)[0]
    assert notices.opt_outs_below(submissions) == []


@pytest.mark.parametrize("repo_id", ["../ear", ".hidden/x", "org\\ear"])
def test_an_opt_out_cannot_lead_out_of_the_submissions(submissions, repo_id):
    refusal = notices.new_opt_out(repo_id, "a" * 40, "emotion", "Ada", "Because.")
    with pytest.raises(BadInput, match="expected <org>__<model>"):
        notices.opt_out(submissions, refusal)


def test_the_commands_say_where_it_lies(folder, submissions, capsys):
    said = ["--author", "Ada", "--reason", "Because."]
    assert cli.run(["invalidate", str(folder), *said]) == 0
    assert capsys.readouterr().out.strip() == f"{folder}.invalidated.json"
    assert cli.run(["invalidate", str(submissions), *said]) == 2
    assert "give the folder of one" in capsys.readouterr().err
    model = ROOT / "harness/starter/suite/models/starter-emotion-wavlm"
    command = ["opt-out", str(model), "--task", "emotion", "--out", str(submissions), *said]
    assert cli.run(command) == 0
    filed = Path(capsys.readouterr().out.strip())
    assert filed.name == "emotion.declined.json"
    assert strays(submissions) == []
