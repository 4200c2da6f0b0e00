"""`goodenough publish`: a signals folder as a dataset of the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.terminal import progress_bar, say

if TYPE_CHECKING:
    from harness.dataset.publish import Prepared
    from harness.dataset.signals import Suite


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--to", metavar="ORG/NAME", help="Dataset of the Hub; without it the folder is only prepared.")
@click.option("--private", is_flag=True, help="If the dataset is made: visible to its owners alone.")
@click.option("--masks-only", is_flag=True, help="Leave out all audio: users rebuild it from their own copy.")
@click.option("--licence", metavar="ID", help="Licence of the corpora that state none, e.g. cc-by-4.0.")
@click.option(
    "--card",
    "cards",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Data card of a task, repeatable: what you say of its corpus.",
)
@click.option("--tag", metavar="TAG", help="Tag of the new version; default: the next of v1, v2, ...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def publish(
    folder: Path,
    to: str | None,
    private: bool,
    masks_only: bool,
    licence: str | None,
    cards: tuple[Path, ...],
    tag: str | None,
    as_json: bool,
) -> None:
    """Publish the signals folder DIR as a dataset of the Hub: one commit, a tag, and the revision to cite.

    Every reference must have accepted all of its own signals (goodenough evaluate REFERENCE --signals DIR
    keeps the proof in DIR/verdicts), and every corpus must allow that parts of it are passed on. The
    published form is written to DIR/.published, a folder that loads as it is, and then sent; what is there
    already is not sent again, and a run that was cut off is continued by giving the same command again.

    Example: goodenough publish signals/ --to my-lab/emotion-signals --card data_cards/starter-emotion.md

    Exit code 0: published. 1: something stands against it, and nothing was sent. 2: bad input.
    """
    from harness.dataset.signals import Suite
    from harness.errors import BadInput, NotValid
    from harness.hub.pushing import require_token
    from harness.hub.repository import split

    if to is not None and (split(to) is None or "@" in to):
        raise BadInput(f"--to is {to!r}; expected the name of a dataset of the Hub, ORG/NAME")
    if to is None and (private or tag):
        raise BadInput("--private and --tag are of a dataset of the Hub; name it with --to ORG/NAME")
    if to is not None:
        require_token(
            f"or look at it first, without --to: goodenough publish {folder} writes {folder}/.published"
        )
    suite = Suite(folder, f"local/{folder.resolve().name}")
    against, entries = _examined(suite, folder, licence, masks_only)
    if against:
        for line in against:
            click.echo(line)
        raise NotValid(f"{len(against)} things stand against publishing {folder}; nothing was sent")
    prepared = _prepared(suite, entries, to, cards, licence, masks_only)
    say(f"{prepared.root}: {len(prepared.files)} files, {prepared.n_bytes / 1e6:,.1f} MB")
    if to is None:
        told = {"folder": str(prepared.root), "files": len(prepared.files), "bytes": prepared.n_bytes}
        click.echo(json.dumps(told) if as_json else str(prepared.root))
        say(f"Look at its README.md; then: goodenough publish {folder} --to ORG/NAME")
        return
    commit, name = _pushed(prepared, to, private, tag)
    pinned = f"{to}@{commit}"
    click.echo(json.dumps({"published": pinned, "tag": name}) if as_json else pinned)
    say(f"Tag {name}. To evaluate a model on it: goodenough evaluate MODEL --signals {pinned}")


def _examined(
    suite: Suite, folder: Path, licence: str | None, masks_only: bool
) -> tuple[list[str], list[Path]]:
    """What stands against publishing, and the entries of the references, by path."""
    from harness.dataset import publish as form
    from harness.submit import against, store, validate

    found = form.problems(suite, licence, masks_only)
    entries = []
    read = [(path, store.read(path)) for path in suite.verdicts()]
    known = {(entry.task, entry.model, entry.signals.sha256): (path, entry) for path, entry in read}
    for record in suite.manifest.references:
        name = record.model.repo_id
        its = known.get((record.task, record.model, suite.ref(record.task).sha256))
        judge = f"goodenough evaluate {name.removeprefix('local/')} --signals {folder} --task {record.task}"
        if its is None:
            found.append(
                f"{name}, {record.task}: has not judged these signals, its own among them; let it: {judge}"
            )
            continue
        path, entry = its
        lines = validate.problems(path, suite.tasks, strict_files=False) or against.problems(path, suite)
        found += [f"{path}: {line}" for line in lines]
        if not lines and entry.scorecard.known_answer != 1.0:
            found.append(f"{name}, {record.task}: does not accept all of its own signals; extract them again")
        entries.append(path)
    return found, sorted(entries)


def _prepared(
    suite: Suite,
    entries: list[Path],
    to: str | None,
    cards: tuple[Path, ...],
    licence: str | None,
    masks_only: bool,
) -> Prepared:
    from harness.dataset import publish as form

    tables = [path for path in suite.manifest.files if path.endswith(".parquet")]
    with progress_bar("writing the published form", len(tables) + 3 * len(entries), "files") as step:
        return form.prepare(
            suite,
            entries,
            repo_id=to or "ORG/NAME",
            cards=_cards(cards, [task.name for task in suite.tasks]),
            licence=licence,
            masks_only=masks_only,
            progress=lambda n: step(n, n),
        )


def _cards(paths: tuple[Path, ...], tasks: list[str]) -> dict[str, str]:
    """Data cards by task; the `configs` of a card's YAML head say which it is of."""
    import yaml

    from harness.errors import BadInput

    found: dict[str, str] = {}
    for path in paths:
        text = path.read_text("utf-8")
        try:
            head = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None
        except yaml.YAMLError:
            head = None
        configs = head.get("configs") if isinstance(head, dict) else None
        if not isinstance(configs, list) or not set(configs) <= set(tasks):
            raise BadInput(
                f"{path} must say in its YAML head which tasks it is of, as configs: [{tasks[0]}]; this"
                f" folder has {', '.join(tasks)}"
            )
        found |= dict.fromkeys(configs, text)
    for task in tasks:
        if task not in found:
            say(f"{task}: no data card given with --card; its corpus is named in the README, and no more")
    return found


def _pushed(prepared: Prepared, to: str, private: bool, tag: str | None) -> tuple[str, str]:
    from harness.dataset.publish import published_before
    from harness.hub import pushing
    from harness.hub.repository import Repository

    repository = Repository(to)
    before = published_before(repository)
    with progress_bar(f"sending to {to}", len(prepared.files), "bytes") as step:
        message = f"{prepared.root.parent.name}: signals, verdicts and card"
        commit = pushing.push(
            repository, prepared.files, message, private=private, ours=before, progress=step
        )
    return commit, pushing.tag(repository, commit, tag)
