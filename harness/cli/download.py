"""`goodenough download`: a suite of signals, downloaded and verified."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.common import info, print_json
from harness.cli.option_groups import GroupedCommand
from harness.cli.selection import named_tasks, require_references
from harness.dataset.paths import signals_path
from harness.errors import BadInput, NotValid, likely
from harness.models.external.options import AdapterOptions
from harness.plurals import plural
from harness.progress import progress_bar, waiting
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.models.loading import ModelSource
    from harness.tasks import Task


@click.command(cls=GroupedCommand)
@click.argument("source", required=False)
@options.tasks
@options.out(help="Folder; default: the Hub's cache.")
@options.repeatable(
    "--corpus",
    "corpora",
    metavar="[T=]FOLDER",
    help="Your copy of the corpus, if only masks are published; repeatable.",
)
@options.repeatable(
    "--reference",
    "references",
    metavar="M",
    help="A reference that must accept its own rebuilt signals; repeatable.",
)
@options.adapter
@options.flag("--list", "only_list", help="List the references and sizes, and download nothing.")
@options.as_json
def download(
    source: str | None,
    task_names: tuple[str, ...],
    out: Path | None,
    corpora: tuple[str, ...],
    references: tuple[str, ...],
    adapter: AdapterOptions,
    only_list: bool,
    as_json: bool,
) -> None:
    """Download the signals of SOURCE, a Hub dataset ORG/NAME[@REVISION], and verify each file by its sha256.

    Without SOURCE the starter suite that comes with the package is used. The signals of a task include its
    references' own verdicts on them. Files that are already in the cache or in --out are not downloaded
    again, and a download that was cut off continues. Offline (HF_HUB_OFFLINE=1) only the cache is used. No
    download is needed before an evaluation: --signals ORG/NAME@REVISION fetches what it needs.

    For corpora that may not be redistributed only masks are published. With --corpus, a folder of the sound
    files of the corpus in any layout, clips are identified by the sha256 of their samples and the signals are
    rebuilt. If this machine rounds differently from the one that made them, --reference tests whether it
    matters.

    Example: goodenough download my-lab/emotion-signals --task emotion --out signals/
    """
    from harness.dataset.download import was_rebuilt
    from harness.dataset.suites import load

    if references and not corpora:
        raise BadInput("--reference tests rebuilt signals; give your copy of the corpus with --corpus")
    if corpora and out is None:
        raise BadInput("--corpus rebuilds clips in a folder of yours; name it with --out DIR")
    suite = open_suite(source)
    tasks = named_tasks(suite, task_names) or list(suite.tasks)
    copies = _corpus_copies(corpora, [task.name for task in tasks])
    sources = _sources(suite, tasks, references, adapter)
    if only_list:
        _list(suite, tasks, as_json)
        return
    local = _fetch(suite, [task.name for task in tasks], out)
    comparisons = []
    for task in tasks if out is not None else ():
        if not local.has_clips(task.name):
            _rebuild(local, task, copies.get(task.name, []))
            local = load(str(out))
        if was_rebuilt(local, task):
            comparisons.append(_check_rebuilt(local, task, sources))
    for task in tasks:
        if not local.has_clips(task.name):
            info(f"{task.name}: masks only; to rebuild the audio: --corpus {task.name}=FOLDER --out DIR")
    if as_json:
        summary = {"folder": str(local.root), "commit": suite.commit, "rebuilt": comparisons}
        print_json({**summary, "tasks": [task.name for task in tasks]})
    else:
        click.echo(str(local.root))
    suite_source = f"{suite.name}@{suite.commit}" if local.is_remote else str(local.root)
    info(f"To evaluate a model on it: goodenough evaluate MODEL --signals {quote(str(suite_source))}")


def _sources(
    suite: Suite, tasks: list[Task], names: tuple[str, ...], adapter: AdapterOptions
) -> list[ModelSource]:
    """The models that were named, all of them references of the tasks."""
    from harness.models import loading

    adapter.refuse_without_adapter(*names)
    suite_models = [record.model for task in tasks for record in suite.references(task.name)]
    sources = [loading.resolve(name, adapter=adapter) for name in names]
    require_references(sources, suite_models, suite.name)
    return sources


def _corpus_copies(corpora: tuple[str, ...], tasks: list[str]) -> dict[str, list[str]]:
    """Copies of corpora by task; one without a task is for every task."""
    copies: dict[str, list[str]] = {}
    for text in corpora:
        task, separator, folder = text.partition("=")
        if separator and task not in tasks:
            raise BadInput(
                f"--corpus {text}: no task {task!r} is downloaded; expected one of {', '.join(tasks)}"
                f"{likely(task, tasks)}"
            )
        source = folder if separator else text
        if not Path(source).is_dir() and "/" not in source:
            raise BadInput(f"--corpus {text}: no folder at {source}, and it is no Hub dataset ORG/NAME")
        for name in [task] if separator else tasks:
            copies.setdefault(name, []).append(source)
    return copies


def _fetch(suite: Suite, tasks: list[str], out: Path | None) -> Suite:
    from harness.dataset import download as downloads

    files = downloads.files_for(suite, tasks)
    with progress_bar(f"{suite.name}", len(files), "bytes") as step:
        if out is not None:
            return downloads.into(suite, tasks, out, step)
        for path in files:
            step(1, downloads.path_of(suite, path).stat().st_size)
    return suite


def _rebuild(local: Suite, task: Task, sources: list[str]) -> None:
    """Clips from the user's copy of the corpus, or from the Hub where it lies there at a known commit."""
    from harness.dataset import download as downloads

    revisions = {r.corpus.name: r.corpus.revision for r in local.references(task.name)}
    if not sources:
        hub = {n: r for n, r in revisions.items() if not n.startswith("local/") and len(r) == 40}
        sources = [f"{name}@{revision}" for name, revision in hub.items()]
    if sources:
        n_clips = sum(1 for _ in local.clip_lines(task.name))
        with progress_bar(f"{task.name}: clips rebuilt", n_clips, "samples") as step:
            downloads.rebuild(local, task, sources, step)


def _check_rebuilt(local: Suite, task: Task, sources: list[ModelSource]) -> dict[str, int | str]:
    """Check that the rebuilt signals equal the certified ones, exactly or as a reference judges them."""
    from harness.dataset.download import compare_rebuilt

    with waiting(f"{task.name}: comparing the rebuilt signals"):
        comparison = compare_rebuilt(local, task)
    info(
        f"{task.name}: {plural(comparison.n_clips, 'clip')} rebuilt to the samples that were published; of"
        f" {plural(comparison.n_signals, 'signal')}"
        f" {comparison.n_signals - comparison.n_differing} rebuilt to the last bit"
    )
    n_known = sum(_accepts_its_own(local, task, source) for source in sources)
    if comparison.n_differing and not n_known:
        raise NotValid(
            f"{comparison.n_differing} of {comparison.n_signals} signals of {task.name} differ in rounding"
            " from the certified ones: this machine computes differently; to test whether it matters, give"
            f" the same command with --reference {local.references(task.name)[0].model.repo_id}"
        )
    return {"task": task.name, **vars(comparison)}


def _accepts_its_own(suite: Suite, task: Task, source: ModelSource) -> bool:
    """Whether a model is a reference of the task; one that is must accept its own signals, or is NotValid."""
    from harness.models import loading
    from harness.submit.replay import known_answer

    for record in suite.references(task.name):
        if record.model.weights_sha256 == source.ref.weights_sha256:
            classifier = loading.open_model(source, device="cpu", dtype=record.run.dtype)
            name = source.ref.repo_id
            with waiting(f"{task.name}: {name} on its own signals"):
                answer = known_answer(suite, task, record, classifier)
            if answer is not None:
                info(f"{task.name}: {name} accepts {answer.n_accepted} of {answer.n} of its signals")
            return answer is not None
    return False


def _list(suite: Suite, tasks: list[Task], as_json: bool) -> None:
    """Print the references of the tasks, as a table or JSON on stdout."""
    from harness.dataset import download as downloads

    files = downloads.files_for(suite, [task.name for task in tasks])
    sizes = downloads.sizes(suite, files)
    references: list[dict[str, Any]] = [
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
        summary = {"source": suite.name, "commit": suite.commit, "bytes": n_bytes, "references": references}
        print_json(summary)
        return
    from harness.cli.tables import Column, Row, show_table

    names = (("task", 0), ("reference", 0), ("corpus", 4), ("licence", 3))
    numbers = (("clips", 5), ("signals", 1), ("MB", 2))
    columns = [*(Column(*name, folds=True) for name in names), *(Column(*number) for number in numbers)]
    rows = []
    for reference in references:
        words = [reference[name] or "not stated" for name, _ in names]
        counts = (reference["clips"], sum(reference["signals"].values()))
        size = f"{reference['bytes'] / 1e6:,.1f}"
        rows.append(Row((*words, *(f"{count:,}" for count in counts), size)))
    show_table(suite.name, columns, rows)
    commit = f", at {suite.commit}" if suite.commit else ""
    info(f"{plural(len(files), 'file')}, {n_bytes / 1e6:,.1f} MB in all{commit}")
