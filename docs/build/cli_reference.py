"""The reference of the command line, from the commands themselves: usage, text, arguments and options with defaults.

It takes the place of the line `<!-- commands -->` of a page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in every command."""
    if _MARK not in markdown:
        return markdown
    from harness.cli import goodenough

    return markdown.replace(_MARK, "\n\n".join(_commands(goodenough, None, "goodenough")))


def _commands(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    """Paragraphs of a command and, of a group, of each of its own."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    if parent is not None:
        yield f"## {context.command_path.removeprefix('goodenough ')}"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    yield from _paragraphs(command.help or "")
    yield from (
        _definition(names, text)
        for parameter in command.get_params(context)
        if (record := parameter.get_help_record(context)) is not None
        for names, text in [record]
        if names != "-h, --help"
    )
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            if inner is not None and not inner.hidden:
                yield from _commands(inner, context, each)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a help text; what is given as an example is shown as code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        joined = " ".join(paragraph.replace("\b", "").split())
        example = re.fullmatch(r"(.*Examples?:) (goodenough .*)", joined)
        yield f"{_escaped(example[1])}\n\n```sh\n{example[2]}\n```" if example else _escaped(joined)


def _definition(names: str, text: str) -> str:
    return f"`{names}`\n:   {_escaped(text) or 'No further text.'}"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, options and capitals as code."""
    plain = re.sub(r"([\\`*_<>\[\]|])", r"\\\1", text)
    return re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"`\1`", plain)
