"""A small world in which every verb that reads or writes can be given, and what it may write there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness import cli
from tests.helpers import toy_models
from tests.helpers.corpus import make_corpus

NAMES = ("neu", "hap", "ang", "sad")
LABELS = ("neutral", "happy", "angry", "sad")
N_CLIPS = 8

Command = Callable[[Path, Path], list[Any]]
"""The command, given the root of the world and a folder that is not there yet."""


def make(root: Path) -> None:
    """Two models, a corpus, signals of one of them with its verdicts, and an entry of the other one."""
    make_corpus(root / "corpus", *((f"c{i}.wav", LABELS[i % 4]) for i in range(N_CLIPS)))
    for name, seed in (("ear", 0), ("nose", 1)):
        toy_models.save_model(root / name, "wav2vec2", NAMES, seed=seed)
    for words in (
        COMMANDS["extract"][0](root, root / "signals"),
        COMMANDS["evaluate --update-suite"][0](root, root / "own"),
        COMMANDS["evaluate"][0](root, root / "results"),
        COMMANDS["submit"][0](root, root / "none"),
    ):
        (root / "submissions").mkdir(exist_ok=True)
        assert cli.run([str(word) for word in words]) == 0, words


def entry(root: Path) -> Path:
    """Folder of the entry among the submissions."""
    [path] = (root / "submissions").rglob("entry.json")
    return path.parent


def _signals(root: Path) -> tuple[Any, ...]:
    return ("--signals", root / "signals")


def _replayed(root: Path) -> tuple[Any, ...]:
    return (*_signals(root), "--model", root / "nose", "--reference", root / "ear")


def _board(root: Path) -> tuple[Any, ...]:
    return ("--submissions", root / "submissions", *_signals(root))


def _says(root: Path) -> tuple[Any, ...]:
    return ("--author", "A maintainer", "--reason", "A test of what is written.")


def _recorded(root: Path) -> list[str]:
    """Where records of the entry lie: beside its folder."""
    return [entry(root).parent.relative_to(root).as_posix()]


COMMANDS: dict[str, tuple[Command, Callable[[Path], list[str]]]] = {
    "check": (lambda root, out: ["check", root / "ear", *_signals(root)], lambda root: []),
    "tasks": (lambda root, out: ["tasks"], lambda root: []),
    "extract": (
        lambda root, out: [
            *("extract", root / "ear", "--task", "emotion", "--corpus", root / "corpus"),
            *("--search", "minimal", "--budget", 5, "--out", out),
        ],
        lambda root: [],
    ),
    "evaluate": (
        lambda root, out: ["evaluate", root / "nose", *_signals(root), "--out", out],
        lambda root: [],
    ),
    "evaluate, of a reference": (
        lambda root, out: ["evaluate", root / "ear", *_signals(root), "--out", out],
        lambda root: [],
    ),
    "evaluate --update-suite": (
        lambda root, out: ["evaluate", root / "ear", *_signals(root), "--update-suite", "--out", out],
        lambda root: ["signals/verdicts"],
    ),
    "evaluate --outgoing": (
        lambda root, out: [
            *("evaluate", root / "nose", *_signals(root), "--outgoing", "--reference", root / "ear"),
            *("--out", out),
        ],
        lambda root: [],
    ),
    "evaluate --shard": (
        lambda root, out: ["evaluate", root / "nose", *_signals(root), "--shard", "1/2", "--out", out],
        lambda root: [],
    ),
    "study": (
        lambda root, out: ["study", root / "signals", "--model", root / "nose", "--out", out],
        lambda root: [],
    ),
    "download": (lambda root, out: ["download", root / "signals", "--out", out], lambda root: []),
    "download --list": (lambda root, out: ["download", root / "signals", "--list"], lambda root: []),
    "publish": (
        lambda root, out: ["publish", root / "signals", "--licence", "cc0-1.0"],
        lambda root: ["signals/.published"],
    ),
    "validate": (lambda root, out: ["validate", entry(root)], lambda root: []),
    "verify": (
        lambda root, out: ["verify", entry(root), *_replayed(root), "--base", "0" * 40],
        _recorded,
    ),
    "verify --no-write": (
        lambda root, out: ["verify", entry(root), *_replayed(root), "--no-write"],
        lambda root: [],
    ),
    "verify --all": (
        lambda root, out: ["verify", "--all", entry(root), *_replayed(root), "--out", out],
        _recorded,
    ),
    "submit": (
        lambda root, out: ["submit", root / "results", "--out", root / "submissions"],
        lambda root: ["submissions"],
    ),
    "export": (lambda root, out: ["export", entry(root), "--as", "model-index"], lambda root: []),
    "invalidate": (lambda root, out: ["invalidate", entry(root), *_says(root)], _recorded),
    "opt-out": (
        lambda root, out: [
            *("opt-out", root / "nose", "--task", "emotion", *_says(root)),
            *("--out", root / "submissions"),
        ],
        lambda root: ["submissions"],
    ),
    "leaderboard build": (
        lambda root, out: ["leaderboard", "build", *_board(root), "--out", out],
        lambda root: [],
    ),
    "leaderboard export": (
        lambda root, out: ["leaderboard", "export", *_board(root), "--as", "csv", "--out", out],
        lambda root: [],
    ),
}
"""By name: the command, and the folders of the world that it says it writes to, beside the new one."""


def tree(root: Path) -> dict[str, str]:
    """Every file, link and folder below, by path: what it holds. What Python keeps of modules is left out."""
    content: dict[str, str] = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in (*folders, *files):
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                content[key] = f"-> {os.readlink(path)}"
            elif path.is_dir():
                content[key] = "folder"
            else:
                content[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return content


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Paths that came, went or changed."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


SUBCOMMANDS = [(verb,) for verb in cli.VERBS]
SUBCOMMANDS += [("leaderboard", name) for name in ("build", "export", "serve", "app")]
