"""`goodenough verify`: a few verdicts of an entry, drawn and asked again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import info
from harness.cli.selection import require_needed
from harness.progress import live_table
from harness.starter.root import open_suite

if TYPE_CHECKING:
    from harness.cli.verification import Outcome, VerificationSession
    from harness.entries.verification import Verification


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--signals", metavar="SOURCE", help="Signals folder, where an entry was asked a local one.")
@click.option(
    "--model",
    "models",
    metavar="FOLDER",
    multiple=True,
    help="Model of an entry, where it is a local folder.",
)
@click.option(
    "--reference",
    "references",
    metavar="FOLDER",
    multiple=True,
    help="A local reference, to test this machine.",
)
@click.option(
    "--base",
    metavar="COMMIT",
    help="What the draw depends on; default: the commit checked out, or a random number where there is none.",
)
@click.option(
    "-k", "k", type=click.IntRange(1), default=256, show_default=True, help="Verdicts to ask again."
)
@click.option(
    "--held-back",
    metavar="PRIVATE",
    help="Held-back signals, to ask the models of entries that hold; writes TASK@SIGNALS.held-back.json.",
)
@click.option(
    "--if-possible", is_flag=True, help="Pass over entries whose model or signals only their maker has."
)
@click.option("--no-write", is_flag=True, help="Write no record, and heed none that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(
    paths: tuple[Path, ...],
    signals: str | None,
    models: tuple[str, ...],
    references: tuple[str, ...],
    base: str | None,
    k: int,
    held_back: str | None,
    if_possible: bool,
    no_write: bool,
    as_json: bool,
) -> None:
    """Ask the models of the entries at or below each PATH some of their verdicts again.

    First a reference must accept its own signals on this machine. What an entry states of its model is looked
    up in the model. Then verdicts are drawn, by the entry and by --base, those first by which a forger would
    win most, and asked on the processor; no code of a model is run. What came of it is written beside the
    folder of the entry, as TASK@SIGNALS.verified.json; an entry whose record is of the same --base is not
    asked again, nor is one that was reproduced or did not hold: for that there is goodenough reproduce.

    With --held-back the model of each entry that holds is asked the signals that its maintainers keep
    unpublished, too. Its lift on them, beside the lift on the public ones, is written as
    TASK@SIGNALS.held-back.json: numbers alone, nothing of the clips.

    Example: goodenough verify submissions/

    Exit code 0: all hold. 1: some do not, or are not valid, or this machine is at fault. 2: some could not be
    asked.
    """
    from harness.cli.held_back import with_held_back
    from harness.cli.verification import VerificationSession, base_of, finish, random_base
    from harness.disk import refuse_package
    from harness.entries import store
    from harness.entries.verification import BASE
    from harness.errors import BadInput

    if base is not None and not BASE.fullmatch(base):
        raise BadInput(
            f"--base is {base!r}; expected all 40 hex digits of a commit, as git rev-parse HEAD prints, or"
            " random: and 40, as verify prints where there is no commit"
        )
    folders = store.find_all(paths)
    for folder in [] if no_write else folders:
        refuse_package(folder)
    session = VerificationSession.of(models, references, signals)
    require_needed(session.models, session.references, folders)
    private_suite = None if held_back is None else open_suite(held_back)
    bases = {folder: base or base_of(folder) for folder in folders}
    fallback = random_base()
    outcomes = [
        _outcome(folder, session, commit or fallback, k, no_write) for folder, commit in bases.items()
    ]
    if any(outcome.verification and outcome.verification.base == fallback for outcome in outcomes):
        info(f"No commit is checked out there, so the draw is random; to repeat it: --base {fallback}")
    if private_suite is not None:
        outcomes = with_held_back(outcomes, session, private_suite, no_write=no_write)
    finish(outcomes, if_possible=if_possible, as_json=as_json)


def _outcome(folder: Path, session: VerificationSession, base: str, k: int, no_write: bool) -> Outcome:
    from harness.cli.verification import Outcome, Unavailable
    from harness.entries import store, verification
    from harness.errors import BadInput
    from harness.submit.lookups import submitter_statements

    path = str(folder)
    if line := store.unfetched(folder):
        return Outcome(path, refusal=line)
    if problems := session.problems(folder):
        return Outcome(path, problems=problems)
    try:
        previous_record = None if no_write else verification.read(folder)
        if previous_record is not None and _is_final(previous_record, base):
            return Outcome(path, previous_record, stated=submitter_statements(store.read(folder)))
        problems, record = _rerun(folder, session, base, k)
    except BadInput as error:
        return Outcome(path, refusal=str(error), possible=not isinstance(error, Unavailable))
    if record is not None and not no_write:
        verification.write(folder, record)
    return Outcome(
        path, record, problems, stated={} if record is None else submitter_statements(store.read(folder))
    )


def _is_final(previous_record: Verification, base: str) -> bool:
    """Whether a record is not to be replaced: by the same, by a weaker one, or by a luckier draw."""
    return previous_record.base == base or previous_record.kind == "reproduced" or not previous_record.holds


def _rerun(
    folder: Path, session: VerificationSession, base: str, k: int
) -> tuple[tuple[str, ...], Verification | None]:
    """The verification of a valid entry; or what is wrong with it, by its suite."""
    from harness.entries import store, suite_check
    from harness.submit.replay import rerun

    entry = store.read(folder)
    checkpoint = session.checkpoint_of(entry)
    suite = session.suite_of(entry)
    if problems := suite_check.check_against_suite(folder, suite):
        return tuple(problems), None
    task = suite.task(entry.task)
    machine = session.machine(suite, task, checkpoint)
    classifier = session.open(checkpoint, entry)
    differences = session.model_differences(entry, checkpoint, classifier, task)
    with live_table(f"{entry.model.repo_id} on {entry.task}") as progress:
        return (), rerun(
            folder,
            suite,
            classifier,
            machine,
            base=base,
            k=k,
            model_differences=differences,
            progress=progress,
        )
