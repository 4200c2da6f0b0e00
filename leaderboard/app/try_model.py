"""Tries a model: it is checked, evaluated until its lift is known well enough or to the end, and compared.

The app shows it as a sequence of `View`s while commands run.
"""

from __future__ import annotations

import os
import site
import time
import zipfile
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.dataset.suite_notes import EMBEDDED
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.hub import download_limit
from harness.schemas import Entry
from leaderboard.app import commands
from leaderboard.app.commands import CheckResult, TryRequest
from leaderboard.app.resource_limits import GIB, Allowance
from leaderboard.app.sessions import TRIAL_FOLDERS, Session, Subprocess
from leaderboard.board.provisional_rank import ProvisionalRank
from leaderboard.board.types import Board

_ERROR_PREFIX = "goodenough: "
"""Prefix of error lines of the command line."""

_FOLDER_SUFFIXES = ("_HOME", "_CACHE", "_PATH", "_DIR")
"""Suffixes of the variables that say where the client of the Hub writes."""


@dataclass(frozen=True)
class Limits:
    """How much one visitor may ask."""

    check_s: float = 300.0
    """Seconds for a check, download of the model included."""
    quick_s: float = 900.0
    full_s: float = 3600.0
    width: float = 0.1
    """A quick evaluation stops when the lift is known to plus or minus this."""
    waiting: int = 16
    """Visitors that may wait for their turn."""
    allowance: Allowance = field(default_factory=Allowance)
    """Memory, disk and download of one command."""


@dataclass(frozen=True)
class AppState:
    """What all visitors of the app share."""

    board: Board
    suite: Suite
    """The current signals."""
    submissions_name: str | None
    """Where entries are sent on the Hub; None: into a clone."""
    on_space: bool
    """It is open to strangers, as on a Space: no folders of this machine, no login of its owner."""
    cache: Path | None = None
    """The cache of this program, which commands of all visitors may use."""

    @property
    def signals(self) -> str | None:
        """The suite as an option; None for the embedded one."""
        if self.suite.name == EMBEDDED:
            return None
        if self.suite.commit is not None:
            return f"{self.suite.name}@{self.suite.commit}"
        return str(self.suite.root.resolve())


@dataclass(frozen=True)
class View:
    """The current state of a trial, as it is shown."""

    status: str
    """In a few words."""
    lines: tuple[str, ...] = ()
    """The last lines of the commands."""
    error: str | None = None
    """Why it ended, in one line; None where nothing went wrong."""
    answer: CheckResult | None = None
    entry: Entry | None = None
    provisional_rank: ProvisionalRank | None = None
    commands: tuple[str, ...] = ()
    """The same at home."""
    package: Path | None = None
    """The entry's files, after a full evaluation."""


def trial(
    session: Session, model: str, task: str, app_state: AppState, limits: Limits, *, fully: bool
) -> Iterator[View]:
    """Check and evaluate a model; every view replaces the one before, the last says how it ended.

    The session must be active, and the trial ends when it no longer is. It is evaluated to the end where
    `fully`, else until the lift is known to `limits.width`.
    """
    view = View("")
    try:
        tasks = [suite_task.name for suite_task in app_state.suite.tasks]
        request = commands.read(model, task, tasks, folders=not app_state.on_space)
        for view in _steps(session, request, app_state, limits, fully=fully):
            yield view
    except BadInput as error:
        yield replace(view, status="Ended", error=" ".join(str(error).split()))
    finally:
        session.is_active = False


def zip_entry(entry: Entry, folder: Path, target_folder: Path) -> Path:
    """The two files of an entry as a zip, at the path they have among the submissions."""
    path = target_folder / f"{entry.path.replace('/', '-')}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (store.ENTRY, store.VERDICTS):
            archive.write(folder / name, f"{entry.path}/{name}")
    return path


def _steps(
    session: Session, request: TryRequest, app_state: AppState, limits: Limits, *, fully: bool
) -> Iterator[View]:
    output: deque[str] = deque(maxlen=80)
    signals, submissions, out = app_state.signals, app_state.submissions_name, session.folder / "results"
    view = View("Checking", commands=tuple(commands.local_commands(request, signals, submissions)))
    command = commands.check(request, signals)
    process = yield from _run(session, command, limits.check_s, app_state, limits, view, output)
    # A check that ran and did not pass has an answer, too, and exit code 1.
    has_answer = process.code in (0, 1) and process.answer.strip()
    answer = commands.findings_of(process.answer) if has_answer else None
    view = replace(view, lines=tuple(output), answer=answer)
    if answer is None or not answer.passed:
        reason = "it does not pass the check"
        if answer is None:
            reason = _reason(process, output, limits.check_s, limits)
        yield replace(view, status="Ended", error=reason)
        return
    status, seconds, width = "Evaluating until the lift is known", limits.quick_s, limits.width
    if fully:
        status, seconds = "Evaluating fully", limits.full_s
    view = replace(view, status=status)
    command = commands.evaluate(request, signals, out, None if fully else width)
    process = yield from _run(session, command, seconds, app_state, limits, view, output)
    view = replace(view, lines=tuple(output))
    if not process.answer.strip() or process.end != "done":
        yield replace(view, status="Ended", error=_reason(process, output, seconds, limits))
        return
    entry, folder = commands.entry_of(process.answer, out)
    yield replace(
        view,
        status="Done",
        error=_reason(process, output, seconds, limits) if process.code else None,
        entry=entry,
        provisional_rank=commands.provisional_rank(entry, app_state.board.current_of(entry.task)),
        commands=tuple(commands.local_commands(request, signals, submissions, revision=entry.model.revision)),
        package=zip_entry(entry, folder, session.folder) if entry.complete and not process.code else None,
    )


def _run(
    session: Session,
    command: list[str],
    seconds: float,
    app_state: AppState,
    limits: Limits,
    view: View,
    output: deque[str],
) -> Generator[View, None, Subprocess]:
    """Run a command to its end, with a view for every line and tick; returns its process."""
    if not session.is_active:
        raise BadInput("cancelled")
    output.append(" ".join(["$ goodenough", *command[4:]]))
    start = time.monotonic()
    variables = _environment(session, app_state, limits)
    for line in session.run(command, variables, seconds, limits.allowance):
        session.stop_if_cancelled()
        if line is not None:
            output.append(line)
        yield replace(view, status=f"{view.status}, {time.monotonic() - start:.0f} s", lines=tuple(output))
    process = session.process
    if process is None or process.end == "cancelled" or not session.is_active:
        raise BadInput("cancelled")
    return process


def _environment(session: Session, app_state: AppState, limits: Limits) -> Mapping[str, str]:
    variables = commands.environment(os.environ, on_space=app_state.on_space)
    variables[download_limit.VARIABLE] = str(limits.allowance.download_bytes)
    if not app_state.on_space:
        return variables
    # Files written for a stranger, above all downloads, are counted, and removed with the session.
    hub, home, temporary = (session.folder / name for name in TRIAL_FOLDERS)
    for folder in (hub, home, temporary):
        folder.mkdir(exist_ok=True)
    variables = {
        name: value
        for name, value in variables.items()
        if not (name.startswith(("HF_", "XDG_")) and name.endswith(_FOLDER_SUFFIXES))
    }
    variables |= {
        "HF_HUB_CACHE": str(hub),
        "HF_HOME": str(home),
        "HOME": str(home),
        "PYTHONUSERBASE": site.getuserbase(),
        "TMPDIR": str(temporary),
    }
    if app_state.cache is not None:
        variables["GOODENOUGH_CACHE"] = str(app_state.cache)
    if app_state.suite.is_remote:  # the signals are there already
        repo_folder = app_state.suite.root.parent.parent
        (hub / repo_folder.name).unlink(missing_ok=True)
        (hub / repo_folder.name).symlink_to(repo_folder, target_is_directory=True)
    return variables


def _reason(process: Subprocess, output: deque[str], seconds: float, limits: Limits) -> str:
    """Why there is no answer: the command's own line where it left one."""
    allowance = limits.allowance
    if process.end == "late":
        return f"ended after {seconds:.0f} s, the limit of this page; at home there is none"
    if process.end in ("memory", "disk"):
        what = f"took more than {allowance.memory_bytes / GIB:.3g} GiB of memory"
        if process.end == "disk":
            what = f"wrote more than {allowance.disk_bytes / GIB:.3g} GiB"
        return f"ended as it {what}, the limit of this page; at home there is none"
    error_lines = [line.removeprefix(_ERROR_PREFIX) for line in output if line.startswith(_ERROR_PREFIX)]
    if error_lines:
        return error_lines[-1]
    if process.code is not None and process.code < 0:
        return f"the command was ended by signal {-process.code}: this machine may have too little memory"
    return f"the command ended with exit code {process.code} and without a word"
