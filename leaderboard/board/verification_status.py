"""How far an entry has been verified, in one word and a sentence; derived only here.

Conventions: every entry is `self-reported` at first; `replayed` when some of its verdicts were reproduced,
`verified` when all were; `failed` when they were not. `stale` answered other signals or another protocol.
`invalidated` when somebody said so by name and with a reason; it overrides all others. An entry by an adapter
stays self-reported until a maintainer ran that adapter by hand, and the record names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.entries import notices, verification
from harness.errors import BadInput
from harness.types import PROTOCOL


@dataclass(frozen=True)
class Status:
    """A word of the conventions above, and why."""

    name: str
    note: str
    date: str | None = None
    """YYYY-MM-DD, the day on which somebody set it; None where nobody did."""

    @property
    def ranks(self) -> bool:
        """Whether an entry of this status may be ranked."""
        return self.name not in ("failed", "invalidated", "declined")


SELF_REPORTED = Status(
    "self-reported", "Nobody has asked its model again: all of it is stated by the submitter."
)


def of(folder: Path, *, stale: bool, protocol: int = PROTOCOL) -> Status:
    """The status of the valid entry in a folder; `stale`: it answered other signals than the current ones."""
    try:
        invalidations = notices.invalidations_of(folder)
    except BadInput as error:
        return Status("invalidated", f"What is said against it cannot be read: {error}")
    if invalidations:
        last = invalidations[-1]
        note = f"Invalidated by {last.author} on {last.date}: {last.reason}"
        return Status("invalidated", note, last.date)
    try:
        record = verification.read(folder)
    except BadInput:
        record = None
    date = None if record is None else record.run.created[:10]
    if record is not None and not record.holds:
        return Status("failed", _failure(record), date)
    if protocol < PROTOCOL:
        return Status("stale", f"Protocol {protocol}: ranked by another number. Evaluate the model again.")
    if stale:
        return Status("stale", "Answered other signals, or under another protocol, than the current ones.")
    if record is None:
        return SELF_REPORTED
    by_hand = "" if record.adapter_sha256 is None else ", through its adapter, run by hand,"
    summary = f"on {date} its model was asked{by_hand} {record.n_asked:,} of its verdicts again"
    if record.kind == "reproduced":
        return Status("verified", f"All of it: {summary}, and all were the same.", date)
    return Status("replayed", f"A sample: {summary}, and all were the same.", date)


def _failure(record: verification.Verification) -> str:
    """What differed when a model was run again, in sentences."""
    note = f"Asked again on {record.run.created[:10]}: {record.n_same} of {record.n_asked} verdicts the same."
    if record.n_ties_for and record.n_same == record.n_asked and not record.differing:
        note += f" Of its near ties {record.n_ties_for} raise the lift and {record.n_ties_against} lower it."
    if record.differing:
        note += f" It states otherwise than its model: {'; '.join(record.differing)}."
    return note
