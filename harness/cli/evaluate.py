"""`goodenough evaluate`: the transferability of one model or several, on the terminal and as entries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from harness.cli import options
from harness.cli.backends import EngineOptions, engine_options
from harness.cli.common import info, print_json, show_models
from harness.cli.model_evaluation import ModelResult, Run, evaluate_model
from harness.cli.option_groups import GroupedCommand
from harness.cli.options import ModelOptions, refuse_with, refuse_without
from harness.cli.selection import named_tasks, require_something_to_hear
from harness.entries.untrusted_text import one_line
from harness.errors import BadCluster, BadInput, GoodenoughError, NotValid
from harness.plurals import plural
from harness.starter.paths import open_suite


@click.command(cls=GroupedCommand)
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@options.repeatable("--task", "task_names", metavar="T", help="Task, repeatable [all that fit].")
@options.signals
@options.out(default="results", help="Results folder.")
@options.number("--limit", help="Only N clips, to try it out.")
@options.ci_width(help="Stop when the lift is known to plus or minus W.")
@click.option(
    "--shard",
    type=options.Shard(),
    metavar="I/N",
    help="Part I of N; without --shard the parts are merged.",
)
@click.option(
    "--held-back",
    metavar="PRIVATE",
    help="Also evaluate on held-back signals.",
)
@options.flag("--update-suite", help="Copy the verdicts of a reference into SOURCE.")
@options.flag("--outgoing", "with_outgoing", help="Let the references judge the model's own signals.")
@click.option(
    "--search",
    default="minimal",
    metavar="NAME[@ATOMS]",
    help="Of its own signals, as in extract [minimal].",
)
@options.repeatable("--reference", "given", metavar="M", help="A local reference, for --outgoing.")
@engine_options
@options.model
def evaluate(
    models: tuple[str, ...],
    task_names: tuple[str, ...],
    signals: str | None,
    out: Path,
    limit: int | None,
    ci_width: float | None,
    shard: tuple[int, int] | None,
    held_back: str | None,
    update_suite: bool,
    with_outgoing: bool,
    search: str,
    given: tuple[str, ...],
    label_map: Path | None,
    opening: ModelOptions,
    engine: EngineOptions,
    as_json: bool,
) -> None:
    """Score how often MODEL accepts the references' signals.

    MODEL is a Hub id, a folder, or an adapter, FILE.py:CLASS. Writes entry.json, verdicts.parquet and
    report.html below --out. The same command continues a run that was cut off. With --limit or --ci-width the
    entry is partial and cannot be submitted.

    With --held-back it is also evaluated on signals that were kept back, in DIR/.held-back: a model fitted to
    the public ones has a higher lift on those.

    Example: goodenough evaluate superb/hubert-large-superb-er --task emotion

    Exit code 1: a result is not valid. 2: a model cannot be evaluated.
    """
    from harness.dataset.suite_notes import joined, note_of_task
    from harness.extract import named

    names = tuple(dict.fromkeys(models))
    if not with_outgoing:
        refuse_without("--outgoing", "given", "search")
    named(search)
    opening.adapter.refuse_without_adapter(*names, *given)
    if len(names) > 1:
        refuse_with("several models", "revision", "label_map", hint=", or evaluate the models one by one")
    if (shard is not None) + (ci_width is not None) + (limit is not None) > 1:
        raise BadInput(
            "--shard, --ci-width and --limit each choose what part of a run is done: give one of them"
        )
    whole_runs = {"--outgoing": with_outgoing, "--update-suite": update_suite, "--held-back": held_back}
    for option, value in whole_runs.items():
        if value and (shard or ci_width or limit):
            raise BadInput(f"{option} is for a whole run: leave out --shard, --ci-width and --limit")
    if shard and engine.is_remote:
        raise BadInput("a cluster distributes the work itself: leave out --shard, or --engine ray")
    suite = open_suite(signals)
    private = None if held_back is None else open_suite(held_back)
    tasks = named_tasks(suite, task_names)
    if signals is None:
        suite_note = joined((task.name, note_of_task(suite, task.name)) for task in tasks or suite.tasks)
        info(f"No --signals given: using the embedded starter suite. {suite_note}")
    for s in (suite,) if private is None else (suite, private):
        require_something_to_hear(s, tasks)
    outgoing = (search, given) if with_outgoing else None
    run = Run(
        *(suite, private, tasks, out, limit, ci_width, shard, update_suite, outgoing, label_map, as_json)
    )
    results = [ModelResult(name) for name in names]
    with engine.backend(opening) as backend:
        for i, result in enumerate(results, start=1):
            if len(results) > 1:
                info(f"Model {i} of {len(results)}: {one_line(result.model, 500)}")
            try:
                evaluate_model(result, run, opening, backend)
            except BadCluster:
                raise
            except GoodenoughError as error:
                if len(results) == 1:
                    raise
                result.error = error
            if result.error is not None and len(results) > 1:
                info(result.error_line)
    _report(results, run)


def _report(results: Sequence[ModelResult], run: Run) -> None:
    """Print JSON, or the table of several models; raise for those at fault.

    Raises:
        NotValid: the result of one does not hold.
        BadInput: one could not be evaluated.
    """
    if len(results) == 1:
        if run.as_json and not run.shard:
            print_json(results[0].as_json())
        if results[0].error is not None:
            raise results[0].error
        return
    at_fault = [result for result in results if result.error is not None]
    if run.as_json and not run.shard:
        print_json({"models": [_record(result) for result in results]})
    elif not run.shard:
        show_models([entry for result in results for entry, _ in result.results])
    if at_fault:
        worst = max((result.error.exit_code for result in at_fault if result.error), default=0)
        kind = NotValid if worst == NotValid.exit_code else BadInput
        names = ", ".join(result.model for result in at_fault)
        raise kind(f"{len(at_fault)} of {plural(len(results), 'model')} failed: {names}")


def _record(result: ModelResult) -> dict[str, Any]:
    """An object of --json for one of several models."""
    if result.error is None:
        return result.as_json()
    fault = {"model": result.model, "error": str(result.error)}
    return {**result.as_json(), **fault} if result.results else fault
