"""`goodenough extract`: signals of a reference model from a corpus, or of all models of a recipe."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.backends import EngineOptions, engine_options
from harness.cli.common import info, label_map_for
from harness.cli.option_groups import GroupedCommand
from harness.cli.options import ModelOptions, given, refuse_with, refuse_without
from harness.cli.output_encoding import json_text
from harness.errors import BadInput
from harness.plurals import plural
from harness.progress import progress_bar

if TYPE_CHECKING:
    from harness.completions import Completion
    from harness.extract.search import Search


MAX_DRAWS = 100
"""Extractions of a clip."""


@click.command(cls=GroupedCommand)
@click.argument("model", required=False)
@click.option("--task", "task_name", metavar="T", help="Name of a task, or a YAML file.")
@click.option("--corpus", metavar="SOURCE", help="Folder with metadata.csv, or Hub dataset.")
@click.option(
    "--recipe",
    metavar="NAME",
    help="music-genre, emotion, deepfake, or a YAML file.",
)
@options.flag("--dry-run", help="Only estimate the cost.")
@options.repeatable("--only", metavar="MODEL", help="Only this model, repeatable.")
@options.repeatable(
    "--corpus-folder",
    "corpus_folders",
    metavar="NAME=DIR",
    help="Folder of a corpus, repeatable.",
)
@options.repeatable(
    "--search",
    "search_names",
    metavar="NAME[@ATOMS]",
    help="Of responsibility, minimal [both], gradient.",
)
@click.option(
    "--completion",
    metavar="C",
    help="Rest of a signal: zero, noise:-40, swap [zero].",
)
@click.option(
    "--robust",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="Share of 8 draws of it that must keep the class.",
)
@options.number("--limit", help="At most N clips, taken from the classes in turn.")
@click.option("--split", metavar="S", help="Split of the corpus [test, or the only one].")
@options.number("--repetitions", help="Random partitions of responsibility [10].")
@click.option("--seed", type=click.IntRange(0), default=0, metavar="S", help="Seed of the searches [0].")
@click.option(
    "--draws",
    type=click.IntRange(1, MAX_DRAWS),
    default=1,
    metavar="K",
    help="Extractions of each clip, to compare them [1].",
)
@options.number("--budget", help="Most queries of a search for a clip.")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="A",
    help="Share of the confidence to keep [0].",
)
@click.option(
    "--max-signals",
    type=click.IntRange(1),
    default=1,
    metavar="K",
    help="Disjoint signals to look for in a clip [1].",
)
@options.flag("--contrastive", help="Also find a necessary and a complete set.")
@options.flag("--masks-only", help="Store masks alone; audio is rebuilt from clips.")
@options.out(default="signals", help="Signals folder.")
@engine_options
@options.model
def extract(
    model: str | None,
    task_name: str | None,
    corpus: str | None,
    recipe: str | None,
    dry_run: bool,
    only: tuple[str, ...],
    corpus_folders: tuple[str, ...],
    search_names: tuple[str, ...],
    completion: str | None,
    robust: float | None,
    limit: int | None,
    split: str | None,
    repetitions: int | None,
    seed: int,
    draws: int,
    budget: int | None,
    alpha: float,
    max_signals: int,
    contrastive: bool,
    masks_only: bool,
    out: Path,
    label_map: Path | None,
    opening: ModelOptions,
    engine: EngineOptions,
    as_json: bool,
) -> None:
    """Extract the minimal sufficient signals of MODEL.

    MODEL is a Hub id, a folder, or an adapter, FILE.py:CLASS; another is added to the same --out. The same
    command continues. --recipe names many models.

    Example: goodenough extract MODEL --task emotion --corpus DIR --out signals/
    """
    if recipe is not None:
        hint = ", or change a copy of the recipe"
        refuse_with(f"--recipe {recipe}, which determines it", *_OF_ONE_MODEL, hint=hint)
        from harness.cli.recipe import follow

        follow(recipe, out, only, corpus_folders, dry_run, opening, engine, as_json)
        return
    refuse_without("a recipe, --recipe NAME", "dry_run", "only", "corpus_folders")
    _require("model", "task_name", "corpus")
    assert model is not None and task_name is not None  # noqa: S101, PT018 - just required
    assert corpus is not None  # noqa: S101 - the same
    from harness import tasks
    from harness.dataset import suites
    from harness.dataset.corpora import open_corpus
    from harness.dataset.query_counts import QUERIES, format_queries, queries_of
    from harness.extract import build_reference
    from harness.extract.search_task import Draws, Limits, Sets
    from harness.schemas import to_json

    opening.adapter.refuse_without_adapter(model)
    searches = _searches(search_names, repetitions)
    limits = Limits(budget, alpha, *_completion(completion, robust))
    task = tasks.find(task_name)
    with engine.backend(opening) as backend:
        clips = open_corpus(corpus, task, split=split, limit=limit)
        if clips.choice is not None:
            info(clips.choice)
        classifier = backend.open(opening.resolve(model))
        labels = label_map_for(classifier.class_names, classifier.ref, task, label_map)
        with progress_bar(f"{classifier.ref.repo_id} on {task.name}", len(clips), "queries") as step:
            record = build_reference.add(
                *(classifier, labels, task, clips, searches, out),
                limits=limits,
                sets=Sets(max_signals, contrastive),
                draws=Draws(seed, draws),
                masks_only=masks_only,
                engine=backend.extract,
                progress=step,
            )
    for note in clips.notes():
        info(note)
    if as_json:
        click.echo(json_text(to_json(record)), nl=False)
        return
    queries = queries_of(suites.load(str(out)), task.name, record.model.slug)
    for count in record.counts:
        degenerate = f", {count.n_degenerate} of them degenerate" if count.n_degenerate else ""
        n_queries = queries.get(count.family)
        effort = f"; {QUERIES}: {format_queries(n_queries)}" if n_queries else ""
        info(f"{count.family}: {plural(count.n_signals, 'signal')}{degenerate}{effort}")
    for set_count in record.sets:
        info(f"{set_count.family}: {plural(set_count.n_sets, f'{set_count.kind} set')}")
    for skip in record.skipped:
        info(f"skipped {skip.clip_id}: {skip.why}")
    info(f"{out}; to evaluate a model on it: goodenough evaluate MODEL --signals {quote(str(out))}")


_OF_ONE_MODEL = (
    *("model", "task_name", "corpus", "search_names", "limit", "split", "repetitions", "budget", "alpha"),
    *("completion", "robust", "seed", "draws"),
    *("max_signals", "contrastive", "masks_only", "label_map", "revision", "trust_remote_code"),
)


def _require(*names: str) -> None:
    """Require parameters that only a recipe does without."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and parameter.name not in given():
            hint = "'MODEL'" if isinstance(parameter, click.Argument) else None
            raise click.MissingParameter(ctx=context, param=parameter, param_hint=hint)


def _searches(names: tuple[str, ...], repetitions: int | None) -> list[Search]:
    """The searches by name, one for each family, or the default ones."""
    from harness.extract import DEFAULT, named
    from harness.extract.search_task import family_of

    names = names or DEFAULT
    searches = [named(name, repetitions) for name in names]
    if len({family_of(search) for search in searches}) < len(searches):
        raise BadInput(f"--search {' and '.join(names)}: two find signals of one family; name one of each")
    if repetitions is not None and not any(name.startswith("responsibility") for name in names):
        raise BadInput(f"--repetitions is an option of the search responsibility, not of {names[0]}")
    return searches


def _completion(name: str | None, robust: float | None) -> tuple[Completion, float | None]:
    """What stands in for the rest of a signal, and in what share of its draws a signal has to hold."""
    from harness.completions import ZERO, parse_completion

    completion = ZERO if name is None else parse_completion(name)
    if robust is not None and completion == ZERO:
        raise BadInput("--robust needs a --completion of which there are draws: noise:-40, noise:-60 or swap")
    return completion, robust
