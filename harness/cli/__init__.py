"""VERBS: the verbs of the command line, one file each, opened only when used.

Data goes to stdout, messages to stderr. Exit codes: 0 done, 1 result not valid, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings

import click
from click.shell_completion import CompletionItem

from harness.cli.option_groups import GroupedCommand
from harness.cli.output_encoding import speak_plainly
from harness.disk_errors import line_of
from harness.entries.untrusted_text import one_line
from harness.errors import BadInput, GoodenoughError, likely

VERBS = {
    "evaluate": "Score a model's transferability on a suite of sufficient signals.",
    "check": "Check in seconds, without any data, whether a model can be evaluated.",
    "tasks": "List the tasks, their labels and spellings.",
    "extract": "Extract minimal sufficient signals of a reference model from a corpus.",
    "study": "Study a suite: transfer matrix, flat-earthers, information, a report.",
    "download": "Download a suite of signals and verify its files.",
    "publish": "Publish a signals folder as a dataset on the Hub.",
    "validate": "Report all problems of entries.",
    "verify": "Recompute verdicts of entries, a sample or all, and compare them.",
    "submit": "Submit valid entries to the leaderboard.",
    "export": "Print an entry in the format of a model card, the Hub or Every Eval Ever.",
    "invalidate": "Declare that an entry must not be trusted, and why.",
    "opt-out": "Declare that a model opts out of a task, and why.",
    "leaderboard": "Build or serve the leaderboard.",
}


RENAMED = {
    "reproduce": "verify --all",
    "decline": "opt-out",
    "leaderboard serve --app": "leaderboard app",
    "evaluate --both-ways": "evaluate --outgoing",
    "evaluate --until-width": "evaluate --ci-width",
    "leaderboard app --until-width": "leaderboard app --ci-width",
    "submit --into": "submit --out",
    "opt-out --into": "opt-out --out",
    "download --to": "download --out",
}
"""Verbs and options under their old names -> under their new ones; the old ones work for one version."""

RETIRED = {
    "extract --bands": "the resolution is part of the search: --search responsibility@bands64",
}
"""Options that are gone, and what does their work now."""


class Verbs(click.Group):
    """A group that suggests the closest verb for a mistyped one."""

    command_class = GroupedCommand

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click; an unknown name is refused with the list of commands."""
        commands = self.list_commands(ctx)
        if args[0] not in commands and not args[0].startswith("-"):
            raise click.UsageError(
                f"no command {args[0]!r}{likely(args[0], commands)}; there are: {', '.join(commands)}", ctx
            )
        return super().resolve_command(ctx, args)


class _Verbs(Verbs):
    """A group that imports a verb's file only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(f"harness.cli.{name}"), name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See click; no verb is imported."""
        verbs = [CompletionItem(v, help=text) for v, text in VERBS.items() if v.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="goodenough", message="%(package)s %(version)s")
def goodenough() -> None:
    """Transferability of minimal sufficient signals between audio classifiers."""


def main() -> None:
    """Run the command line; every problem the user can fix is one line on stderr.

    Warnings of libraries are shown only if Python is asked for them, by -W or PYTHONWARNINGS.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit code.
    """
    speak_plainly()
    try:
        _refuse_empty(arguments)
        _refuse_retired(arguments)
        result = goodenough.main(_with_new_names(arguments), prog_name="goodenough", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except GoodenoughError as error:
        return _fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command_path = error.ctx.command_path if error.ctx else "goodenough"
        return _fail(
            f"{error.format_message().rstrip('.')}{_suggestion(error)}; see: {command_path} --help", 2
        )
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted; finished work is kept, and the same command continues", 130)
    except Exception as error:
        if (line := line_of(error)) is None:
            raise
        return _fail(line, 2)
    except SystemExit:  # raised by click and rich when the reader of a pipe leaves early: no error
        return 0


def _suggestion(error: click.UsageError) -> str:
    """A hint at the closest valid choice of an option."""
    kind = error.param.type if isinstance(error, click.BadParameter) and error.param else None
    match = re.match(r"'(.*)' is not one of", error.message)
    return likely(match[1], kind.choices) if match and isinstance(kind, click.Choice) else ""


def _with_new_names(arguments: list[str]) -> list[str]:
    """The arguments with renamed verbs and options under their new names; prints a line about each."""
    n_words = 2 if arguments[:1] == ["leaderboard"] else 1
    verb, rest = arguments[:n_words], arguments[n_words:]
    end = rest.index("--") if "--" in rest else len(rest)
    new_arguments: list[str] = []
    for argument in ["", *rest[:end]]:
        option, is_joined, value = argument.partition("=")
        old = " ".join([*verb, option]).rstrip()
        if old in RENAMED:
            new = RENAMED[old]
            click.echo(f"{old} is now {new}; the old name will go in the next version", err=True)
            verb, options = new.split()[:n_words], new.split()[n_words:]
            new_arguments += [f"{name}{is_joined}{value}" for name in options]
        elif argument:
            new_arguments.append(argument)
    return [*verb, *new_arguments, *rest[end:]]


def _refuse_retired(arguments: list[str]) -> None:
    """Refuse an option that is gone, with what does its work now."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    for argument in arguments[1:end]:
        option = argument.partition("=")[0]
        if hint := RETIRED.get(f"{arguments[0]} {option}"):
            raise BadInput(f"no option {option}; {hint}")


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse an empty value: no option has one, and taken for no value it would widen a selection."""
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        match = re.fullmatch(r"(--?[\w-]+)=\s*", argument)
        if match or not argument.strip():
            option = match[1] if match else previous if previous.startswith("-") else "an argument"
            raise BadInput(f"{option} is empty; leave it out, or give it a value: is a variable not set?")


def _fail(message: str, code: int) -> int:
    # A message may contain a path or text from a stranger's file.
    click.echo(f"goodenough: {one_line(message, 10_000)}", err=True)
    return code
