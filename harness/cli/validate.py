"""`goodenough validate`: all problems of entries at once."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.common import info
from harness.plurals import plural
from harness.progress import progress_bar


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--task", "task_files", metavar="FILE", multiple=True, help="Definition of a task that is not built in."
)
@click.option(
    "--signals", metavar="SOURCE", help="Also check the entries against a signals folder or Hub dataset."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def validate(
    paths: tuple[Path, ...], task_files: tuple[str, ...], signals: str | None, as_json: bool
) -> None:
    """Report all problems of the entries at or below each PATH.

    A PATH is the folder of an entry, or any folder above it: a results folder, or submissions/. No model is
    run; the scorecard is computed again from the verdicts. A report.html beside an entry is allowed in a
    results folder; a folder named submissions may hold only entries and what belongs to them, such as their
    verifications.

    \b
    Example:
      goodenough validate results/
      results/org__model/0123456789ab/emotion@89abcdef: n_verdicts: 12, expected 774, as in the file
      goodenough: 1 of 2 entries not valid, 0 problems beside them

    Exit code 0: all are valid. 1: some are not. 2: there is no entry.
    """  # noqa: D301
    from harness.dataset.suites import load
    from harness.entries import store, suite_check
    from harness.entries.untrusted_text import one_line
    from harness.entries.validate import strays, validate_entry
    from harness.errors import NotValid
    from harness.tasks import TASKS, find

    tasks = [*TASKS.values(), *map(find, task_files)]
    suite = None if signals is None else load(signals)
    folders = store.find_all(paths)
    problems = {}
    with progress_bar("validating", len(folders), "entries") as step:
        for folder in folders:
            problem_lines = validate_entry(folder, tasks, strict_files=_is_submissions(folder, depth=3))
            problems[str(folder)] = problem_lines or (
                [] if suite is None else suite_check.check_against_suite(folder, suite)
            )
            step(1, 1)
    stray_lines = [line for path in paths if _is_submissions(path) for line in strays(path)]
    n_invalid = sum(map(bool, problems.values()))
    if as_json:
        entries = [{"path": path, "problems": problem_lines} for path, problem_lines in problems.items()]
        click.echo(
            json.dumps(
                {"n_entries": len(problems), "n_invalid": n_invalid, "entries": entries, "stray": stray_lines}
            )
        )
    else:
        for path, problem_lines in problems.items():
            for line in problem_lines:
                click.echo(one_line(f"{path}: {line}"))
        for line in stray_lines:
            click.echo(line)
    if n_invalid or stray_lines:
        n_strays = plural(len(stray_lines), "problem")
        raise NotValid(f"{n_invalid} of {len(problems)} entries not valid, {n_strays} beside them")
    info(f"{len(problems)} of {len(problems)} entries valid")


def _is_submissions(path: Path, depth: int = 0) -> bool:
    """Whether the folder this many levels above is one for submissions."""
    parts = path.resolve().parts
    return len(parts) > depth and parts[len(parts) - 1 - depth] == "submissions"
