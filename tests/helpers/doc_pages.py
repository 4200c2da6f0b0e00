"""The fenced blocks of a page of the documentation, run in the order in which a reader meets them.

    ```sh           given to bash; variables and the folder are kept from block to block
    ```console      the same: lines after `$ ` are given, the others are the output
    ```python       executed; names are kept from block to block
    ```yaml title="music.yaml"     (or python, json, csv) written to that file
    ```text         directly below a block: what it prints

`<!-- not run: reason -->` directly above a block says why it is not run, `<!-- exits 1 -->` with which exit
code its last command ends.

What is shown is compared with what is printed: `...` stands for anything, as in doctest; white space,
durations and differences in the last digits of a logit are passed over.

Public: Block, blocks_of, Session, same_output.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.helpers import forking

RUN = ("sh", "console", "python", "yaml")
"""Languages of blocks that are run, or written to a file that others use."""
TIMEOUT = 280
"""Seconds of a block."""

_FENCE = re.compile(r"^(\s*)```(\w*)(.*)$")
_COMMENT = re.compile(r"^\s*<!-- (not run: (?P<reason>.+?)|exits (?P<code>\d+)) -->\s*$")
_TITLE = re.compile(r'title="([^"]+)"')
_PROGRESS = re.compile(r"^(\S+: [\d,]+ of [\d,]+ units, .*|.*: \d+ s so far.*)$", re.MULTILINE)
_DURATION = re.compile(r"\b\d+(\.\d+)? (ms|s|min|h)\b")
_TINY = re.compile(r"\b\d(\.\d+)?e-0\d\b")


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    line: int
    """Of its first line in the page."""
    language: str
    """As it is written behind the fence; empty where it is not."""
    source: str
    """What is run."""
    title: str | None = None
    """File that it is written to."""
    reason: str | None = None
    """Why it is not run."""
    code: int = 0
    """Exit code of its last command."""
    output: str | None = None
    """What it prints; None where the page shows nothing."""


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page, without those that show what another one prints."""
    lines = text.splitlines()
    blocks: list[Block] = []
    last_line = -1
    i = 0
    while i < len(lines):
        fence = _FENCE.match(lines[i])
        if fence is None:
            i += 1
            continue
        end = next(j for j in range(i + 1, len(lines)) if lines[j].strip() == "```")
        source = textwrap.dedent("\n".join(lines[i + 1 : end]))
        is_output = fence[2] == "text" and blocks and not any(map(str.strip, lines[last_line + 1 : i]))
        if is_output:
            blocks[-1] = _with_output(blocks[-1], source)
        else:
            blocks.append(_block(i + 1, fence, source, lines[i - 1] if i else ""))
        last_line = end
        i = end + 1
    return blocks


def _with_output(block: Block, output: str) -> Block:
    return Block(**{**vars(block), "output": output})


def _block(line: int, fence: re.Match[str], source: str, above: str) -> Block:
    comment, title = _COMMENT.match(above), _TITLE.search(fence[3])
    output = None
    if fence[2] == "console":
        given = [row.removeprefix("$ ") for row in source.splitlines() if row.startswith("$ ")]
        output = "\n".join(row for row in source.splitlines() if not row.startswith("$ "))
        source = "\n".join(given)
    return Block(
        line,
        fence[2],
        source,
        title[1] if title else None,
        comment["reason"] if comment else None,
        int(comment["code"] or 0) if comment else 0,
        output,
    )


def same_output(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed."""
    pieces = [re.escape(piece.strip()) for piece in _normal(shown).split("...")]
    return re.fullmatch(".*".join(pieces), _normal(printed)) is not None


def _normal(text: str) -> str:
    """On one line, without what differs from run to run."""
    text = _TINY.sub("TINY", _DURATION.sub("TIME", _PROGRESS.sub("", text)))
    return " ".join(re.sub("─+", "─", text).split())


class Session:
    """What runs the blocks of one page, in one folder; use as a context."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Take a folder that is there."""
        self.folder = folder
        self.environment = dict(environment)
        self._state = folder.with_name(f"{folder.name}.sh")
        self._python: tuple[Any, Connection] | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._python is not None:
            process, connection = self._python
            process.kill()
            process.join()
            connection.close()

    def run(self, block: Block) -> tuple[int, str]:
        """Exit code, 0 or 1 of a Python block, and what was printed."""
        if block.title is not None:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{block.source}\n")
            return 0, ""
        return self._run_python(block) if block.language == "python" else self._run_shell(block.source)

    def _run_shell(self, source: str) -> tuple[int, str]:
        state = f"'{self._state}'"
        script = (
            f"set -aeo pipefail; test ! -e {state} || . {state}\n{source}\n"
            f'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {state}\n'
        )
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
        )
        return done.returncode, done.stdout

    def _run_python(self, block: Block) -> tuple[int, str]:
        if self._python is None:
            here, there = forking.FORKS.Pipe()
            process = forking.FORKS.Process(
                target=_serve, args=(there, self.folder, self.environment), daemon=True
            )
            process.start()
            there.close()
            self._python = process, here
        connection = self._python[1]
        connection.send((block.source, block.line))
        assert connection.poll(TIMEOUT), f"line {block.line}: no end after {TIMEOUT} seconds"
        code, printed = connection.recv()
        return code, printed


def _serve(connection: Connection, folder: Path, environment: Mapping[str, str]) -> None:
    """Execute what is sent, in one namespace."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, "")
    from huggingface_hub import constants

    importlib.reload(constants)
    names: dict[str, Any] = {"__name__": "__main__"}
    for source, line in _received(connection):
        out = io.StringIO()
        code = 0
        with contextlib.redirect_stdout(out):
            try:
                exec(compile("\n" * line + source, "page.md", "exec"), names)  # noqa: S102
            except Exception:
                traceback.print_exc(file=out)
                code = 1
        connection.send((code, out.getvalue()))


def _received(connection: Connection) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(EOFError):
        while True:
            yield connection.recv()
