"""`goodenough submit`: valid entries, submitted by pull request, on the Hub or in a clone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from harness import cache_folder
from harness.cli import options
from harness.cli.common import info, known_tasks, print_json
from harness.cli.option_groups import GroupedCommand
from harness.entries.untrusted_text import one_line
from harness.errors import BadInput, NotValid

if TYPE_CHECKING:
    from harness.hub.pushing import Offer


@click.command(cls=GroupedCommand)
@click.argument("result_dir", metavar="RESULT_DIR", type=click.Path(path_type=Path))
@click.option("--to", metavar="ORG/NAME", help="Submissions on the Hub: a dataset that takes pull requests.")
@options.out(help="The submissions/ folder of a clone.")
@options.flag("--model-card", help="Also propose the lift for the model's page on the Hub.")
@options.flag("--yes", help="Send without asking for confirmation.")
@options.task_files
@options.as_json
def submit(
    result_dir: Path,
    to: str | None,
    out: Path | None,
    model_card: bool,
    yes: bool,
    task_files: tuple[str, ...],
    as_json: bool,
) -> None:
    """Submit the entries at or below RESULT_DIR to the leaderboard, if all of them are valid.

    Only entry.json and verdicts.parquet are sent. Entries are immutable: existing ones stay as they are. With
    --to the files are listed and, after confirmation, sent in a pull request; the same command again finds
    the open one instead of opening another.

    \b
    Example: goodenough submit results/ --to ORG/NAME
    In a clone of this repository:
      goodenough submit results/ --out submissions/
      git switch -c my-entry
      git add submissions/
      git commit -m "Add an entry"
    and open a pull request.

    Exit code 0: submitted. 1: an entry is not valid, and nothing was sent. 2: bad input.
    """  # noqa: D301
    from harness.entries import store
    from harness.entries.valid_marks import problems_of, validator_marks
    from harness.hub.pushing import require_token

    _check_options(result_dir, to, out, model_card)
    folders = _on_disk(store.find_all([result_dir]))
    tasks, marks = known_tasks(task_files), validator_marks(cache_folder.cache())
    problems = {str(folder): problems_of(folder, tasks, marks) for folder in folders}
    summary: dict[str, Any] = {
        "n_invalid": sum(map(bool, problems.values())),
        "entries": [{"path": path, "problems": lines} for path, lines in problems.items()],
        "filed": [],
        "offered": [],
    }
    if not as_json:
        for path, lines in problems.items():
            for line in lines:
                click.echo(one_line(f"{path}: {line}"))
    if not summary["n_invalid"]:
        if to is not None or model_card:
            require_token(
                f"or without one, in a clone of this repository: goodenough submit {quote(str(result_dir))}"
                " --out submissions/, commit and open a pull request"
            )
        if out is not None:
            summary["filed"] = _file(folders, out)
        if to is not None:
            summary["offered"] += _offer(folders, to, yes)
        if model_card:
            summary["offered"] += _offer_to_models(folders, yes)
    if as_json:
        print_json(summary)
    else:
        for item in summary["filed"]:
            click.echo(item["to"])
        for item in summary["offered"]:
            click.echo(item["url"])
    if summary["n_invalid"]:
        raise NotValid(
            f"{summary['n_invalid']} of {len(problems)} entries not valid; nothing was sent or copied"
        )
    if out is not None:
        info(f"Next: git add {out}, commit, and open a pull request.")


def _check_options(result_dir: Path, to: str | None, out: Path | None, model_card: bool) -> None:
    from harness.hub.repository import split

    if to is None and out is None and not model_card:
        raise BadInput(
            "give --to ORG/NAME to open a pull request on the Hub (log in first: hf auth login); or, in a"
            f" clone of this repository: goodenough submit {quote(str(result_dir))} --out submissions/"
        )
    if to is not None and out is not None:
        raise BadInput("--to and --out are two ways to submit the same entry; give one of them")
    if to is not None and (split(to) is None or "@" in to):
        raise BadInput(f"--to is {to!r}; expected the name of a dataset of the Hub, ORG/NAME")
    if out is not None and not out.is_dir():
        raise BadInput(f"no folder at {out}; expected submissions/ of a clone of this repository")


def _on_disk(folders: Sequence[Path]) -> list[Path]:
    """The entries without those that git-lfs has not fetched, which are reported.

    Raises:
        BadInput: none was fetched.
    """
    from harness.entries import store

    lines = {folder: line for folder in folders if (line := store.unfetched(folder))}
    if len(lines) == len(folders):
        raise BadInput(lines[folders[0]])
    for line in lines.values():
        info(f"left out: {line}")
    return [folder for folder in folders if folder not in lines]


def _file(folders: Sequence[Path], out: Path) -> list[dict[str, Any]]:
    from harness.entries import store

    records = []
    for folder in folders:
        target = out / store.read(folder).path
        if line := store.unfetched(target):
            info(f"not compared with the existing entry: {line}")
            continue
        exists = (target / store.ENTRY).exists()
        target = store.file_into(folder, out)
        records.append({"from": str(folder), "to": str(target), "already_there": exists})
        if exists:
            info(f"{target} exists already and is the same")
    return records


def _offer(folders: Sequence[Path], to: str, yes: bool) -> list[dict[str, Any]]:
    """Open the pull request to the submissions, unless all entries exist there or the user says no."""
    from harness.submit import pull_request

    proposal = pull_request.plan(folders, to)
    for path in proposal.duplicates:
        info(f"{path} is in {to} already and is the same")
    if not proposal.entries:
        return []
    info(f"To be sent to {proposal.repository}, {proposal.n_bytes / 1e6:.2f} MB in all:")
    for path, source in proposal.files.items():
        info(f"  {path}  {source.stat().st_size:,} bytes")
    if not _confirm(f"Open a pull request on {to}?", yes):
        return []
    offer = pull_request.offer(proposal)
    info("It was open already." if offer.was_open else "Opened. To withdraw it, close it on its page.")
    return [_as_json(to, offer)]


def _offer_to_models(folders: Sequence[Path], yes: bool) -> list[dict[str, Any]]:
    from harness.entries import store
    from harness.submit import pull_request

    offers = []
    for entry in map(store.read, folders):
        if _confirm(f"Propose the lift on {entry.task} for the page of {entry.model.repo_id}?", yes):
            offers.append(_as_json(entry.model.repo_id, pull_request.offer_to_model(entry)))
    return offers


def _as_json(to: str, offer: Offer) -> dict[str, Any]:
    return {"to": to, "url": offer.url, "number": offer.number, "was_open": offer.was_open}


def _confirm(question: str, yes: bool) -> bool:
    """Whether the user wants it sent.

    Raises:
        BadInput: there is no terminal to ask on.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BadInput(
            "nothing was sent: confirming requires a terminal; to send without confirmation add --yes"
        )
    if click.confirm(question, err=True):
        return True
    info("Nothing was sent.")
    return False
