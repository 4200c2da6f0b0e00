"""The reference of the command line, from the commands themselves: usage, text, options with ranges and defaults.

It takes the place of the line `<!-- commands -->` of a page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from html import escape

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put every command in place of the mark."""
    if _MARK not in markdown:
        return markdown
    from harness.cli import goodenough

    return markdown.replace(_MARK, "\n\n".join(_command(goodenough, click.Context(goodenough, info_name="goodenough"))))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """Paragraphs of a command and, of a group, of every command in it."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    yield from _paragraphs(command.help or "")
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    yield "\n".join(["<dl class='options' markdown='0'>", *(_option(each, context) for each in options), "</dl>"])
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        inner = command.get_command(context, name)
        if inner is not None and not inner.hidden:
            inside = click.Context(inner, context, info_name=name)
            words = inside.command_path.split()[1:]
            yield f"{'#' * (len(words) + 1)} {' '.join(words)}"
            yield from _command(inner, inside)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a help text; an example is shown as code."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        joined = " ".join(paragraph.replace("\b", "").split())
        example = re.fullmatch(r"(.*Examples?:) (goodenough .*)", joined)
        yield f"{_html(example[1])}\n\n```sh\n{example[2]}\n```" if example else _html(joined)


def _option(option: click.Option, context: click.Context) -> str:
    """An option with its text and, after it, what it takes and what it is without being given."""
    record = option.get_help_record(context)
    assert record is not None, option.name
    extra = option.get_help_extra(context)
    names = {"default": "Default", "range": "Range", "required": "Required", "envvars": "Environment"}
    notes = "".join(
        f" <span>{names[key]}: <code>{escape(str(value))}</code></span>" if key != "required" else " <span>Required</span>"
        for key, value in extra.items()
        if value
    )
    return f"<dt><code>{escape(record[0])}</code></dt><dd>{_html(option.help or '')}{notes}</dd>"


def _html(text: str) -> str:
    """Text as HTML, options in it as code."""
    return re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"<code>\1</code>", escape(text, quote=False))
