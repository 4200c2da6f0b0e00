"""Verifying that is killed at any moment and begun again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.records import PROOF_TOLERANCE
from harness.submit import store, verification

ROOT = Path(__file__).parent.parent
(ENTRY,) = store.find(ROOT / "submissions" / "local__starter-emotion-wav2vec2")
BASE = "0123456789abcdef0123456789abcdef01234567"

PROGRAM = """
import sys
from harness import cli
from harness.score import transfer
transfer._SAMPLES_AT_ONCE = 1 << 18
sys.exit(cli.run(sys.argv[1:]))
"""


def command(verb: str, root: Path) -> list[str]:
    (folder,) = store.find(root / "submissions")
    options = {"verify": ("--base", BASE, "-k", "400"), "reproduce": ("--out", str(root / "results"))}
    return [verb, str(folder), *options[verb]]


def strike(verb: str, root: Path, n_answers: int, seconds: float) -> int:
    """Kill a command after so many answers of its journal, if it has one, and so many seconds more."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command(verb, root)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            deadline = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < deadline:
                journals = list(root.glob("results/.reproduced/*/.answers/*/*/*.jsonl"))
                if sum(path.read_bytes().count(b"\n") for path in journals) >= n_answers:
                    break
                time.sleep(0.001)
            time.sleep(seconds)
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode in (-signal.SIGKILL, 0), said
    return process.returncode


def left_behind(root: Path) -> dict[str, Any]:
    """Every file by its path; records without their times.

    Nor with the largest difference, which depends on what is asked together: that differs after a kill.
    """
    found: dict[str, Any] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        content: Any = path.read_bytes()
        if path.name.endswith(verification.SUFFIX):
            content = json.loads(content)
            assert content["run"].pop("seconds") > 0
            assert content["run"].pop("created")
            assert content.pop("max_difference") <= PROOF_TOLERANCE["float32"]
        found[path.relative_to(root).as_posix()] = content
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each command leaves behind when nobody disturbs it."""
    found = {}
    for verb in ("verify", "reproduce"):
        root = tmp_path_factory.mktemp(verb)
        store.file_into(ENTRY, root / "submissions")
        assert cli.run(command(verb, root)) == 0
        found[verb] = left_behind(root)
    return found


def check_that_a_kill_changes_nothing(
    undisturbed: dict[str, Any], root: Path, verb: str, n_answers: int, seconds: float
) -> None:
    store.file_into(ENTRY, root / "submissions")
    strike(verb, root, n_answers, seconds)
    assert cli.run(command(verb, root)) == 0
    assert left_behind(root) == undisturbed[verb]


@pytest.mark.parametrize(("verb", "n_answers", "seconds"), [("verify", 0, 1.5), ("reproduce", 60, 0.0)])
def test_what_is_killed_at_work_is_continued_and_ends_the_same(
    undisturbed: dict[str, Any], tmp_path: Path, verb: str, n_answers: int, seconds: float
) -> None:
    check_that_a_kill_changes_nothing(undisturbed, tmp_path, verb, n_answers, seconds)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("verb", ["verify", "reproduce"])
def test_whatever_the_moment_of_the_kill_the_end_is_the_same(
    undisturbed: dict[str, Any], tmp_path: Path, verb: str, seed: int
) -> None:
    chance = random.Random(f"{verb} {seed}")
    moment = (
        (0, chance.uniform(0.5, 6)) if verb == "verify" else (chance.randrange(800), chance.uniform(0, 0.2))
    )
    check_that_a_kill_changes_nothing(undisturbed, tmp_path, verb, *moment)
