"""`goodenough reproduce`: every verdict of an entry asked again, and its scorecard counted from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.selection import OutputPath, require_needed
from harness.progress import live_table

if TYPE_CHECKING:
    from harness.cli.verification import VerificationSession
    from harness.entries.verification import Verification


@click.command()
@click.argument("entry", metavar="ENTRY", type=click.Path(path_type=Path))
@click.option("--signals", metavar="SOURCE", help="Signals folder, where the entry was asked a local one.")
@click.option("--model", metavar="FOLDER", help="Model of the entry, where it is a local folder.")
@click.option(
    "--reference",
    "references",
    metavar="FOLDER",
    multiple=True,
    help="A local reference, to test this machine.",
)
@click.option(
    "--out",
    type=OutputPath(),
    default="results",
    show_default=True,
    metavar="DIR",
    help="Where answers are kept until all are there.",
)
@click.option("--no-write", is_flag=True, help="Write no record, and heed none that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def reproduce(
    entry: Path,
    signals: str | None,
    model: str | None,
    references: tuple[str, ...],
    out: Path,
    no_write: bool,
    as_json: bool,
) -> None:
    """Ask the model of ENTRY, the folder of one entry, everything again.

    As goodenough verify, with all verdicts instead of some. None of the answers that an evaluation keeps is
    taken. A run that was cut off is continued by giving the same command again.

    Example: goodenough reproduce submissions/ORG__MODEL/0123456789ab/emotion@89abcdef

    Exit code 0: it holds. 1: it does not, or is not valid, or this machine is at fault. 2: it could not be
    asked.
    """
    from harness.cli.verification import Outcome, VerificationSession, finish
    from harness.disk import refuse_package
    from harness.entries import store, verification
    from harness.errors import BadInput
    from harness.submit.lookups import submitter_statements

    folder, *other_folders = store.find_all([entry])
    if other_folders:
        raise BadInput(f"{entry} holds {len(other_folders) + 1} entries; give the folder of one, as {folder}")
    if line := store.unfetched(folder):
        raise BadInput(line)
    if not no_write:
        refuse_package(folder)
    session = VerificationSession.of([model] if model else [], references, signals)
    require_needed(session.models, session.references, [folder])
    problems = session.problems(folder)
    record = None if problems or no_write else verification.read(folder)
    if not problems and (record is None or record.kind != "reproduced"):
        problems, record = _reproduce(folder, session, out, no_write)
    statements = submitter_statements(store.read(folder)) if record is not None else {}
    finish([Outcome(str(folder), record, problems, stated=statements)], if_possible=False, as_json=as_json)


def _reproduce(
    folder: Path, session: VerificationSession, out: Path, no_write: bool
) -> tuple[tuple[str, ...], Verification | None]:
    import contextlib
    import shutil

    from harness.dataset.parquet_io import sha256_of
    from harness.entries import store, suite_check, verification
    from harness.submit import replay

    entry = store.read(folder)
    checkpoint = session.checkpoint_of(entry)
    suite = session.suite_of(entry)
    if problems := suite_check.check_against_suite(folder, suite):
        return tuple(problems), None
    task = suite.task(entry.task)
    machine = session.machine(suite, task, checkpoint)
    classifier = session.open(checkpoint, entry)
    differences = session.model_differences(entry, checkpoint, classifier, task)
    # A folder for this entry alone: answers of another run would prove nothing.
    answers_folder = out / ".reproduced" / sha256_of(folder / store.ENTRY)[:16]
    with live_table(f"{entry.model.repo_id} on {entry.task}") as progress:
        record = replay.reproduce(
            folder,
            suite,
            classifier,
            machine,
            out=answers_folder,
            model_differences=differences,
            progress=progress,
        )
    if not no_write:
        verification.write(folder, record)
    shutil.rmtree(answers_folder)
    with contextlib.suppress(OSError):  # another entry is being reproduced
        answers_folder.parent.rmdir()
    return (), record
