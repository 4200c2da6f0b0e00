"""Every command that a line of ours names can be given: the verb and its options exist, paths are quoted."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from harness import cli
from harness.cli import options
from harness.cli.publish import publish
from tests.helpers.repository import ROOT
from tests.helpers.toy_models import save_model

NAMED = re.compile(r"goodenough ((?:leaderboard )?[a-z-]+)([^;`]*)")
PLAIN = {
    "source",
    "task",
    "task.name",
    "repository",
    "corpus",
    "pinned",
    "beside",
    "only",
    "out",
    "revision",
    "held_back_option",
}
"""Names of values that hold no blank, or that are a part of a command made elsewhere."""
PROSE = {"suite", "gave", "wrote", "does", "site", "it", "that"}
"""Words after the name of the package that are no verb."""


def texts() -> Iterator[tuple[str, ast.expr]]:
    """Every text of the package but docstrings, with where it stands."""
    for path in sorted([*(ROOT / "harness").rglob("*.py"), *(ROOT / "leaderboard").rglob("*.py")]):
        tree = ast.parse(path.read_text("utf-8"))
        within = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in within | docs
            if is_text and isinstance(node, ast.expr):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def said(node: ast.expr) -> str:
    """A text with `{expression}` for each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr)
    parts = (
        f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else str(part.value)  # type: ignore[attr-defined]
        for part in node.values
    )
    return "".join(parts)


COMMANDS = [
    (where, found[1], found[2])
    for where, node in texts()
    for found in NAMED.finditer(said(node))
    if found[1] not in PROSE
]


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) >= 20
    assert {verb for _, verb, _ in COMMANDS} >= {"evaluate", "publish", "validate", "verify", "submit"}


@pytest.mark.parametrize(("where", "verb", "rest"), COMMANDS, ids=[f"{w}-{v}" for w, v, _ in COMMANDS])
def test_a_command_that_is_named_has_its_verb_and_its_options(where: str, verb: str, rest: str) -> None:
    command: click.Command | None = cli.goodenough
    for word in verb.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None, f"{where}: no verb {verb}"
    known = {name for parameter in command.params for name in parameter.opts}
    assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, where


@pytest.mark.parametrize(("where", "verb", "rest"), COMMANDS, ids=[f"{w}-{v}" for w, v, _ in COMMANDS])
def test_what_may_hold_a_blank_is_quoted(where: str, verb: str, rest: str) -> None:
    for value in re.findall(r"\{(.*?)\}", rest):
        assert value.startswith(("quote(", "shlex.quote(")) or value in PLAIN or value == "folder", (
            where,
            value,
        )


@pytest.mark.parametrize(
    "given",
    [
        ["a folder", "--masks-only"],
        ["f", "--licence", "cc-by-4.0", "--card", "c d.md", "--card", "e.md", "--json"],
        ["f", "--hold-back", "0.2", "--hold-back-seed", "3", "--private-to", "lab/hidden"],
    ],
)
def test_the_command_as_it_was_given_is_given_again(given: list[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("c d.md", "e.md"):
        (tmp_path / name).write_text("")
    # click keeps the help option of a command as it first saw it.
    parent = click.Context(cli.goodenough, info_name="goodenough", **cli.goodenough.context_settings)
    with publish.make_context("publish", list(given), parent=parent) as context:
        words = shlex.split(options.command_line())
    assert words[:2] == ["goodenough", "publish"]
    assert publish.make_context("publish", words[2:], parent=parent).params == context.params


def test_a_label_map_to_begin_with_is_of_the_model_and_the_task_that_were_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command works as it stands: the name of a task of one's own says nothing to another command."""
    model = save_model(tmp_path / "a model", "wav2vec2", ("first", "second"))
    task = tmp_path / "my task.yaml"
    task.write_text("name: strings\nlabels: [cello, violin]\n")
    assert cli.run(["check", str(model), "--task", str(task), "--json"]) == 1
    following = json.loads(capsys.readouterr().out)["next"]
    match = re.fullmatch(r"goodenough (.*) > labels\.json", following)
    assert match, following
    words = shlex.split(match[1])
    assert words == ["check", str(model), "--task", str(task), "--template"]
    assert cli.run(words) == 0
    assert json.loads(capsys.readouterr().out)
