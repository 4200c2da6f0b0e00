"""`goodenough invalidate`: an entry must not be trusted, and why."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options
from harness.cli.common import info
from harness.cli.option_groups import GroupedCommand
from harness.cli.selection import single_entry


@click.command(cls=GroupedCommand)
@click.argument("entry", metavar="ENTRY", type=options.OutputPath())
@click.option("--author", required=True, metavar="NAME", help="Who declares it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in a sentence.")
def invalidate(entry: Path, author: str, reason: str) -> None:
    """Declare that ENTRY, the folder of one entry, must not be trusted.

    The entry stays but is no longer ranked, and the leaderboard shows the reason and the author. An
    invalidation is never withdrawn: TASK@SIGNALS.invalidated.json beside the entry only grows.

    Example: goodenough invalidate submissions/ORG__MODEL/0123456789ab/emotion@89abcdef --author Ada --reason
    "Its weights were trained on the test clips."
    """
    from harness.entries import notices

    click.echo(str(notices.invalidate(single_entry(entry), author, reason)))
    info("Commit it; the leaderboard shows it from its next build on.")
