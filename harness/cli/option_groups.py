"""GROUPS: the headings below which `--help` lists the options of a verb, the same for all verbs."""

from __future__ import annotations

import re

import click

GROUPS = {
    "Input": (
        *("--task", "--signals", "--submissions", "--model", "--reference", "--corpus", "--split"),
        *("--limit", "--ci-width", "--shard", "--recompute", "--results"),
        *("--recipe", "--dry-run", "--only", "--corpus-folder"),
    ),
    "Search": (
        *("--outgoing", "--search", "--completion", "--robust", "--repetitions", "--seed", "--draws"),
        *("--budget", "--alpha", "--max-signals", "--contrastive"),
    ),
    "Sample": ("--all", "-k", "--base", "--if-possible"),
    "Held-back signals": ("--held-back", "--hold-back", "--hold-back-seed", "--private-to"),
    "Model": (
        *("--revision", "--device", "--dtype", "--compile", "--batch-size", "--label-map"),
        *("--trust-remote-code", "--adapter", "--adapter-arg", "--env"),
    ),
    "Cluster": ("--engine", "--ray-address", "--workers", "--gpus-per-worker", "--cpus-per-worker"),
    "Hub": ("--to", "--private", "--tag", "--model-card", "--yes"),
    "Record": ("--author", "--reason", "--source-name", "--source-url", "--framework", "--card", "--licence"),
    "Server": ("--port", "--public"),
    "Output": (
        *("--out", "--as", "--masks-only", "--update-suite", "--no-write", "--entries-url", "--template"),
        *("--list", "--json", "--help"),
    ),
}
"""Headings in their order -> their options in theirs."""

_MAX_WIDTH = 30
"""Longest option that stands on a line with its help."""

_RANGE = re.compile(r"(; |  \[)(?:[\d.]+<=?)?x[<>]=?[\d.]+(?=\]$)")
"""What click adds of the range of a number, which only a refusal has to name."""


class GroupedCommand(click.Command):
    """A command whose `--help` lists options below headings, and whose values a shell completes."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """See click; where a shell asks what fits, the parameters answer by `completion.COMPLETERS`."""
        params = super().get_params(ctx)
        if ctx.resilient_parsing:
            from harness.cli.completion import COMPLETERS

            for parameter in params:
                if completer := COMPLETERS.get(str(parameter.name)):
                    parameter.shell_complete = completer  # type: ignore[method-assign, assignment]
        return params

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click."""
        records = {
            option: (record[0], _without_range(record[1]))
            for parameter in self.get_params(ctx)
            if (record := parameter.get_help_record(ctx)) is not None
            for option in parameter.opts
        }
        width = min(max(len(names) for names, _ in records.values()), _MAX_WIDTH)
        formatter.write_paragraph()
        for heading, options in GROUPS.items():
            rows = [records[option] for option in options if option in records]
            if rows:
                formatter.write_heading(heading)
                with formatter.indentation():
                    formatter.write_dl([(f"{names:{width if text else 0}}", text) for names, text in rows])


def _without_range(text: str) -> str:
    shorter = _RANGE.sub(lambda match: "" if match[1] == "; " else "  [", text)
    return shorter.removesuffix("  []")
