"""Known vulnerabilities of the versions in constraints.txt, by pip-audit, in an environment of its own.

Where no service answers, or pip-audit cannot be fetched, one line says that nothing was audited, and the
exit code is 0. Exit code 1: a version has a known vulnerability, or pip-audit failed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACE = ROOT / ".venv-audit"
PIP_AUDIT = "pip-audit==2.10.1"
COMMAND = (
    *("-m", "pip_audit", "-r", str(ROOT / "constraints.txt"), "--no-deps", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "15"),
)
_OUT_OF_REACH = re.compile(
    r"ConnectionError|Max retries|NameResolution|Name or service|Temporary failure|timed out|ProxyError"
    r"|No matching distribution|ServiceError"
)


def verdict(out: str, err: str) -> tuple[int, list[str]]:
    """What a run of pip-audit says.

    Args:
        out: what it printed, JSON where it came to an end.
        err: what it said beside.

    Returns:
        The exit code, and lines to print.
    """
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (err.strip().splitlines() or ["it said nothing"])[-1]
        if _OUT_OF_REACH.search(err):
            return 0, [f"audit: SKIPPED, nothing was audited: no service was reached ({last})"]
        return 1, [f"audit: pip-audit failed: {last}"]
    skipped = [one for one in packages if "skip_reason" in one]
    if len(skipped) == len(packages):
        return 0, [f"audit: SKIPPED, nothing was audited: the service knows none of {len(packages)} packages"]
    bad = [one for one in packages if one.get("vulns")]
    lines = [f"audit: {one['name']} {one['version']}: {_ids(one)}" for one in bad]
    lines += [f"audit: not audited: {one['skip_reason']}" for one in skipped]
    return int(bool(bad)), [
        *lines,
        f"audit: {len(bad)} of {len(packages)} packages have a known vulnerability",
    ]


def _ids(dependency: dict[str, object]) -> str:
    vulnerabilities = dependency["vulns"]
    assert isinstance(vulnerabilities, list)  # noqa: S101
    fixes = (
        f"{v['id']} (mended in {', '.join(v['fix_versions']) or 'no version yet'})" for v in vulnerabilities
    )
    return ", ".join(fixes)


def main() -> int:
    """Install pip-audit where it is not there yet, run it, and print its verdict."""
    python = PLACE / "bin" / "python"
    if not python.is_file():
        venv.create(PLACE, with_pip=True)
    install = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", PIP_AUDIT]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        done = subprocess.run([python, *COMMAND], capture_output=True, text=True, check=False)
    code, lines = verdict(done.stdout, done.stderr)
    print("\n".join(lines))  # noqa: T201 - what it is for
    return code


if __name__ == "__main__":
    sys.exit(main())
