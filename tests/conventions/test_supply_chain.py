"""What comes from others: actions by commit, least permissions, audited versions; releases are attested."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from tests.helpers.repository import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*"))
PINNED = re.compile(r"- (?:id: \S+\n\s+)?uses: [a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
WRITES = {
    ("leaderboard.yml", "pages"): {"pages": "write", "id-token": "write"},
    ("release.yml", "attest"): {"id-token": "write", "attestations": "write", "contents": "read"},
    ("release.yml", "publish"): {"id-token": "write"},
}
"""The jobs that may write, and what."""


def workflow(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow(path)["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    names = [path.name for path in WORKFLOWS]
    assert names == ["leaderboard.yml", "release.yml", "submissions.yml", "test.yml", "weekly.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_with_its_version_beside(path: Path) -> None:
    n_used = sum("uses" in step for step in steps(path))
    assert path.read_text().count("uses:") == n_used == len(PINNED.findall(path.read_text()))
    foreign = {
        s["uses"].split("@")[0] for s in steps(path) if not s.get("uses", "actions/").startswith("actions/")
    }
    assert foreign == ({"pypa/gh-action-pypi-publish"} if path.name == "release.yml" else set())


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
    longest = 350 if path.name == "weekly.yml" else 45
    assert all(job["timeout-minutes"] <= longest for job in content["jobs"].values())
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


def test_what_is_released_is_built_tried_attested_and_published_without_a_token() -> None:
    path = ROOT / ".github" / "workflows" / "release.yml"
    content = workflow(path)
    assert content[True] == {"push": {"tags": ["v*"]}}, "PyYAML reads the key `on` as true"
    jobs = content["jobs"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "build": None,
        "try": "build",
        "attest": "try",
        "publish": "attest",
    }
    commands = [step["run"] for step in jobs["build"]["steps"] if "run" in step]
    assert commands[0].startswith("python .ci/release_check.py ")
    assert commands[-2:] == ["python -m build", "python -m twine check --strict dist/*"]
    assert jobs["try"]["steps"][-1] == {"run": ".ci/try_wheel dist"}
    attest = jobs["attest"]
    assert attest["steps"][-1]["uses"].startswith("actions/attest-build-provenance@")
    assert attest["steps"][-1]["with"]["subject-path"] == "dist/*"
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert "secrets." not in path.read_text()


def test_versions_are_audited_in_a_job_and_not_by_the_tests() -> None:
    audit = workflow(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["audit"]
    assert audit["steps"][-1] == {"run": "make audit"}
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^audit:\n\t\$\(PYTHON\) \.ci/audit\.py$", makefile, re.MULTILINE)
    assert not re.search(r"^(test|test-all|lint):.*audit", makefile, re.MULTILINE)
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line)] == []


def floors() -> dict[NormalizedName, Version]:
    """The lowest version of each package that pyproject.toml accepts."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = {}
    for requirement in map(Requirement, project["dependencies"]):
        [bound] = requirement.specifier
        assert bound.operator == ">=", f"{requirement}: a floor, and no ceiling"
        found[canonicalize_name(requirement.name)] = Version(bound.version)
    return found


def pins(path: Path) -> dict[NormalizedName, Version]:
    """The versions that a file of constraints names."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    named = [line.split("==") for line in lines]
    assert len({name for name, _ in named}) == len(named)
    return {canonicalize_name(name): Version(version) for name, version in named}


def test_the_lowest_versions_that_are_tested_are_those_that_are_accepted() -> None:
    lowest = pins(ROOT / ".ci" / "constraints.lowest")
    assert {name: lowest[name] for name in floors()} == floors()
    job = workflow(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["lowest"]
    assert job["steps"][-1] == {"run": "make test-lowest"}
    assert "-c .ci/constraints.lowest" in (ROOT / "Makefile").read_text()


def test_every_version_of_python_that_is_named_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [
        c.removeprefix("Programming Language :: Python :: ") for c in project["classifiers"] if ":: 3." in c
    ]
    job = workflow(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["test"]
    tested = job["strategy"]["matrix"]["python-version"]
    assert set(named) <= set(tested)
    assert project["requires-python"] == f">={tested[0]}"
    assert job["steps"][-1] == {"run": "bash .ci/run"}


def test_hooks_before_a_commit_are_part_of_the_linters() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [repository["repo"] for repository in config["repos"]] == ["local"]
    makefile = (ROOT / "Makefile").read_text()
    for hook in hooks:
        tool = hook["entry"].removeprefix(".venv/bin/").split(" --")[0]
        assert f"\n\t$(BIN)/{tool}" in makefile


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_a_form_for_issues_asks_for_something(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": False}
        return
    assert {"name", "description", "labels", "body"} == set(form)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


# --- what an audit says


SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
BAD = {"name": "pillow", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "torch", "skip_reason": "torch not found"}


def script(name: str) -> Any:
    """A module of .ci/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def verdict(out: str, err: str = "") -> tuple[int, list[str]]:
    outcome: tuple[int, list[str]] = script("audit").verdict(out, err)
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


# --- what may be released


REPOSITORY = "https://example.org/org/goodenough"
PROJECT = f"""
[project]
version = "1.2.3"
urls = {{Repository = "{REPOSITORY}"}}
"""
CHANGELOG = """
## [Unreleased]

## [1.2.3] - 2027-01-31
"""


def test_a_tag_that_names_the_version_is_released() -> None:
    assert script("release_check").problems("v1.2.3", REPOSITORY, PROJECT, CHANGELOG) == []


@pytest.mark.parametrize(
    ("tag", "repository", "changelog", "line"),
    [
        (
            "v1.2.4",
            REPOSITORY,
            CHANGELOG,
            "the tag is v1.2.4, and the version in pyproject.toml 1.2.3: .* v1.2.3",
        ),
        ("1.2.3", REPOSITORY, CHANGELOG, "the tag is 1.2.3, .* expected the tag v1.2.3"),
        ("v1.2.3", REPOSITORY, "## [1.2.3] - unreleased", r"no line '## \[1.2.3\] - DATE'"),
        ("v1.2.3", REPOSITORY, "## [1x2x3] - 2027-01-31", r"no line '## \[1.2.3\] - DATE'"),
        ("v1.2.3", "https://example.org/fork/goodenough", CHANGELOG, "does not name this repository"),
    ],
)
def test_any_other_tag_is_refused_in_a_line(tag: str, repository: str, changelog: str, line: str) -> None:
    [found] = script("release_check").problems(tag, repository, PROJECT, changelog)
    assert re.search(line, found)


def test_the_version_stands_in_one_place_and_in_the_changelog() -> None:
    texts = [(ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "CHANGELOG.md")]
    version = tomllib.loads(texts[0])["project"]["version"]
    # The repository has no address yet: a release asks for it.
    [found] = script("release_check").problems(f"v{version}", REPOSITORY, *texts)
    assert "[project.urls]" in found
    sources = [
        *(ROOT / "harness").rglob("*.py"),
        *(ROOT / "leaderboard").rglob("*.py"),
        ROOT / "goodenough.py",
    ]
    assert [path.name for path in sources if f'"{version}"' in path.read_text("utf-8")] == []
