"""How far an entry is to be believed, in one word and a sentence: derived in this place and nowhere else.

Conventions: `self-reported` is what every entry is at first; `replayed` when some of its verdicts came again,
`verified` when all did; `failed` when they did not. `stale` answered other signals or another protocol.
`invalidated` is what somebody said by name and with a reason; it outweighs all others.

Public: Status, SELF_REPORTED, of.
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
    """The word."""
    note: str
    """A sentence."""
    date: str | None = None
    """YYYY-MM-DD, the day on which somebody gave it; None for what nobody did."""

    @property
    def ranks(self) -> bool:
        """Whether an entry of this status may stand in a ranking."""
        return self.name not in ("failed", "invalidated", "declined")


SELF_REPORTED = Status(
    "self-reported", "Nobody has asked its model again: all of it is stated by the submitter."
)


def of(folder: Path, *, stale: bool, protocol: int = PROTOCOL) -> Status:
    """The status of the entry in a folder.

    Args:
        folder: of a valid entry.
        stale: whether it answered other signals than the current ones.
        protocol: under which it was evaluated.
    """
    try:
        against = notices.invalidations_of(folder)
    except BadInput as error:
        return Status("invalidated", f"What is said against it cannot be read: {error}")
    if against:
        last = against[-1]
        return Status("invalidated", f"Invalidated by {last.author} on {last.date}: {last.reason}", last.date)
    try:
        found = verification.read(folder)
    except BadInput:
        found = None
    date = None if found is None else found.run.created[:10]
    if found is not None and not found.holds:
        return Status("failed", _failure(found), date)
    if protocol < PROTOCOL:
        return Status("stale", f"Protocol {protocol}: ranked by another number. Evaluate the model again.")
    if stale:
        return Status("stale", "Answered other signals, or under another protocol, than the current ones.")
    if found is None:
        return SELF_REPORTED
    told = f"on {date} its model was asked {found.n_asked:,} of its verdicts again"
    if found.kind == "reproduced":
        return Status("verified", f"All of it: {told}, and all were the same.", date)
    return Status("replayed", f"A sample: {told}, and all were the same.", date)


def _failure(found: verification.Verification) -> str:
    """What differed when a model was asked again, in sentences."""
    note = f"Asked again on {found.run.created[:10]}: {found.n_same} of {found.n_asked} verdicts the same."
    if found.n_ties_for and found.n_same == found.n_asked and not found.differing:
        note += f" Of its near ties {found.n_ties_for} raise the lift and {found.n_ties_against} lower it."
    if found.differing:
        note += f" It states otherwise than its model: {'; '.join(found.differing)}."
    return note
