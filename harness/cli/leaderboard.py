"""`goodenough leaderboard`: the static site of all entries, built or built and served.

Convention: data goes to stdout (the path of the site, or the ranking as JSON), talk to stderr.

Public: leaderboard.
"""

from __future__ import annotations

import functools
import http.server
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.terminal import open_suite

if TYPE_CHECKING:
    from leaderboard.table import Board

_SUBMISSIONS = click.option(
    "--submissions",
    type=click.Path(path_type=Path),
    default=Path("submissions"),
    show_default=True,
    help="Folder of entries.",
)
_SIGNALS = click.option(
    "--signals",
    metavar="SOURCE",
    help="Current signals: a folder or a Hub dataset ORG/NAME[@REVISION]; the embedded suite if not given.",
)


@click.group()
def leaderboard() -> None:
    """Rank all entries and show them as a static site."""


@leaderboard.command()
@_SUBMISSIONS
@_SIGNALS
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the site.")
@click.option("--json", "as_json", is_flag=True, help="Print the rankings as JSON.")
def build(submissions: Path, signals: str | None, out: Path, as_json: bool) -> None:
    """Build the site; it opens from the disk and can be copied to any web server.

    Example: goodenough leaderboard build --out site
    """
    from leaderboard import table

    board, index = _built(submissions, signals, out)
    _tell(board)
    click.echo(json.dumps({"rankings": table.as_json(board)}, indent=2) if as_json else str(index))


@leaderboard.command()
@_SUBMISSIONS
@_SIGNALS
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("site"),
    show_default=True,
    help="Folder of the site.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any.")
def serve(submissions: Path, signals: str | None, out: Path, port: int) -> None:
    """Build the site and serve it on this machine until Ctrl-C.

    Example: goodenough leaderboard serve --port 8000
    """
    from harness.errors import BadInput

    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(out))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise BadInput(
            f"cannot listen on port {port}: {error.strerror}; choose another with --port"
        ) from None
    with server:
        board, _ = _built(submissions, signals, out)
        _tell(board)
        click.echo(f"http://127.0.0.1:{server.server_port}/")
        click.echo("Ctrl-C ends it.", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)


def _built(submissions: Path, signals: str | None, out: Path) -> tuple[Board, Path]:
    from leaderboard import site, table

    suite = open_suite(signals)
    board = table.build(submissions, suite)
    return board, site.write(out, board, suite)


def _tell(board: Board) -> None:
    """Each current ranking on stderr, in the columns that fit a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.records import Estimate
    from leaderboard import columns

    shown = ("rank", "model", "lift", "transfer", "accuracy")
    chosen = [column for column in columns.BOARD if column.key in shown]
    console = Console(stderr=True)
    for ranking in board.current:
        table = Table(title=ranking.task, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in chosen:
            name = column.kind == "text"
            table.add_column(
                column.header, justify="left" if name else "right", no_wrap=not name, overflow="fold"
            )
            if column.key == "lift":
                table.add_column("95 % interval", justify="right", no_wrap=True, style="dim")
        for row in ranking.all_rows:
            cells = []
            for column in chosen:
                value = column.read(row)
                cells.append(Text(columns.text(value, column.kind)))
                if isinstance(value, Estimate) and column.key == "lift":
                    cells.append(Text(columns.interval(value, column.kind)))
            table.add_row(*cells)
        console.print(table)
