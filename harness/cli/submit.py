"""`goodenough submit`: valid entries, copied to where a pull request can offer them."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.terminal import say


@click.command()
@click.argument("result_dir", metavar="RESULT_DIR", type=click.Path(path_type=Path))
@click.option(
    "--into", metavar="DIR", type=click.Path(path_type=Path), help="The submissions/ folder of a clone."
)
@click.option(
    "--task", "task_files", metavar="FILE", multiple=True, help="Definition of a task that is not built in."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def submit(result_dir: Path, into: Path | None, task_files: tuple[str, ...], as_json: bool) -> None:
    """File the entries at or below RESULT_DIR among the submissions, if all of them are valid.

    entry.json and verdicts.parquet are copied, and nothing that lies beside them. An entry that is already
    there stays as it is: entries are immutable.

    \b
    Example, in a clone of this repository:
      goodenough submit results/ --into submissions/
      git switch -c my-entry
      git add submissions/
      git commit -m "Add an entry"
    and open a pull request.

    Exit code 0: filed. 1: an entry is not valid, and nothing was copied. 2: bad input.
    """  # noqa: D301
    from harness.errors import BadInput, NotValid
    from harness.submit import store
    from harness.submit.text import one_line
    from harness.submit.validate import problems
    from harness.tasks import TASKS, find

    if into is None:
        raise BadInput(
            f"for now an entry is offered by pull request: in a clone of this repository run "
            f"goodenough submit {result_dir} --into submissions/, then commit and open a pull request"
        )
    if not into.is_dir():
        raise BadInput(f"no folder at {into}; expected submissions/ of a clone of this repository")
    folders = store.find_all([result_dir])
    tasks = [*TASKS.values(), *map(find, task_files)]
    found = {str(folder): problems(folder, tasks, strict_files=False) for folder in folders}
    n_invalid = sum(map(bool, found.values()))
    filed = []
    for folder in () if n_invalid else folders:
        there = (into / store.read(folder).path / store.ENTRY).exists()
        place = store.file_into(folder, into)
        filed.append({"from": str(folder), "to": str(place), "already_there": there})
    if as_json:
        entries = [{"path": path, "problems": lines} for path, lines in found.items()]
        click.echo(json.dumps({"n_invalid": n_invalid, "entries": entries, "filed": filed}))
    else:
        for path, lines in found.items():
            for line in lines:
                click.echo(one_line(f"{path}: {line}"))
        for one in filed:
            click.echo(one["to"])
            if one["already_there"]:
                say(f"{one['to']} was there already, and is the same")
    if n_invalid:
        raise NotValid(f"{n_invalid} of {len(found)} entries not valid; nothing was copied")
    say(f"Next: git add {into}, commit, and open a pull request.")
