"""Commands in processes of their own, each with its own environment.

The processes are forked where torch and transformers are open already (`tests.helpers.libraries`), since
opening them costs seconds. The client of the Hub reads HF_ENDPOINT and the like when it is opened: here it
reads them again.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.helpers.repository import ROOT

TIMEOUT = 240
"""Seconds after which a process is no longer waited for."""

FORKS = multiprocessing.get_context("forkserver")
"""Of processes that are forked where the libraries are open."""
FORKS.set_forkserver_preload(["tests.helpers.libraries"])

Said = tuple[int, str, str]
"""Exit code, stdout and stderr of a command."""


def run(commands: Sequence[Sequence[Any]], environment: Mapping[str, str]) -> list[Said]:
    """What commands say that are given one after the other in one process."""
    words = [[str(word) for word in command] for command in commands]
    found: list[Said] = call(said, words, dict(environment))
    return found


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns in a process of its own."""
    return _result(*start(function, *arguments))


def start(function: Callable[..., Any], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Call a function of a module in a process of its own; what it returns is sent at its end."""
    here, there = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_send, args=(there, function, *arguments), daemon=True)
    process.start()
    there.close()
    return process, here


def _result(process: BaseProcess, here: Connection) -> Any:
    try:
        assert here.poll(TIMEOUT), f"no end after {TIMEOUT} seconds"
        try:
            return here.recv()
        except EOFError:
            process.join()
            raise AssertionError(f"exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        here.close()


def _send(there: Connection, function: Callable[..., Any], *arguments: Any) -> None:
    there.send(function(*arguments))


def said(commands: list[list[str]], environment: dict[str, str], folder: Path = ROOT) -> list[Said]:
    """Give commands, one after the other, in this process, in an environment and a folder."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    from huggingface_hub import constants

    from harness import cli
    from harness.hub import repository

    importlib.reload(constants)
    constants.DOWNLOAD_CHUNK_SIZE = 1000  # so that what breaks off has a part that is there
    repository.WAITS = (0.0, 0.01, 0.02)
    found = []
    for arguments in commands:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.run(arguments)
        found.append((code, out.getvalue(), err.getvalue()))
    return found
