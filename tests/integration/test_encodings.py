"""Output that is not UTF-8: every verb ends as it does elsewhere, and all that it writes can be read."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness import cli
from harness.cli.output_encoding import json_text, speak_plainly
from tests.helpers import toy_models
from tests.helpers.corpus import make_corpus
from tests.helpers.verbs import SUBCOMMANDS

ENCODINGS = ("ascii", "latin-1", "cp1252", "cp437", "gbk", "shift_jis", "koi8-r")
NAMES = ("Flöte", "हिंदी", "笛", "Oboe")
TASK = "name: klang\nlabels: [Flöte, हिंदी, 笛, Oboe]\nnotes: “Ф” — a note…\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a corpus, signals and an entry whose names no single code page has."""
    root = tmp_path_factory.mktemp("klänge-笛")
    (root / "task.yaml").write_text(TASK, encoding="utf-8")
    make_corpus(root / "corpus", *((f"ф{i}.wav", NAMES[i % 4]) for i in range(4)))
    for name, seed in (("ear", 0), ("nose", 1)):
        toy_models.save_model(root / name, "wav2vec2", NAMES, seed=seed)
    for command in ("extract", "evaluate"):
        assert cli.run([str(word) for word in COMMANDS[command](root, root / "made" / command)]) == 0
    return root


def _extract(root: Path, out: Path) -> list[Any]:
    given = ("--task", root / "task.yaml", "--corpus", root / "corpus", "--search", "minimal")
    return ["extract", root / "ear", *given, "--budget", 5, "--out", out]


def _evaluate(root: Path, out: Path) -> list[Any]:
    return ["evaluate", root / "nose", "--signals", root / "made/extract", "--out", out]


def _entry(root: Path) -> Path:
    [path] = (root / "made/evaluate").rglob("entry.json")
    return path.parent


def _signals(root: Path) -> Path:
    return root / "made/extract"


def _study(root: Path, out: Path) -> list[Any]:
    return ["study", _signals(root), "--model", root / "ear", "--out", out]


def _board(root: Path) -> tuple[Any, ...]:
    return ("--submissions", root / "made/evaluate", "--signals", _signals(root))


def _own(root: Path) -> tuple[Any, ...]:
    return (_entry(root), "--task", root / "task.yaml")


def _check(root: Path) -> list[Any]:
    return ["check", root / "ear", "--task", root / "task.yaml"]


COMMANDS: dict[str, Callable[[Path, Path], list[Any]]] = {
    "extract": _extract,
    "extract-json": lambda root, out: [*_extract(root, out), "--json"],
    "evaluate": _evaluate,
    "evaluate-json": lambda root, out: [*_evaluate(root, out), "--json"],
    "check": lambda root, _: _check(root),
    "check-json": lambda root, _: [*_check(root), "--json"],
    "check-template": lambda root, _: [*_check(root), "--template"],
    "check-no-task": lambda root, _: ["check", root / "ear", "--task", "emotion"],
    "tasks": lambda root, _: ["tasks"],
    "tasks-json": lambda root, _: ["tasks", "--json"],
    "study": _study,
    "study-json": lambda root, out: [*_study(root, out), "--json"],
    "validate": lambda root, _: ["validate", *_own(root)],
    "validate-wrong": lambda root, _: ["validate", _entry(root)],
    "verify": lambda root, _: [
        *("verify", _entry(root), "--signals", _signals(root), "--model", root / "nose", "--no-write"),
        *("--reference", root / "ear"),
    ],
    "export": lambda root, _: ["export", *_own(root), "--as", "model-index"],
    "export-json": lambda root, _: ["export", *_own(root), "--as", "every-eval-ever"],
    "submit": lambda root, out: ["submit", *_own(root), "--out", made(out)],
    "leaderboard": lambda root, out: ["leaderboard", "build", *_board(root), "--out", out],
    "leaderboard-csv": lambda root, _: ["leaderboard", "export", *_board(root), "--as", "csv"],
    "publish": lambda root, _: ["publish", _signals(root), "--licence", "cc0-1.0"],
    "download": lambda root, _: ["download", root / "gone…"],
    "mistyped": lambda root, _: ["evaluäte"],
    "surrogate": lambda root, _: ["check", "no-such-\udcff-\udce4-folder"],
}
REFUSED = {
    "publish": 1,
    "check-no-task": 1,
    "validate-wrong": 1,
    "download": 2,
    "mistyped": 2,
    "surrogate": 2,
}
"""Exit codes of those that do not end with 0."""


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def written(arguments: Sequence[Any], encoding: str, patch: pytest.MonkeyPatch) -> tuple[int, bytes, bytes]:
    """Exit code and what a command writes to two streams that fail on what their encoding lacks."""
    raw = [io.BytesIO(), io.BytesIO()]
    streams = [io.TextIOWrapper(each, encoding, errors="strict", write_through=True) for each in raw]
    with patch.context() as here:
        here.setattr(sys, "stdout", streams[0])
        here.setattr(sys, "stderr", streams[1])
        code = cli.run([str(word) for word in arguments])
    return code, raw[0].getvalue(), raw[1].getvalue()


CASES = list(itertools.product(COMMANDS, ENCODINGS))
_QUICK = [case for case in CASES if not case[0].startswith(("study", "evaluate"))]
ALWAYS = {*random.Random(5).sample(_QUICK, 8), ("check", "ascii"), ("check-template", "cp1252")}


@pytest.mark.parametrize(
    ("command", "encoding"),
    [pytest.param(*c, id="-".join(c), marks=() if c in ALWAYS else pytest.mark.slow) for c in CASES],
)
def test_a_verb_ends_as_it_does_in_utf_8_and_writes_what_can_be_read(
    world, tmp_path, monkeypatch, command, encoding
):
    there = written(COMMANDS[command](world, tmp_path / "utf8"), "utf-8", monkeypatch)
    here = written(COMMANDS[command](world, tmp_path / "here"), encoding, monkeypatch)
    assert here[0] == there[0] == REFUSED.get(command, 0)
    out, err = (
        here[1].decode("utf-8" if command == "leaderboard-csv" else encoding),
        here[2].decode(encoding),
    )
    assert "Traceback" not in out + err
    assert bool(out) == bool(there[1])
    assert bool(err) == bool(there[2])
    if command.endswith(("-json", "-template")):
        assert shape(json.loads(out)) == shape(json.loads(there[1]))
    if command == "export":
        assert yaml.safe_load(here[1].decode("ascii")) == yaml.safe_load(there[1].decode())
    if command == "check-template":
        assert set(json.loads(here[1].decode("utf-8"))["labels"]) == set(NAMES)


def shape(value: Any) -> Any:
    """JSON without its numbers, times and paths, which differ from run to run."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return value if isinstance(value, str) and not value.isascii() and os.sep not in value else type(value)


@pytest.mark.parametrize("words", SUBCOMMANDS, ids=" ".join)
def test_the_help_of_every_verb_can_be_read_in_ascii(words, monkeypatch):
    code, out, err = written([*words, "--help"], "ascii", monkeypatch)
    assert (code, err) == (0, b"")
    assert b"\nOutput:\n" in out or words == ("leaderboard",)
    assert out.isascii()


@pytest.mark.parametrize(
    "encoding", [pytest.param(e, marks=() if e == "ascii" else pytest.mark.slow) for e in ENCODINGS]
)
def test_so_it_is_in_a_process_of_its_own(tmp_path, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "harness", "validate", tmp_path / "gone-笛"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert "expected the folder of an entry" in done.stderr.decode(encoding)


@given(st.text(st.characters(exclude_categories=()), max_size=20), st.sampled_from(ENCODINGS))
def test_any_text_can_be_written_in_any_encoding(text, encoding):
    raw = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding, newline="", write_through=True))
        patch.setattr(sys, "stderr", io.StringIO())
        speak_plainly()
        sys.stdout.write(text)
        data = json_text(json.dumps(text, ensure_ascii=False))
        sys.stdout.detach()
    raw.getvalue().decode(encoding)
    assert json.loads(data) == text


def test_lines_arrows_and_dashes_become_ascii_and_letters_their_code_points(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
    speak_plainly()
    sys.stdout.write("┌─┬┐ │ █ a → b – −3 ≤ 4\u202f% … “ö” ф 🎻 \udce4")
    assert raw.getvalue() == (b'+-++ | # a -> b - -3 <= 4 % ... "\\u00f6" \\u0444 \\ud83c\\udfbb \\udce4')
