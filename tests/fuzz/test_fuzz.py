"""Files that strangers might send, made of sound ones by a seeded generator: refused, or read right."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.child import Outcome, judge, make
from tests.fuzz.run import run
from tests.fuzz.target import Refused, Target
from tests.fuzz.targets import ALL


def faults(names: list[str], n: int, seed: int = 0) -> list[str]:
    tallies = run(names, n, seed=seed)
    assert [tally.counts.total() for tally in tallies] == [n] * len(names)
    # Of answers a damaged line costs itself; of everything else a good part is refused.
    assert all(tally.counts[Outcome.REFUSED] > n // 20 for tally in tallies if tally.name != "answers")
    return [
        f"{fault.name}, {fault.i}: {fault.outcome}: {fault.text}"
        for tally in tallies
        for fault in tally.faults.values()
    ]


@pytest.mark.timeout(1800)
def test_no_parser_fails_at_twenty_files_of_strangers() -> None:
    assert faults(list(ALL), 20) == []


@pytest.mark.slow
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("name", ALL)
def test_no_parser_fails_at_a_hundred_thousand_files_of_strangers(name: str) -> None:
    assert faults([name], 100_000, seed=1) == []


@pytest.mark.parametrize("name", ["JSON, any", "YAML, any", "safetensors", "metadata.csv", "WAV"])
def test_a_file_is_made_by_its_index_alone(name: str) -> None:
    originals = ALL[name].originals()
    mutants = [make(ALL[name], originals, 0, i) for i in range(30)]
    assert mutants == [make(ALL[name], originals, 0, i) for i in range(30)]
    assert len({*mutants} - {*originals}) > 20


def spin(path: Path) -> None:
    start = time.process_time()
    while time.process_time() - start < 1.1:
        pass


def indexed(path: Path) -> None:
    [].pop()


def refusing(path: Path) -> None:
    raise Refused("a\x1b[31m")


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (spin, Outcome.SLOW),
        (indexed, Outcome.TRACEBACK),
        (refusing, Outcome.TRACEBACK),
        (len, Outcome.TRACEBACK),
    ],
)
def test_what_a_parser_does_wrong_is_seen(tmp_path: Path, read: Any, outcome: Outcome) -> None:
    target = Target("wrong", lambda: [b"a"], lambda generator, data: data, read)
    assert judge(target, tmp_path / "a", b"a")[0] is outcome


def test_what_is_accepted_and_should_not_be_is_seen(tmp_path: Path) -> None:
    target = Target(
        "lax", lambda: [b"a"], lambda generator, data: data, Path.read_bytes, lambda value, data: "odd"
    )
    assert judge(target, tmp_path / "a", b"a") == (Outcome.INVALID, "odd")


@pytest.mark.slow
def test_a_parser_that_ends_its_process_costs_that_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An abort of a library is no exception: the child dies of it, and another goes on behind the file."""
    code = "import os; from tests.fuzz import child; read = child._read; n = iter(range(9**9));"
    code += "child._read = lambda *a: os.abort() if next(n) == 5 else read(*a); child.main()"
    monkeypatch.setattr("tests.fuzz.run.CHILD", ("-c", code))
    (tally,) = run(["JSON, any"], 12)
    assert tally.counts[Outcome.ABORT] == 2
    assert tally.counts.total() == 12
    assert "SIGABRT" in next(iter(tally.faults.values())).text
