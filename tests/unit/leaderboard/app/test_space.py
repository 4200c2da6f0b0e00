"""The Space, and the workflow that publishes it and the site: what they say, and their shell steps, run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers import suite_parts
from tests.helpers.repository import ROOT, SUBMISSIONS

SPACE = ROOT / "leaderboard" / "space"
SMALL = """
from pathlib import Path
from harness.starter import paths
paths.embedded = lambda: Path({signals!r})
from harness import cli
cli.main()
"""
"""The command, with another suite in place of the embedded one."""
TEXT = (ROOT / ".github" / "workflows" / "leaderboard.yml").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(TEXT)
JOBS: dict[str, Any] = WORKFLOW["jobs"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SOURCE = f"git+https://github.com/org/name@{COMMIT}"


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


class Runner:
    """A checkout as a job finds it, with shims for what it must not do here."""

    def __init__(self, root: Path, tasks: tuple[str, ...] = ()) -> None:
        """Of the starter suite and its submissions some tasks alone, or all of it."""
        self.root, command, submissions = root, "-m harness", SUBMISSIONS
        if tasks:
            suite, submissions = suite_parts.of_tasks(tasks, root / "part")
            (root / "small.py").write_text(SMALL.format(signals=str(suite.root)))
            command = str(root / "small.py")
        for name in ("leaderboard", "constraints.txt"):
            (root / name).symlink_to(ROOT / name)
        (root / "submissions").symlink_to(submissions)
        (root / "bin").mkdir()
        self._shim("goodenough", f'exec {sys.executable} {command} "$@"')
        self._shim("hf", 'printf "%s\\n" "$@" > hf.txt; echo "$HF_TOKEN" >> hf.txt')

    def run(self, job: str, **variables: str) -> list[tuple[str, int, str]]:
        found = []
        for step in JOBS[job]["steps"]:
            if "run" not in step or "pip install" in step["run"]:
                continue
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.root,
                env={
                    **os.environ,
                    "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
                    "PYTHONPATH": str(ROOT),
                    "OMP_NUM_THREADS": "1",
                    "GITHUB_SHA": COMMIT,
                    "GITHUB_SERVER_URL": "https://github.com",
                    "GITHUB_REPOSITORY": "org/goodenough",
                    "GITHUB_REF_NAME": "main",
                    **variables,
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            found.append((step["name"], done.returncode, done.stdout))
            if done.returncode:
                break
        return found

    def _shim(self, name: str, script: str) -> None:
        tool = self.root / "bin" / name
        tool.write_text(f"#!/bin/bash\n{script}\n")
        tool.chmod(0o755)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize(
    "tasks", [("music-genre",), pytest.param((), marks=pytest.mark.slow)], ids=["one task", "all tasks"]
)
def test_the_steps_of_the_build_validate_the_entries_and_make_the_site(
    tmp_path: Path, tasks: tuple[str, ...]
) -> None:
    runner = Runner(tmp_path, tasks)
    found = runner.run("build")
    assert [(name, code) for name, code, _ in found] == [
        ("Validate every entry", 0),
        ("Build the site", 0),
    ], found
    assert (runner.root / "site" / "index.html").is_file()
    (upload,) = [s for s in JOBS["build"]["steps"] if "upload-pages-artifact" in s.get("uses", "")]
    assert upload["with"]["path"] == "site"


def test_the_space_is_pushed_with_the_entries_and_the_commit_that_is_shown(runner: Runner) -> None:
    found = runner.run("space", SOURCE=SOURCE, HF_SPACE="org/space", HF_TOKEN="hf_t")  # noqa: S106 - no secret
    assert [code for _, code, _ in found] == [0, 0], found
    words = (runner.root / "hf.txt").read_text().splitlines()
    assert words[:6] == ["upload", "org/space", "space", ".", "--repo-type", "space"]
    assert words[-2:] == [f"The leaderboard at {COMMIT[:12]}", "hf_t"]
    space = runner.root / "space"
    requirements = (space / "requirements.txt").read_text().splitlines()
    assert requirements[-1] == f"goodenough[app] @ {SOURCE}"
    assert {"README.md", "app.py", "submissions"} <= {path.name for path in space.iterdir()}
    assert list((space / "submissions").rglob("entry.json"))


def test_without_a_token_nothing_is_pushed_and_the_job_says_so(runner: Runner) -> None:
    found = runner.run("space", SOURCE=SOURCE, HF_SPACE="org/space", HF_TOKEN="")
    assert found[-1] == ("Push it", 0, "no secret HF_TOKEN: nothing is pushed\n")
    assert not (runner.root / "hf.txt").exists()


def test_a_job_may_no_more_than_it_must_and_the_token_is_seen_by_one_step() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in JOBS.items()} == {
        "build": None,
        "pages": {"pages": "write", "id-token": "write"},
        "space": None,
    }
    assert TEXT.count("secrets.") == 1
    seeing = [s["name"] for job in JOBS.values() for s in job["steps"] if "secrets." in str(s)]
    assert seeing == ["Push it"]
    steps = [step for job in JOBS.values() for step in job["steps"]]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in steps if "uses" in step)
    assert all("-c constraints.txt" in step["run"] for step in steps if "pip install" in step.get("run", ""))
    assert JOBS["space"]["if"] == "vars.HF_SPACE != ''"
    # PyYAML reads the key `on` as true.
    assert WORKFLOW[True] == {"push": {"branches": ["main"], "paths": ["submissions/**", "leaderboard/**"]}}


def test_the_head_of_the_space_names_the_versions_that_are_tested() -> None:
    head = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert head["sdk"] == "gradio"
    assert head["sdk_version"] == _pins()["gradio"]
    assert (SPACE / head["app_file"]).is_file()
    assert head["license"] == "apache-2.0"
    assert (head["hf_oauth"], head["models"], head["datasets"]) == (False, [], [])
    assert len(head["short_description"]) <= 60
    requirements = (SPACE / "requirements.txt").read_text().splitlines()
    assert f"torch=={_pins()['torch']}" in requirements
    assert requirements[-1] == "goodenough[app]"


def test_the_app_of_the_space_is_the_command_and_its_faults_are_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SPACE / "app.py")],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "GOODENOUGH_SUBMISSIONS": "nowhere",
            "SPACE_ID": "org/space",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("goodenough: no folder at nowhere; expected one of entries")
