"""`goodenough study`: every model of a suite on every signal of it, and what follows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import cache_folder
from harness.cli import options
from harness.cli.backends import LocalBackend, PinnedModel
from harness.cli.cached_evaluation import evaluate_cached
from harness.cli.common import info, source_of
from harness.cli.option_groups import GroupedCommand
from harness.cli.options import ModelOptions
from harness.cli.output_encoding import json_text
from harness.cli.selection import named_tasks
from harness.errors import BadLabels
from harness.plurals import plural
from harness.progress import waiting
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.dataset.suites import Suite
    from harness.metrics.study import Answered
    from harness.models.loading import ModelSource
    from harness.tasks import Task


@click.command(cls=GroupedCommand)
@click.argument("source", required=False)
@options.tasks
@options.repeatable("--model", "models", metavar="M", help="A further model, repeatable.")
@options.flag("--recompute", help="Recompute the references' verdicts instead of using those of the suite.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    default="results",
    show_default=True,
    help="Results of `evaluate` to use again.",
)
@options.out(default="study")
@options.model
def study(
    source: str | None,
    task_names: tuple[str, ...],
    models: tuple[str, ...],
    recompute: bool,
    results: Path,
    out: Path,
    label_map: Path | None,
    opening: ModelOptions,
    as_json: bool,
) -> None:
    """Study a suite: transfer matrix, flat-earthers, information, price of agreement, figures, sounds.

    SOURCE is a signals folder or a Hub dataset; without it the starter suite. The references' verdicts are
    those that came with the suite or are in --out/entries; missing ones are computed. A model that
    `evaluate` has judged is not run again. Give the same command again to continue a run that was cut off.
    Writes study.html, study.md, study.json and figures/ below --out.

    Example: goodenough study --task emotion --out study/
    """
    from harness.metrics.study import study_of
    from harness.schemas import to_json
    from leaderboard.reports import study_report as page
    from leaderboard.reports.suite_measures import suite_measures

    suite = open_suite(source)
    tasks = named_tasks(suite, task_names) or list(suite.tasks)
    opening.adapter.refuse_without_adapter(*models)
    other_models = [opening.resolve(name) for name in models]
    given = [source.ref for source in other_models]
    studies, cache = [], cache_folder.cache()
    for task in tasks:
        roots = (out / "entries",) if recompute else (out / "entries", results)
        answers = _answers(suite, task, other_models, recompute, roots, label_map, opening)
        info(f"{task.name}: {plural(len(answers), 'model')}, computing statistics")
        with waiting(f"{task.name}: computing statistics"):
            measures = suite_measures(suite, task, cache)
            studies.append((study_of(suite, task, answers, measures), answers))
    with waiting("writing the report"):
        path = page.write(out, suite, studies, given, cache)
    if as_json:
        click.echo(json_text("[" + ",".join(to_json(result) for result, _ in studies) + "]"))
        return
    from leaderboard.reports.study_findings import sentences, summary
    from leaderboard.reports.study_pairs import pairs_sentences

    for result, _ in studies:
        click.echo(f"{result.task}, summary")
        for sentence in summary(result, given):
            click.echo(f"  {sentence}")
        for family in result.families:
            click.echo(f"{result.task}, family {family.family}")
            for sentence in sentences(result, family):
                click.echo(f"  {sentence}")
        if result.paired_evidence is not None:
            click.echo(f"{result.task}, pairs")
            for sentence in pairs_sentences(result):
                click.echo(f"  {sentence}")
    info(f"report: {path}")


def _answers(
    suite: Suite,
    task: Task,
    other_models: list[ModelSource],
    recompute: bool,
    roots: tuple[Path, ...],
    label_map: Path | None,
    opening: ModelOptions,
) -> list[Answered]:
    """The entries and verdicts of every reference, and of the other models that fit the task."""
    from harness.entries import store
    from leaderboard.board import entries

    def evaluate(source: ModelSource) -> Path:
        model = PinnedModel(source, opening, LocalBackend(opening))
        root, *elsewhere = roots
        return evaluate_cached(model, suite, task, root, label_map, *elsewhere)

    entry_folders = {} if recompute else {e.model: f for f, e in entries.references_of(suite, task.name)}
    folders = []
    for reference in suite.references(task.name):
        folder = entry_folders.get(reference.model)
        folders.append(folder or evaluate(source_of(reference.model, other_models, suite, "--model")))
    weights = {store.read(folder).model.weights_sha256 for folder in folders}
    for source in other_models:
        if source.ref.weights_sha256 in weights:
            continue
        try:
            folders.append(evaluate(source))
        except BadLabels as error:
            info(f"{task.name}: {source.ref.repo_id} is left out: {str(error).split(';')[0]}")
    return [(store.read(folder), store.verdicts(folder)) for folder in folders]
