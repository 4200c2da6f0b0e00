"""What `evaluate` and `verify` do with held-back signals: a model on both suites, and the difference."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import info
from harness.errors import BadInput
from harness.plurals import plural
from harness.progress import live_table

if TYPE_CHECKING:
    from harness.cli.verification import Outcome, VerificationSession
    from harness.dataset.suites import Suite
    from harness.entries.held_back import HeldBack
    from harness.metrics.held_back import LiftComparison
    from harness.schemas import Entry
    from harness.types import DatasetRef


def require_held_back(public: Suite, held_back: Suite, task: str) -> None:
    """Refuse two suites of which the second is not held back from the first.

    Raises:
        BadSignals: it does not have the task.
        BadInput: they share clips, or no reference whose signals are made alike.
    """
    from harness.dataset.hold_back import shared_clips

    held_back.task(task)
    if clip_ids := shared_clips(held_back, public, task):
        raise BadInput(
            f"{held_back.name} and {public.name} share {plural(len(clip_ids), f'{task} clip')}, as"
            f" {clip_ids[0]}: held-back signals must not share any clip with public ones"
        )
    public_references, private_references = (
        {(r.model, tuple(c.family for c in r.counts)) for r in suite.references(task)}
        for suite in (public, held_back)
    )
    if not public_references & private_references:
        raise BadInput(
            f"{held_back.name} and {public.name} have no reference of {task} in common whose signals were"
            " extracted with the same settings; give the two datasets made by one goodenough publish"
            " --hold-back"
        )


def lifts_of(public: tuple[Entry, Path], held_back: tuple[Entry, Path]) -> LiftComparison | None:
    """The lifts of one candidate by its two entries, with their folders; None where none can be compared."""
    from harness.entries import store
    from harness.metrics.held_back import compare

    return compare(*((entry, store.verdicts(folder)) for entry, folder in (public, held_back)))


def show_lifts(model: str, task: str, lifts: LiftComparison | None) -> None:
    """The two lifts and their difference, as a table on stdout."""
    from harness.cli.tables import Column, Row, show_table, show_text
    from harness.types import MIN_SIGNALS
    from leaderboard.formatting import interval, text

    if lifts is None:
        click.echo(
            f"{task}: no reference has {MIN_SIGNALS} signals in both suites, so there are no lifts to compare"
        )
        return
    clips = (f"{lifts.n_clips:,}", f"{lifts.n_held_back_clips:,}", "")
    estimates = (lifts.lift, lifts.held_back_lift, lifts.difference)
    rows = [
        Row((name, text(e, "difference"), interval(e, "difference"), f"{e.n:,}", n_clips))
        for name, e, n_clips in zip(("public", "held back", "difference"), estimates, clips, strict=True)
    ]
    numbers = (Column("lift"), Column("95 % interval", 1), Column("n", 2), Column("clips", 3))
    show_table(f"{model} on {task}: public and held back", (Column("", folds=True), *numbers), rows)
    n = len(lifts.references)
    show_text(f"For this panel of {plural(n, 'reference')}: {', '.join(lifts.references)}")


def lifts_as_json(lifts: LiftComparison | None, signals: DatasetRef) -> dict[str, Any] | None:
    """What `--json` prints of them; None where none can be compared."""
    return None if lifts is None else {"signals": signals, **vars(lifts)}


def with_held_back(
    outcomes: Sequence[Outcome], session: VerificationSession, suite: Suite, *, no_write: bool
) -> list[Outcome]:
    """Evaluate the models of entries that hold on the held-back signals, too, and write the records.

    Outcomes that do not hold are left as they are. With `no_write` no record is written, and none is heeded.
    """
    from harness.cli.verification import Unavailable
    from harness.entries import held_back as records

    def complete(outcome: Outcome) -> Outcome:
        if not outcome.holds:
            return outcome
        folder = Path(outcome.path)
        try:
            record = _record(folder, session, suite, no_write)
        except BadInput as error:
            possible = not isinstance(error, Unavailable)
            return dataclasses.replace(outcome, refusal=str(error), possible=possible)
        if not no_write:
            records.write(folder, record)
        return dataclasses.replace(outcome, held_back=record)

    return [complete(outcome) for outcome in outcomes]


def _record(folder: Path, session: VerificationSession, suite: Suite, no_write: bool) -> HeldBack:
    """The record of an entry on the held-back signals; not computed again where it exists."""
    from harness.dataset.parquet_io import sha256_of
    from harness.entries import held_back, store
    from harness.starter.paths import cache
    from harness.submit.replay import measure_held_back

    entry = store.read(folder)
    previous_record = None if no_write else held_back.read(folder)
    require_held_back(session.suite_of(entry), suite, entry.task)
    if previous_record is not None and previous_record.signals.sha256 == suite.ref(entry.task).sha256:
        return previous_record
    source = session.source_of(entry)
    session.machine(suite, suite.task(entry.task), source)
    classifier = session.open(source, entry)
    # A folder for this entry alone: after a kill, the answers so far are used.
    answers_folder = cache() / "held-back" / sha256_of(folder / store.ENTRY)[:16]
    with live_table(f"{entry.model.repo_id} on held-back {entry.task}") as progress:
        record = measure_held_back(folder, suite, classifier, out=answers_folder, progress=progress)
    shutil.rmtree(answers_folder, ignore_errors=True)
    if record is None:
        raise BadInput(f"no reference of {suite.name} counts in both lifts: too few signals are held back")
    info(f"{folder}: evaluated on the held-back signals of {suite.name}")
    return record
