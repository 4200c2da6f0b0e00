"""The JSON documents on disk: an entry and its scorecard; converts any record to text and back.

Conventions: as in `types`. Reading is strict: unknown fields, missing fields, wrong types, NaN and infinity
are refused, all at once, each with its path; so is what `untrusted` refuses, as a field that stands there
twice.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from typing import Any, TypeVar, cast

from harness import notebook, untrusted
from harness.model_facts import ModelFacts
from harness.types import (
    MIN_SIGNALS,
    NEAR_COPY_CORRELATION,
    NEAR_COPY_PERCENT,
    SAME_CORRELATION,
    STRICT,
    DatasetRef,
    Estimate,
    LabelMap,
    ModelRef,
)


@dataclasses.dataclass(frozen=True)
class ReferenceCounts:
    """What one reference offers in one family."""

    __pydantic_config__ = STRICT

    model: ModelRef
    """The reference."""
    family: str
    """Its kind and resolution (`families`)."""
    n_signals: int
    """Signals published, degenerate ones included."""
    n_degenerate: int
    """Of these, degenerate: never judged, in no rate."""
    silence_class: str
    """What the reference says of silence, as a canonical label or OTHER: the class that is degenerate."""
    seed: int = 0
    """What the extraction was seeded with."""
    n_draws: int = 1
    """Independent extractions of each clip; all are judged, and count together as one signal of the clip."""


@dataclasses.dataclass(frozen=True)
class Rates:
    """The rates of one candidate over one set of signals (definitions: Transfer)."""

    __pydantic_config__ = STRICT

    coverage: Estimate
    """Share of signals whose class the candidate knows."""
    transfer: Estimate
    """Acceptance of the signals."""
    agreeing_transfer: Estimate
    """The same where the candidate gives the whole clip the class, too."""
    swap: Estimate
    """Acceptance of the `swap` control: the same bins and energy, of clips of another class."""
    lift: Estimate
    """Mean paired difference transfer - swap, in [-1, 1]: the ranking number."""
    matched: Estimate
    """Acceptance of the `matched` control: as loud a place elsewhere in the clip; where there is one."""
    placement: Estimate
    """Mean paired difference transfer - matched, in [-1, 1], over signals that can be matched."""
    largest: Estimate
    """Acceptance of the `largest` control: what energy alone buys."""
    beyond_largest: Estimate
    """Mean paired difference transfer - largest, in [-1, 1]."""
    silence: Estimate
    """Acceptance of silence: constant-class bias."""
    agreement: Estimate
    """Acceptance of the whole clips."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One reference and the candidate: a cell of the matrix."""

    __pydantic_config__ = STRICT

    reference: ModelRef
    """Whose signals."""
    same_weights: bool
    """The candidate is this reference: the cell is the known answer and counts in no mean."""
    near_copy: bool
    """It counts as this reference, whose weights it does not have (definitions: Near copy): in no mean."""
    n_signals: int
    """Signals published."""
    n_degenerate: int
    """Of these, degenerate."""
    n_applicable: int
    """Non-degenerate signals whose class the candidate knows: the denominator."""
    n_unswapped: int
    """Of these, without a `swap` control: the reference gives no other clip another class."""
    n_unmatched: int
    """Of these, without a `matched` control: too broad to lie elsewhere in their clip."""
    rates: Rates
    """Over the applicable signals; differences are None below MIN_SIGNALS."""

    @property
    def own(self) -> bool:
        """Whether it is in no mean, because the candidate counts as this reference."""
        return self.same_weights or self.near_copy


@dataclasses.dataclass(frozen=True)
class FamilyScore:
    """A candidate's score over one family of signals: unweighted means over the references."""

    __pydantic_config__ = STRICT

    family: str
    """Its kind and resolution (`families`)."""
    rates: Rates
    """Means over the references that are not the candidate itself; lift only over those with MIN_SIGNALS."""
    visible: Rates
    """The same over the signals that are visible to the candidate (VISIBLE)."""
    robust: Rates
    """The same over those that keep their class, for their reference, with noise in place of the rest."""
    by_class: dict[str, Estimate]
    """Transfer for each class of signals."""
    as_silence: dict[str, Estimate]
    """By stimulus (`signal`, `swap`, `matched`, `largest`): answers that are the candidate's to silence."""
    cells: tuple[Cell, ...]
    """One per reference."""


@dataclasses.dataclass(frozen=True)
class WholeClipScore:
    """The usual measures, on whole clips of known truth whose label the candidate knows."""

    __pydantic_config__ = STRICT

    accuracy: Estimate
    """Share of clips given their true label."""
    precision: Estimate
    """Macro mean over the true labels."""
    recall: Estimate
    """Macro mean over the true labels."""
    f1: Estimate
    """Macro mean over the true labels."""


@dataclasses.dataclass(frozen=True)
class Scorecard:
    """Everything counted about one candidate on one task."""

    __pydantic_config__ = STRICT

    whole: WholeClipScore
    """On whole clips."""
    headline_family: str
    """The family of signals that ranks."""
    families: tuple[FamilyScore, ...]
    """One per family published, headline first."""
    known_answer: float | None
    """A reference's acceptance of its own signals, which must be 1; None for other candidates."""
    ranked: bool
    """Whether the lift may be on the leaderboard."""
    unranked_because: str | None
    """Why not, in a sentence."""

    @property
    def headline(self) -> FamilyScore | None:
        """The family that ranks, if its signals are published."""
        return next((f for f in self.families if f.family == self.headline_family), None)

    @property
    def lift(self) -> Estimate | None:
        """The lift of the headline family, which ranks; None where its signals are not published."""
        return None if self.headline is None else self.headline.rates.lift


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How a result was made."""

    __pydantic_config__ = STRICT

    goodenough: str
    """Version of this package."""
    versions: dict[str, str]
    """Versions of python, torch, transformers, numpy, scipy, soxr."""
    platform: str
    """Operating system and processor."""
    device: str
    """Where the model ran."""
    dtype: str
    """Its arithmetic."""
    batch_size: int
    """Largest batch."""
    frontend: str
    """Feature extractor and its backend."""
    seconds: float
    """Wall time of the evaluation."""
    created: str
    """UTC, ISO 8601 to the second."""
    n_asked: int | None = None
    """Stimuli that the model was asked in these seconds; None in entries that do not say."""
    n_known: int | None = None
    """Further ones, whose answers an earlier run had kept."""


@dataclasses.dataclass(frozen=True)
class BatchProof:
    """A seeded sample of stimuli, scored one by one and in batches: neither may move a verdict."""

    __pydantic_config__ = STRICT

    n: int
    """Stimuli scored both ways."""
    batch_size: int
    """Largest batch."""
    max_logit_difference: float
    """Between the two."""
    n_flips: int
    """Stimuli given another class."""


def _nearly_all(n: int, of: int) -> bool:
    return 100 * n >= NEAR_COPY_PERCENT * of  # whole numbers: what a stranger states may be no float


@dataclasses.dataclass(frozen=True)
class NearCopy:
    """How similar a candidate's answers are to a reference's (definitions: Near copy)."""

    __pydantic_config__ = STRICT

    reference: ModelRef
    """The reference."""
    n_signals: int
    """Its signals that the candidate was asked, of the headline family."""
    n_accepted: int
    """Of these, accepted."""
    n_clips: int
    """Whole clips that the reference gave a class."""
    n_agreed: int
    """Of these, given the same class by the candidate."""
    correlation: float | None
    """Of the two models' log-probabilities of the labels that both know, over these clips; None where there
    is nothing to correlate."""

    @property
    def is_copy(self) -> bool:
        """Whether the candidate counts as the reference itself.

        Signals lie at the edge of what their reference accepts: rounding its weights to bfloat16 alone loses
        more of them than NEAR_COPY_PERCENT allows, so that over MIN_SIGNALS clips a correlation of
        SAME_CORRELATION is enough.
        """
        if self.correlation is None or not _nearly_all(self.n_agreed, self.n_clips):
            return False
        if self.n_clips >= MIN_SIGNALS and self.correlation >= SAME_CORRELATION:
            return True
        accepts = self.n_signals > 0 and _nearly_all(self.n_accepted, self.n_signals)
        return accepts and self.correlation >= NEAR_COPY_CORRELATION


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model x task x signals revision x protocol: `entry.json`."""

    __pydantic_config__ = STRICT

    protocol: int
    """PROTOCOL at the time."""
    task: str
    """Name of the task."""
    model: ModelRef
    """The candidate."""
    facts: ModelFacts
    """What it is."""
    signals: DatasetRef
    """What it was asked."""
    references: tuple[ReferenceCounts, ...]
    """Whose signals these are."""
    label_map: LabelMap
    """How its classes were read."""
    scorecard: Scorecard
    """The numbers; derived from the verdicts and nothing else."""
    run: RunSettings
    """How it was made."""
    proof: BatchProof
    """That the batch size does not matter to it."""
    likeness: tuple[NearCopy, ...]
    """How like each reference it answers, in order of `references`."""
    complete: bool
    """Whether everything was asked; one that was stopped early shows something, and ranks nowhere."""
    n_verdicts: int
    """Rows of `verdicts.parquet`."""
    verdicts_sha256: str
    """Of that file."""

    @property
    def path(self) -> str:
        """Where it lives below `submissions/` or a results folder."""
        return entry_path(self.model, self.task, self.signals.sha256)

    def __repr__(self) -> str:
        lift = self.scorecard.lift
        ends = (None, None, None, 0) if lift is None else (lift.value, lift.low, lift.high, lift.n)
        return f"Entry({self.model.repo_id} on {self.task}: lift {notebook.estimate(*ends, points=True)})"

    def _repr_html_(self) -> str:
        headline = self.scorecard.headline
        rates = {} if headline is None else vars(headline.rates)
        facts = {"signals": self.signals.repo_id, "not ranked": self.scorecard.unranked_because}
        return notebook.table(repr(self), {"revision": self.model.revision, **facts, **rates})


def entry_path(model: ModelRef, task: str, signals_sha256: str) -> str:
    """`<org>__<model>/<revision[:12]>/<task>@<signals[:8]>`."""
    return f"{model.slug}/{model.revision[:12]}/{task}@{signals_sha256[:8]}"


T = TypeVar("T")

_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_LARGE_FLOAT = re.compile(rb"e\+?\d{2,3},?\n")
"""The end of a line with a number from 1e16 on, as `to_json` writes it."""
_LARGE_INTEGER = b"0" * 38
"""In every integer beyond `untrusted.MAX_NUMBER`, all digits being 0."""


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def to_json(record: Any) -> str:
    """A record as indented JSON with a newline at its end."""
    text: bytes = _adapter(cast(Any, type(record))).dump_json(record, indent=2)
    return text.decode() + "\n"


def from_json(kind: type[T], text: str | bytes) -> T:
    """Read a record back.

    Raises:
        ValueError: one line per problem, `where: what`.
    """
    from pydantic import ValidationError

    try:
        record: T = _adapter(cast(Any, kind)).validate_json(text)
    except ValidationError as error:
        lines = (
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}"
            for e in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise ValueError("\n".join(lines)) from None
    if not _is_as_written(record, text):
        untrusted.require_once(text)
    return record


def from_own_json(kind: type[T], text: str | bytes) -> T:
    """Read back a record of a text that this process made, or that has a checksum; nothing else is checked.

    Raises:
        ValueError: it is no such record.
    """
    record: T = _adapter(cast(Any, kind)).validate_json(text)
    return record


def _is_as_written(record: Any, text: str | bytes) -> bool:
    """Whether a text is what `to_json` makes of its record, without large numbers: each field is there once.

    That is known in a third of the time that `untrusted` takes to look for a second one.
    """
    written: bytes = _adapter(cast(Any, type(record))).dump_json(record, indent=2) + b"\n"
    if written != (text if isinstance(text, bytes) else text.encode("utf-8", "replace")):
        return False
    return not _LARGE_FLOAT.search(written) and _LARGE_INTEGER not in written.translate(_AS_ZEROS)
