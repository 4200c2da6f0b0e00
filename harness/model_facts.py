"""The facts about a model that scoring needs: read from its files, or measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Literal

from harness.types import STRICT

Kind = Literal["head", "zero-shot", "adapter", "language model"]
"""What makes a class of a sound: a head of transformers that was trained for it, the nearest of some texts, a
model that is reached through code of its user's, or the answer of a language model."""

WindowPlace = Literal["start", "middle", "end"]
"""Where in a clip lies what a model takes of it."""


def window_start(n_samples: int, n_inside: int, place: WindowPlace) -> int:
    """First sample of a window of so many samples of a clip of so many."""
    beyond = max(0, n_samples - n_inside)
    return {"start": 0, "middle": beyond // 2, "end": beyond}[place]


@dataclasses.dataclass(frozen=True)
class AdapterFacts:
    """The code through which a model is reached, and what it is made of; of a file, name and sha256."""

    __pydantic_config__ = STRICT

    name: str
    """File and class, as in `aasist.py:Aasist`."""
    code: dict[str, str]
    """The file, and the modules beside it that it imports."""
    weights: dict[str, str]
    """The files that hold what the model has learned."""
    arguments: dict[str, str]
    """What the class was given; of a file or folder the name alone."""
    packages: dict[str, str]
    """The packages that the code imports, each with its version."""
    prompts_sha256: str | None = None
    """Of the texts that decide its answers; None where there are none."""
    threshold: float | None = None
    """Of a detector with one score: where the answer changes."""
    above: str | None = None
    """The class of a score above it."""
    threshold_source: str | None = None
    """Where the threshold comes from, in its author's words."""

    @property
    def revision(self) -> str:
        """sha256 of all of it, in 64 hex digits: what an adapter has in place of a commit."""
        return _sha256(dataclasses.asdict(self))

    @property
    def weights_sha256(self) -> str:
        """The same without the versions of packages: two adapters with the same one are the same model."""
        return _sha256(dataclasses.asdict(self) | {"packages": {}})


def _sha256(content: dict[str, object]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What a model is, read from its files."""

    __pydantic_config__ = STRICT

    architecture: str
    """transformers class name, or the class of an adapter."""
    n_parameters: int | None
    """Number of weights; None where an adapter does not say."""
    sample_rate_hz: int
    """What its feature extractor expects."""
    window_seconds: float | None
    """What it can see of a clip; None when it takes any length."""
    licence: str | None
    """As the model card states it."""
    remote_code: bool = False
    """Whether it ran custom code."""
    window_at: WindowPlace = "start"
    """Where in a longer clip that window lies."""
    base_models: tuple[str, ...] | None = None
    """Models that the card says it was made from; None where it names none."""
    trained_on: tuple[str, ...] | None = None
    """Datasets that the model card names; None where it names none. Its author's word, and seldom all."""
    released: str | None = None
    """YYYY-MM-DD on which the Hub first had it, by the Hub; None for a folder. What is older than the Hub's
    own record of such days bears the day when that began, 2022-03-02."""
    multi_label: bool = False
    """Whether it was trained to give several classes at once; only the best one is scored."""
    kind: Kind = "head"
    """What makes a class of a sound."""
    adapter: AdapterFacts | None = None
    """The code through which it is reached; None for heads of transformers."""
