"""`goodenough publish`: a signals folder as a dataset on the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.common import info, print_json
from harness.cli.option_groups import GroupedCommand
from harness.cli.options import command_line
from harness.cli.publish_checks import Target, cards_by_task, check_target, hub_problems, require_no_problems
from harness.errors import BadInput
from harness.plurals import plural
from harness.progress import progress_bar

if TYPE_CHECKING:
    from harness.dataset.hold_back import Halves
    from harness.dataset.publish import Prepared
    from harness.dataset.suites import Suite


@click.command(cls=GroupedCommand)
@click.argument("folder", metavar="DIR", type=options.OutputPath())
@click.option("--to", metavar="ORG/NAME", help="Dataset on the Hub; without it the folder is only prepared.")
@options.flag("--private", help="If the dataset is created: visible only to its owners.")
@options.flag("--masks-only", help="Leave out all audio; users rebuild it from their own copy of the corpus.")
@click.option("--licence", metavar="ID", help="Licence of the corpora that state none, e.g. cc-by-4.0.")
@options.repeatable(
    "--card",
    "cards",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Data card of a task, repeatable: your description of its corpus.",
)
@click.option(
    "--hold-back",
    "share",
    type=float,
    metavar="SHARE",
    help="Keep this share of the clips of each class, with all of their signals, out of the dataset.",
)
@click.option("--private-to", metavar="ORG/NAME", help="Private dataset of the Hub for what is held back.")
@click.option(
    "--hold-back-seed", "seed", type=int, metavar="N", help="Which clips are held back; default: 0."
)
@click.option("--tag", metavar="TAG", help="Tag of the new version; default: the next of v1, v2, ...")
@options.as_json
def publish(
    folder: Path,
    to: str | None,
    private: bool,
    masks_only: bool,
    licence: str | None,
    cards: tuple[Path, ...],
    share: float | None,
    private_to: str | None,
    seed: int | None,
    tag: str | None,
    as_json: bool,
) -> None:
    """Publish the signals folder DIR as a dataset on the Hub: one commit, a tag, and the revision to cite.

    Every reference must accept all of its own signals (goodenough evaluate REFERENCE --signals DIR
    --update-suite stores the evidence in DIR/verdicts), and the licence of every corpus must allow parts of
    it to be redistributed. The published form is written to DIR/.published, a folder that can be loaded as it
    is, and then sent. Files that are there already are not sent again; give the same command again to
    continue a run that was cut off.

    With --hold-back some clips and all of their signals stay unpublished, to tell later whether a model was
    fitted to the public signals (goodenough evaluate MODEL --signals PUBLIC --held-back PRIVATE). DIR is
    split into two suites below DIR/.hold-back. Evaluate every reference on both with the commands that are
    printed; then the same command publishes both.

    Example: goodenough publish signals/ --to my-lab/emotion-signals --card data_cards/starter-emotion.md

    Exit code 0: published. 1: DIR cannot be published, and nothing was sent. 2: bad input.
    """
    from harness.dataset import croissant

    _check_options(folder, to, private, share, private_to, seed, tag)
    suite = _local(folder)
    if share is None:
        targets = [Target(suite, to, private)]
    else:
        targets = _targets(_split(suite, share, seed or 0), to, private, private_to)
    checks = [check_target(target, licence, masks_only) for target in targets]
    texts, input_problems = cards_by_task(cards, list(suite.task_names))
    if to is not None:
        input_problems += hub_problems(folder, targets, tag)
    require_no_problems(folder, [line for lines, _ in checks for line in lines], input_problems)
    for task in suite.tasks:
        if task.name not in texts:
            info(
                f"{task.name}: no data card given with --card; README and croissant.json only name its corpus"
            )
    for line in croissant.missing(suite, texts):
        info(f"{line}; croissant.json leaves that out")
    prepared = [
        _prepare(target, entries, texts, licence, masks_only)
        for target, (_, entries) in zip(targets, checks, strict=True)
    ]
    for p in prepared:
        info(f"{p.root}: {plural(len(p.files), 'file')}, {p.n_bytes / 1e6:,.1f} MB")
    if to is None:
        folders = [{"folder": str(p.root), "files": len(p.files), "bytes": p.n_bytes} for p in prepared]
        _print(folders, "folder", as_json)
        info(f"Look at its README.md; then: {command_line('as_json')} --to ORG/NAME")
        return
    publications: list[dict[str, object]] = []
    # The held-back suite is pushed first, so that it exists once the public one does.
    for target, p in reversed(list(zip(targets, prepared, strict=True))):
        commit, name = _push(p, target.to or "", target.private, tag)
        publications.insert(0, {"published": f"{target.to}@{commit}", "tag": name})
    _print(publications, "published", as_json)
    revision = publications[0]["published"]
    held_back_option = "" if share is None else f" --held-back {publications[1]['published']}"
    info(
        f"Tag {publications[0]['tag']}. To evaluate a model on it:"
        f" goodenough evaluate MODEL --signals {revision}{held_back_option}"
    )


def _check_options(
    folder: Path,
    to: str | None,
    private: bool,
    share: float | None,
    private_to: str | None,
    seed: int | None,
    tag: str | None,
) -> None:
    """Refuse contradictory options before anything is read or written."""
    from harness.dataset.hold_back import split_of
    from harness.hub.repository import split

    problems = [
        f"{option} is {name!r}; expected the name of a dataset of the Hub, ORG/NAME"
        for option, name in (("--to", to), ("--private-to", private_to))
        if name is not None and (split(name) is None or "@" in name)
    ]
    if to is None and (private or tag):
        problems.append("--private and --tag require a dataset on the Hub; name it with --to ORG/NAME")
    if share is not None and not 0 < share < 1:
        problems.append(f"--hold-back is {share:g}; expected a share of the clips between 0 and 1, as 0.2")
    if share is not None and private_to is None:
        problems.append("--hold-back needs a private dataset for what is held back: --private-to ORG/NAME")
    if share is None and (private_to is not None or seed is not None):
        problems.append("--private-to and --hold-back-seed require --hold-back SHARE")
    if to is not None and private_to is not None and to.lower() == private_to.lower():
        problems.append(f"--to and --private-to are both {to}; what is held back needs a dataset of its own")
    if to is not None and share is None and (clip_split := split_of(folder)) is not None:
        n = sum(map(len, clip_split.held_back.values()))
        problems.append(
            f"{plural(n, 'clip')} of {folder} {'is' if n == 1 else 'are'} held back, and this would publish"
            f" {'it' if n == 1 else 'them'}; give --hold-back {clip_split.share:g} --hold-back-seed"
            f" {clip_split.seed} --private-to ORG/NAME, too"
        )
    if len(problems) > 1:
        for line in problems:
            click.echo(line)
        raise BadInput(f"{plural(len(problems), 'problem')} with the options of publish; nothing was sent")
    if problems:
        raise BadInput(problems[0])


def _split(suite: Suite, share: float, seed: int) -> Halves:
    from harness.dataset import hold_back

    n_files = 2 * sum(path.endswith(".parquet") for path in suite.manifest.files)
    with progress_bar("splitting the suite", n_files, "files") as step:
        halves = hold_back.split(suite, share, seed, progress=lambda n: step(n, n))
    for task, clips in halves.split.held_back.items():
        n = len(clips) + len(halves.split.public[task])
        info(f"{task}: {len(clips)} of {n} clips are held back")
    return halves


def _targets(halves: Halves, to: str | None, private: bool, private_to: str | None) -> list[Target]:
    """The public suite, and the one that is held back."""
    results = halves.public.parent / "results"
    public_note = (
        "## Held-back signals\n\n"
        f"A share of the clips, {halves.split.share:g} of each class, is not in this dataset, nor is any"
        " signal of them. A model that was fitted to the signals published here has a lower lift on those."
    )
    private_note = (
        "## Held-back signals\n\n"
        f"The clips of this dataset are held back from {to or 'a public one'}: keep it private. With it"
        " `goodenough verify ENTRY --held-back` tells whether a model was fitted to the public signals."
    )
    return [
        Target(_local(halves.public), to, private, public_note, results),
        Target(_local(halves.held_back), private_to, True, private_note, results),
    ]


def _local(folder: Path) -> Suite:
    """The suite of a folder, by its name here, even if it was downloaded."""
    from harness.dataset.suites import Suite

    return Suite(folder, f"local/{folder.resolve().name}")


def _print(results: Sequence[Mapping[str, object]], key: str, as_json: bool) -> None:
    """Print the results for a suite, and for its held-back part."""
    first, *rest = results
    if as_json:
        print_json({**first, "held_back": rest[0]} if rest else first)
        return
    for result in results:
        click.echo(str(result[key]))


def _prepare(
    target: Target, entries: list[Path], cards: dict[str, str], licence: str | None, masks_only: bool
) -> Prepared:
    from harness.dataset import publish as form

    suite = target.suite
    tables = [path for path in suite.manifest.files if path.endswith(".parquet")]
    with progress_bar("writing the published form", len(tables) + 3 * len(entries), "files") as step:
        return form.prepare(
            suite,
            entries,
            repo_id=target.to or "ORG/NAME",
            cards=cards,
            licence=licence,
            masks_only=masks_only,
            note=target.note,
            stability=_stability(suite, entries),
            paired_evidence=_paired_evidence(suite),
            progress=lambda n: step(n, n),
        )


def _stability(suite: Suite, folders: list[Path]) -> dict[str, str]:
    """By task, a table of how alike two extractions of a clip are; no task whose references have one draw."""
    from harness.entries import store
    from harness.metrics.stability import stability_table

    entries = [(store.read(folder), folder) for folder in folders]
    tables = {}
    for task in suite.tasks:
        records = suite.references(task.name)
        if any(count.n_draws > 1 for record in records for count in record.counts):
            answers = [(entry, store.verdicts(f)) for entry, f in entries if entry.task == task.name]
            if table := stability_table(suite, task, answers):
                tables[task.name] = table
    return tables


def _paired_evidence(suite: Suite) -> dict[str, str]:
    """By task, a table of whether signals lie where a copy differs from its original; where there are any."""
    from harness.metrics.paired_evidence import evidence_table

    tables = {name: evidence_table(suite, name) for name in suite.task_names if suite.has_clips(name)}
    return {name: table for name, table in tables.items() if table is not None}


def _push(prepared: Prepared, to: str, private: bool, tag: str | None) -> tuple[str, str]:
    from harness.dataset.publish import published_before
    from harness.hub import pushing
    from harness.hub.repository import Repository

    repository = Repository(to)
    earlier = published_before(repository)
    with progress_bar(f"sending to {to}", len(prepared.files), "bytes") as step:
        message = f"{prepared.root.parent.name}: signals, verdicts and card"
        commit = pushing.push(
            repository, prepared.files, message, private=private, ours=earlier, progress=step
        )
    return commit, pushing.tag(repository, commit, tag)
