"""One function on terminals of several widths, as `tests.helpers.terminal_widths` runs one command."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from unittest import mock

from tests.helpers.terminal_widths import TERMINALS


def printed(terminal: str, show: Callable[[], object]) -> tuple[str, str]:
    """Stdout and stderr of a call on one of TERMINALS."""
    environment = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | dict(TERMINALS[terminal])
    out, err = io.StringIO(), io.StringIO()
    talk = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with mock.patch.dict(os.environ, environment, clear=True), talk[0], talk[1]:
        show()
    return out.getvalue(), err.getvalue()
