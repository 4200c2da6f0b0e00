"""Verifying that is killed at any moment and begun again ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.entries import store, verification
from harness.evaluation import predict
from harness.starter import paths
from harness.types import PROOF_TOLERANCE
from tests.helpers import forking
from tests.helpers.small_starter import small_entry, small_suite

Undisturbed = Callable[[str], dict[str, Any]]

BASE = "0123456789abcdef0123456789abcdef01234567"
SAMPLES_AT_ONCE = 1 << 20
"""So that answers come many times in a run."""
N_ANSWERS = 200
"""Of the small suite, in a journal."""


def command(verb: str, folder: Path) -> list[str]:
    (entry,) = store.find(folder / "submissions")
    options = {"verify": ("--base", BASE, "-k", "400"), "verify --all": ("--out", str(folder / "results"))}
    return [*verb.split(), str(entry), *options[verb]]


def answered(suite: Path, arguments: list[str]) -> int:
    """A command on a suite that stands for the embedded one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "SUITE", suite)
        patch.setattr(predict, "_SAMPLES_AT_ONCE", SAMPLES_AT_ONCE)
        return cli.run(arguments)


def strike(suite: Path, verb: str, folder: Path, n_answers: int, seconds: float) -> None:
    """Kill a command after so many answers of its journal, if it has one, and so many seconds more."""
    process, here = forking.start(answered, suite, command(verb, folder))
    deadline = time.monotonic() + 120
    while process.is_alive() and time.monotonic() < deadline:
        journals = list(folder.glob("results/.reproduced/*/.answers/*/*/*.jsonl"))
        if sum(path.read_bytes().count(b"\n") for path in journals) >= n_answers:
            break
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.join()
    here.close()
    assert process.exitcode in (-signal.SIGKILL, 0)


def left_behind(folder: Path) -> dict[str, Any]:
    """Every file by its path; records without their times.

    Nor with the largest difference, which depends on what is asked together: that differs after a kill.
    """
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content: Any = path.read_bytes()
        if path.name.endswith(verification.SUFFIX):
            content = json.loads(content)
            assert content["run"].pop("seconds") > 0
            assert content["run"].pop("created")
            assert content.pop("max_difference") <= PROOF_TOLERANCE["float32"]
        found[path.relative_to(folder).as_posix()] = content
    return found


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture(scope="module")
def undisturbed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """What a command leaves behind when nobody disturbs it."""

    @cache
    def left_by(verb: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp(verb.replace(" ", ""))
        store.file_into(small_entry(base), folder / "submissions")
        assert answered(small_suite(base), command(verb, folder)) == 0
        return left_behind(folder)

    return left_by


def check_that_a_kill_changes_nothing(
    undisturbed: Undisturbed, base: Path, folder: Path, verb: str, n_answers: int, seconds: float
) -> None:
    store.file_into(small_entry(base), folder / "submissions")
    strike(small_suite(base), verb, folder, n_answers, seconds)
    assert answered(small_suite(base), command(verb, folder)) == 0
    assert left_behind(folder) == undisturbed(verb)


@pytest.mark.parametrize(
    ("verb", "n_answers", "seconds"),
    [pytest.param("verify", 0, 0.7, marks=pytest.mark.slow), ("verify --all", 60, 0.0)],
)
def test_what_is_killed_at_work_is_continued_and_ends_the_same(
    undisturbed: Undisturbed, base: Path, tmp_path: Path, verb: str, n_answers: int, seconds: float
) -> None:
    check_that_a_kill_changes_nothing(undisturbed, base, tmp_path, verb, n_answers, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("verb", ["verify", "verify --all"])
def test_whatever_the_moment_of_the_kill_the_end_is_the_same(
    undisturbed: Undisturbed, base: Path, tmp_path: Path, verb: str, seed: int
) -> None:
    chance = random.Random(f"{verb} {seed}")
    moment = (
        (0, chance.uniform(0, 3))
        if verb == "verify"
        else (chance.randrange(N_ANSWERS), chance.uniform(0, 0.2))
    )
    check_that_a_kill_changes_nothing(undisturbed, base, tmp_path, verb, *moment)
