"""`goodenough tasks`: the tasks, their labels and spellings."""

from __future__ import annotations

import click

from harness.cli import options
from harness.cli.common import print_json
from harness.cli.option_groups import GroupedCommand


@click.command(cls=GroupedCommand)
@options.as_json
def tasks(as_json: bool) -> None:
    """List the tasks, their labels and the other spellings that are accepted.

    To use a task of your own, describe it in a YAML file and give it as --task path/to/task.yaml.
    """
    from harness.tasks import TASKS

    if as_json:
        content = {
            task.name: {
                "labels": {label: list(task.aliases[label]) for label in task.labels},
                "sample_rate_hz": task.sample_rate_hz,
                "max_seconds": task.max_seconds,
                "notes": task.notes,
            }
            for task in TASKS.values()
        }
        print_json(content)
        return
    for task in TASKS.values():
        click.echo(f"{task.name}  ({task.sample_rate_hz} Hz, at most {task.max_seconds:g} s)")
        for label in task.labels:
            spellings = task.aliases[label]
            click.echo(f"  {label}" + (f"  also: {', '.join(spellings)}" if spellings else ""))
        click.echo(f"  {task.notes}\n")
