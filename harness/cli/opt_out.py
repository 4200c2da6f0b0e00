"""`goodenough opt-out`: a model opts out of a task, and says why."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options
from harness.cli.common import info
from harness.cli.option_groups import GroupedCommand
from harness.errors import BadInput
from harness.models.external.options import AdapterOptions


@click.command(cls=GroupedCommand)
@click.argument("model")
@click.option("--task", "task_name", required=True, metavar="T", help="The task.")
@click.option("--author", required=True, metavar="NAME", help="Who opts out.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in a sentence.")
@options.out(required=True, help="The submissions/ folder.")
@click.option("--revision", metavar="R", help="Branch, tag or commit of a Hub model.")
@options.adapter
def opt_out(
    model: str,
    task_name: str,
    author: str,
    reason: str,
    out: Path,
    revision: str | None,
    adapter: AdapterOptions,
) -> None:
    """Declare that MODEL opts out of a task, for example because it was trained on the corpus.

    MODEL is a Hub id, a folder, or an adapter, FILE.py:CLASS.

    The leaderboard names it below the ranking, with the reason; it costs no rank.

    Example: goodenough opt-out my/model --task emotion --author Ada --reason "Trained on these clips." --out
    submissions/
    """
    from harness import tasks
    from harness.entries import notices
    from harness.models import loading

    adapter.refuse_without_adapter(model)
    if not out.is_dir():
        raise BadInput(f"no folder at {out}; expected submissions/ of a clone of this repository")
    task = tasks.find(task_name)
    ref = loading.resolve(model, revision, adapter=adapter).ref
    notice = notices.new_opt_out(ref.repo_id, ref.revision, task.name, author, reason)
    click.echo(str(notices.opt_out(out, notice)))
    info(f"Next: git add {out}, commit, and open a pull request.")
