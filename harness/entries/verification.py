"""The record of a verification of an entry: a sidecar file next to the entry's folder, never inside it.

    <org>__<model>/<revision[:12]>/<task>@<signals[:8]>/                the entry, immutable
    <org>__<model>/<revision[:12]>/<task>@<signals[:8]>.verified.json   what came of asking again

Entries are made by submitters, verifications by the maintainers of the submissions; neither is trusted. A
verification is bound to one entry by the sha256 of its files; next to another one it is a problem.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from harness.dataset import paths
from harness.entries.sidecar import Sidecar, differences
from harness.entries.untrusted_files import rule_problems, text_problems
from harness.entries.untrusted_text import excerpt
from harness.schemas import Entry, RunSettings
from harness.types import PROTOCOL, STRICT, ModelRef

SUFFIX = paths.VERIFIED

KINDS = ("replayed", "reproduced")
"""Some verdicts asked again, or all."""

TOLERANCE = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.02}
"""Largest difference of a probability between two machines, by arithmetic."""

LOG_TOLERANCE = {"float32": 0.05, "float16": 1.0, "bfloat16": 1.0}
"""Largest difference of the logarithm of a probability on whole clips, of which likeness is counted."""

MAX_MISMATCHES = 20
"""Mismatches that are listed."""

MIN_CHANCE_OF_TIES = 1e-4
"""Least chance of the ties that raise the lift: 13 of 13 hold, 14 of 14 do not."""

MAX_BYTES = 2**17
MAX_TEXT = 1000
"""Characters of a text; the longest is the id of a signal."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
BASE = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|random:[0-9a-f]{40}")
"""What a draw may depend on: a commit, or a number drawn where there was none, which says so."""


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A verdict of the entry that did not come again."""

    __pydantic_config__ = STRICT

    stimulus: str
    """One of STIMULI."""
    signal_id: str | None
    """The signal; None for `whole` and `silence`."""
    clip_id: str | None
    """The clip; None for `silence`."""
    level: int | None
    """Nested level, where there is one."""
    n_samples: int
    """Length of the stimulus."""
    column: str
    """The first column that differs; `row` where one of the two has no such verdict."""
    found: str | None
    """What the entry says; None where it says nothing, or has no such verdict."""
    expected: str | None
    """What came out when it was asked again; None where that is nothing, or it is not asked this."""
    replicate: int | None = None
    """Which of several controls of one kind, from 0."""


@dataclasses.dataclass(frozen=True)
class KnownAnswer:
    """A reference evaluated on some of its own signals first: does this machine compute what it should?"""

    __pydantic_config__ = STRICT

    reference: ModelRef
    """Which reference."""
    n: int
    """Signals it was asked, none of them degenerate."""
    n_accepted: int
    """Of these, given their class; all of them, or nothing is verified."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """What came of asking the model of an entry again: `<task>@<signals[:8]>.verified.json`."""

    __pydantic_config__ = STRICT

    protocol: int
    """PROTOCOL at the time."""
    kind: str
    """`replayed`: some verdicts, drawn; `reproduced`: all of them."""
    entry: str
    """Path of the entry below the submissions."""
    entry_sha256: str
    """Of its entry.json."""
    verdicts_sha256: str
    """Of its verdicts.parquet."""
    base: str | None
    """What the sample depends on besides the entry: a commit, or `random:` and a number where there was
    none; None where all was asked."""
    n_asked: int
    """Verdicts compared."""
    n_same: int
    """Of these, the same: class, probabilities within the tolerance, and what was asked."""
    n_ties: int
    """Of the same, those of another class, the two most probable ones being as good as equal."""
    max_difference: float
    """Largest difference of a probability."""
    tolerance: float
    """Largest difference that counts as the same."""
    mismatches: tuple[Mismatch, ...]
    """The first MAX_MISMATCHES verdicts that are not the same."""
    n_scorecard_differences: int | None
    """Numbers of the scorecard, and of the likeness to the references, that came out different; None where
    only some verdicts were asked."""
    known_answer: KnownAnswer | None
    """The test of the machine; None where no reference could be had."""
    no_known_answer_because: str | None
    """Why there was none, in a sentence."""
    holds: bool
    """Whether everything asked was the same."""
    run: RunSettings
    """How it was made."""
    differing: tuple[str, ...] = ()
    """What the entry states otherwise than its model, at most MAX_MISMATCHES lines; none in records that
    were made before this was looked up."""
    n_ties_for: int = 0
    """Of the ties, those that raise the lift as the entry has them; a swap counts as a signal does."""
    n_ties_against: int = 0
    """Of the ties, those that lower it."""
    adapter_sha256: str | None = None
    """`AdapterFacts.weights_sha256` of the adapter that whoever verified gave by hand and ran; None for a
    model without one. Nothing else verifies an entry by an adapter."""


def _of_entry(verification: Verification, entry: Entry, sha256: str) -> Iterator[str]:
    v = verification
    adapter = entry.facts.adapter
    yield from differences(
        (
            ("adapter_sha256", v.adapter_sha256, None if adapter is None else adapter.weights_sha256),
            ("protocol", v.protocol, entry.protocol),
            ("entry", v.entry, entry.path),
            ("entry_sha256", v.entry_sha256, sha256),
            ("verdicts_sha256", v.verdicts_sha256, entry.verdicts_sha256),
        )
    )
    if v.run.dtype != entry.run.dtype:
        dtypes = ", expected ".join(excerpt(dtype) for dtype in (v.run.dtype, entry.run.dtype))
        yield f"run.dtype: {dtypes}, as in the entry"
    if v.holds and v.kind == "reproduced" and v.n_asked != entry.n_verdicts:
        yield f"n_asked: {v.n_asked}, expected {entry.n_verdicts}, all verdicts of the entry"
    if v.holds and v.n_asked > entry.n_verdicts:
        yield f"n_asked: {v.n_asked}, expected at most {entry.n_verdicts}, the verdicts of the entry"


def _shape(v: Verification) -> list[str]:
    tolerance = TOLERANCE.get(v.run.dtype)
    n_mismatches = min(MAX_MISMATCHES, v.n_asked - v.n_same)
    known, is_replay, n_differences = v.known_answer, v.kind != "reproduced", v.n_scorecard_differences
    has_base = bool(BASE.fullmatch(v.base or "")) if is_replay else v.base is None
    is_count = n_differences is None if is_replay else n_differences is not None and n_differences >= 0
    ties = min(v.n_ties_for, v.n_ties_against) >= 0 and v.n_ties_for + v.n_ties_against <= v.n_ties
    rules: list[tuple[str, bool, str]] = [
        ("protocol", 1 <= v.protocol <= PROTOCOL, f"1 to {PROTOCOL}, that of this version"),
        ("kind", v.kind in KINDS, f"one of {', '.join(KINDS)}"),
        ("entry_sha256", bool(_SHA256.fullmatch(v.entry_sha256)), "64 hex digits"),
        (
            "base",
            has_base,
            "40 or 64 hex digits of a commit, or random: and 40, and nothing where all was asked",
        ),
        ("n_asked", v.n_asked > 0, "at least 1"),
        ("n_same", 0 <= v.n_same <= v.n_asked, "0 to n_asked"),
        ("n_ties", 0 <= v.n_ties <= v.n_same, "0 to n_same"),
        ("max_difference", 0 <= v.max_difference <= 1, "0 to 1"),
        ("tolerance", v.tolerance == tolerance, f"{tolerance}, by the arithmetic"),
        ("mismatches", len(v.mismatches) == n_mismatches, f"{n_mismatches}, the first of those not the same"),
        ("n_scorecard_differences", is_count, "a count where all was asked, and nothing else"),
        (
            "known_answer",
            known is None or 0 < known.n == known.n_accepted,
            "a reference that accepts all of its own signals",
        ),
        (
            "no_known_answer_because",
            (known is None) == bool(v.no_known_answer_because),
            "a reason where there is no known answer, and nowhere else",
        ),
        ("differing", len(v.differing) <= MAX_MISMATCHES, f"at most {MAX_MISMATCHES} lines"),
        ("n_ties_for", ties, "counts that n_ties holds"),
        ("holds", v.holds == holds(v), "what its counts say"),
        (
            "max_difference",
            not v.holds or v.max_difference <= v.tolerance,
            "at most the tolerance, where it holds",
        ),
    ]
    values = {
        "mismatches": len(v.mismatches),
        "known_answer": known and f"{known.n_accepted} of {known.n}",
        "differing": len(v.differing),
        "n_ties_for": f"{v.n_ties_for} and {v.n_ties_against} against",
    }
    shown = ((name, values.get(name, getattr(v, name)), valid, what) for name, valid, what in rules)
    return rule_problems(shown) + text_problems(dataclasses.asdict(v), MAX_TEXT)


def holds(v: Verification) -> bool:
    """Whether nothing differs; a tie that fell the other way may move the scorecard.

    Between machines ties go either way with equal probability. If those that raise the lift outnumber the
    others so far that the chance is below MIN_CHANCE_OF_TIES, somebody chose them.
    """
    same = v.n_same == v.n_asked and not v.differing
    chance = chance_of_ties(v.n_ties_for, v.n_ties_against)
    return same and chance >= MIN_CHANCE_OF_TIES and (not v.n_scorecard_differences or v.n_ties > 0)


def chance_of_ties(n_for: int, n_against: int) -> float:
    """Chance that of so many ties so many or more raise the lift, where each does or does not alike."""
    if n_for <= 0:
        return 1.0
    from scipy.special import bdtrc

    # Other rules refuse counts that are negative or too large.
    n_for, n_against = (min(max(n, 0), 10**9) for n in (n_for, n_against))
    return float(bdtrc(n_for - 1, n_for + n_against, 0.5))


_SIDECAR = Sidecar(
    kind=Verification,
    suffix=SUFFIX,
    max_bytes=MAX_BYTES,
    noun="a verification of the entry beside it",
    command="goodenough verify {folder}",
    shape=_shape,
    of_entry=_of_entry,
)
sidecar_of, write, read, problems = _SIDECAR.path, _SIDECAR.write, _SIDECAR.read, _SIDECAR.problems
