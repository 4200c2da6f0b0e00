"""`goodenough validate`: all problems of entries at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import cache_folder
from harness.cli import options
from harness.cli.common import info, known_tasks, print_json
from harness.cli.option_groups import GroupedCommand
from harness.entries.untrusted_text import one_line
from harness.errors import NotValid
from harness.plurals import plural
from harness.progress import progress_bar

if TYPE_CHECKING:
    from harness.dataset.suites import Suite


@click.command(cls=GroupedCommand)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.task_files
@click.option(
    "--signals", metavar="SOURCE", help="Also check the entries against a signals folder or Hub dataset."
)
@options.as_json
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
      results/a__b/0123456789ab/emotion@89abcdef: n_verdicts: 12, expected 774
      goodenough: 1 of 2 entries not valid, 0 problems beside them

    Exit code 0: all are valid. 1: some are not. 2: there is no entry.
    """  # noqa: D301
    from harness.entries import store
    from harness.entries.valid_marks import problems_of, validator_marks

    tasks = known_tasks(task_files)
    suite = None if signals is None else _load(signals)
    folders = store.find_all(paths)
    problems, marks = {}, validator_marks(cache_folder.cache())
    with progress_bar("validating", len(folders), "entries") as step:
        for folder in folders:
            lines = problems_of(folder, tasks, marks, strict_files=_is_submissions(folder, depth=3))
            if not lines and suite is not None:
                from harness.entries import suite_check  # takes long to import

                lines = suite_check.check_against_suite(folder, suite)
            problems[str(folder)] = lines
            step(1, 1)
    stray_lines = [line for path in paths if _is_submissions(path) for line in _strays(path)]
    n_invalid = sum(map(bool, problems.values()))
    if as_json:
        entries = [{"path": path, "problems": lines} for path, lines in problems.items()]
        counts = {"n_entries": len(problems), "n_invalid": n_invalid}
        print_json({**counts, "entries": entries, "stray": stray_lines})
    else:
        for path, lines in problems.items():
            for line in lines:
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


def _load(signals: str) -> Suite:
    from harness.dataset.suites import load

    return load(signals)


def _strays(path: Path) -> list[str]:
    from harness.entries.validate import strays

    return strays(path)
