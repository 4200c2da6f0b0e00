"""Verbs and options under old names work for one version, with a line; those that are gone get a line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from harness import cli
from harness.cli import RENAMED, RETIRED
from harness.entries import store
from harness.starter import paths

OLD_NAMES = {
    "reproduce": "INVALID --no-write --json",
    "decline": "MODEL --task emotion --author Ada --reason Why. --out .",
    "leaderboard serve --app": "--submissions gone",
    "evaluate --both-ways": "--shard 1/2 m",
    "evaluate --until-width": "2 m",
    "leaderboard app --until-width": "2",
    "submit --into": ". ENTRY --json",
    "opt-out --into": ". MODEL --task emotion --author Ada --reason Why.",
    "download --to": "signals --task deepfake --json",
}
"""What follows an old name in a whole command."""


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_does_what_the_new_one_does_and_prints_one_line_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str
) -> None:
    entry = store.find(Path(cli.__file__).parents[2] / "submissions")[0]
    invalid = tmp_path / "submissions" / store.read(entry).path
    shutil.copytree(entry, invalid)
    text = (invalid / store.ENTRY).read_text()
    (invalid / store.ENTRY).write_text(text.replace('"protocol": 2', '"protocol": 9'))
    places = {"INVALID": invalid, "ENTRY": entry, "MODEL": paths.models("reference")[0]}
    rest = [str(places.get(word, word)) for word in OLD_NAMES[old].split()]

    def outcome(name: str) -> tuple[int, str, list[str], list[Path]]:
        folder = tmp_path / name.replace(" ", "")
        folder.mkdir()
        monkeypatch.chdir(folder)
        code = cli.run([*name.split(), *rest])
        out, err = capsys.readouterr()
        files = sorted(path.relative_to(folder) for path in folder.rglob("*"))
        return code, out.replace(str(folder), ""), err.replace(str(folder), "").splitlines(), files

    new = RENAMED[old]
    code, out, (notice, *err), files = outcome(old)
    assert notice == f"{old} is now {new}; the old name will go in the next version"
    assert (code, out, err, files) == outcome(new)
    assert not any("o such option" in line or "no command" in line for line in err)
    assert "--json" not in rest or json.loads(out)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["evaluate", "m", "--until-width=2"], ["evaluate --until-width"]),
        (["evaluate", "--", "--both-ways"], []),
        (["decline", "m", "--into", "gone"], ["decline", "opt-out --into"]),
        (["publish", "gone", "--to", "a/b"], []),
    ],
)
def test_only_old_names_are_changed(
    capsys: pytest.CaptureFixture[str], words: list[str], names: list[str]
) -> None:
    assert cli.run(words) == 2, "the rest of it is wrong"
    *notices, last = capsys.readouterr().err.splitlines()
    assert [line.split(" is now ")[0] for line in notices if " is now " in line] == names
    assert last.startswith("goodenough: ")
    assert "--until-width" not in last


@pytest.mark.parametrize("words", [["--bands", "24"], ["--bands=24"], ["--bands", "all"], ["--bands"]])
def test_an_option_that_is_gone_is_refused_with_what_does_its_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for others in (["m", "--task", "emotion", "--corpus", "c"], ["--recipe", "emotion"]):
        assert cli.run(["extract", *others, *words]) == 2
        assert capsys.readouterr() == (
            "",
            "goodenough: no option --bands; the resolution is part of the search: --search"
            " responsibility@bands64\n",
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["extract", "--", "--bands"], "Missing option '--task'"),
        (["evaluate", "m", "--bands", "24"], "No such option '--bands'"),
    ],
)
def test_a_word_that_is_not_that_option_is_left_alone(
    capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert cli.run(words) == 2
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("retired", RETIRED)
def test_an_option_that_is_gone_is_no_option_and_in_no_help(
    capsys: pytest.CaptureFixture[str], retired: str
) -> None:
    verb, option = retired.split()
    assert cli.run([verb, "--help"]) == 0
    assert not re.search(rf"(?<!\S){option}(?!\S)", capsys.readouterr().out)


def test_the_help_shows_no_old_name(capsys: pytest.CaptureFixture[str]) -> None:
    for old in RENAMED:
        verb = [word for word in RENAMED[old].split() if not word.startswith("-")]
        assert cli.run([*verb[:-1], "--help"]) == cli.run([*verb, "--help"]) == 0
        assert not re.search(rf"(?<!\S){old.split()[-1]}(?!\S)", capsys.readouterr().out)
