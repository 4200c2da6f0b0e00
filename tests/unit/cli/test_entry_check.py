"""`evaluate` checks the entry that it writes, so that no later command has to."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli
from harness.entries import store, validate
from tests.helpers import toy_models
from tests.helpers.checked_entries import checked_entries
from tests.helpers.corpus import make_corpus

LABELS = ("neu", "hap", "ang", "sad")


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a suite of its own signals."""
    root = tmp_path_factory.mktemp("check")
    make_corpus(root / "corpus", *((f"c{i}.wav", ("angry", "happy")[i % 2]) for i in range(4)))
    toy_models.save_model(root / "model", "wav2vec2", LABELS, seed=1)
    words = ("extract", root / "model", "--task", "emotion", "--corpus", root / "corpus")
    assert run(*words, "--search", "minimal", "--out", root / "signals") == 0
    return root


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders of entries that were checked."""
    return checked_entries(monkeypatch)


def test_a_new_entry_is_checked_once(root: Path, tmp_path: Path, checked: list[Path]) -> None:
    evaluate = ("evaluate", root / "model", "--signals", root / "signals", "--out", tmp_path)
    assert run(*evaluate) == 0
    (folder,) = store.find(tmp_path)
    assert checked == [folder]
    for words in (evaluate, ("validate", tmp_path), ("export", folder, "--as", "model-index")):
        assert run(*words) == 0
    assert checked == [folder]
    (folder / "more.txt").touch()
    assert run("validate", tmp_path) == 1
    assert checked == [folder, folder]


def test_a_partial_entry_is_not_checked(root: Path, tmp_path: Path, checked: list[Path]) -> None:
    command = ("evaluate", root / "model", "--signals", root / "signals", "--out", tmp_path)
    assert run(*command, "--limit", "2") == 0
    assert checked == []


def test_what_is_wrong_with_a_new_entry_is_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(validate, "validate_entry", lambda *_, **__: ["n_verdicts: 1, expected 2"])
    command = ("evaluate", root / "model", "--signals", root / "signals", "--out", tmp_path)
    assert run(*command) == 0
    assert "Warning: n_verdicts: 1, expected 2: the entry cannot be submitted\n" in capsys.readouterr().err
