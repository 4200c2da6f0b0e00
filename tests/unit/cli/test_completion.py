"""Completion by the shell, asked for as a shell does: in a process, with the words in its environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.starter.paths import SUITE
from harness.tasks import TASKS
from tests.helpers.repository import ROOT

MAIN = "import sys; sys.argv[0] = 'goodenough'; from harness.cli import main; main()"
HEAVY = ("torch", "transformers", "pandas", "numpy", "pyarrow", "rich", "huggingface_hub")


def answer(folder: Path, *words: str, shell: str = "bash", code: str = MAIN) -> list[str]:
    """The lines for the last of these words, which is incomplete; `type,value` for bash."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_GOODENOUGH_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(("goodenough", *words)),
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words)),
    }
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


def values(folder: Path, *words: str) -> list[str]:
    """The plain values for the last word."""
    lines = answer(folder, *words)
    return [line.removeprefix("plain,") for line in lines if line.startswith("plain,")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Suites, a model, entries, and folders of other things."""
    root = tmp_path_factory.mktemp("completion")
    for path in (
        *("signals/manifest.json", "signals/mood_clips/clips.parquet", "lab/signals/manifest.json"),
        *("lab/ear/model.safetensors", "sounds/metadata.csv", ".hidden/manifest.json"),
        "results/org__model/0123456789ab/emotion@89abcdef/entry.json",
        "results/local__ear/0123456789ab/emotion@89abcdef/entry.json",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("{}")
    return root


STARTER = str(SUITE / "signals")
ENTRY = "0123456789ab/emotion@89abcdef"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ev",), ["evaluate"]),
        (("leaderboard", "bu"), ["build"]),
        (("evaluate", "--outg"), ["--outgoing"]),
        (("evaluate", "--engine", ""), ["local", "ray"]),
        (("evaluate", "m", "--task", ""), sorted(TASKS)),
        (("extract", "m", "--task", "emo"), ["emotion"]),
        (("evaluate", "m", "--signals", "signals", "--task", ""), ["mood"]),
        (("evaluate", "o"), ["org/model"]),
        (("evaluate", "org/model", "lab/"), ["lab/ear"]),
        (("evaluate", "m", "--out", "elsewhere", "o"), []),
        (("check", "starter-emotion-a"), [str(SUITE / "models/starter-emotion-ast")]),
        (("evaluate", "m", "--signals", ""), ["lab/signals", "signals", STARTER]),
        (("study", "lab/s"), ["lab/signals"]),
        (("extract", "--recipe", ""), ["deepfake", "emotion", "music-genre"]),
        (("validate", ""), [f"results/local__ear/{ENTRY}", f"results/org__model/{ENTRY}"]),
        (("export", "results/o"), [f"results/org__model/{ENTRY}"]),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_a_word_is_completed(folder: Path, words: tuple[str, ...], expected: list[str]) -> None:
    assert values(folder, *words) == expected


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("evaluate", "m", "--signals", "so"), "dir,so"),
        (("leaderboard", "build", "--submissions", "su"), "dir,su"),
        (("extract", "m", "--task", "my"), "file,my"),
        (("evaluate", "m", "--label-map", "la"), "file,la"),
        (("evaluate", "m", "--out", "o"), "file,o"),
    ],
)
def test_where_no_name_fits_the_shell_is_left_to_offer_paths(
    folder: Path, words: tuple[str, ...], line: str
) -> None:
    assert answer(folder, *words) == [line]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_too(folder: Path, shell: str) -> None:
    text = "\n".join(answer(folder, "evaluate", "m", "--task", "emo", shell=shell))
    assert "emotion" in text
    assert "deepfake" not in text


@pytest.mark.parametrize(
    "words", [("ev",), ("evaluate", ""), ("evaluate", "m", "--task", ""), ("validate", "")]
)
def test_nothing_heavy_is_imported(folder: Path, words: tuple[str, ...]) -> None:
    code = f"{MAIN.removesuffix('; main()')}, run; run([]); print(*({{*{HEAVY}}} & {{*sys.modules}}))"
    *lines, heavy = answer(folder, *words, code=code)
    assert lines
    assert heavy == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed_as_documented(shell: str) -> None:
    line = f"_GOODENOUGH_COMPLETE={shell}_source goodenough"
    assert line in (ROOT / "docs/how-to/completion.md").read_text()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "_GOODENOUGH_COMPLETE": f"{shell}_source"}
    result = subprocess.run(
        [sys.executable, "-c", MAIN], env=environment, capture_output=True, text=True, check=True
    )
    assert f"_GOODENOUGH_COMPLETE={shell}_complete" in result.stdout
