"""`python -m harness.starter`: rebuild the starter suite step by step, or print its paths."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from harness.errors import BadInput, GoodenoughError
from harness.starter import paths

_PLACES = ("signals", "candidates", "references")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", multiple=True, metavar="GLOB", help="Steps to make, e.g. 'model/*ast' (repeatable).")
@click.option("--list", "listing", is_flag=True, help="List the steps and which are stale; make nothing.")
@click.option("--where", type=click.Choice(_PLACES), help="Print the folders of these instead; make nothing.")
@click.option(
    "--cards",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write what was measured into the data cards in this folder.",
)
@click.option(
    "--recordings",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of the recorded voices; without it, that of their packages.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=paths.SUITE, help="The suite."
)
def main(
    only: tuple[str, ...],
    listing: bool,
    where: str | None,
    cards: Path | None,
    recordings: Path | None,
    out: Path,
) -> None:
    """Make what is stale in the starter suite.

    Steps are baseline/TASK, model/NAME, signals/NAME and verdicts/NAME. What is there already is not made
    again, and a run that was cut off continues. Needs the extra [starter], FluidSynth, a soundfont, and the
    packages asterisk-core-sounds-{en,es,fr,it,ru}-g722 or a folder with their recordings.
    """
    if where is not None:
        for folder in [paths.embedded()] if where == "signals" else paths.models(where.removesuffix("s")):
            click.echo(folder)
        return
    try:
        from harness.starter.build.builder import build
        from harness.starter.build.recordings import VARIABLE, pinned, read
        from harness.starter.build.steps import Plan, stale, steps
    except ModuleNotFoundError as error:
        raise BadInput(_lack(error)) from None

    if recordings is not None:
        os.environ[VARIABLE] = str(recordings.resolve())
        read(next(iter(pinned())))  # so that a wrong folder is refused before anything is made
    plan = Plan()
    if listing:
        waiting = {step.name for step in stale(plan, only, out)}
        for name in steps(plan):
            click.echo(f"{'stale  ' if name in waiting else 'current'}  {name}")
        return
    if not build(plan, only, out):
        click.echo("Some steps are still stale: the suite was not put together. See --list.", err=True)
    elif cards is not None:
        from harness.starter.build import cards as data_cards

        data_cards.write(cards, out)


def _lack(error: ModuleNotFoundError) -> str:
    """Why the suite cannot be made here."""
    if (error.name or "").startswith("harness."):
        return "what makes the suite is not in the installed package; run this in a clone of the repository"
    return f"{error.name} is not installed; pip install 'goodenough[starter]'"


def run() -> int:
    """Run it; every problem the user can fix is one line on stderr."""
    try:
        main(standalone_mode=False)
    except GoodenoughError as error:
        click.echo(f"harness.starter: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"harness.starter: {error.format_message()}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("harness.starter: interrupted; the same command continues", err=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
