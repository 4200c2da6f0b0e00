"""`goodenough download`: a suite of signals on this machine, verified."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import info, open_suite
from harness.cli.progress import progress_bar, waiting
from harness.cli.selection import OutputPath, named_tasks, require_references
from harness.plurals import plural

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.tasks import Task


@click.command()
@click.argument("source", required=False)
@click.option("--task", "task_names", multiple=True, metavar="T", help="Task, repeatable; default: all.")
@click.option("--to", metavar="DIR", type=OutputPath(), help="Folder; default: the Hub's cache.")
@click.option(
    "--corpus",
    "corpora",
    multiple=True,
    metavar="[T=]FOLDER",
    help="Your copy of the corpus, where only masks are published; repeatable.",
)
@click.option(
    "--reference",
    "references",
    multiple=True,
    metavar="M",
    help="A reference, folder or Hub id, that must accept its own signals as they were rebuilt; repeatable.",
)
@click.option("--list", "only_list", is_flag=True, help="Say what is there, and fetch nothing of it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def download(
    source: str | None,
    task_names: tuple[str, ...],
    to: Path | None,
    corpora: tuple[str, ...],
    references: tuple[str, ...],
    only_list: bool,
    as_json: bool,
) -> None:
    """Fetch the signals of SOURCE, a Hub dataset ORG/NAME[@REVISION]; every file is verified by its sha256.

    Without SOURCE the starter suite that comes with the package. With the signals of a task come its
    references' own verdicts on them. What is in the cache or in --to already is not fetched again; a fetch
    that was cut off continues. Without a network (HF_HUB_OFFLINE=1) the cache answers. Evaluating needs no
    download: --signals ORG/NAME@REVISION fetches what it needs.

    Of corpora that may not be passed on only masks are published. With --corpus, a folder of its sound
    files, in any layout, the clips are found by the sha256 of their samples, and the signals rebuilt; where
    this machine rounds otherwise than the one they were made on, a --reference tells whether it matters.

    Example: goodenough download my-lab/emotion-signals --task emotion --to signals/
    """
    from harness.dataset.download import was_rebuilt
    from harness.dataset.suites import load
    from harness.errors import BadInput

    if references and not corpora:
        raise BadInput("--reference tests signals that are rebuilt; give your copy of the corpus: --corpus")
    if corpora and to is None:
        raise BadInput("--corpus rebuilds clips in a folder of yours; name it with --to DIR")
    suite = open_suite(source)
    tasks = named_tasks(suite, task_names) or list(suite.tasks)
    given = _given(corpora, [task.name for task in tasks])
    _require_references(suite, tasks, references)
    if only_list:
        _list(suite, tasks, as_json)
        return
    local = _fetched(suite, [task.name for task in tasks], to)
    told = []
    for task in tasks if to is not None else ():
        if not local.has_clips(task.name):
            _rebuild(local, task, given.get(task.name, []))
            local = load(str(to))
        if was_rebuilt(local, task):
            told.append(_compared(local, task, references))
    for task in tasks:
        if not local.has_clips(task.name):
            info(f"{task.name}: masks only; with the corpus at hand: --corpus {task.name}=FOLDER --to DIR")
    if as_json:
        found = {"folder": str(local.root), "commit": suite.commit, "rebuilt": told}
        click.echo(json.dumps({**found, "tasks": [task.name for task in tasks]}))
    else:
        click.echo(str(local.root))
    what = f"{suite.name}@{suite.commit}" if local.is_remote else str(local.root)
    info(f"To evaluate a model on it: goodenough evaluate MODEL --signals {quote(str(what))}")


def _require_references(suite: Suite, tasks: list[Task], names: tuple[str, ...]) -> None:
    from harness.models import checkpoints

    known = [record.model for task in tasks for record in suite.references(task.name)]
    require_references([checkpoints.resolve(name) for name in names], known, suite.name)


def _given(corpora: tuple[str, ...], tasks: list[str]) -> dict[str, list[str]]:
    """Copies of corpora by task; one without a task is for every task."""
    from harness.errors import BadInput, likely

    found: dict[str, list[str]] = {}
    for text in corpora:
        task, equals, folder = text.partition("=")
        if equals and task not in tasks:
            raise BadInput(
                f"--corpus {text}: no task {task!r} is downloaded; expected one of {', '.join(tasks)}"
                f"{likely(task, tasks)}"
            )
        where = folder if equals else text
        if not Path(where).is_dir() and "/" not in where:
            raise BadInput(f"--corpus {text}: no folder at {where}, and it is no Hub dataset ORG/NAME")
        for name in [task] if equals else tasks:
            found.setdefault(name, []).append(where)
    return found


def _fetched(suite: Suite, tasks: list[str], to: Path | None) -> Suite:
    from harness.dataset import download as room

    files = room.files_for(suite, tasks)
    with progress_bar(f"{suite.name}", len(files), "bytes") as step:
        if to is not None:
            return room.into(suite, tasks, to, step)
        for path in files:
            step(1, room.path_of(suite, path).stat().st_size)
    return suite


def _rebuild(local: Suite, task: Task, sources: list[str]) -> None:
    """Clips from the user's copy of the corpus, or from the Hub where it lies there at a known commit."""
    from harness.dataset import download as room

    named = {r.corpus.name: r.corpus.revision for r in local.references(task.name)}
    if not sources:
        of_hub = [name for name, at in named.items() if not name.startswith("local/") and len(at) == 40]
        sources = [f"{name}@{named[name]}" for name in of_hub]
    if sources:
        n_clips = sum(1 for _ in local.clip_lines(task.name))
        with progress_bar(f"{task.name}: clips rebuilt", n_clips, "samples") as step:
            room.rebuild(local, task, sources, step)


def _compared(local: Suite, task: Task, references: tuple[str, ...]) -> dict[str, int | str]:
    """What was rebuilt is what was certified, to the last bit or to the ears of a reference."""
    from harness.dataset.download import compare_rebuilt
    from harness.errors import NotValid

    with waiting(f"{task.name}: comparing what was rebuilt"):
        comparison = compare_rebuilt(local, task)
    info(
        f"{task.name}: {plural(comparison.n_clips, 'clip')} rebuilt to the samples that were published; of"
        f" {plural(comparison.n_signals, 'signal')}"
        f" {comparison.n_signals - comparison.n_differing} rebuilt to the last bit"
    )
    n_known = sum(_accepts_its_own(local, task, name) for name in references)
    if comparison.n_differing and not n_known:
        raise NotValid(
            f"{comparison.n_differing} of {comparison.n_signals} signals of {task.name} differ in rounding"
            " from what was certified: this machine computes otherwise; whether it matters, a reference"
            f" tells, with the same command and --reference {local.references(task.name)[0].model.repo_id}"
        )
    return {"task": task.name, **asdict(comparison)}


def _accepts_its_own(suite: Suite, task: Task, model: str) -> bool:
    """Whether a model is a reference of the task; one that is must accept its own signals, or is NotValid."""
    from harness.models import checkpoints, classifiers
    from harness.submit.replay import known_answer

    checkpoint = checkpoints.resolve(model)
    for record in suite.references(task.name):
        if record.model.weights_sha256 == checkpoint.ref.weights_sha256:
            classifier = classifiers.open_checkpoint(checkpoint, device="cpu", dtype=record.run.dtype)
            with waiting(f"{task.name}: {model} on its own signals"):
                known = known_answer(suite, task, record, classifier)
            if known is not None:
                info(f"{task.name}: {model} accepts {known.n_accepted} of {known.n} of its signals")
            return known is not None
    return False


def _list(suite: Suite, tasks: list[Task], as_json: bool) -> None:
    """What is there, as a table on stdout."""
    from harness.dataset import download as room
    from harness.dataset.paths import signals_path

    wanted = room.files_for(suite, [task.name for task in tasks])
    sizes = room.sizes(suite, wanted)
    found: list[dict[str, Any]] = [
        {
            "task": task.name,
            "reference": record.model.repo_id,
            "revision": record.model.revision,
            "corpus": record.corpus.name,
            "licence": record.corpus.licence,
            "clips": record.corpus.n_clips,
            "signals": {count.family: count.n_signals for count in record.counts},
            "bytes": sizes[signals_path(task.name, record.model.slug)],
        }
        for task in tasks
        for record in suite.references(task.name)
    ]
    n_bytes = sum(sizes.values())
    if as_json:
        said = {"source": suite.name, "commit": suite.commit, "bytes": n_bytes, "references": found}
        click.echo(json.dumps(said))
        return
    from harness.cli.tables import Column, Row, show_table

    names = (("task", 0), ("reference", 0), ("corpus", 4), ("licence", 3))
    numbers = (("clips", 5), ("signals", 1), ("MB", 2))
    columns = [*(Column(*name, folds=True) for name in names), *(Column(*number) for number in numbers)]
    rows = []
    for one in found:
        n_signals = sum(one["signals"].values())
        size = f"{one['bytes'] / 1e6:,.1f}"
        words = (one["task"], one["reference"], one["corpus"], one["licence"] or "not stated")
        rows.append(Row((*words, f"{one['clips']:,}", f"{n_signals:,}", size)))
    show_table(suite.name, columns, rows)
    info(
        f"{plural(len(wanted), 'file')}, {n_bytes / 1e6:,.1f} MB in all"
        + (f", at {suite.commit}" if suite.commit else "")
    )
