"""The types that several packages share, and the constants of all counts.

Conventions: frozen dataclasses; the unit is in the name (`sample_rate_hz`, `seconds_seen`); shares are
fractions in [0, 1]; an unknown value is `None`, never -1, 0.0 or "?"; every field has its sentence under it.
Arrays are numpy: waveforms float32 (n_samples,), masks bool and levels uint8 (N,) over the N coefficients of
a domain.

What lies on disk as JSON is made of these, in `schemas`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from harness import notebook

FloatArray = NDArray[np.float64]
Waveform = NDArray[np.float32]
Mask = NDArray[np.bool_]
Levels = NDArray[np.uint8]

PROTOCOL = 2
"""Raised when a change could move a verdict or a score; entries of two protocols never share a ranking."""

OTHER = "other"
"""Label of a model's classes outside the task's canonical labels; when it wins, the signal is rejected."""

SET_KINDS = ("disjoint", "necessary", "complete")
"""Further sets of a clip, stored next to its signals and in no rate (definitions: necessary, complete)."""

STIMULI = ("whole", "signal", "swap", "matched", "largest", "silence", "complement")
"""What a model is asked to judge (definitions: Controls)."""

N_SWAPS = 3
"""Other clips whose bins replace those of a signal, where there are so many (definitions: swap)."""

N_MATCHED = 4
"""Other places of its clip for a signal's runs, where there are so many (definitions: matched)."""

N_COMPLETIONS = 8
"""Seeded draws of what stands in for the rest of a signal, under which it is checked (`completions`)."""

N_LEVELS = 8
"""Nested levels of a minimal signal, itself and the whole clip among them (definitions: Levels)."""

MIN_MARGIN = 1e-3
"""Logit lead a class must have over the best other in search and certificate (definitions: Signals)."""

MAX_DATASETS = 50
"""Datasets that a model is said to be trained on, at most."""

MAX_BASE_MODELS = 20
"""Models that a model is said to be made from, at most."""

MIN_SIGNALS = 20
"""Applicable signals a reference must offer before it counts in the ranking number (definitions: Lift)."""

NEAR_COPY_PERCENT = 98
"""Per cent of a reference's signals accepted, and of whole clips agreed on, from which on a candidate may be
a near copy of it (definitions: Near copy)."""

NEAR_COPY_CORRELATION = 0.99
"""Correlation of log-probabilities on whole clips from which on it may be one."""

SAME_CORRELATION = 0.999
"""Correlation from which on it is one, however many of the signals it accepts."""

VISIBLE = 0.9
"""Share of a signal's energy inside a model's window and band from which on it is visible to it (ours)."""

PROOF_TOLERANCE = {"float32": 1e-4, "float16": 0.05, "bfloat16": 0.25}
"""Largest difference of a logit between batch sizes, by arithmetic."""

N_PROVEN = 8
"""Stimuli of a batch proof, scored one by one and in batches."""

MIN_COVERAGE = 0.5
"""Coverage below which a model is not ranked (definitions: Lift)."""

STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""How pydantic reads a record: nothing unknown, nothing coerced, no NaN."""


@dataclasses.dataclass(frozen=True)
class ModelRef:
    """A model at one revision."""

    __pydantic_config__ = STRICT

    repo_id: str
    """Hub id `org/name`; a local folder or adapter is `local/<its name>`."""
    revision: str
    """40-hex commit on the Hub; for a local folder the sha256 of weights, config and preprocessor; for an
    adapter that of its code, weights, arguments and packages."""
    weights_sha256: str
    """sha256 over the weight files, for an adapter with its code: two models with the same one count as the
    same model."""

    @property
    def slug(self) -> str:
        """`org__name`, the form used in file names."""
        return self.repo_id.replace("/", "__")


@dataclasses.dataclass(frozen=True)
class DatasetRef:
    """Signals of one task, at one revision."""

    __pydantic_config__ = STRICT

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
    headline: str
    """The family of its signals that ranks (`families`)."""


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
    pair: str | None = None
    """Name that the clips of a pair share: an original recording and what was made of it; None elsewhere."""

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.waveform) / self.sample_rate_hz


@dataclasses.dataclass(frozen=True, eq=False)
class SufficientSignal:
    """A part of a clip that alone gets the same class from the reference as the whole clip."""

    signal_id: str
    """`signal_id(clip_id, reference slug, family, seed, draw)`."""
    clip_id: str
    """The clip it is part of."""
    family: str
    """Its kind and resolution (`families`)."""
    draw: int
    """Which of the independent extractions of the clip it is, from 1."""
    reference: str
    """repo_id of the model it was extracted from."""
    truth: str | None
    """The clip's canonical label, if known."""
    expected: str
    """The class c that the reference gives the whole clip, as a canonical label."""
    p_clip: tuple[float, ...]
    """Probability the reference gives each label it knows, in alphabetical order, on the whole clip."""
    n_samples: int
    """Samples of the clip and of the signal."""
    sample_rate_hz: int
    """Rate of both."""
    mask: Mask
    """(N,) the kept coefficients, of the domain of its family: bins, blocks or coefficients of tiles."""
    guarantee: str
    """`one_minimal`, `prefix_minimal` or `budget_spent` (definitions: minimal), for the atoms of its
    family."""
    n_atoms: int
    """Atoms of its clip."""
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
    survival: tuple[float, ...] | None = None
    """Share of draws of each of `completions.CHECKED` under which its atoms keep the class; None for a
    degenerate signal."""
    rest_clip: str | None = None
    """The clip that stands in for the rest, where the completion of its family is `swap`."""
    levels: Levels | None = None
    """(N,) the first level that keeps each coefficient, 0 for those of the mask (definitions: Levels); None
    in families by responsibility, for a degenerate signal, and without a ranking in its domain."""

    @property
    def n_kept(self) -> int:
        """Number of kept coefficients, k."""
        return int(self.mask.sum())

    def __repr__(self) -> str:
        size = f"{self.n_kept:,} of {len(self.mask):,} coefficients"
        return f"SufficientSignal({self.clip_id} of {self.reference}: {self.expected}, {size}, {self.family})"

    def _repr_html_(self) -> str:
        scalars = {name: value for name, value in vars(self).items() if not isinstance(value, np.ndarray)}
        return notebook.table(repr(self), scalars)


def signal_id(clip_id: str, slug: str, family: str, seed: int, draw: int) -> str:
    """`<clip_id>:<slug>:<family>:<seed>.<draw>`: the user's own seed of an extraction, and draws from 1."""
    return f"{clip_id}:{slug}:{family}:{seed}.{draw}"


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
    """The class that the reference gives the whole clip, as a canonical label."""
    n_samples: int
    """Samples of the clip."""
    sample_rate_hz: int
    """Its rate."""
    mask: Mask
    """(N,) the coefficients of the set."""
    guarantee: str
    """As of a signal: minimal among the sets of its kind."""
    n_atoms: int
    """Atoms of its clip."""
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
        """Number of coefficients of the set."""
        return int(self.mask.sum())


@dataclasses.dataclass(frozen=True)
class LabelMap:
    """How a model's classes map to a task's canonical labels; the argmax is taken before the mapping."""

    __pydantic_config__ = STRICT

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
    draw: int | None
    """Which extraction of its clip the signal is, from 1; None for `whole` and `silence`."""
    level: int | None
    """Nested level (definitions: Levels), 0 for a minimal signal itself; None where there is none."""
    clip_id: str | None
    """The clip; None for `silence`, which is asked once per length."""
    signal_id: str | None
    """The signal; None for `whole` and `silence`."""
    stimulus: str
    """One of STIMULI."""
    replicate: int | None
    """Which of several controls of one kind, from 0: of `swap` and `matched`; None for all else."""
    other_clip: str | None
    """The clip that a `swap` was made of; None for all else."""
    n_samples: int
    """Length of the stimulus at the task's rate; a `swap` is as long as the clip it was made of."""
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
    robust: bool | None
    """Whether the signal keeps its class, for its reference, with noise in place of the rest; None for
    `whole` and `silence`."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its confidence interval."""

    __pydantic_config__ = STRICT

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

    def __repr__(self) -> str:
        return notebook.estimate(self.value, self.low, self.high, self.n, points=False)

    def _repr_html_(self) -> str:
        return notebook.line(repr(self), f"level {self.level:g}; {self.method}")


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A clip for which a reference has no signal, and why."""

    __pydantic_config__ = STRICT

    clip_id: str
    """The clip."""
    why: str
    """In a sentence."""
