"""Runs a visitor's request as commands of `goodenough`, and reads their answers.

The app never loads a model: it runs commands given as lists of words, without a shell, and reads their JSON.

Conventions: what a visitor typed becomes at most one word, the last one, behind `--`: it is a Hub id of plain
letters or, where folders are allowed, the absolute path of an existing folder. Code that a model brings is
never run: no command here has --trust-remote-code, and no word that a visitor typed names an adapter.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import untrusted
from harness.errors import BadInput
from harness.schemas import Entry, from_json
from harness.tasks import TASKS
from harness.types import PROTOCOL
from leaderboard.board.provisional_rank import ProvisionalRank, rank_among
from leaderboard.board.types import Ranking

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_HUB_ID = re.compile(rf"{_PART}(/{_PART})?")

_COMMAND = (sys.executable, "-P", "-m", "harness")
"""`goodenough` of this very installation; -P: nothing is imported from the folder it works in."""

_ROOT = Path(__file__).parents[2]
"""Folder of this code."""

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|KEY", re.IGNORECASE)


@dataclass(frozen=True)
class TryRequest:
    """One model on one task, both checked."""

    model: str
    """Hub id, or absolute path of a folder."""
    task: str
    is_folder: bool


@dataclass(frozen=True)
class Finding:
    """One line of `goodenough check`."""

    what: str
    passed: bool | None
    """None for a fact that can neither pass nor fail."""
    detail: str
    """In a sentence."""


@dataclass(frozen=True)
class CheckResult:
    """What `goodenough check` found."""

    passed: bool
    """Nothing failed."""
    findings: tuple[Finding, ...]


def read(model: str, task: str, tasks: Iterable[str], *, folders: bool) -> TryRequest:
    """Check what a visitor typed and chose; a browser can send anything.

    `tasks` are those of the suite; `folders`: whether a folder of this machine may be named.

    Raises:
        BadInput: it is no such name; the line says what is expected.
    """
    # Of any type: a client that is no browser can send anything.
    name, task_names = str(model or "").strip(), tuple(tasks)
    if task not in task_names:
        raise BadInput(f"no such task here; choose one of {', '.join(task_names)}")
    expected = "a Hub id, as in org/name" + (", or an existing folder" if folders else "")
    if not name:
        raise BadInput(f"no model named; expected {expected}")
    if folders and name.isprintable() and (folder := _folder(name)):
        return TryRequest(folder, task, is_folder=True)
    if not _HUB_ID.fullmatch(name) or "--" in name or ".." in name:
        quoted_name = ascii(name if len(name) <= 60 else f"{name[:60]}...")
        raise BadInput(f"no model {quoted_name}; expected {expected}")
    return TryRequest(name, task, is_folder=False)


def check(request: TryRequest, signals: str | None) -> list[str]:
    """The command that checks whether a model can be evaluated; `signals` is None for the embedded suite."""
    # `check` knows the built-in tasks; of another one, the evaluation says whether its labels fit.
    task_options = ["--task", request.task] if request.task in TASKS else []
    return [*_COMMAND, "check", "--json", *task_options, *_signals(signals), "--", request.model]


def evaluate(request: TryRequest, signals: str | None, out: Path, ci_width: float | None) -> list[str]:
    """The command that evaluates it; to the end where `ci_width` is None. Answers in `out` are reused."""
    width_options = [] if ci_width is None else ["--ci-width", f"{ci_width:g}"]
    options = ["--json", "--task", request.task, *_signals(signals), *width_options, "--out", str(out)]
    return [*_COMMAND, "evaluate", *options, "--", request.model]


def local_commands(
    request: TryRequest, signals: str | None, submissions: str | None, revision: str | None = None
) -> list[str]:
    """The commands as a user would type them, and the one that submits: to the Hub, or None, into a clone."""
    revision_options = ["--revision", revision] if revision and not request.is_folder else []
    options = ["--task", request.task, *_signals(signals)]
    destination = ["--to", submissions] if submissions else ["--out", "submissions/"]
    lines = (
        ["check", request.model, *revision_options, *options],
        ["evaluate", request.model, *revision_options, *options, "--out", "results"],
        ["submit", "results/", *destination],
    )
    return [shlex.join(["goodenough", *words]) for words in lines]


def environment(environ: Mapping[str, str], *, on_space: bool) -> dict[str, str]:
    """The variables of a command: lines of progress, no telemetry, and on a Space none of its secrets.

    A visitor's model is fetched without login: with that of the Space, a visitor could read what only its
    owner may. On one's own machine the own login is used.
    """
    variables = {name: value for name, value in environ.items() if not (on_space and _SECRET.search(name))}
    variables |= {"GOODENOUGH_PROGRESS": "lines", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    if Path(sysconfig.get_path("purelib")) != _ROOT:  # a checkout: its commands are those of this code
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), variables.get("PYTHONPATH"))))
    if on_space:
        variables |= {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    return variables


def findings_of(text: str) -> CheckResult:
    """What `check --json` printed.

    Raises:
        BadInput: it is not of this version.
    """
    try:
        answer = untrusted.json_of(text)
        findings = tuple(Finding(str(f["what"]), f["passed"], str(f["detail"])) for f in answer["findings"])
        return CheckResult(answer["passed"] is True, findings)
    except (ValueError, KeyError, TypeError):
        raise BadInput("goodenough check gave an answer that this version cannot read") from None


def entry_of(text: str, out: Path) -> tuple[Entry, Path]:
    """The one entry that `evaluate --json` printed, and its folder, which lies below `out`.

    Raises:
        BadInput: it is not of this version.
    """
    try:
        (result,) = untrusted.json_of(text)["results"]
        folder = (out / str(result.pop("folder"))).resolve()
        entry = from_json(Entry, json.dumps(result))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput("goodenough evaluate gave an answer that this version cannot read") from None
    if not folder.is_relative_to(out.resolve()):
        raise BadInput("goodenough evaluate wrote to another folder than it was told")
    return entry, folder


def provisional_rank(entry: Entry, ranking: Ranking | None) -> ProvisionalRank | None:
    """The provisional rank of an entry among the rows of a ranking; None if it cannot be compared."""
    lift = entry.scorecard.lift
    if ranking is None or lift is None:
        return None
    if (entry.signals.sha256, entry.protocol) != (ranking.signals.sha256, PROTOCOL):
        return None
    weights = entry.model.weights_sha256
    own_row = next((row for row in ranking.rows if row.entry.model.weights_sha256 == weights), None)
    others = [row.entry.scorecard for row in ranking.rows if row.entry.model.weights_sha256 != weights]
    return rank_among(lift, (scorecard.lift for scorecard in others), own_row)


def _folder(name: str) -> str | None:
    from harness.models.checkpoints import is_adapter

    try:
        path = Path(name).expanduser()
        folder = str(path.resolve()) if path.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such home
        return None
    # A folder can be called `evil.py:Evil` and lie beside evil.py.
    return None if folder is None or is_adapter(folder) else folder


def _signals(source: str | None) -> Sequence[str]:
    return () if source is None else ("--signals", source)
