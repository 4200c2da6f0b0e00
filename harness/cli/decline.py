"""`goodenough decline`: a model stays away from a task, and says why."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import info
from harness.cli.selection import OutputPath


@click.command()
@click.argument("model")
@click.option("--task", "task_name", required=True, metavar="T", help="The task.")
@click.option("--author", required=True, metavar="NAME", help="Who says so.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in a sentence.")
@click.option("--into", required=True, metavar="DIR", type=OutputPath(), help="submissions/")
@click.option("--revision", metavar="R", help="Branch, tag or commit of a Hub model.")
def decline(model: str, task_name: str, author: str, reason: str, into: Path, revision: str | None) -> None:
    """Say that MODEL stays away from a task, for example because it was trained on the corpus.

    A decline stands on the board in the place of an entry and costs no rank.

    Example: goodenough decline my/model --task emotion --author Ada --reason "Trained on these clips." --into
    submissions/
    """
    from harness import tasks
    from harness.entries import notices
    from harness.errors import BadInput
    from harness.models import checkpoints

    if not into.is_dir():
        raise BadInput(f"no folder at {into}; expected submissions/ of a clone of this repository")
    task = tasks.find(task_name)
    ref = checkpoints.resolve(model, revision).ref
    refusal = notices.new_decline(ref.repo_id, ref.revision, task.name, author, reason)
    click.echo(str(notices.decline(into, refusal)))
    info(f"Next: git add {into}, commit, and open a pull request.")
