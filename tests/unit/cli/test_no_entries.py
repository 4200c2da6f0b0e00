"""No entry is merged yet, or the folder of entries is not there: one line at every verb that takes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli
from tests.helpers.small_suite import small_suite

BOARDS = {
    "build": ("leaderboard", "build"),
    "export": ("leaderboard", "export", "--as", "csv"),
}
"""What shows entries: before the first one is merged, the references stand there alone."""
TAKERS = {
    "validate": ("validate",),
    "verify": ("verify",),
    "verify --all": ("verify", "--all"),
    "submit": ("submit", "--out", "INTO"),
    "export": ("export", "--as", "model-index"),
}
"""What takes entries, and has nothing to do without one."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_suite(tmp_path_factory.mktemp("suite") / "signals").root


def run(verb: tuple[str, ...], folder: Path | str, suite: Path, tmp_path: Path) -> int:
    words = [str(tmp_path / "into") if word == "INTO" else word for word in verb]
    (tmp_path / "into").mkdir(exist_ok=True)
    if "leaderboard" not in verb:
        return cli.run([*words, str(folder)])
    out = ("--out", str(tmp_path / "out")) if "build" in verb else ()
    return cli.run([*words, "--submissions", str(folder), "--signals", str(suite), *out])


@pytest.mark.parametrize("verb", BOARDS.values(), ids=BOARDS)
@pytest.mark.parametrize("place", ["folder", "Hub"])
def test_a_board_without_entries_stands(suite, tmp_path, capsys, monkeypatch, verb, place) -> None:
    (tmp_path / "entries").mkdir()
    monkeypatch.setattr("harness.hub.fetching.commit_of", lambda *_: "0" * 40)
    monkeypatch.setattr("harness.hub.fetching.fetch_all", lambda *_: tmp_path / "snapshot")
    source = tmp_path / "entries" if place == "folder" else "lab/submissions"
    assert run(verb, source, suite, tmp_path) == 0
    out, err = capsys.readouterr()
    assert "o entries" in err.splitlines()[0]
    assert out
    assert "Traceback" not in err


@pytest.mark.parametrize("verb", BOARDS.values(), ids=BOARDS)
def test_a_board_of_a_folder_that_is_not_there_is_one_line(suite, tmp_path, capsys, verb) -> None:
    assert run(verb, tmp_path / "gone", suite, tmp_path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"goodenough: no folder at {tmp_path / 'gone'}; expected one of entries, "
        "<org>__<model>/<revision>/<task>@<signals>; name it with --submissions DIR\n"
    )


@pytest.mark.parametrize("verb", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "missing"])
def test_what_takes_entries_says_in_one_line_that_there_are_none(
    suite, tmp_path, capsys, verb, is_there
) -> None:
    folder = tmp_path / "entries"
    if is_there:
        folder.mkdir()
        line = f"no entry.json in {folder} or below; expected an entry: make one with goodenough evaluate, "
        line += "or give the folder it wrote"
    else:
        line = f"{folder} does not exist; expected the folder of an entry, or one above it"
    assert run(verb, folder, suite, tmp_path) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [each for each in err.splitlines() if each.startswith("goodenough: ")] == [f"goodenough: {line}"]
