"""The reference of the command line, made from the commands: usage, text, options with ranges and defaults.

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

    context = click.Context(goodenough, info_name="goodenough")
    return markdown.replace(_MARK, "\n\n".join(_command(goodenough, context)))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    """Paragraphs of a command and, of a group, of every command in it."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    yield from _paragraphs(command.help or "")
    options = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    yield "\n".join(
        ["<dl class='options' markdown='0'>", *(_option(each, context) for each in options), "</dl>"]
    )
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
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
    """An option, its text, and which values it takes."""
    names, _ = option.get_help_record(context) or ("", "")
    extra = option.get_help_extra(context)
    notes = [f"Default: <code>{escape(extra['default'])}</code>"] if "default" in extra else []
    notes += [f"Range: <code>{escape(extra['range'])}</code>"] if "range" in extra else []
    notes += ["Required"] if "required" in extra else []
    text = "".join([_html(option.help or ""), *(f" <span>{note}</span>" for note in notes)])
    return f"<dt><code>{escape(names)}</code></dt><dd>{text}</dd>"


def _html(text: str) -> str:
    """Text as HTML, options in it as code."""
    return re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"<code>\1</code>", escape(text, quote=False))
