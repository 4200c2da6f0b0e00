"""`validate` and the folders it walks, given what strangers send: lines every time, no crash, no wait."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.entries import store, verification
from harness.entries.untrusted_text import is_plain
from harness.entries.validate import strays, validate_entry
from harness.entries.validate_adapter import MAX_TEXT
from harness.errors import BadInput
from harness.schemas import to_json
from harness.tasks import TASKS
from leaderboard.board import ranking
from leaderboard.formatting import THIN
from tests.helpers import hostile_files
from tests.helpers.entries import made_verification, make_entry
from tests.helpers.repository import ROOT

MADE = make_entry(n_clips=6, n_degenerate=1)
CONTENT = json.loads(to_json(MADE[0]))
SHOWN = {name: value for name, value in CONTENT.items() if name != "scorecard"}
"""What is not counted again from the verdicts."""
PLACES = [where for where, _ in hostile_files.in_every_place(SHOWN, "")]
MISSING = f"{store.VERDICTS}: missing, expected beside the other"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return store.write(tmp_path, *MADE)


def found(folder: Path) -> list[str]:
    lines = validate_entry(folder, tuple(TASKS.values()), strict_files=True)
    assert all(line and line.isprintable() and len(line) <= 600 for line in lines), lines
    return lines


def judged(folder: Path, text: str) -> list[str]:
    """The problems of an entry.json alone."""
    (folder / store.VERDICTS).unlink(missing_ok=True)
    (folder / store.ENTRY).write_bytes(text.encode("utf-8", "surrogatepass"))
    return [line for line in found(folder) if line != MISSING]


# Texts


def test_the_texts_that_open_a_tag_speak_to_a_terminal_or_show_other_than_they_read_are_not_plain() -> None:
    refused = {
        **hostile_files.MARKUP,
        **hostile_files.TERMINALS,
        **hostile_files.UNSEEN,
        **hostile_files.SURROGATES,
    }
    plain = {name for name, text in refused.items() if is_plain(text, MAX_TEXT)}
    assert plain == {"fullwidth", "rich"}
    assert not is_plain(hostile_files.GIANT, MAX_TEXT)


def test_text_that_only_looks_odd_is_plain() -> None:
    assert [name for name, text in hostile_files.ODD.items() if not is_plain(text, MAX_TEXT)] == []


@pytest.mark.parametrize("name", [*hostile_files.TEXTS, *hostile_files.SURROGATES])
def test_an_entry_with_a_hostile_text_in_every_place_is_refused(folder: Path, name: str) -> None:
    text = {**hostile_files.TEXTS, **hostile_files.SURROGATES}[name]
    spoiled = json.dumps(CONTENT)
    for word in sorted(_words(CONTENT), key=len, reverse=True):
        spoiled = spoiled.replace(json.dumps(word), json.dumps(text))
    lines = judged(folder, spoiled)
    assert lines
    assert len(lines) <= 51


def _words(value: Any) -> set[str]:
    """Every text that stands as a value."""
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(_words, inner))


IDENTITY = ("model.", "task", "signals.", "references.", "label_map.task", "label_map.source")


@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_text_in_one_place_is_refused_unless_it_is_plain_and_names_nothing(
    folder: Path, place: str
) -> None:
    texts = [*hostile_files.TEXTS.values(), *hostile_files.SURROGATES.values(), hostile_files.GIANT]
    for text in random.Random(place).sample(texts, 6):
        _refused_in(folder, place, text)


@pytest.mark.slow
def test_every_hostile_text_in_every_place_is_refused_unless_it_is_plain_and_names_nothing(
    folder: Path,
) -> None:
    for place in PLACES:
        for text in (*hostile_files.TEXTS.values(), *hostile_files.SURROGATES.values()):
            _refused_in(folder, place, text)


def _refused_in(folder: Path, place: str, text: str) -> None:
    content = dict(hostile_files.in_every_place(SHOWN, text))[place]
    lines = judged(folder, json.dumps({**CONTENT, **content}))
    plain = is_plain(text, MAX_TEXT)
    if not plain or place.startswith(IDENTITY):
        # The name of a dataset may be any plain text; it is shown, and leads nowhere.
        assert lines or (plain and place == "signals.repo_id"), (place, text[:80])


def test_a_hostile_name_of_a_field_is_refused(folder: Path) -> None:
    for text in (*hostile_files.TEXTS.values(), hostile_files.GIANT):
        lines = judged(folder, json.dumps({**CONTENT, text: 1}))
        assert lines
    for text in (*hostile_files.MARKUP.values(), *hostile_files.TERMINALS.values(), hostile_files.GIANT):
        run = {**CONTENT["run"], "versions": {text: "1"}}
        assert judged(folder, json.dumps({**CONTENT, "run": run})) or is_plain(text, MAX_TEXT)


# Numbers and depth


@pytest.mark.parametrize("name", hostile_files.NUMBERS)
def test_a_hostile_number_in_any_place_never_makes_a_check_raise(folder: Path, name: str) -> None:
    places = [where for where, _ in hostile_files.in_every_place(_numbers(CONTENT), "")]
    scored = [place for place in places if place.startswith("scorecard.")]
    others = [place for place in places if place not in scored]
    for place in random.Random(name).sample(scored, 1) + random.Random(name).sample(others, 3):
        content = dict(hostile_files.in_every_place(_numbers(CONTENT), "@@"))[place]
        text = json.dumps(_merged(CONTENT, content)).replace('"@@"', hostile_files.NUMBERS[name])
        (folder / store.ENTRY).write_text(text)
        lines = found(folder)
        if place != "run.seconds":  # how long it took may be any number that is not negative
            assert lines or name == "minus zero", place


def _numbers(value: Any) -> Any:
    """The content with its numbers as texts, and nothing in place of its texts."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return "" if isinstance(value, int | float) and not isinstance(value, bool) else None


def _merged(value: Any, changed: Any) -> Any:
    """The content, with what was put among its numbers."""
    if isinstance(value, dict):
        return {key: _merged(inner, changed[key]) for key, inner in value.items()}
    if isinstance(value, list):
        return [_merged(a, b) for a, b in zip(value, changed, strict=True)]
    return changed or value


@pytest.mark.parametrize("name", hostile_files.DEEP)
def test_depth_in_a_sound_entry_is_refused(folder: Path, name: str) -> None:
    for place in ("run.versions", "label_map.names", "scorecard.families", "complete"):
        outer, _, inner = place.partition(".")
        content = {**CONTENT, outer: {**CONTENT[outer], inner: "@@"} if inner else "@@"}
        text = json.dumps(content).replace('"@@"', hostile_files.DEEP[name].decode())
        assert judged(folder, text)


# Folders


@pytest.mark.parametrize("name", [store.ENTRY, store.VERDICTS])
def test_what_is_no_file_is_refused_at_once_by_everyone_who_reads_entries(folder: Path, name: str) -> None:
    verification.write(folder, made_verification(folder))
    submissions = folder.parent.parent.parent
    path = folder / name
    path.unlink()
    read = {store.ENTRY: store.read, store.VERDICTS: store.verdicts}[name]
    for thing in hostile_files.things(path):
        assert found(folder), thing
        with pytest.raises(BadInput):
            read(folder)
        if name == store.ENTRY:
            assert strays(submissions), thing
            with pytest.raises(BadInput):
                ranking.build(submissions, None)


def test_a_link_to_a_file_without_end_is_not_read_beside_a_sound_verification(
    folder: Path, tmp_path: Path
) -> None:
    path = verification.write(folder, made_verification(folder))
    (folder / store.ENTRY).unlink()
    (folder / store.ENTRY).symlink_to("/dev/zero")
    (line,) = verification.problems(path, folder)
    assert line.endswith("entry: not readable, expected the entry it speaks of")


@pytest.mark.parametrize("where", ["folder", "model", "sidecar"])
def test_links_and_pipes_in_the_place_of_folders_and_beside_them_are_strays(
    folder: Path, tmp_path: Path, where: str
) -> None:
    path = {
        "folder": folder.with_name("deepfake@00000000"),
        "model": tmp_path / "toys__other",
        "sidecar": verification.sidecar_of(folder),
    }[where]
    for thing in hostile_files.things(path):
        lines = strays(tmp_path)
        assert len(lines) == (thing != "a folder"), (thing, lines)
        assert all(line.isprintable() for line in lines)
        assert store.find(tmp_path) == [folder]


def test_hostile_names_of_files_and_folders_are_told_in_printable_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    submissions = tmp_path / "submissions"
    sound = store.write(submissions, *MADE)
    names = [text.encode() for text in hostile_files.TEXTS.values()]
    names = [n for n in names if 0 < len(n) < 200 and not {0, ord("/")} & {*n} and n not in (b".", b"..")]
    assert len(names) > 60
    names += [b"\xff\xfe", b"\xed\xa0\x80"]
    for name in names:
        for place in (submissions, sound):
            with open(os.fsencode(place) + b"/" + name, "wb"):
                pass
        below = os.fsencode(submissions) + b"/x" + name
        os.mkdir(below)
        with open(below + b"/entry.json", "wb") as file:
            file.write(b"{}")
    assert cli.run(["validate", str(submissions)]) == 1
    lines = capsys.readouterr().out.split("\n")[:-1]
    assert len(lines) > 2 * len(names)
    assert all(line.isprintable() and line.startswith(str(submissions)) for line in lines)
    assert cli.run(["validate", str(submissions), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["n_invalid"] == len(names) + 1


@pytest.mark.slow
def test_commands_tell_of_hostile_folders_in_printable_lines(tmp_path: Path) -> None:
    names = (b"x\n::set-output name=a::b", b"x\x1b[2J", "x\u202e".encode(), b"\xff")
    for name in names:
        folder = os.fsencode(tmp_path / "in") + b"/" + name
        os.makedirs(folder)
        with open(folder + b"/entry.json", "wb") as file:
            file.write(b"{}")
    said = _said(tmp_path, "validate", "in")
    assert said.returncode == 1
    lines = (said.stdout + said.stderr).decode().split("\n")[:-1]
    assert len(lines) > len(names)
    assert [line for line in lines if not line.startswith(("in/", "goodenough: "))] == []
    said = _said(tmp_path, "leaderboard", "build", "--submissions", "in", "--out", "site")
    assert said.returncode == 0
    assert [line[:13] for line in said.stderr.decode().split("\n")[: len(names)]] == ["left out: in/"] * 4


@pytest.mark.parametrize("name", ["x\n::set-output name=a::b", "x\x1b[2J", "x\u202e", "\udcff"])
def test_a_message_about_a_hostile_path_is_one_printable_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["validate", str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.split("\n")[:-1]
    assert line.startswith("goodenough: ")
    assert line.isprintable()


def _said(place: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    said = subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    for line in (said.stdout + said.stderr).decode().split("\n")[:-1]:
        assert line.replace(THIN, " ").isprintable(), line
    return said
