"""The workflow for pull requests that bring entries: its shell steps, run on a repository made for it.

The embedded suite is a small one (`tests.helpers.small_starter`), there and here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.entries import held_back, notices, store, verification
from harness.starter import paths
from tests.helpers import forgeries, forking
from tests.helpers.entries import made_verification, make_entry
from tests.helpers.repository import ROOT
from tests.helpers.small_starter import small_entry, small_suite

WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "submissions.yml").read_text())
(JOB,) = WORKFLOW["jobs"].values()
STEPS = [step for step in JOB["steps"] if "run" in step]
TOOL = """#!{python} -S
import os, sys
from multiprocessing.connection import Client
with Client({address!r}) as test:
    test.send((os.getcwd(), sys.argv[1:]))
    code, out, err = test.recv()
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
"""`goodenough`, as far as a shell can tell: it has the test run it, in a process that is forked."""


def ran(suite: Path, folder: str, arguments: list[str]) -> forking.Said:
    """A command in a folder, on a suite that stands for the embedded one."""
    paths.SUITE = suite
    (told,) = forking.said([arguments], {**os.environ}, Path(folder))
    return told


@contextlib.contextmanager
def answering(suite: Path) -> Iterator[str]:
    """Run what the tool is asked to run; the address at which it asks."""

    def serve() -> None:
        while True:
            with listener.accept() as tool:
                if (asked := tool.recv()) is None:
                    return
                tool.send(forking.call(ran, suite, *asked))

    with Listener() as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(listener.address)
        finally:
            with Client(listener.address) as end:
                end.send(None)
            thread.join()


class PullRequest:
    """A clone with a base commit that holds one entry, and a head that is made by a test."""

    def __init__(self, place: Path, address: str, sound: Path) -> None:
        """Make it.

        Args:
            place: an empty folder.
            address: where the tool asks.
            sound: an entry that is not in it.
        """
        self.sound = sound
        self.root, self.head = place, place / "head"
        self.submissions = self.head / "submissions"
        self.submissions.mkdir(parents=True)
        self._git("init", "-q")
        (self.submissions / "README.md").write_text("Entries.\n")
        entry = make_entry(task="emotion", n_clips=6)
        self.filed = store.write(self.submissions, *entry)
        verification.write(self.filed, made_verification(self.filed))
        self.base = self._commit()
        tool = place / "bin" / "goodenough"
        tool.parent.mkdir()
        tool.write_text(TOOL.format(python=sys.executable, address=address))
        tool.chmod(0o755)

    def steps(self) -> list[tuple[str, int, str]]:
        """Run the steps until one fails; name, exit code and output of each."""
        draw = self._commit()
        found = []
        for step in STEPS:
            if "pip install" in step["run"]:
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.root / step.get("working-directory", "."),
                env={
                    **os.environ,
                    "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
                    "BASE": self.base,
                    "DRAW": draw,
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            found.append((step["name"].split()[0], done.returncode, done.stdout))
            if done.returncode:
                break
        return found

    def _commit(self) -> str:
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "one")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        command = [
            "git",
            "-C",
            str(self.head),
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.org",
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def request_(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PullRequest]:
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch, answering(small_suite(base)) as address:
        patch.setattr(paths, "SUITE", small_suite(base))
        yield PullRequest(tmp_path, address, small_entry(base))


def codes(found: list[tuple[str, int, str]]) -> list[tuple[str, int]]:
    return [(name, code) for name, code, _ in found]


def test_the_workflow_holds_no_secret_and_runs_nothing_of_the_head() -> None:
    text = (ROOT / ".github" / "workflows" / "submissions.yml").read_text()
    assert "secrets." not in text
    assert "pull_request_target" not in text
    assert "trust-remote-code" not in text
    assert WORKFLOW["permissions"] == {"contents": "read"}
    checkouts = [step for step in JOB["steps"] if step.get("uses", "").startswith("actions/checkout")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False, False]
    # What a stranger could write never becomes part of a command: expressions stand in the environment alone.
    assert [step["name"] for step in STEPS if "${{" in step["run"]] == []
    assert set(JOB["env"]) == {"BASE", "DRAW"}


def test_a_sound_entry_passes_every_step_and_is_asked_again(request_: PullRequest) -> None:
    place = store.file_into(request_.sound, request_.submissions)
    found = request_.steps()
    assert codes(found) == [("Only", 0), ("No", 0), ("Validate", 0), ("Ask", 0)]
    said = found[-1][2]
    assert f"head/submissions/{place.relative_to(request_.submissions)}: holds: replayed, " in said
    assert "1 of 1 entries hold" in said
    assert not verification.sidecar_of(place).exists()


def test_a_pull_request_without_a_new_entry_has_none_to_ask(request_: PullRequest) -> None:
    found = request_.steps()
    assert codes(found)[-1] == ("Ask", 0)
    assert found[-1][2] == "no entry is new\n"


def change_an_entry(request: PullRequest) -> None:
    path = request.filed / store.ENTRY
    path.write_text(path.read_text() + "\n")


def remove_an_entry(request: PullRequest) -> None:
    shutil.rmtree(request.filed)


def add_a_verification(request: PullRequest) -> None:
    place = store.file_into(request.sound, request.submissions)
    verification.write(place, made_verification(place))


def change_a_verification(request: PullRequest) -> None:
    path = verification.sidecar_of(request.filed)
    path.write_text(path.read_text() + "\n")


def add_an_odd_verification(request: PullRequest) -> None:
    (request.submissions / 'ö"\n.verified.json').write_text("{}")


def add_a_held_back_lift(request: PullRequest) -> None:
    held_back.sidecar_of(request.filed).write_text("{}")


def add_an_invalidation(request: PullRequest) -> None:
    notices.invalidate(request.filed, "A rival", "It is better than mine.")


def add_a_script(request: PullRequest) -> None:
    store.file_into(request.sound, request.submissions)
    (request.submissions / "run.sh").write_text("true")


def add_a_forged_entry(request: PullRequest) -> None:
    forgeries.classes_renamed(request.sound, request.submissions)


@pytest.mark.parametrize(
    ("change", "step", "line"),
    [
        (change_an_entry, "Only", "entries are immutable; found:"),
        (remove_an_entry, "Only", "entries are immutable; found:"),
        (change_a_verification, "Only", "entries are immutable; found:"),
        (
            add_a_verification,
            "No",
            "are written by maintainers after the merge; found:",
        ),
        (
            add_an_odd_verification,
            "No",
            "are written by maintainers after the merge; found:",
        ),
        (add_a_held_back_lift, "No", "are written by maintainers after the merge; found:"),
        (add_an_invalidation, "No", "are written by maintainers after the merge; found:"),
        (add_a_script, "Validate", "run.sh: belongs to no entry, expected entries alone"),
        (add_a_forged_entry, "Ask", "does not hold: replayed, "),
    ],
)
def test_what_may_not_be_merged_fails_the_step_that_is_for_it(
    request_: PullRequest, change: Callable[[PullRequest], Any], step: str, line: str
) -> None:
    change(request_)
    *passed, (name, code, said) = request_.steps()
    assert [code for _, code, _ in passed] == [0] * len(passed)
    assert (name, code) == (step, 1), said
    assert line in said


def test_an_entry_of_a_local_model_is_passed_over_in_a_line(request_: PullRequest) -> None:
    def rename(entry: Any) -> Any:
        return dataclasses.replace(entry, model=dataclasses.replace(entry.model, repo_id="local/mine"))

    forgeries.entry_changed(request_.sound, request_.submissions, rename)
    found = request_.steps()
    assert codes(found)[-1] == ("Ask", 0)
    assert "not verified: its model is a local folder" in found[-1][2]
    assert "0 of 1 entries hold, 1 cannot be verified here" in found[-1][2]
