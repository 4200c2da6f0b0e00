"""`goodenough export`: an entry in the format of other tools, on stdout."""

from __future__ import annotations

import time
from pathlib import Path
from shlex import quote

import click

from harness import cache_folder
from harness.cli import options
from harness.cli.common import known_tasks, print_json
from harness.cli.option_groups import GroupedCommand
from harness.cli.output_encoding import is_utf8
from harness.cli.selection import single_entry
from harness.entries.untrusted_text import one_line
from harness.errors import BadInput, NotValid


@click.command(cls=GroupedCommand)
@click.argument("entry", metavar="ENTRY", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "form",
    type=click.Choice(["model-index", "eval-results", "every-eval-ever"]),
    required=True,
    help="Metadata of a model card; a file for .eval_results/; a record of Every Eval Ever.",
)
@click.option("--source-name", metavar="NAME", help="Name of the source of the result.")
@click.option(
    "--framework", metavar="NAME", help="With eval-results: its evaluation_framework, once registered."
)
@click.option("--source-url", metavar="URL", help="Address of the source.")
@click.option(
    "--out",
    metavar="DIR",
    type=options.OutputPath(),
    help="With every-eval-ever: write the record and a line for each answer below this folder.",
)
@options.task_files
def export(
    entry: Path,
    form: str,
    source_name: str | None,
    source_url: str | None,
    framework: str | None,
    out: Path | None,
    task_files: tuple[str, ...],
) -> None:
    """Print ENTRY, the folder of one valid entry, as YAML or JSON for the Hub and other tools.

    eval-results holds one number, the lift, and requires signals that are a dataset of the Hub. The others
    also hold placement, transfer, swap, agreement on whole clips, accuracy and F1, with their intervals.

    With --out, a record of Every Eval Ever is written as it lies in that database, and beside it a JSON line
    for each answer that its transfer, swap and accuracy are counted from; the path of the record is printed.

    Example: goodenough export results/ORG__MODEL/0123456789ab/emotion@89abcdef --as model-index
    """
    import yaml

    from harness.entries import every_eval_ever, store
    from harness.entries import export as exports
    from harness.entries.valid_marks import problems_of, validator_marks

    if source_name is not None and source_url is None:
        raise BadInput("--source-name requires --source-url, the address where the result can be read")
    if out is not None and form != "every-eval-ever":
        raise BadInput(f"--out is for --as every-eval-ever; {form} is one file and is printed")
    if framework is not None and form != "eval-results":
        raise BadInput(f"--framework is for --as eval-results; {form} has no such field")
    folder = single_entry(entry)
    if line := store.unfetched(folder):
        raise BadInput(line)
    if problems := problems_of(folder, known_tasks(task_files), validator_marks(cache_folder.cache())):
        raise NotValid(
            one_line(
                f"{folder}: {problems[0]}; to see all problems: goodenough validate {quote(str(folder))}"
            )
        )
    record, source = store.read(folder), exports.Source(source_name, source_url)
    if form == "every-eval-ever":
        created = int(time.time())
        if out is None:
            print_json(every_eval_ever.record(record, source, created=created), indent=2)
        else:
            path = every_eval_ever.write(out, record, store.verdicts(folder), source, created=created)
            click.echo(str(path))
        return
    content = (
        exports.model_index(record, source)
        if form == "model-index"
        else exports.eval_results(record, source, framework)
    )
    click.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=is_utf8()), nl=False)
