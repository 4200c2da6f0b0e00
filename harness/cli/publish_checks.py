"""Checks a suite before it is published, and reports all problems at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from harness.cli.options import command_line
from harness.errors import BadInput, NotValid
from harness.plurals import plural

if TYPE_CHECKING:
    from harness.dataset.suites import Suite


@dataclass(frozen=True)
class Target:
    """A suite, and the dataset it goes to."""

    suite: Suite
    """A local one."""
    to: str | None
    """`ORG/NAME` of the Hub; None where it is only prepared."""
    private: bool
    """Whether a dataset that is made is visible to its owners alone."""
    note: str = ""
    """A section of its card."""
    results: Path | None = None
    """Where an evaluation of its references keeps its results, if not in the usual folder."""


def check_target(target: Target, licence: str | None, masks_only: bool) -> tuple[list[str], list[Path]]:
    """The problems of a suite, and the folders of the references' entries, sorted."""
    from harness.dataset import publish as form
    from harness.entries import store, validate
    from harness.entries import suite_check as against
    from harness.schemas import entry_path

    suite = target.suite
    problems = form.problems(suite, licence, masks_only)
    out = "" if target.results is None else f" --out {quote(str(target.results))}"
    entries, entries_by_key, unreadable = [], {}, []
    for path in suite.verdicts():
        try:
            entry = store.read(path)
            entries_by_key[entry.task, entry.model, entry.signals.sha256] = path, entry
        except BadInput as error:
            problems.append(str(error))
            unreadable.append("/".join(path.parts[-3:]))
    for record in suite.manifest.references:
        name = record.model.repo_id
        sha256 = suite.ref(record.task).sha256
        record_entry = entries_by_key.get((record.task, record.model, sha256))
        if entry_path(record.model, record.task, sha256) in unreadable:
            continue
        model = name.removeprefix("local/")
        judge = f"goodenough evaluate {quote(model)} --signals {quote(str(suite.root))} --update-suite{out}"
        if record_entry is None:
            problems.append(
                f"{name}, {record.task}: has no verdicts on these signals, its own among them; to compute"
                f" them: {judge} --task {record.task}"
            )
            continue
        path, entry = record_entry
        lines = validate.validate_entry(path, suite.tasks, strict_files=False) or against.check_against_suite(
            path, suite
        )
        problems += [f"{path}: {line}" for line in lines]
        if not lines and entry.scorecard.known_answer != 1.0:
            problems.append(
                f"{name}, {record.task}: does not accept all of its own signals; extract them again"
            )
        entries.append(path)
    return problems, sorted(entries)


def cards_by_task(paths: tuple[Path, ...], tasks: list[str]) -> tuple[dict[str, str], list[str]]:
    """Data cards by task, and what is wrong with any: the `configs` of its YAML head say which it is of."""
    from harness import untrusted
    from harness.dataset import data_card

    texts: dict[str, str] = {}
    problems = []
    for path in paths:
        try:
            text = untrusted.utf8(untrusted.content(path))
            configs = data_card.head_of(text).get("configs")
        except untrusted.Unreadable as error:
            problems.append(f"{path} is not readable: {error}")
            continue
        if not isinstance(configs, list) or not all(name in tasks for name in configs):
            problems.append(
                f"{path} must name its tasks in its YAML head, as configs: [{tasks[0]}]; this folder has"
                f" {', '.join(tasks)}"
            )
            continue
        texts |= dict.fromkeys(configs, text)
    return texts, problems


def hub_problems(folder: Path, targets: Sequence[Target], tag: str | None) -> list[str]:
    """The problems of the datasets on the Hub that can be seen before anything is sent.

    A second target is for what is held back from the first.
    """
    from harness.dataset.publish import public_clip_ids
    from harness.hub.pushing import require_token, require_writable
    from harness.hub.repository import Repository

    command = command_line("to", "private", "tag")
    try:
        require_token(f"or look at it first, without --to: {command} writes {folder}/.published")
    except BadInput as error:
        return [str(error)]
    lines = []
    for target in targets:
        try:
            is_private = require_writable(Repository(target.to or ""), tag)
        except BadInput as error:
            lines.append(str(error))
            continue
        if target is not targets[0] and is_private is False:
            lines.append(
                f"{target.to} is public; make it private in its settings, or choose another --private-to"
            )
        if target is targets[0] and is_private is not None and len(targets) > 1:
            clip_ids = public_clip_ids(Repository(target.to or ""), targets[1].suite, target.suite)
            if clip_ids:
                lines.append(
                    f"{target.to} has {plural(len(clip_ids), 'clip')} to be held back, as {clip_ids[0]},"
                    " published before; choose another --to"
                )
    return list(dict.fromkeys(lines))


def require_no_problems(folder: Path, problems: list[str], input_problems: list[str]) -> None:
    """Print all problems at once, and stop if there are any; those of the input include login and Hub.

    Raises:
        NotValid: the suite has problems.
        BadInput: only the input has.
    """
    if input_problems and not problems and len(input_problems) == 1:
        raise BadInput(input_problems[0])
    lines = list(dict.fromkeys([*problems, *input_problems]))
    for line in lines:
        click.echo(line)
    if lines:
        line = f"{folder} cannot be published: {plural(len(lines), 'problem')}; nothing was sent"
        raise NotValid(line) if problems else BadInput(line)
