"""One fault, one true line: a pointer of git-lfs or a full disk, whichever door it comes through."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from harness import cli, journal
from harness.dataset import licences, parquet_io, parquet_schema
from harness.dataset.corpora import open_corpus
from harness.dataset.suites import load
from harness.disk_errors import no_room, pointer
from harness.entries import store, validate
from harness.errors import BadInput, GoodenoughError
from harness.hub.repository import Repository, hub_errors
from harness.models.checkpoints import resolve
from harness.number_format import number
from harness.submit import pull_request
from harness.tasks import TASKS, find
from leaderboard.board import entries, ranking, remarks
from tests.helpers import toy_models
from tests.helpers.corpus import make_corpus
from tests.helpers.small_suite import entry_on, small_suite

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
LINE = "is a pointer of git-lfs, not the file itself; fetch what it stands for: git lfs pull"
NAMES = ("neu", "hap", "ang", "sad")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a corpus, a suite and an entry on it."""
    root = tmp_path_factory.mktemp("faults")
    toy_models.save_model(root / "ear", "wav2vec2", NAMES)
    make_corpus(root / "corpus", ("a.wav", "angry"), ("b.wav", "sad"))
    entry, verdicts = entry_on(small_suite(root / "signals"), root / "work")
    store.write(root / "submissions", entry, verdicts)
    (root / "task.yaml").write_text("name: t\nlabels: [a, b]\n")
    return root


def _read_corpus(root: Path) -> object:
    corpus = open_corpus(str(root / "corpus"), TASKS["emotion"])
    return list(corpus.clips(TASKS["emotion"]))


def _read_signals(root: Path) -> object:
    return load(str(root / "signals")).ref("deepfake")


def _read_entry(root: Path) -> object:
    [folder] = store.find(root / "submissions")
    return store.read(folder), store.verdicts(folder)


def _build_board(root: Path) -> object:
    return ranking.build(root / "submissions", None)


def _resolve(root: Path) -> object:
    return resolve(str(root / "ear"))


DOORS = [
    *((f"ear/{name}", _resolve) for name in ("config.json", "model.safetensors", "preprocessor_config.json")),
    *((f"corpus/{name}", _read_corpus) for name in ("*.wav", "metadata.csv")),
    *((f"signals/{name}", _read_signals) for name in ("manifest.json", "deepfake/*.parquet")),
    *((f"submissions/**/{name}", _read_entry) for name in (store.ENTRY, store.VERDICTS)),
    *((f"submissions/**/{name}", _build_board) for name in (store.ENTRY, store.VERDICTS)),
    ("task.yaml", lambda root: find(str(root / "task.yaml"))),
]


@pytest.mark.parametrize(("files", "door"), DOORS, ids=[f"{f}-{d.__name__}" for f, d in DOORS])
def test_a_pointer_of_git_lfs_is_named_as_one(world, tmp_path, files, door):
    root = tmp_path / "world"
    shutil.copytree(world, root)
    for path in list(root.glob(files)):
        path.write_bytes(POINTER)
    with pytest.raises(GoodenoughError) as caught:
        door(root)
    assert LINE in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [store.ENTRY, store.VERDICTS])
def test_one_pointer_among_submissions_leaves_the_board_standing(world, tmp_path, name, capsys):
    [whole] = store.find(world / "submissions")
    root = tmp_path / "submissions"
    shutil.copytree(world / "submissions", root)
    gone = root / "org__other" / whole.parent.name / whole.name
    shutil.copytree(whole, gone)
    (gone / name).write_bytes(POINTER)
    standing = [each.folder for each in entries.find(root, None)]
    assert standing == [root / whole.relative_to(world / "submissions")]
    assert [LINE in line and str(gone / name) in line for line in entries.unfetched(root)] == [True]
    problems = validate.validate_entry(gone, list(TASKS.values()), strict_files=True)
    assert f"{name} {LINE}" in problems
    out = tmp_path / "site"
    command = ("leaderboard", "build", "--submissions", root, "--signals", world / "signals", "--out", out)
    assert cli.run([str(word) for word in command]) == 0
    assert f"left out: {gone / name} is a pointer of git-lfs" in capsys.readouterr().err


def test_what_only_begins_like_a_pointer_is_a_file(tmp_path):
    (tmp_path / "a").write_bytes(POINTER + b"x" * 2000)
    (tmp_path / "b").write_bytes(b"version 2")
    assert [pointer(tmp_path / name) for name in ("a", "b", "gone", ".")] == [None] * 4


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_line_and_leaves_no_part(tmp_path, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise FULL

    monkeypatch.setattr("harness.journal.os.fsync", full)
    with pytest.raises(
        BadInput, match=r"no room left on the disk for .*; make some, then give the same command"
    ):
        journal.replace_file(tmp_path / "file", b"x")
    monkeypatch.setattr("harness.dataset.parquet_io.pq.ParquetWriter.write_table", full)
    with pytest.raises(OSError, match="No space"):
        parquet_io.write_rows(
            tmp_path / "rows", [{f.name: None for f in parquet_schema.CLIPS}], parquet_schema.CLIPS
        )
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(cli.goodenough, "main", full)
    assert cli.run(["tasks"]) == 2
    assert (
        capsys.readouterr().err
        == "goodenough: no room left on the disk; make some, then give the same command again\n"
    )
    with (
        pytest.raises(BadInput, match=r"^no room left on the disk"),
        hub_errors(Repository("org/name"), None),
    ):
        full()


def test_another_fault_of_the_disk_is_not_a_full_one():
    assert no_room(OSError(errno.EIO, "Input/output error")) is None
    assert no_room(RuntimeError("no")) is None


def test_a_repository_without_an_entry_is_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.hub.fetching.commit_of", lambda *_: "0" * 40)
    monkeypatch.setattr("harness.hub.fetching.fetch_all", lambda *_: tmp_path / "snapshot")
    folder = pull_request.submissions("org/submissions")
    assert folder.is_dir()
    assert entries.find(folder, None) == []


# --- what people read


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (-0.04, True, "0.0"),
        (-0.0, False, "0.0"),
        (-3.14, False, "−3.1"),
        (3.14, True, "+3.1"),
        (0.0, True, "0.0"),
    ],
)
def test_a_number_has_a_minus_sign_and_no_negative_zero(value, signed, text):
    assert number(value, 1, signed=signed) == text


@pytest.mark.parametrize(
    ("stated", "names", "head"),
    [
        ("CC BY 4.0", ("cc-by-4.0",), {"license": "cc-by-4.0"}),
        ("cc0-1.0, CC-BY-4.0", ("cc0-1.0", "cc-by-4.0"), {"license": ["cc-by-4.0", "cc0-1.0"]}),
        (
            "Free for research, not for sale; see https://x.org/terms.",
            ("Free for research, not for sale", "see https://x.org/terms."),
            {"license": "other"},
        ),
        (
            "Ask us: https://x.org/terms.",
            ("Ask us: https://x.org/terms.",),
            {
                "license": "other",
                "license_name": "ask-us-https-x.org-terms",
                "license_link": "https://x.org/terms",
            },
        ),
        ("mit; other", ("mit", "other"), {"license": ["mit", "other"]}),
        (None, (), {"license": "other"}),
    ],
)
def test_a_licence_in_prose_is_shown_as_it_is_stated(stated, names, head):
    assert licences.names_in(stated) == names
    assert licences.head(names) == head


def test_what_is_said_of_references_is_true_of_a_model_that_is_none(world):
    [folder] = store.find(world / "submissions")
    entry = store.read(folder)
    assert "other than the model itself" in str(entry.scorecard.unranked_because)
    assert remarks.unranked(entry).startswith(("No reference offers", "There are no signals of a reference."))


@pytest.mark.parametrize("has_signals", [True, False])
def test_a_board_of_a_task_of_ones_own_needs_no_suite_to_know_the_task(tmp_path, capsys, has_signals):
    """The first thing that a new maintainer does: a reference's entry on a task that the package lacks."""
    labels = ("cello", "oboe")
    task = tmp_path / "instrument.yaml"
    task.write_text("name: instrument\nlabels: [cello, oboe]\n")
    toy_models.save_model(tmp_path / "ear", "wav2vec2", labels)
    rows = [(f"{i}.wav", labels[i % 2]) for i in range(4)]
    corpus, signals = make_corpus(tmp_path / "corpus", *rows), tmp_path / "signals"
    here = ["--signals", signals]
    commands = (
        (
            "extract",
            tmp_path / "ear",
            "--task",
            task,
            "--corpus",
            corpus,
            "--search",
            "minimal",
            "--out",
            signals,
        ),
        ("evaluate", tmp_path / "ear", *here, "--out", tmp_path / "results"),
        *[("leaderboard", "build", "--submissions", tmp_path / "results", "--out", tmp_path / "site")],
    )
    for command in commands:
        given = [*command, *(here if has_signals and command[0] == "leaderboard" else [])]
        assert cli.run([str(word) for word in given]) == 0, capsys.readouterr().err
    assert "instrument" in (tmp_path / "site" / "index.html").read_text()
