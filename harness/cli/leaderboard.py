"""`goodenough leaderboard`: the static site of all entries, built or built and served, and the app.

Convention: data goes to stdout (the path of the site, or the ranking as JSON), messages to stderr.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import Verbs, options
from harness.cli.common import info, print_json
from harness.errors import BadInput, likely
from harness.progress import progress_bars
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from leaderboard.board.types import Board

_SUBMISSIONS = click.option(
    "--submissions",
    metavar="SOURCE",
    default="submissions",
    show_default=True,
    envvar="GOODENOUGH_SUBMISSIONS",
    help="Folder of entries, or a Hub dataset ORG/NAME[@REVISION] that holds them.",
)
_SIGNALS = click.option(
    "--signals",
    metavar="SOURCE",
    envvar="GOODENOUGH_SIGNALS",
    help="Current signals: a folder or a Hub dataset ORG/NAME[@REVISION]; the embedded suite if not given.",
)
_port_option = functools.partial(
    click.option, "--port", type=click.IntRange(0, 65535), show_default=True, help="0: any."
)

_MAX_ROWS = 25
"""Rows of a ranking that a terminal is shown."""


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
def leaderboard() -> None:
    """Rank all entries and show them as a static site."""


@leaderboard.command()
@_SUBMISSIONS
@_SIGNALS
@options.out(required=True, help="Folder of the site.")
@click.option(
    "--entries-url",
    metavar="URL",
    help="Address of the folder of entries, for links to them; known for a Hub dataset.",
)
@options.as_json
def build(submissions: str, signals: str | None, out: Path, entries_url: str | None, as_json: bool) -> None:
    """Build the site; it opens from the disk and can be copied to any web server.

    The suite's own entries, one per reference, are ranked together with the submissions. Entries that are not
    valid, as `goodenough validate` reports, are left out and named; one that was valid once is not checked
    again. An earlier site in the folder is replaced; a folder that holds anything else is refused.

    Example: goodenough leaderboard build --out site
    """
    from leaderboard.board import ranking as table

    board, index = _build(submissions, signals, out, entries_url)
    _print_rankings(board)
    if as_json:
        print_json({"rankings": table.as_json(board)}, indent=2)
    else:
        click.echo(str(index))


@leaderboard.command()
@_SUBMISSIONS
@_SIGNALS
@click.option(
    "--as",
    "kind",
    type=click.Choice(["csv", "parquet", "json", "latex", "bibtex", "badges"]),
    required=True,
    help="Format.",
)
@click.option("--task", metavar="T", help="Only that task.")
@options.out(metavar="FILE", help="File; default: stdout.")
def export(submissions: str, signals: str | None, kind: str, task: str | None, out: Path | None) -> None:
    """Export the board for other programs, papers and pages.

    csv, parquet and json hold every row and number, as fractions, with intervals and n; latex a table of
    booktabs per task; bibtex the paper and the ranked models; badges a line per model to embed its badge.

    Example: goodenough leaderboard export --as csv --task emotion --out emotion.csv
    """
    from harness.journal import replace_file
    from leaderboard import exports

    board = _board(_entries(submissions), open_suite(signals))
    if task is not None and task not in board.tasks:
        hint = likely(task, board.tasks)
        raise BadInput(f"no task {task!r} on the board; it has: {', '.join(board.tasks)}{hint}")
    if not any(r.all_rows or r.anchors for r in board.rankings if task in (None, r.task)):
        info("No entries yet: the export has no rows.")
    data = exports.export(board, kind, task)
    if out is not None:
        replace_file(out, data)
    else:
        click.echo(data, nl=False)


@leaderboard.command()
@_SUBMISSIONS
@_SIGNALS
@options.out(default="site", help="Folder of the site.")
@_port_option(default=8000)
def serve(submissions: str, signals: str | None, out: Path, port: int) -> None:
    """Build the site, as `build` does, and serve it on this machine until Ctrl-C.

    Example: goodenough leaderboard serve --port 8000
    """
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(out))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise BadInput(
            f"cannot listen on port {port}: {error.strerror}; choose another with --port"
        ) from None
    with server:
        board, _ = _build(submissions, signals, out)
        _print_rankings(board)
        click.echo(f"http://127.0.0.1:{server.server_port}/")
        click.echo("Press Ctrl-C to stop.", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("", err=True)


@leaderboard.command()
@_SUBMISSIONS
@_SIGNALS
@_port_option(default=7860)
@options.ci_width(default=0.1, help="A model is tried until its lift is known to plus or minus W.")
@options.flag("--public", help="For public use, through a proxy on this machine.")
def app(submissions: str, signals: str | None, port: int, ci_width: float, public: bool) -> None:
    """Run the leaderboard as an app, to sort it, to listen to signals and to try a model, until Ctrl-C.

    It can be reached only from this machine; on a Hugging Face Space, which sets SPACE_ID, from everywhere.
    There, and with --public, a folder of this machine cannot be named as a model. Requires gradio: pip
    install 'goodenough[app]'

    Example: goodenough leaderboard app --submissions submissions
    """
    import signal
    from importlib.util import find_spec

    from harness.starter import paths

    if find_spec("gradio") is None:
        raise BadInput("the app needs gradio, which is not installed: pip install 'goodenough[app]'")
    from leaderboard.app.try_model import AppState, Limits

    suite, on_space = open_suite(signals), "SPACE_ID" in os.environ
    parts = _on_hub(submissions)
    board = _board(_entries(submissions), suite)
    state = AppState(
        board=board,
        suite=suite,
        submissions_name=parts[0] if parts else None,
        on_space=public or on_space,
        cache=paths.cache(),
    )

    # Importing gradio takes seconds: problems of the entries are reported before.
    from leaderboard.app import app

    # Spaces and services are stopped by SIGTERM; it ends the app as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def announce(address: str) -> None:
        click.echo(address)
        click.echo("Press Ctrl-C to stop.", err=True)

    app.serve(state, port, announce, Limits(width=ci_width), local_only=not on_space)


def _build(
    submissions: str, signals: str | None, out: Path, entries_url: str | None = None
) -> tuple[Board, Path]:
    from harness.starter import paths
    from leaderboard.site import builder

    address = _address(submissions, entries_url)
    suite = open_suite(signals)
    board = _board(_entries(submissions), suite)
    with progress_bars() as progress:
        return board, builder.write(out, board, suite, progress, address, paths.cache())


def _board(folder: Path, suite: Suite) -> Board:
    """The board of the valid entries; prints a line for each other one."""
    from harness.entries import store
    from harness.starter import paths
    from leaderboard.board import ranking as table
    from leaderboard.board import valid_entries

    with progress_bars() as progress:
        folders = [*store.find(folder), *suite.verdicts()]
        problems = valid_entries.look(folders, suite, progress, paths.cache())
        board = table.build(folder, suite, progress, problems, paths.cache())
    for line in board.messages:
        info(line)
    return board


def _address(submissions: str, entries_url: str | None) -> str | None:
    """Where entries can be read: as given, or in the Hub dataset that they come from."""
    from harness.submit import pull_request

    if entries_url is not None:
        if not re.fullmatch(r"https://[\w.-]+(:\d+)?(/[\w.~%@+-]+)*/?", entries_url, re.ASCII):
            raise BadInput(
                f"--entries-url {entries_url!r} is not a plain https address; "
                "expected one such as https://github.com/org/name/tree/main/submissions"
            )
        return entries_url.rstrip("/")
    if (parts := _on_hub(submissions)) is None:
        return None
    return f"https://huggingface.co/datasets/{parts[0]}/tree/{parts[1] or 'main'}/{pull_request.FOLDER}"


def _on_hub(submissions: str) -> tuple[str, str | None] | None:
    """Name and revision of a Hub dataset of entries; None for a folder."""
    from harness.hub.repository import split

    return None if Path(submissions).exists() else split(submissions)


def _entries(submissions: str) -> Path:
    """The folder of entries; fetched if it is on the Hub."""
    from harness.submit import pull_request
    from leaderboard.board import entries

    folder = pull_request.submissions(submissions) if _on_hub(submissions) else Path(submissions)
    for line in entries.unfetched(folder):
        info(line)
    return folder


def _print_rankings(board: Board) -> None:
    """Each current ranking on stderr, in the columns that fit a terminal."""
    from harness.cli.tables import Column, Row, show_table, show_text
    from harness.types import Estimate
    from leaderboard.board import remarks
    from leaderboard.board.columns import BOARD
    from leaderboard.board.matrix import short_names
    from leaderboard.formatting import interval, text

    print_text = functools.partial(show_text, err=True)
    by_key = {column.key: column for column in BOARD}
    lift, other_keys = by_key["lift"], ("placement", "transfer", "swap")
    columns = (
        *(Column("Rank"), Column("Model", folds=True), Column("Lift"), Column("95 % interval", 1)),
        *(Column("Placement", 4), Column("Transfer", 2), Column("Swap", 3)),
    )
    for ranking in board.current:
        if not ranking.all_rows and not ranking.anchors:
            print_text(f"{ranking.task}: no entries on these signals yet.")
            continue
        rows = []
        names = short_names([row.entry.model for row in ranking.all_rows])
        for row in ranking.all_rows[:_MAX_ROWS]:
            name = names[row.entry.model] + (" *" if row.reference else "")
            numbers = [text(by_key[key].read(row), by_key[key].kind) for key in other_keys]
            estimate = lift.read(row)
            bounds = interval(estimate, lift.kind) if isinstance(estimate, Estimate) else ""
            cells = (text(row.rank, "count"), name, text(estimate, lift.kind), bounds, *numbers)
            rows.append(Row(cells))
        if rows and ranking.anchors:
            rows[-1] = replace(rows[-1], ends_section=True)
        for anchor in ranking.anchors:
            rates = anchor.score.rates
            numbers = [text(getattr(rates, key), by_key[key].kind) for key in other_keys]
            cells = ("", anchor.name, text(rates.lift, lift.kind), interval(rates.lift, lift.kind), *numbers)
            rows.append(Row(cells, "italic"))
        show_table(ranking.task, columns, rows, err=True)
        print_text(f"Rates are {remarks.panel(ranking.n_references)}; below the line: not ranked.")
        if ranking.suite_note:
            print_text(ranking.suite_note)
        for row in ranking.all_rows[:_MAX_ROWS]:
            if row.rank is None:
                print_text(f"Not ranked: {names[row.entry.model]}: {remarks.unranked(row.entry)}")
        if len(ranking.all_rows) > _MAX_ROWS:
            print_text(f"and {len(ranking.all_rows) - _MAX_ROWS:,} more")
    for task in board.tasks:
        if board.current_of(task) is None:
            print_text(f"{task}: {board.stale(task)[0].note}")
    print_text(
        "* a reference: one of the models whose signals are judged; its rates are means over the others."
    )
