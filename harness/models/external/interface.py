"""What an adapter is: a class of the user's own that brings waveforms to a model, and its answers back.

    class Aasist:
        class_names = ("spoof", "bonafide")
        sample_rate_hz = 16_000

        def __init__(self, checkpoint: Path):
            self.weights = [checkpoint]
            ...

        def logits(self, waveforms):
            return ...                  # (n, 2)

It is named on the command line as `path/to/aasist.py:Aasist`, and inherits from nothing. Two forms: `logits`
for a model with one number per class, `scores` for a detector that gives one number in all. What the class
takes in `__init__` is given by `--adapter-arg NAME=VALUE`: an argument that is annotated as int, float, bool
or Path arrives as one, any other as text; one that is called `device` gets the device of the command.

Conventions: waveforms are mono float32 (n_samples,), full scale 1.0, at `sample_rate_hz`. Those of one call
have the same length, unless `fixed_length` says that the adapter brings all to one length itself. They are
the adapter's own to change. Answers must depend on nothing but the waveform: neither on its neighbours in the
call, nor on earlier calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.model_facts import Kind
from harness.types import Waveform

Array = Any
"""What numpy makes an array of: an array, a tensor on the CPU, nested lists."""


class Adapter(Protocol):
    """What both forms have. Attributes of the class, or set in `__init__`."""

    class_names: Sequence[str]
    """Classes by index, two or more, in the model's own words; they are read as labels of a task by name."""
    sample_rate_hz: int
    """What the model expects; clips are brought to it."""


class OptionalAttributes(Protocol):
    """What an adapter may say besides; what it leaves out has the value given here."""

    name: str
    """What the model is called; left out: the name of the file without its ending."""
    min_samples: int = 1
    """Shortest waveform that it takes."""
    window_seconds: float | None
    """How much of a clip it takes, from the start; None: clips of any length. Left out: it is measured."""
    fixed_length: bool = False
    """It brings waveforms of different lengths to one length itself, so that they can share a call."""
    weights: Sequence[str | Path] = ()
    """Files that hold what it has learned: part of its revision. Relative ones lie beside the adapter."""
    prompts: Sequence[str] = ()
    """Texts that decide its answers, in their order: part of its revision."""
    kind: Kind = "adapter"
    """`zero-shot` or `language model` where it is one."""
    timeout_seconds: float = 600.0
    """Most seconds for one call, where it runs in an environment of its own."""
    n_parameters: int | None = None
    """Number of weights."""
    licence: str | None = None
    """Of the model."""
    trained_on: Sequence[str] = ()
    """Datasets that it was trained on, as far as is known."""


class LogitsAdapter(Adapter, Protocol):
    """One number per class."""

    def logits(self, waveforms: list[Waveform]) -> Array:
        """(n, n_classes): the largest one is the answer. Log-probabilities will do."""
        ...


class ScoresAdapter(Adapter, Protocol):
    """A detector with one number in all."""

    threshold: float
    """Where the answer changes."""
    above: str
    """The class that `score > threshold` means; `class_names` has this one and one other."""
    threshold_source: str
    """Where the threshold comes from, in a line: "equal error rate on ASVspoof 2019 LA dev"; never the clips
    of the suite it is evaluated on."""

    def scores(self, waveforms: list[Waveform]) -> Array:
        """(n,): one score for each waveform."""
        ...
