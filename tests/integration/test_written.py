"""What is written: below the folder that a command is given for it, and never into the package."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import cli, disk_errors
from harness.dataset import atomic_folder, parquet_io
from harness.dataset.parquet_schema import CLIPS
from harness.entries import store
from harness.errors import BadInput
from harness.journal import Journal, replace_file
from harness.starter import paths as starter
from tests.helpers import verbs
from tests.helpers.repository import ROOT

PACKAGES = (ROOT / "harness", ROOT / "leaderboard")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("written")
    verbs.make(root)
    return root


@pytest.fixture(scope="module", autouse=True)
def package() -> Iterator[None]:
    """Whatever these tests do, the package is the same afterwards."""
    before = list(map(verbs.tree, PACKAGES))
    yield
    assert [verbs.differing(*each) for each in zip(before, map(verbs.tree, PACKAGES), strict=True)] == [
        [],
        [],
    ]


@pytest.fixture
def here(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world, with a home and a working folder of its own."""
    shutil.copytree(world, tmp_path / "world")
    for name in ("home", "working"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "working")
    return tmp_path


def test_every_verb_is_given() -> None:
    assert {name.split()[0].rstrip(",") for name in verbs.COMMANDS} == set(cli.VERBS)


LONG = ("study", "evaluate --outgoing", "leaderboard build")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in verbs.COMMANDS]
)
def test_a_verb_writes_below_the_folder_that_it_is_given_and_into_the_cache(here: Path, name: str) -> None:
    command, writes = verbs.COMMANDS[name]
    root, out = here / "world", here / "out"
    words = [str(word) for word in command(root, out)]
    # matplotlib makes an empty folder for settings.
    may_write = ("out", "home/.cache", "home/.config", *(f"world/{below}" for below in writes(root)))
    before = verbs.tree(here)
    assert cli.run(words) == 0
    changed = verbs.differing(before, verbs.tree(here))
    outside = [p for p in changed if not any(p == m or p.startswith(f"{m}/") for m in may_write)]
    assert outside == []
    leftovers = [path for path in changed if path.endswith((".part", ".new", ".old", ".jsonl.lock"))]
    assert leftovers == []


def test_what_is_downloaded_from_a_folder_shares_no_file_with_it(here: Path) -> None:
    assert cli.run([str(w) for w in verbs.COMMANDS["download"][0](here / "world", here / "out")]) == 0
    shared = [path for path in (here / "out").rglob("*") if path.is_file() and path.stat().st_nlink > 1]
    assert shared == []


def test_a_reference_of_the_embedded_suite_leaves_it_as_it_is(
    here: Path, installed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "SUITE", installed)
    before = verbs.tree(installed)
    words = ["evaluate", str(installed / "ear"), "--out", str(here / "out")]
    assert cli.run(words) == 0
    assert "--update-suite" not in capsys.readouterr().err
    assert len(store.find(here / "out")) == 1
    assert cli.run([*words, "--update-suite"]) == 2
    assert "lies in the installed package" in capsys.readouterr().err
    assert verbs.differing(before, verbs.tree(installed)) == []


# --- the verdicts of a reference, where its owner wants them


def test_the_verdicts_of_a_reference_are_kept_where_that_is_asked_for(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = here / "world", here / "out"
    shutil.rmtree(root / "signals/verdicts")
    assert cli.run([str(w) for w in verbs.COMMANDS["evaluate, of a reference"][0](root, out)]) == 0
    assert not (root / "signals/verdicts").exists()
    hint = capsys.readouterr().err.splitlines()[-1]
    assert hint.startswith(f"local/ear is a reference of {root / 'signals'}; to store its verdicts there, ")
    again = hint.split(": ")[-1].split()
    assert again[0] == "goodenough"
    assert cli.run(again[1:]) == 0
    err = capsys.readouterr().err
    assert "already evaluated" in err
    assert "to store its verdicts there" not in err
    [entry], [copy] = store.find(out), store.find(root / "signals/verdicts")
    for name in (store.ENTRY, store.VERDICTS):
        assert (entry / name).read_bytes() == (copy / name).read_bytes()
    assert cli.run(["publish", str(root / "signals"), "--licence", "cc0-1.0"]) == 0


@pytest.mark.parametrize(
    ("model", "more", "line"),
    [
        (
            "nose",
            (),
            "--update-suite requires a reference, and local/nose is not a reference of local/signals",
        ),
        ("ear", ("--shard", "1/2"), "--update-suite is for a whole run"),
        ("ear", ("--ci-width", "0.1"), "--update-suite is for a whole run"),
    ],
)
def test_what_is_not_kept_in_a_suite_is_refused_before_anything_is_asked(
    here: Path, capsys: pytest.CaptureFixture[str], model: str, more: tuple[str, ...], line: str
) -> None:
    root = here / "world"
    words = ["evaluate", root / model, "--signals", root / "signals", "--update-suite", *more]
    before = verbs.tree(here)
    assert cli.run([str(w) for w in (*words, "--out", here / "out")]) == 2
    assert line in capsys.readouterr().err
    assert verbs.differing(before, verbs.tree(here)) == []


def test_a_downloaded_suite_as_it_came_is_not_the_users(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, copy = here / "world", here / "copy"
    shutil.copytree(root / "signals", copy)
    sha256 = parquet_io.sha256_of(copy / "manifest.json")
    (copy / ".source.json").write_text(
        f'{{"source": "lab/signals", "commit": "{"a" * 40}", "manifest": "{sha256}", "rebuilt": {{}}}}'
    )
    words = ["evaluate", root / "ear", "--signals", copy, "--update-suite", "--out", here / "out"]
    assert cli.run([str(w) for w in words]) == 2
    assert "lab/signals is a published suite, which comes with its verdicts" in capsys.readouterr().err


# --- the package is read-only, by whatever name it is called


@pytest.fixture
def installed(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world that stands for what is installed; its parent is no part of it."""
    package = here / "site-packages" / "harness"
    shutil.copytree(here / "world", package)
    monkeypatch.setattr(disk_errors, "PACKAGE", (package,))
    return package


def _link(package: Path, here: Path) -> Path:
    (here / "link").symlink_to(package, target_is_directory=True)
    return here / "link"


def _link_above(package: Path, here: Path) -> Path:
    (here / "link").symlink_to(package.parent, target_is_directory=True)
    return here / "link" / package.name


def _link_to_a_link(package: Path, here: Path) -> Path:
    (here / "other").symlink_to(_link(package, here))
    return here / "other"


def _relative_link(package: Path, here: Path) -> Path:
    (here / "link").symlink_to(os.path.relpath(package, here))
    return here / "link"


SPELLINGS: dict[str, Callable[[Path, Path], Path]] = {
    "absolute": lambda package, here: package,
    "relative": lambda package, here: Path(os.path.relpath(package)),
    "dots": lambda package, here: package / "corpus" / ".." / ".." / package.name,
    "doubled": lambda package, here: Path("/", *Path(f"/{package}").parts),
    "proc": lambda package, here: Path("/proc/self/root") / package.relative_to("/"),
    "link": _link,
    "link above": _link_above,
    "link to a link": _link_to_a_link,
    "relative link": _relative_link,
}
_SAYS = ("--author", "A", "--reason", "A test.")
WRITERS: dict[str, Callable[[Path, Path], list[Any]]] = {
    "evaluate --out": lambda root, p: ["evaluate", root / "nose", "--signals", root / "signals", "--out", p],
    "evaluate --update-suite": lambda root, p: [
        *("evaluate", p / "ear", "--signals", p / "signals", "--update-suite", "--out", root.parent / "out"),
    ],
    "extract --out": lambda root, p: [
        *("extract", root / "ear", "--task", "emotion", "--corpus", root / "corpus", "--out", p / "signals"),
    ],
    "extract --recipe": lambda root, p: ["extract", "--recipe", "emotion", "--out", p / "signals"],
    "study --out": lambda root, p: ["study", root / "signals", "--out", p / "new" / "below"],
    "download --out": lambda root, p: ["download", root / "signals", "--out", p / "signals"],
    "publish": lambda root, p: ["publish", p / "signals", "--licence", "cc0-1.0"],
    "submit --out": lambda root, p: ["submit", root / "results", "--out", p / "submissions"],
    "opt-out --out": lambda root, p: [
        *("opt-out", root / "nose", "--task", "emotion", *_SAYS, "--out", p / "submissions"),
    ],
    "invalidate": lambda root, p: ["invalidate", _in(p, verbs.entry(root), root), *_SAYS],
    "verify": lambda root, p: ["verify", p / "submissions", "--signals", root / "signals"],
    "verify --all": lambda root, p: [
        "verify",
        "--all",
        _in(p, verbs.entry(root), root),
        "--signals",
        root / "signals",
    ],
    "verify --all --out": lambda root, p: ["verify", "--all", verbs.entry(root), "--out", p],
    "leaderboard build": lambda root, p: ["leaderboard", "build", "--out", p / "site"],
    "leaderboard serve": lambda root, p: ["leaderboard", "serve", "--out", p / "site"],
    "leaderboard export": lambda root, p: ["leaderboard", "export", "--as", "csv", "--out", p / "board.csv"],
}


def _in(package: Path, path: Path, root: Path) -> Path:
    return package / path.relative_to(root)


PAIRS = list(itertools.product(WRITERS, SPELLINGS))
ALWAYS = set(zip(WRITERS, itertools.cycle(SPELLINGS), strict=False))


@pytest.mark.parametrize(
    ("writer", "spelling"), [pytest.param(*p, marks=() if p in ALWAYS else pytest.mark.slow) for p in PAIRS]
)
def test_no_verb_writes_into_the_package_whatever_it_is_called(
    here: Path, installed: Path, capsys: pytest.CaptureFixture[str], writer: str, spelling: str
) -> None:
    words = WRITERS[writer](here / "world", SPELLINGS[spelling](installed, here))
    before = verbs.tree(here)
    assert cli.run([str(word) for word in words]) == 2
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if line.startswith("goodenough: ")]
    assert len(lines) == 1
    assert "lies in the installed package" in lines[0]
    assert str(installed) in lines[0]
    assert verbs.differing(before, verbs.tree(here)) == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_nor_does_any_part_of_ours_that_writes(here: Path, installed: Path, spelling: str) -> None:
    place = SPELLINGS[spelling](installed, here) / "new"
    before = verbs.tree(here)
    for write in (
        lambda: replace_file(place, b"x"),
        lambda: Journal(place, {}, ""),
        lambda: parquet_io.write_rows(place, [], CLIPS),
        lambda: atomic_folder.lock_folder(place, "--out").__enter__(),
    ):
        with pytest.raises(BadInput, match="lies in the installed package"):
            write()
    assert verbs.differing(before, verbs.tree(here)) == []


def test_what_lies_beside_the_package_is_nobodys_business(here: Path, installed: Path) -> None:
    replace_file(installed.with_name("harness-notes"), b"x")
    replace_file(installed.parent / "other" / "harness", b"x")


def test_the_package_that_is_guarded_is_the_one_that_runs() -> None:
    assert [path.is_dir() for path in disk_errors.PACKAGE] == [True] * 4
    assert starter.SUITE in disk_errors.PACKAGE
    with pytest.raises(BadInput, match="lies in the installed package"):
        disk_errors.refuse_package(starter.embedded() / "verdicts")
