"""One command on terminals of several widths, in a pipe and without colour, and what must hold on all.

Commands run in this process (`cli.run`); what they say is what would stand on the terminal.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from unittest import mock

from harness import cli

TERMINALS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "50 columns": {"COLUMNS": "50"},
        "80 columns": {"COLUMNS": "80"},
        "200 columns": {"COLUMNS": "200"},
        "pipe": {},
        "colour": {"COLUMNS": "80", "FORCE_COLOR": "1"},
        "NO_COLOR": {"COLUMNS": "80", "FORCE_COLOR": "1", "NO_COLOR": "1"},
    }
)
"""Environment of each: COLUMNS as a shell exports it; FORCE_COLOR makes a terminal of what is none."""

_SETTINGS = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


def shown(terminal: str, *command: Any) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command on one of TERMINALS."""
    environment = {k: v for k, v in os.environ.items() if k not in _SETTINGS} | dict(TERMINALS[terminal])
    out, err = io.StringIO(), io.StringIO()
    talk = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with mock.patch.dict(os.environ, environment, clear=True), talk[0], talk[1]:
        code = cli.run([str(word) for word in command])
    return code, out.getvalue(), err.getvalue()


def require_readable(terminal: str, text: str, whole: Iterable[str], *, may_wrap: Sequence[str] = ()) -> None:
    """What a reader of one of TERMINALS relies on.

    Args:
        terminal: one of TERMINALS.
        text: what stands on it.
        whole: must each stand on one line, uncut.
        may_wrap: must be there, but may go over the end of a line between two words.

    Raises:
        AssertionError: it is cut or broken, a line is wider than the terminal though it could be broken, or
            there is colour where none may be.
    """
    plain = _STYLE.sub("", text)
    for fact in whole:
        assert any(fact in line for line in plain.splitlines()), (terminal, fact, plain)
    running = " ".join(plain.split())
    for fact in may_wrap:
        assert " ".join(fact.split()) in running, (terminal, fact, plain)
    assert "\N{HORIZONTAL ELLIPSIS}" not in plain, (terminal, plain)
    if columns := int(TERMINALS[terminal].get("COLUMNS", 0)):
        for line in plain.splitlines():
            # A word that is wider than the terminal cannot be broken; it stands alone, or after its name.
            assert len(line) <= columns or len(max(line.split(), key=len)) > columns // 2, (terminal, line)
    if terminal != "colour":
        assert not _COLOUR.search(text), (terminal, text)
    if terminal not in ("colour", "NO_COLOR"):
        assert "\x1b" not in text, (terminal, text)
