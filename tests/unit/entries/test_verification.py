"""The record beside an entry: it comes back as it was written, speaks of one entry, and is not believed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from harness.entries import store, verification
from harness.entries.validate import strays
from harness.entries.verification import Mismatch
from harness.errors import BadInput
from harness.schemas import to_json
from leaderboard.board import entries
from tests.helpers.entries import made_verification, make_entry

MADE = make_entry(n_clips=6, n_degenerate=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return store.write(tmp_path, *MADE)


def changed(folder: Path, **fields: Any) -> list[str]:
    """The problems of a sound verification with some fields changed."""
    path = verification.write(folder, dataclasses.replace(made_verification(folder), **fields))
    return verification.problems(path, folder)


def test_a_verification_comes_back_as_it_was_written_and_lies_beside_the_entry(folder: Path) -> None:
    assert verification.read(folder) is None
    before = sorted(os.listdir(folder))
    path = verification.write(folder, made_verification(folder))
    assert path == folder.parent / f"{folder.name}.verified.json"
    assert verification.read(folder) == made_verification(folder)
    assert sorted(os.listdir(folder)) == before
    assert store.find(folder.parent) == [folder]


def test_one_that_tells_of_mismatches_is_sound_too(folder: Path) -> None:
    mismatch = Mismatch("signal", "c:a__b:minimal@bins", "c", 0, 16_000, "predicted_raw", "Sad", "Fear")
    told = {"n_same": 38, "holds": False, "mismatches": (mismatch, mismatch), "max_difference": 0.5}
    assert changed(folder, **told) == []
    many = {"n_same": 10, "holds": False, "mismatches": (mismatch,) * 20, "max_difference": 0.5}
    assert changed(folder, **many) == []
    everything = {"kind": "reproduced", "base": None, "n_asked": 99, "n_scorecard_differences": 3}
    failed = {"n_same": 98, "holds": False, "mismatches": (mismatch,)}
    assert changed(folder, **everything, **failed) == []
    untested = {"known_answer": None, "no_known_answer_because": "None of the references could be had."}
    assert changed(folder, **untested) == []


def test_a_tie_may_move_the_scorecard_and_nothing_else_may(folder: Path) -> None:
    n = store.read(folder).n_verdicts
    everything = {"kind": "reproduced", "base": None, "n_asked": n, "n_same": n, "n_scorecard_differences": 2}
    assert changed(folder, **everything, n_ties=1) == []
    assert [line.split(": ")[1] for line in changed(folder, **everything, n_ties=0)] == ["holds"]


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("protocol", 1, "protocol"),
        ("protocol", 3, "protocol"),
        ("kind", "believed", "kind"),
        ("base", "main", "base"),
        ("base", None, "base"),
        ("entry", "toys__candidate/000000000000/emotion@00000000", "entry"),
        ("entry_sha256", "0" * 64, "entry_sha256"),
        ("entry_sha256", "0", "entry_sha256"),
        ("verdicts_sha256", "0" * 64, "verdicts_sha256"),
        ("n_asked", 0, "n_asked"),
        ("n_asked", 41, "mismatches"),
        ("n_same", 41, "n_same"),
        ("n_ties", 41, "n_ties"),
        ("n_ties", -1, "n_ties"),
        ("max_difference", 0.5, "max_difference"),
        ("max_difference", -0.1, "max_difference"),
        ("tolerance", 0.5, "tolerance"),
        ("mismatches", (Mismatch("signal", None, None, None, 1, "p", "0", "1"),), "mismatches"),
        ("n_scorecard_differences", 0, "n_scorecard_differences"),
        ("known_answer", None, "no_known_answer_because"),
        ("no_known_answer_because", "There was none.", "no_known_answer_because"),
        ("no_known_answer_because", "<script>", "no_known_answer_because"),
        ("holds", False, "holds"),
    ],
)
def test_a_field_that_does_not_fit_the_others_or_the_entry_is_a_problem(
    folder: Path, field: str, value: Any, where: str
) -> None:
    found = changed(folder, **{field: value})
    assert found
    assert all(line.startswith(f"{folder.name}.verified.json: ") for line in found)
    assert where in {line.split(": ")[1] for line in found}
    with pytest.raises(BadInput, match="is not a verification of the entry beside it") as caught:
        verification.read(folder)
    assert "\n" not in str(caught.value)


def test_a_known_answer_that_is_wrong_verifies_nothing(folder: Path) -> None:
    sound = made_verification(folder).known_answer
    assert sound is not None
    wrong = dataclasses.replace(sound, n_accepted=15)
    (line,) = changed(folder, known_answer=wrong)
    assert "known_answer: '15 of 16', expected a reference that accepts all of its own signals" in line


def test_one_that_holds_was_asked_no_more_than_the_entry_answered(folder: Path) -> None:
    n = store.read(folder).n_verdicts
    (line,) = changed(folder, n_asked=n + 1, n_same=n + 1)
    assert f"n_asked: {n + 1}, expected at most {n}" in line
    everything = {"kind": "reproduced", "base": None, "n_scorecard_differences": 0}
    (line,) = changed(folder, **everything)
    assert f"n_asked: 40, expected {n}, all verdicts of the entry" in line


def test_a_record_from_before_facts_were_looked_up_is_read(folder: Path) -> None:
    path = verification.write(folder, made_verification(folder))
    content = json.loads(path.read_text())
    for name in ("differing", "n_ties_for", "n_ties_against"):
        del content[name]
    path.write_text(json.dumps(content))
    assert verification.read(folder) == made_verification(folder)


HOSTILE: dict[str, Callable[[dict[str, Any]], str]] = {
    "no JSON": lambda c: "{",
    "empty": lambda c: "",
    "a list": lambda c: "[]",
    "a field too many": lambda c: json.dumps({**c, "ranked": True}),
    "a field too few": lambda c: json.dumps({k: v for k, v in c.items() if k != "holds"}),
    "a word for a number": lambda c: json.dumps({**c, "n_asked": "40"}),
    "not a number": lambda c: json.dumps({**c, "max_difference": float("nan")}),
    "endless": lambda c: json.dumps({**c, "tolerance": float("inf")}),
    "a field twice": lambda c: '{"holds": false, ' + json.dumps(c)[1:],
    "deep": lambda c: '{"kind": ' + "[" * 50_000,
    "long": lambda c: json.dumps(c) + " " * 2**17,
    "no text": lambda c: json.dumps(c).replace("replayed", "\ud800"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_problem_and_never_an_accident(folder: Path, tmp_path: Path, name: str) -> None:
    content = HOSTILE[name](json.loads(to_json(made_verification(folder))))
    path = verification.sidecar_of(folder)
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    found = verification.problems(path, folder)
    assert found
    assert all("\n" not in line for line in found)
    assert strays(tmp_path) == [f"{folder.parent}/{line}" for line in found]
    with pytest.raises(BadInput):
        verification.read(folder)


def test_what_is_no_regular_file_is_not_opened(folder: Path, tmp_path: Path) -> None:
    path = verification.sidecar_of(folder)
    os.mkfifo(path)
    assert verification.problems(path, folder) == [f"{path.name}: neither file nor symlink, expected a file"]
    path.unlink()
    (tmp_path / "elsewhere").write_text(to_json(made_verification(folder)))
    path.symlink_to(tmp_path / "elsewhere")
    assert verification.problems(path, folder) == [f"{path.name}: a symlink, expected a file"]
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="a symlink"):
        verification.read(folder)


def test_no_damage_to_a_file_makes_reading_raise(folder: Path) -> None:
    path = verification.write(folder, made_verification(folder))
    sound, chance = path.read_bytes(), random.Random(0)
    n_found = 0
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        n_found += bool(verification.problems(path, folder))
    # What is left changes a text that nothing depends on, such as the platform.
    assert n_found > 150


def test_a_verification_beside_another_entry_or_none_is_a_stray(folder: Path, tmp_path: Path) -> None:
    other = store.write(tmp_path, *make_entry(repo_id="toys/other", n_clips=6, n_degenerate=1))
    path = verification.write(folder, made_verification(folder))
    assert strays(tmp_path) == []
    moved = path.rename(verification.sidecar_of(other))
    lines = strays(tmp_path)
    assert {line.split(": ")[1] for line in lines} == {"entry", "entry_sha256", "verdicts_sha256"}
    moved = moved.rename(folder.parent / "deepfake@00000000.verified.json")
    assert strays(tmp_path) == [f"{moved}: belongs to no entry, expected entries alone"]


def test_the_leaderboard_finds_the_entries_and_does_not_trip_over_what_lies_beside(
    folder: Path, tmp_path: Path
) -> None:
    before = entries.find(tmp_path, None)
    verification.write(folder, made_verification(folder))
    assert [found.folder for found in before] == [folder]
    assert entries.find(tmp_path, None) == before
    assert store.file_into(folder, tmp_path / "elsewhere").parent.name == folder.parent.name
    assert not list((tmp_path / "elsewhere").rglob("*.verified.json"))


def test_a_stale_verification_is_found_when_the_entry_has_changed(folder: Path, tmp_path: Path) -> None:
    verification.write(folder, made_verification(folder))
    path = folder / store.ENTRY
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": 1.6'))
    (line,) = strays(tmp_path)
    assert ": entry_sha256: " in line
    path.write_text("{}")
    assert strays(tmp_path) == [
        f"{folder}.verified.json: entry: not readable, expected the entry it speaks of",
    ]


@pytest.mark.parametrize(("n_for", "n_against"), [(n, m) for n in range(6) for m in range(6)])
def test_the_chance_of_ties_is_that_of_fair_coins(n_for: int, n_against: int) -> None:
    n = n_for + n_against
    exact = Fraction(sum(math.comb(n, i) for i in range(n_for, n + 1)), 2**n)
    assert verification.chance_of_ties(n_for, n_against) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("n_for", [-1, -(10**30), 0, 1, 10**4, 10**9, 10**30])
@pytest.mark.parametrize("n_against", [-1, -(10**30), 0, 10**4, 10**30])
def test_no_number_of_ties_that_a_stranger_states_takes_long_or_fails(n_for: int, n_against: int) -> None:
    """Each took seconds, or failed, as a sum of binomial coefficients."""
    assert 0 <= verification.chance_of_ties(n_for, n_against) <= 1
