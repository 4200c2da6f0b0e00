"""A pointer of git-lfs in the place of any file, at every verb that reads it: one line.

It ends a verb that needs the file; a recording, or one entry among others, costs no more than itself.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.disk_errors import POINTED
from harness.entries import store
from tests.helpers import toy_models
from tests.helpers.corpus import make_corpus

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"
NAMES = ("neu", "hap", "ang", "sad")


def run(*words: object) -> int:
    return cli.run([str(word) for word in words])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, two models, the signals of one of them, their entries as results and as submissions."""
    root = tmp_path_factory.mktemp("pointers")
    toy_models.save_model(root / "ear", "wav2vec2", NAMES)
    toy_models.save_model(root / "nose", "hubert", NAMES, seed=3)
    make_corpus(root / "corpus", *((f"{i}.wav", ("angry", "sad")[i % 2]) for i in range(4)))
    (root / "mood.yaml").write_text("name: mood\nlabels: [sad, glad]\n")
    (root / "map.json").write_text('{"labels": {"neu": "neutral", "hap": "happy"}}')
    (root / "card.md").write_text("---\nconfigs: [emotion]\n---\nOf tones.\n")
    (root / "recipe.yaml").write_text("name: r\n")
    (root / "submissions").mkdir()
    about = ("--task", "emotion", "--corpus", root / "corpus", "--budget", 40, "--out", root / "signals")
    assert run("extract", root / "ear", *about) == 0
    for name in ("ear", "nose"):
        on = ("--signals", root / "signals", "--out", root / "results")
        assert run("evaluate", root / name, *on, *(("--update-suite",) if name == "ear" else ())) == 0
    assert run("submit", root / "results", "--out", root / "submissions") == 0
    assert run(*verify(root)) == 0
    return root


def verify(root: Path) -> tuple[object, ...]:
    models = ("--model", root / "ear", "--model", root / "nose")
    return ("verify", root / "submissions", "--signals", root / "signals", *models, "-k", 1)


def entry(root: Path) -> Path:
    (folder,) = (root / "results").glob("local__nose/*/*")
    return folder


Command = Callable[[Path], tuple[object, ...]]
COMMANDS: dict[str, Command] = {
    "check": lambda r: ("check", r / "ear", "--label-map", r / "map.json", "--task", "emotion"),
    "check --task": lambda r: ("check", r / "ear", "--task", r / "mood.yaml"),
    "check --signals": lambda r: ("check", r / "ear", "--signals", r / "signals"),
    "evaluate": lambda r: ("evaluate", r / "nose", "--signals", r / "signals", "--out", r / "out"),
    "evaluate --label-map": lambda r: (
        *("evaluate", r / "nose", "--signals", r / "signals", "--out", r / "out"),
        *("--task", "emotion", "--label-map", r / "map.json"),
    ),
    "extract": lambda r: (
        *("extract", r / "ear", "--task", "emotion", "--corpus", r / "corpus", "--budget", 20),
        *("--out", r / "out"),
    ),
    "extract --recipe": lambda r: ("extract", "--recipe", r / "recipe.yaml", "--out", r / "out"),
    "study": lambda r: ("study", r / "signals", "--out", r / "out"),
    "validate": lambda r: ("validate", r / "submissions"),
    "validate --signals": lambda r: ("validate", r / "submissions", "--signals", r / "signals"),
    "validate --task": lambda r: ("validate", r / "submissions", "--task", r / "mood.yaml"),
    "verify": verify,
    "verify --all": lambda r: (
        *("verify", "--all", entry(r), "--signals", r / "signals", "--model", r / "nose"),
        *("--out", r / "out"),
    ),
    "submit": lambda r: ("submit", r / "results", "--out", r / "out"),
    "submit --task": lambda r: ("submit", r / "results", "--out", r / "out", "--task", r / "mood.yaml"),
    "publish": lambda r: ("publish", r / "signals", "--licence", "cc0-1.0", "--card", r / "card.md"),
    "download": lambda r: ("download", r / "signals", "--out", r / "out"),
    "export": lambda r: ("export", entry(r), "--as", "model-index"),
    "invalidate": lambda r: ("invalidate", entry(r), "--author", "Ada", "--reason", "It is wrong."),
    "opt-out": lambda r: (
        *("opt-out", r / "ear", "--task", "emotion", "--author", "Ada", "--reason", "It is wrong."),
        *("--out", r / "submissions"),
    ),
    "leaderboard build": lambda r: (
        *("leaderboard", "build", "--submissions", r / "submissions", "--signals", r / "signals"),
        *("--out", r / "out"),
    ),
    "leaderboard export": lambda r: (
        *("leaderboard", "export", "--submissions", r / "submissions", "--signals", r / "signals"),
        *("--as", "csv"),
    ),
}

_EAR = ("check", "evaluate --label-map", "extract", "opt-out")
_SIGNALS = ("check --signals", "evaluate", "study", "validate --signals", "verify", "verify --all", "publish")
_SIGNALS += ("download", "leaderboard build")
_BOARD = ("leaderboard build", "leaderboard export")
OWN, NOSE = "signals/verdicts/local__ear/*/*", "submissions/local__nose/*/*"
READERS: dict[str, tuple[str, ...]] = {
    **{
        f"ear/{name}": ("check", "check --task", "extract", "opt-out", "verify")
        for name in ("config.json", "model.safetensors", "preprocessor_config.json")
    },
    "nose/config.json": ("evaluate", "evaluate --label-map", "verify", "verify --all"),
    "map.json": ("check", "evaluate --label-map"),
    "mood.yaml": ("check --task", "validate --task", "submit --task"),
    "recipe.yaml": ("extract --recipe",),
    "card.md": ("publish",),
    "corpus/metadata.csv": ("extract",),
    "corpus/1.wav": ("extract",),
    "signals/manifest.json": (*_SIGNALS, "leaderboard export"),
    "signals/emotion/*.parquet": _SIGNALS,
    "signals/emotion_clips/*.parquet": ("evaluate", "study", "verify", "verify --all", "publish", "download"),
    f"{OWN}/{store.ENTRY}": ("study", "publish", "download", *_BOARD),
    f"{OWN}/{store.VERDICTS}": ("study", "publish", "download", *_BOARD),
    **{
        f"results/local__nose/*/*/{name}": ("submit", "verify --all", "export")
        for name in (store.ENTRY, store.VERDICTS)
    },
    f"results/local__nose/*/*/{store.ENTRY} ": ("invalidate",),
    **{f"{NOSE}/{name}": ("validate", "verify", *_BOARD) for name in (store.ENTRY, store.VERDICTS)},
    "submissions/local__nose/*/*.verified.json": ("validate", "verify", *_BOARD),
}
"""Which files of the world are pointers -> the verbs that read them."""

GOES_ON = {
    **{(f"{NOSE}/{name}", verb): 0 for name in (store.ENTRY, store.VERDICTS) for verb in _BOARD},
    **{("submissions/local__nose/*/*.verified.json", verb): 0 for verb in _BOARD},
    **{(f"results/local__nose/*/*/{name}", "submit"): 0 for name in (store.ENTRY, store.VERDICTS)},
    ("corpus/1.wav", "extract"): 0,
}
"""Where it costs a recording, an entry or a record alone, and the rest goes on."""
REPORTED = ("validate", "check", "publish")
"""Verbs whose answer is what is wrong: exit code 1."""


def cells() -> list[Any]:
    """All of them; a seeded sample in every run."""
    every = [(files, verb) for files, verbs in READERS.items() for verb in verbs]
    sample = random.Random(5).sample(every, 8)
    return [
        pytest.param(*cell, id="-".join(cell), marks=() if cell in sample else (pytest.mark.slow,))
        for cell in every
    ]


@pytest.mark.parametrize(("files", "verb"), cells())
def test_a_pointer_is_one_line_at_every_verb(world, tmp_path, capsys, files, verb):
    root = tmp_path / "world"
    shutil.copytree(world, root)
    (root / "out").mkdir()
    paths = sorted(root.glob(files.strip()))
    assert paths
    for path in paths:
        path.write_bytes(POINTER)
    code = run(*COMMANDS[verb](root))
    out, err = capsys.readouterr()
    lines = [line for line in (*out.splitlines(), *err.splitlines()) if POINTED in line]
    assert lines, (out, err)
    assert any(path.name in line for path in paths for line in lines)
    if (files, verb) in GOES_ON:
        assert code == 0, err
    elif verb in REPORTED and not files.startswith(("ear/", "signals/m", "signals/e", "card")):
        assert code == 1, err
    else:
        assert code == 2, err
        assert err.splitlines()[-1].startswith("goodenough: ")
        assert POINTED in err.splitlines()[-1] or verb in ("publish", "verify"), err
    assert "delete it" not in err


def test_one_entry_of_three_that_was_not_fetched_costs_that_entry(world, tmp_path, capsys):
    """The others are verified, offered and ranked."""
    root = tmp_path / "world"
    shutil.copytree(world, root)
    (root / "out").mkdir()
    for path in root.glob("submissions/**/*.verified.json"):
        path.unlink()
    for path in root.glob(f"*s/local__nose/*/*/{store.ENTRY}"):
        path.write_bytes(POINTER)
    assert run(*verify(root)) == 2
    out, err = capsys.readouterr()
    assert "/local__ear/" in out.splitlines()[0]
    assert ": holds: replayed" in out
    assert err.splitlines()[-1].startswith("goodenough: 1 of 2 entries could not be verified: ")
    assert run("submit", root / "results", "--out", root / "out") == 0
    assert [folder.parts[-3] for folder in store.find(root / "out")] == ["local__ear"]
    assert "left out: " in capsys.readouterr().err
