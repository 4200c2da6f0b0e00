"""`goodenough extract`: signals of a reference model from a corpus, or of all models of a recipe."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.backends import EngineOptions, engine_options
from harness.cli.common import info, label_map_for
from harness.cli.option_groups import GroupedCommand
from harness.cli.options import ModelOptions, given, refuse_with, refuse_without
from harness.cli.output_encoding import json_text
from harness.cli.selection import searches_with
from harness.errors import BadInput, likely
from harness.plurals import plural
from harness.progress import progress_bar

if TYPE_CHECKING:
    from harness.extract.search import Search


MAX_DRAWS = 100
"""Extractions of a clip."""


class _Bands(click.ParamType):  # type: ignore[type-arg]
    """A number of bands, or `all`."""

    name = "N|all"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        text = str(value)
        if text == "all":
            return text
        if not (text.isascii() and text.isdigit()) or not 2 <= int(text) <= 10**7:
            self.fail(f"{text!r} is not a number of bands; expected 2 or more, or all", param, ctx)
        return int(text)


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
@click.option(
    "--search",
    "search_name",
    metavar="NAME",
    help="responsibility, minimal, gradient [the first two].",
)
@options.number("--limit", help="At most N clips, taken from the classes in turn.")
@click.option("--split", metavar="S", help="Split of the corpus [test, or the only one].")
@options.number("--repetitions", help="Random partitions of responsibility [20].")
@click.option(
    "--bands",
    type=_Bands(),
    metavar="N|all",
    help="Bands of responsibility; all: single bins [128].",
)
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
    search_name: str | None,
    limit: int | None,
    split: str | None,
    repetitions: int | None,
    bands: int | str | None,
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
    """Extract the minimal sufficient signals of MODEL, a Hub id or a folder.

    Another MODEL with the same --out is added. The same command continues a run that was cut off. With
    --recipe, in place of MODEL, all models of a recipe extract signals and judge each other's.

    \b
    Examples:
      goodenough extract MODEL --task emotion --corpus recordings/ --out signals/
      goodenough extract --recipe emotion --out signals/ --dry-run
    """  # noqa: D301
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
    from harness.dataset.corpora import open_corpus
    from harness.extract import build_reference
    from harness.extract.search_task import Draws, Limits, Sets
    from harness.schemas import to_json

    searches = _searches(search_name, repetitions, bands)
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
                limits=Limits(budget, alpha),
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
    for count in record.counts:
        degenerate = f", {count.n_degenerate} of them degenerate" if count.n_degenerate else ""
        info(f"{count.family}: {plural(count.n_signals, 'signal')}{degenerate}")
    for set_count in record.sets:
        info(f"{set_count.family}: {plural(set_count.n_sets, f'{set_count.kind} set')}")
    for skip in record.skipped:
        info(f"skipped {skip.clip_id}: {skip.why}")
    info(f"{out}; to evaluate a model on it: goodenough evaluate MODEL --signals {quote(str(out))}")


_OF_ONE_MODEL = (
    *("model", "task_name", "corpus", "search_name", "limit", "split", "repetitions", "budget", "alpha"),
    *("bands", "seed", "draws"),
    *("max_signals", "contrastive", "masks_only", "label_map", "revision", "trust_remote_code"),
)


def _require(*names: str) -> None:
    """Require parameters that only a recipe does without."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and parameter.name not in given():
            hint = "'MODEL'" if isinstance(parameter, click.Argument) else None
            raise click.MissingParameter(ctx=context, param=parameter, param_hint=hint)


def _searches(name: str | None, repetitions: int | None, bands: int | str | None) -> list[Search]:
    """The search by its name, or the default ones."""
    from harness.extract import DEFAULT, SEARCHES

    if name is not None and name not in SEARCHES:
        raise BadInput(f"no search named {name!r}; known: {', '.join(SEARCHES)}{likely(name, SEARCHES)}")
    names = (name,) if name else DEFAULT
    for option, value in (("--repetitions", repetitions), ("--bands", bands)):
        if value is not None and "responsibility" not in names:
            raise BadInput(f"{option} is an option of the search responsibility, not of {name}")
    return searches_with(names, repetitions, bands)
