"""A model is tried: checked, evaluated until its lift is known well enough or to the end, and compared.

What the app shows of it is a `View`; one follows the other while commands run.

Public: Limits, AppState, View, trial, packed.
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

from harness.dataset.suites import Suite
from harness.dataset.synthetic import EMBEDDED
from harness.entries import store
from harness.errors import BadInput
from harness.hub import download_limit
from harness.schemas import Entry
from leaderboard.app import commands as asking
from leaderboard.app.commands import CheckResult, ProvisionalRank, TryRequest
from leaderboard.app.sessions import WORK, Session, Subprocess
from leaderboard.app.usage import GIB, Allowance
from leaderboard.board.types import Board

_OURS = "goodenough: "
"""What the one line of the command line begins with."""

_PLACES = ("_HOME", "_CACHE", "_PATH", "_DIR")
"""How the variables end that say where the client of the Hub writes."""


@dataclass(frozen=True)
class Limits:
    """How much one visitor may ask."""

    check_s: float = 300.0
    """Seconds for a check, download of the model included."""
    quick_s: float = 900.0
    """Seconds for a quick evaluation."""
    full_s: float = 3600.0
    """Seconds for a full one."""
    width: float = 0.1
    """A quick evaluation stops when the lift is known to plus or minus this."""
    waiting: int = 16
    """Visitors that may wait for their turn."""
    allowance: Allowance = field(default_factory=Allowance)
    """Memory, disk and download of one command."""


@dataclass(frozen=True)
class AppState:
    """What the app shows and asks: everything but the visitor."""

    board: Board
    """What stands on the leaderboard."""
    suite: Suite
    """The current signals."""
    submissions_name: str | None
    """Where entries are sent on the Hub; None: into a clone."""
    on_space: bool
    """It runs for strangers, as on a Space: no folders of this machine, no login of its owner."""
    cache: Path | None = None
    """Folder of what this program can make again, which commands may use whoever gave them."""

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
    """What is shown of a trial as it stands."""

    status: str
    """In a few words."""
    lines: tuple[str, ...] = ()
    """What the commands said last."""
    error: str | None = None
    """Why it ended, in one line; None where nothing went wrong."""
    answer: CheckResult | None = None
    """What the check found."""
    entry: Entry | None = None
    """What the evaluation found."""
    standing: ProvisionalRank | None = None
    """Where that would stand."""
    commands: tuple[str, ...] = ()
    """The same at home."""
    package: Path | None = None
    """The entry's files, after a full evaluation."""


def trial(
    room: Session, model: str, task: str, shelf: AppState, limits: Limits, *, fully: bool
) -> Iterator[View]:
    """Check and evaluate a model; every view replaces the one before, the last says how it ended.

    Args:
        room: of the visitor; `wanted` there must be set, and ends it when it no longer is.
        model: as typed.
        task: as chosen.
        shelf: what it is compared with.
        limits: of this app.
        fully: to the end, for an entry; else until the lift is known to `limits.width`.
    """
    view = View("")
    try:
        tasks = [known.name for known in shelf.suite.tasks]
        asked = asking.read(model, task, tasks, folders=not shelf.on_space)
        for view in _steps(room, asked, shelf, limits, fully=fully):
            yield view
    except BadInput as error:
        yield replace(view, status="Ended", error=" ".join(str(error).split()))
    finally:
        room.wanted = False


def packed(entry: Entry, folder: Path, place: Path) -> Path:
    """The two files of an entry as a zip, at the path they have among the submissions."""
    path = place / f"{entry.path.replace('/', '-')}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (store.ENTRY, store.VERDICTS):
            archive.write(folder / name, f"{entry.path}/{name}")
    return path


def _steps(
    room: Session, asked: TryRequest, shelf: AppState, limits: Limits, *, fully: bool
) -> Iterator[View]:
    said: deque[str] = deque(maxlen=80)
    home = tuple(asking.at_home(asked, shelf.signals, shelf.submissions_name))
    view = View("Checking", commands=home)
    command = asking.check(asked, shelf.signals)
    errand = yield from _ran(room, command, limits.check_s, shelf, limits, view, said)
    # A check that ran and did not pass has an answer, too, and exit code 1.
    answer = asking.findings_of(errand.answer) if errand.code in (0, 1) and errand.answer.strip() else None
    view = replace(view, lines=tuple(said), answer=answer)
    if answer is None or not answer.passed:
        why = (
            "it does not pass the check"
            if answer is not None
            else _reason(errand, said, limits.check_s, limits)
        )
        yield replace(view, status="Ended", error=why)
        return
    status, seconds, width = "Evaluating until the lift is known", limits.quick_s, limits.width
    if fully:
        status, seconds = "Evaluating fully", limits.full_s
    view = replace(view, status=status)
    command = asking.evaluate(asked, shelf.signals, room.out, None if fully else width)
    errand = yield from _ran(room, command, seconds, shelf, limits, view, said)
    view = replace(view, lines=tuple(said))
    if not errand.answer.strip() or errand.end != "done":
        yield replace(view, status="Ended", error=_reason(errand, said, seconds, limits))
        return
    entry, folder = asking.entry_of(errand.answer, room.out)
    yield replace(
        view,
        status="Done",
        error=_reason(errand, said, seconds, limits) if errand.code else None,
        entry=entry,
        standing=asking.standing(entry, shelf.board.current_of(entry.task)),
        commands=tuple(
            asking.at_home(asked, shelf.signals, shelf.submissions_name, revision=entry.model.revision)
        ),
        package=packed(entry, folder, room.folder) if entry.complete and not errand.code else None,
    )


def _ran(
    room: Session,
    command: list[str],
    seconds: float,
    shelf: AppState,
    limits: Limits,
    view: View,
    said: deque[str],
) -> Generator[View, None, Subprocess]:
    """Run a command to its end, with a view for every line and tick; returns its errand."""
    if not room.wanted:
        raise BadInput("cancelled")
    said.append(f"$ {_shown(command)}")
    started = time.monotonic()
    variables = _environment(room, shelf, limits)
    for line in room.run(command, variables, seconds, limits.allowance):
        room.obey()
        if line is not None:
            said.append(line)
        yield replace(view, status=f"{view.status}, {time.monotonic() - started:.0f} s", lines=tuple(said))
    errand = room.errand
    if errand is None or errand.end == "cancelled" or not room.wanted:
        raise BadInput("cancelled")
    return errand


def _environment(room: Session, shelf: AppState, limits: Limits) -> Mapping[str, str]:
    variables = asking.environment(os.environ, on_space=shelf.on_space)
    variables[download_limit.VARIABLE] = str(limits.allowance.download_bytes)
    if not shelf.on_space:
        return variables
    # What is written for a stranger, downloads above all, is counted, and goes when they go.
    hub, home, temporary = (room.folder / name for name in WORK)
    for folder in (hub, home, temporary):
        folder.mkdir(exist_ok=True)
    for name in [name for name in variables if name.startswith(("HF_", "XDG_")) and name.endswith(_PLACES)]:
        del variables[name]
    variables |= {
        "HF_HUB_CACHE": str(hub),
        "HF_HOME": str(home),
        "HOME": str(home),
        "PYTHONUSERBASE": site.getuserbase(),
        "TMPDIR": str(temporary),
    }
    if shelf.cache is not None:
        variables["GOODENOUGH_CACHE"] = str(shelf.cache)
    if shelf.suite.is_remote:  # the signals are there already
        there = shelf.suite.root.parent.parent
        (hub / there.name).unlink(missing_ok=True)
        (hub / there.name).symlink_to(there, target_is_directory=True)
    return variables


def _reason(errand: Subprocess, said: deque[str], seconds: float, limits: Limits) -> str:
    """Why there is no answer: the command's own line where it left one."""
    allowance = limits.allowance
    if errand.end == "late":
        return f"ended after {seconds:.0f} s, the limit of this page; at home there is none"
    if errand.end == "memory":
        most = f"{allowance.memory_bytes / GIB:.3g} GiB"
        return f"ended as it took more than {most} of memory, the limit of this page; at home there is none"
    if errand.end == "disk":
        most = f"{allowance.disk_bytes / GIB:.3g} GiB"
        return f"ended as it wrote more than {most}, the limit of this page; at home there is none"
    ours = [line.removeprefix(_OURS) for line in said if line.startswith(_OURS)]
    if ours:
        return ours[-1]
    if errand.code is not None and errand.code < 0:
        return f"the command was ended by signal {-errand.code}: this machine may have too little memory"
    return f"the command ended with exit code {errand.code} and without a word"


def _shown(command: list[str]) -> str:
    """A command as a user would type it."""
    return " ".join(["goodenough", *command[4:]])
