"""Every type that crosses a room border or touches disk.

Conventions: frozen dataclasses; the unit is in the name (`sample_rate_hz`, `seconds_seen`); shares are
fractions in [0, 1]; an unknown value is `None`, never -1, 0.0 or "?"; every field has its sentence under it.
Arrays are numpy: waveforms float32 (n_samples,), masks bool and levels uint8 (n_bins,) with
n_bins = n_samples // 2 + 1.

On disk: `to_json` and `from_json` turn `Entry` and its parts to text and back. Reading is strict: unknown
fields, missing fields, wrong types, NaN and infinity are refused, all at once, each with its path.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Waveform = NDArray[np.float32]
Mask = NDArray[np.bool_]
Levels = NDArray[np.uint8]

PROTOCOL = 1
"""Raised when a change could move a verdict or a score; entries of two protocols never share a ranking."""

OTHER = "other"
"""What a model's class outside the task's canonical labels is mapped to; it can win, and then rejects."""

FAMILIES = ("responsibility", "minimal")
"""Families of signals (definitions: Families). Never mixed in one rate; the first is the headline."""

SET_KINDS = ("disjoint", "necessary", "complete")
"""Further sets of a clip, stored beside its signals and in no rate (definitions: necessary, complete)."""

STIMULI = (
    "whole",
    "signal",
    "permuted",
    "largest",
    "silence",
    "permuted_equal_energy",
    "complement",
)
"""What a model is asked to judge (definitions: Controls)."""

N_LEVELS = 8
"""Nested levels of a minimal signal, itself and the whole clip among them (definitions: Levels)."""

MIN_MARGIN = 1e-3
"""Logit lead a class must have over the best other in search and certificate (definitions: Signals)."""

MIN_SIGNALS = 20
"""Applicable signals a reference must offer before it counts in the ranking number (definitions: Lift)."""

VISIBLE = 0.9
"""Share of a signal's energy inside a model's window and band from which on it is visible to it (ours)."""

PROOF_TOLERANCE = {"float32": 1e-4, "float16": 0.05, "bfloat16": 0.25}
"""Largest difference of a logit between batch sizes, by arithmetic."""

MIN_COVERAGE = 0.5
"""Coverage below which a model is not ranked (definitions: Lift)."""

_STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclasses.dataclass(frozen=True)
class ModelRef:
    """A model at one moment of its life."""

    __pydantic_config__ = _STRICT

    repo_id: str
    """Hub id `org/name`; a local folder is `local/<folder name>`."""
    revision: str
    """40-hex commit on the Hub; for a local folder the sha256 of weights, config and preprocessor."""
    weights_sha256: str
    """sha256 over the weight files: two models with the same one count as the same model."""

    @property
    def slug(self) -> str:
        """`org__name`, the form used in file names."""
        return self.repo_id.replace("/", "__")


@dataclasses.dataclass(frozen=True)
class DatasetRef:
    """Signals of one task, at one moment."""

    __pydantic_config__ = _STRICT

    repo_id: str
    """Hub id, or `local/<folder name>`, or `embedded/starter`."""
    revision: str
    """40-hex commit on the Hub; for a folder the same as `sha256`."""
    config: str
    """The task."""
    split: str
    """Always `test`: nothing here is for training."""
    sha256: str
    """Content of clips and signals of this task: what makes two runs comparable."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """One recording, brought to the task's rate and to mono."""

    clip_id: str
    """Unique in its corpus; the file name without its ending, or the row's id."""
    corpus: str
    """Where it came from."""
    label: str | None
    """Truth, as a canonical label; None when the corpus does not say."""
    waveform: Waveform
    """(n_samples,) float32, full scale 1.0."""
    sample_rate_hz: int
    """The task's rate."""

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.waveform) / self.sample_rate_hz


@dataclasses.dataclass(frozen=True, eq=False)
class Bands:
    """A partition of the rfft bins of a clip into neighbouring bands."""

    n_samples: int
    """Samples of the clip."""
    sample_rate_hz: int
    """Rate of the clip."""
    edges: NDArray[np.int64]
    """(n_bands + 1,) rising from 0 to n_bins; band i holds bins edges[i] .. edges[i + 1] - 1."""

    @property
    def n_bins(self) -> int:
        """n_samples // 2 + 1."""
        return self.n_samples // 2 + 1

    def __len__(self) -> int:
        return len(self.edges) - 1


@dataclasses.dataclass(frozen=True, eq=False)
class SufficientSignal:
    """A part of a clip's spectrum that alone makes the reference say what it says of the whole clip."""

    signal_id: str
    """`<clip_id>:<reference slug>:<family>`."""
    clip_id: str
    """The clip it is part of."""
    family: str
    """One of FAMILIES."""
    reference: str
    """repo_id of the model it was extracted from."""
    truth: str | None
    """The clip's canonical label, if known."""
    expected: str
    """The class c: what the reference says of the whole clip, as a canonical label."""
    n_samples: int
    """Samples of the clip and of the signal."""
    sample_rate_hz: int
    """Rate of both."""
    mask: Mask
    """(n_bins,) the kept bins."""
    guarantee: str
    """`one_minimal`, `prefix_minimal` or `budget_spent` (definitions: minimal)."""
    resolution: int
    """Number of bands the guarantee refers to; n_bins when every band is one bin."""
    p_whole: float
    """Probability the reference gives `expected` on the whole clip."""
    p_signal: float
    """The same, on the signal as published."""
    margin: float
    """Logit of `expected` minus the best other, on the signal as published; at least MIN_MARGIN."""
    degenerate: bool
    """The reference gives silence the class `expected`: the empty mask is sufficient and says nothing."""
    search: str
    """Name of the search in SEARCHES, with its settings, e.g. `responsibility(repetitions=20)`."""
    n_queries: int
    """Forward passes spent on it, certificate included."""
    seed: int
    """What the search's randomness was drawn from."""
    sha256: str
    """Of the float32 samples of the signal, little-endian."""
    levels: Levels | None = None
    """(n_bins,) the first level that keeps each bin, 0 for those of the mask (definitions: Levels); None in
    family `responsibility`, for a degenerate signal, and without a responsibility ranking of the clip."""

    @property
    def n_kept(self) -> int:
        """Number of kept bins, k."""
        return int(self.mask.sum())


@dataclasses.dataclass(frozen=True, eq=False)
class CausalSet:
    """A further set of bins of a clip that means something to the reference; stored, in no rate."""

    set_id: str
    """`<clip_id>:<reference slug>:<family>:<kind>:<ordinal>`."""
    clip_id: str
    """The clip it is part of."""
    family: str
    """Family of the search that found it."""
    kind: str
    """One of SET_KINDS: sufficient and disjoint from the signal of the family and the sets before it;
    necessary; or complete."""
    ordinal: int
    """Of a disjoint set 2, 3, ..., the signal of the family being the first; else 1."""
    reference: str
    """repo_id of the model it was extracted from."""
    truth: str | None
    """The clip's canonical label, if known."""
    expected: str
    """What the reference says of the whole clip, as a canonical label."""
    n_samples: int
    """Samples of the clip."""
    sample_rate_hz: int
    """Its rate."""
    mask: Mask
    """(n_bins,) the bins of the set."""
    guarantee: str
    """As of a signal: minimal among the sets of its kind."""
    resolution: int
    """Number of bands the guarantee refers to."""
    p_whole: float
    """Probability the reference gives `expected` on the whole clip."""
    p_alone: float
    """The same, on the set alone."""
    p_without: float
    """The same, on the clip without the set."""
    margin_alone: float
    """Logit of `expected` minus the best other, on the set alone."""
    margin_without: float
    """The same, on the clip without the set."""
    search: str
    """As of a signal."""
    n_queries: int
    """Signals heard for it, certificate included."""
    seed: int
    """What the search's randomness was drawn from."""

    @property
    def n_kept(self) -> int:
        """Number of bins of the set."""
        return int(self.mask.sum())


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """How a model's own classes are read in a task's canonical labels. The argmax is taken before it."""

    __pydantic_config__ = _STRICT

    task: str
    """Name of the task."""
    names: tuple[str, ...]
    """The model's class names, by index."""
    canonical: tuple[str, ...]
    """The canonical label of each, or OTHER."""
    source: str
    """`names` when read from the class names, `file` when an explicit map was given."""

    @property
    def covered(self) -> frozenset[str]:
        """The canonical labels the model can give."""
        return frozenset(self.canonical) - {OTHER}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One model's answer to one stimulus: one row of `verdicts.parquet`."""

    task: str
    """Name of the task."""
    reference: str | None
    """repo_id of the signal's reference; None for `whole` and `silence`."""
    family: str | None
    """Family of the signal; None for `whole` and `silence`."""
    level: int | None
    """Nested level (definitions: Levels), 0 for a minimal signal itself; None where there is none."""
    clip_id: str | None
    """The clip; None for `silence`, which is asked once per length."""
    signal_id: str | None
    """The signal; None for `whole` and `silence`."""
    stimulus: str
    """One of STIMULI."""
    n_samples: int
    """Length of the stimulus at the task's rate."""
    truth: str | None
    """Canonical label of the clip, if known."""
    expected: str | None
    """The class c of the signal; None for `whole` and `silence`."""
    predicted_raw: str
    """The model's top class, in its own words."""
    predicted: str
    """The same as a canonical label, or OTHER."""
    p_expected: float | None
    """Probability of `expected`, summed over the classes mapped to it."""
    p: tuple[float, ...]
    """Probability of each canonical label, in the order of the task; what is missing to 1 is OTHER."""
    seconds_seen: float
    """Seconds of the stimulus inside the model's window."""
    energy_seen: float
    """Share of its energy inside the window and below the model's Nyquist frequency; 1 for silence."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number that knows how sure it is."""

    __pydantic_config__ = _STRICT

    value: float | None
    """None when nothing could be counted (n = 0)."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""
    level: float
    """Confidence level, 0.95."""
    method: str
    """How the interval was made."""
    n: int
    """Number of observations (signals or clips) behind the value."""


@dataclasses.dataclass(frozen=True)
class ReferenceCounts:
    """What one reference offers in one family."""

    __pydantic_config__ = _STRICT

    model: ModelRef
    """The reference."""
    family: str
    """One of FAMILIES."""
    n_signals: int
    """Signals published, degenerate ones included."""
    n_degenerate: int
    """Of these, degenerate: never judged, in no rate."""
    silence_class: str
    """What the reference says of silence, as a canonical label or OTHER: the class that is degenerate."""


@dataclasses.dataclass(frozen=True)
class Rates:
    """The rates of one candidate over one set of signals (definitions: Transfer)."""

    __pydantic_config__ = _STRICT

    coverage: Estimate
    """Share of signals whose class the candidate knows."""
    transfer: Estimate
    """Acceptance of the signals."""
    agreeing_transfer: Estimate
    """The same where the candidate gives the whole clip the class, too."""
    floor: Estimate
    """Acceptance of the `permuted` control."""
    lift: Estimate
    """Mean paired difference transfer - floor, in [-1, 1]."""
    largest: Estimate
    """Acceptance of the `largest` control: what energy alone buys."""
    silence: Estimate
    """Acceptance of silence: constant-class bias."""
    ceiling: Estimate
    """Acceptance of the whole clips."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One reference and the candidate: a cell of the matrix."""

    __pydantic_config__ = _STRICT

    reference: ModelRef
    """Whose signals."""
    same_weights: bool
    """The candidate is this reference: the cell is the known answer and counts in no mean."""
    n_signals: int
    """Signals published."""
    n_degenerate: int
    """Of these, degenerate."""
    n_applicable: int
    """Non-degenerate signals whose class the candidate knows: the denominator."""
    rates: Rates
    """Over the applicable signals."""


@dataclasses.dataclass(frozen=True)
class FamilyScore:
    """A candidate's score over one family of signals: unweighted means over the references."""

    __pydantic_config__ = _STRICT

    family: str
    """One of FAMILIES."""
    rates: Rates
    """Means over the references that are not the candidate itself; lift only over those with MIN_SIGNALS."""
    visible: Rates
    """The same over the signals that are visible to the candidate (VISIBLE): its ears are not its taste."""
    by_class: dict[str, Estimate]
    """Transfer for each class of signals."""
    cells: tuple[Cell, ...]
    """One per reference."""


@dataclasses.dataclass(frozen=True)
class WholeClipScore:
    """The usual measures, on whole clips of known truth whose label the candidate knows."""

    __pydantic_config__ = _STRICT

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

    __pydantic_config__ = _STRICT

    whole: WholeClipScore
    """On whole clips."""
    families: tuple[FamilyScore, ...]
    """One per family published, headline first."""
    known_answer: float | None
    """A reference's acceptance of its own signals, which must be 1; None for other candidates."""
    ranked: bool
    """Whether the lift may stand on the leaderboard."""
    unranked_because: str | None
    """Why not, in a sentence."""

    @property
    def headline(self) -> FamilyScore | None:
        """The family that ranks, if its signals are published."""
        return next((f for f in self.families if f.family == FAMILIES[0]), None)


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How a result was made."""

    __pydantic_config__ = _STRICT

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


@dataclasses.dataclass(frozen=True)
class BatchProof:
    """A seeded sample of stimuli, scored one by one and in batches: neither may move a verdict."""

    __pydantic_config__ = _STRICT

    n: int
    """Stimuli scored both ways."""
    batch_size: int
    """Largest batch."""
    max_logit_difference: float
    """Between the two."""
    n_flips: int
    """Stimuli given another class."""


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What a model is, read off its files."""

    __pydantic_config__ = _STRICT

    architecture: str
    """transformers class name."""
    n_parameters: int
    """Number of weights."""
    sample_rate_hz: int
    """What its feature extractor expects."""
    window_seconds: float | None
    """What it can see of a clip; None when it takes any length."""
    licence: str | None
    """As the model card states it."""
    remote_code: bool = False
    """Whether it ran code of its own."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model x task x signals revision x protocol: `entry.json`."""

    __pydantic_config__ = _STRICT

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


def entry_path(model: ModelRef, task: str, signals_sha256: str) -> str:
    """`<org>__<model>/<revision[:12]>/<task>@<signals[:8]>`."""
    return f"{model.slug}/{model.revision[:12]}/{task}@{signals_sha256[:8]}"


@dataclasses.dataclass(frozen=True)
class CorpusRef:
    """Where a reference's clips came from, and what was done to them."""

    __pydantic_config__ = _STRICT

    name: str
    """Hub id, or `local/<folder name>`."""
    revision: str
    """40-hex commit on the Hub; for a folder the sha256 over the waveforms of the clips used."""
    licence: str | None
    """As the corpus states it."""
    n_clips: int
    """Clips used."""
    n_resampled: int
    """Of these, brought to the task's rate."""
    n_mixed: int
    """Of these, averaged to mono."""
    n_cut: int
    """Of these, cut to a centred excerpt of the task's `max_seconds`."""
    n_duplicates: int
    """Clips left out because another one has the same samples."""


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A clip a reference has no signal for, and why."""

    __pydantic_config__ = _STRICT

    clip_id: str
    """The clip."""
    why: str
    """In a sentence."""


@dataclasses.dataclass(frozen=True)
class SetCounts:
    """How many further sets of one kind a search found."""

    __pydantic_config__ = _STRICT

    family: str
    """Family of the search."""
    kind: str
    """One of SET_KINDS."""
    most: int
    """Sets of this kind that were looked for in a clip."""
    search: str
    """The search, with its settings."""
    n_sets: int
    """Sets found in all clips."""


@dataclasses.dataclass(frozen=True)
class ReferenceRecord:
    """One reference of a signals folder: who it is and how its signals were made."""

    __pydantic_config__ = _STRICT

    task: str
    """Name of the task."""
    model: ModelRef
    """The reference."""
    facts: ModelFacts
    """What it is."""
    label_map: LabelMap
    """How its classes were read."""
    corpus: CorpusRef
    """Where the clips came from."""
    searches: tuple[str, ...]
    """The searches, with their settings."""
    counts: tuple[ReferenceCounts, ...]
    """Signals per family."""
    skipped: tuple[Skipped, ...]
    """Clips without signals."""
    run: RunSettings
    """How it was made."""
    sets: tuple[SetCounts, ...] = ()
    """Further sets that were looked for."""


@dataclasses.dataclass(frozen=True)
class TaskRecord:
    """A task as it stood when the signals were made, so that a user's own travels with them."""

    __pydantic_config__ = _STRICT

    name: str
    """Name of the task."""
    labels: dict[str, tuple[str, ...]]
    """Canonical labels and their other spellings."""
    sample_rate_hz: int
    """Rate of every clip."""
    max_seconds: float
    """Longest clip."""
    notes: str
    """Sources and licences."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """`manifest.json` of a signals folder, written last: what is not in it is not there."""

    __pydantic_config__ = _STRICT

    protocol: int
    """PROTOCOL at the time."""
    tasks: tuple[TaskRecord, ...]
    """The tasks."""
    references: tuple[ReferenceRecord, ...]
    """One per task and reference."""
    files: dict[str, str]
    """sha256 of every file of clips and signals, by path below the folder."""


T = TypeVar("T")


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
    return record
