"""Is this tag a release? The tag names the version, the changelog has it, the metadata name this repository.

    python .ci/release_check.py TAG REPOSITORY_URL

Exit code 1: a line for each of these that does not hold.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def problems(tag: str, repository: str, project: str, changelog: str) -> list[str]:
    """What stands against releasing.

    Args:
        tag: the tag, e.g. `v0.2.0`.
        repository: address of the repository that releases.
        project: content of pyproject.toml.
        changelog: content of CHANGELOG.md.

    Returns:
        One line for each problem.
    """
    metadata = tomllib.loads(project)["project"]
    version = metadata["version"]
    found = []
    if tag != f"v{version}":
        found.append(
            f"the tag is {tag}, and the version in pyproject.toml {version}: expected the tag v{version}"
        )
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no line '## [{version}] - DATE'")
    if metadata["urls"].get("Repository") != repository:
        found.append(
            f'pyproject.toml does not name this repository: add Repository = "{repository}" to [project.urls]'
        )
    return found


def main(tag: str, repository: str) -> int:
    """Print what stands against releasing this tag; 1 if anything does."""
    texts = [(ROOT / name).read_text("utf-8") for name in ("pyproject.toml", "CHANGELOG.md")]
    found = problems(tag, repository, *texts)
    print("\n".join(f"release: {line}" for line in found) or f"release: {tag} can be released")  # noqa: T201
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
