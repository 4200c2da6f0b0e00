"""`python -m harness.starter`: make the starter suite, and say where it lies.

python -m harness.starter               its signals folder
python -m harness.starter candidates    the folders of its candidate models, one per line
python -m harness.starter references    those of its references
"""

from __future__ import annotations

import sys

import click

from harness.starter import root


@click.command()
@click.argument("what", type=click.Choice(["signals", "candidates", "references"]), default="signals")
def main(what: str) -> None:
    """Make the starter suite if need be, and print where WHAT lies."""
    folders = [root.embedded()] if what == "signals" else root.models(what.removesuffix("s"))
    for folder in folders:
        click.echo(folder)


if __name__ == "__main__":
    sys.exit(main())
