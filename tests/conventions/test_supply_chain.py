"""What comes from others: actions by commit, least permissions, audited versions, files attested."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helpers.repository import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*"))
PINNED = re.compile(r"- (?:id: \S+\n\s+)?uses: [a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
WRITES = {
    ("leaderboard.yml", "pages"): {"pages": "write", "id-token": "write"},
    ("release.yml", "attest"): {"id-token": "write", "attestations": "write", "contents": "read"},
}
"""The jobs that may write, and what."""


def workflow(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    names = [path.name for path in WORKFLOWS]
    assert names == ["leaderboard.yml", "release.yml", "submissions.yml", "test.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_with_its_version_beside(path: Path) -> None:
    n_used = sum("uses" in step for step in steps(path))
    assert path.read_text().count("uses:") == n_used == len(PINNED.findall(path.read_text()))
    assert [s["uses"] for s in steps(path) if "uses" in s and not s["uses"].startswith("actions/")] == []


def test_an_action_has_one_commit_everywhere() -> None:
    uses = {step["uses"] for path in WORKFLOWS for step in steps(path) if "uses" in step}
    names = [use.split("@")[0] for use in uses]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_a_job_write_only_what_it_is_for(path: Path) -> None:
    content = workflow(path)
    assert content["permissions"] == {"contents": "read"}
    rights = {
        (path.name, name): job["permissions"] for name, job in content["jobs"].items() if "permissions" in job
    }
    assert rights == {key: value for key, value in WRITES.items() if key[0] == path.name}
    assert all(job["timeout-minutes"] <= 45 for job in content["jobs"].values())
    assert "pull_request_target" not in path.read_text()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_checkout_leaves_its_token_behind_and_no_expression_is_part_of_a_command(path: Path) -> None:
    checkouts = [step for step in steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


def test_a_job_that_writes_runs_no_code_of_the_repository() -> None:
    for name, job in WRITES:
        content = workflow(ROOT / ".github" / "workflows" / name)["jobs"][job]
        assert [step for step in content["steps"] if "run" in step or "checkout" in step["uses"]] == []


def test_what_is_released_is_attested() -> None:
    content = workflow(ROOT / ".github" / "workflows" / "release.yml")
    attest = content["jobs"]["attest"]
    assert attest["needs"] == "build"
    assert attest["steps"][-1]["uses"].startswith("actions/attest-build-provenance@")
    assert attest["steps"][-1]["with"]["subject-path"] == "dist/*"


def test_versions_are_audited_in_a_job_and_not_by_the_tests() -> None:
    audit = workflow(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["audit"]
    assert audit["steps"][-1] == {"run": "make audit"}
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^audit:\n\t\$\(PYTHON\) \.ci/audit\.py$", makefile, re.MULTILINE)
    assert not re.search(r"^(test|test-all|lint):.*audit", makefile, re.MULTILINE)
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line)] == []


# --- what an audit says


SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
BAD = {"name": "pillow", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "torch not found"}


def verdict(out: str, err: str = "") -> tuple[int, list[str]]:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    outcome: tuple[int, list[str]] = module.verdict(out, err)
    return outcome


@pytest.mark.parametrize(
    ("dependencies", "code", "lines"),
    [
        ([SOUND], 0, ["audit: 0 of 1 packages have a known vulnerability"]),
        (
            [SOUND, BAD],
            1,
            [
                "audit: pillow 1.0: CVE-1 (mended in 1.1)",
                "audit: 1 of 2 packages have a known vulnerability",
            ],
        ),
        (
            [SOUND, UNKNOWN],
            0,
            ["audit: not audited: torch not found", "audit: 0 of 2 packages have a known vulnerability"],
        ),
        ([UNKNOWN], 0, ["audit: SKIPPED, nothing was audited: the service knows none of 1 packages"]),
    ],
)
def test_an_audit_says_what_it_found(dependencies: list[Any], code: int, lines: list[str]) -> None:
    assert verdict(json.dumps({"dependencies": dependencies, "fixes": []})) == (code, lines)


@pytest.mark.parametrize(
    ("err", "code", "word"),
    [
        ("ERROR: requests.exceptions.ConnectionError: Max retries exceeded", 0, "SKIPPED"),
        ("ERROR: No matching distribution found for pip-audit==2.10.1", 0, "SKIPPED"),
        ("HTTPSConnectionPool(host='pypi.org'): Read timed out.", 0, "SKIPPED"),
        ("Traceback\nKeyError: 'name'", 1, "failed"),
        ("", 1, "failed"),
    ],
)
def test_an_audit_that_reached_nobody_says_so_and_one_that_failed_fails(
    err: str, code: int, word: str
) -> None:
    found, [line] = verdict("", err)
    assert found == code
    assert word in line
