"""`goodenough verify`: verdicts of entries computed again, a random sample or all of them."""

from __future__ import annotations

import contextlib
import functools
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.common import info
from harness.cli.option_groups import GroupedCommand
from harness.cli.options import refuse_with, refuse_without
from harness.cli.selection import require_needed
from harness.disk_errors import refuse_package
from harness.errors import BadInput, NotValid
from harness.models.external.options import AdapterOptions
from harness.progress import live_table
from harness.starter.paths import open_suite

if TYPE_CHECKING:
    from harness.cli.verification import Outcome, VerificationSession
    from harness.entries.verification import Verification
    from harness.models.external.pinned import PinnedAdapter


@click.command(cls=GroupedCommand)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--signals", metavar="SOURCE", help="Signals folder, for entries made with a local one.")
@options.repeatable("--model", "models", metavar="FOLDER", help="Model of an entry if it is a local folder.")
@click.option("--adapter", "adapter_name", metavar="FILE:CLASS", help="Adapter of an entry; its code is run.")
@options.adapter
@options.repeatable(
    "--reference", "references", metavar="FOLDER", help="A local reference, to test this machine with."
)
@options.flag("--all", "everything", help="Recompute all verdicts and the scorecard.")
@options.out(default="results", help="With --all: folder for the answers.")
@click.option(
    "--base",
    metavar="COMMIT",
    help="Seed of the sample [the current commit].",
)
@click.option(
    "-k", "k", type=click.IntRange(1), default=256, show_default=True, help="Size of the sample, in verdicts."
)
@click.option(
    "--held-back",
    metavar="PRIVATE",
    help="Evaluate models of entries that hold on them, too.",
)
@options.flag("--if-possible", help="Pass over entries that only others can verify.")
@options.flag("--no-write", help="Write no record and ignore existing ones.")
@options.as_json
def verify(
    paths: tuple[Path, ...],
    signals: str | None,
    models: tuple[str, ...],
    adapter_name: str | None,
    adapter: AdapterOptions,
    references: tuple[str, ...],
    everything: bool,
    out: Path,
    base: str | None,
    k: int,
    held_back: str | None,
    if_possible: bool,
    no_write: bool,
    as_json: bool,
) -> None:
    """Recompute verdicts of the entries at or below each PATH and compare them.

    First a reference must accept its own signals on this machine. What an entry states about its model is
    looked up in the model. Then a sample of the verdicts is computed again on the CPU; code that comes with a
    model is never run, that of an adapter only if you name it. The sample depends on the entry and on --base,
    and prefers the verdicts by which a forger would gain most. The result is written beside the folder of the
    entry, as TASK@SIGNALS.verified.json; it is final for this --base, and if it is of all verdicts or fails.

    With --all every verdict is computed again, and the scorecard from them; only an existing record of all
    verdicts is accepted. No cached answer of an evaluation is used. Give the same command again to continue a
    run that was cut off.

    With --held-back the model of each entry that holds is also evaluated on the signals that the maintainers
    of the suite keep unpublished. Its lift on them, beside that on the public ones, is written as
    TASK@SIGNALS.held-back.json: only numbers, nothing of the clips.

    Example: goodenough verify submissions/

    Exit code 0: all hold. 1: some do not or are not valid, or this machine is at fault. 2: some could not be
    verified.
    """
    from harness.cli.held_back import with_held_back
    from harness.cli.verification import VerificationSession, base_of, finish
    from harness.entries import store
    from harness.entries.verification import BASE

    if everything:
        refuse_with("--all", "base", "k")
    else:
        refuse_without("--all", "out")
    if base is not None and not BASE.fullmatch(base):
        raise BadInput(
            f"--base is {base!r}; expected all 40 hex digits of a commit, as git rev-parse HEAD prints, or"
            " random: and 40 hex digits, as verify prints outside of git"
        )
    folders = store.find_all(paths)
    for folder in () if no_write else folders:
        refuse_package(folder)
    pinned_adapter = _pinned(adapter_name, adapter)
    session = VerificationSession.of(models, references, signals, pinned_adapter)
    require_needed(session.models, session.references, folders)
    private_suite = None if held_back is None else open_suite(held_back)
    fallback = f"random:{secrets.token_hex(20)}"  # marked as no commit
    outcomes = []
    for folder in folders:
        entry_base = None if everything else base or base_of(folder) or fallback
        outcomes.append(_outcome(folder, session, entry_base, k, out, no_write))
    if any(outcome.verification and outcome.verification.base == fallback for outcome in outcomes):
        info(f"No commit is checked out, so the sample is random; to repeat it: --base {fallback}")
    if private_suite is not None:
        outcomes = with_held_back(outcomes, session, private_suite, no_write=no_write)
    finish(outcomes, if_possible=if_possible, as_json=as_json)


def _pinned(name: str | None, adapter: AdapterOptions) -> PinnedAdapter | None:
    """The adapter that the maintainer names, which is run."""
    if name is None:
        refuse_without("--adapter", "adapter_args", "env")
        return None
    from harness.models.external import pinned

    return pinned.pin(name, adapter, device="cpu")


def _outcome(
    folder: Path, session: VerificationSession, base: str | None, k: int, out: Path, no_write: bool
) -> Outcome:
    from harness.cli.verification import Outcome, Unavailable
    from harness.entries import store, verification
    from harness.submit.field_checks import submitter_statements

    path = str(folder)
    if line := store.unfetched(folder):
        return Outcome(path, refusal=line)
    if problems := session.problems(folder):
        return Outcome(path, problems=problems)
    try:
        record = None if no_write else verification.read(folder)
        if record is None or not _is_final(record, base):
            problems, record = _rerun(folder, session, base, k, out, no_write)
    except BadInput as error:
        return Outcome(path, refusal=str(error), possible=not isinstance(error, Unavailable))
    statements = {} if record is None else submitter_statements(store.read(folder))
    return Outcome(path, record, problems, stated=statements)


def _is_final(record: Verification, base: str | None) -> bool:
    """Whether a record is not to be replaced: by the same, by a weaker one, or by a luckier sample."""
    return record.kind == "reproduced" or (base is not None and (record.base == base or not record.holds))


def _rerun(
    folder: Path, session: VerificationSession, base: str | None, k: int, out: Path, no_write: bool
) -> tuple[tuple[str, ...], Verification | None]:
    """The verification of a valid entry, of all verdicts if there is no base; or what its suite refutes."""
    from harness.dataset.parquet_io import sha256_of
    from harness.entries import store, suite_check, verification
    from harness.models.checkpoints import Checkpoint, committed_at
    from harness.submit import field_checks, replay

    entry = store.read(folder)
    source = session.source_of(entry)
    suite = session.suite_of(entry)
    if problems := suite_check.check_against_suite(folder, suite):
        return tuple(problems), None
    task = suite.task(entry.task)
    machine = session.machine(suite, task, source)
    classifier = session.open(source, entry)
    checkpoint = source if isinstance(source, Checkpoint) else None
    commit_time = None if checkpoint is None else committed_at(checkpoint)
    differences = field_checks.model_differences(entry, classifier, checkpoint, task, commit_time)
    # A folder for this entry alone: answers of another run would prove nothing.
    answers_folder = out / ".reproduced" / sha256_of(folder / store.ENTRY)[:16]
    rerun = (
        functools.partial(replay.reproduce, out=answers_folder)
        if base is None
        else functools.partial(replay.rerun, base=base, k=k)
    )
    with live_table(f"{entry.model.repo_id} on {entry.task}") as progress:
        try:
            record = rerun(
                folder, suite, classifier, machine, model_differences=differences, progress=progress
            )
        except NotValid as error:  # the answers of this model depend on the batch
            return (str(error),), None
    if not no_write:
        verification.write(folder, record)
    if base is None:
        shutil.rmtree(answers_folder)
        with contextlib.suppress(OSError):  # another entry is being verified
            answers_folder.parent.rmdir()
    return (), record
