"""The facts about a model that scoring needs: read from its files, or measured."""

from __future__ import annotations

import dataclasses
from typing import Literal

from harness.types import STRICT

WindowPlace = Literal["start", "middle", "end"]
"""Where in a clip lies what a model takes of it."""


def window_start(n_samples: int, n_inside: int, place: WindowPlace) -> int:
    """First sample of a window of so many samples of a clip of so many."""
    beyond = max(0, n_samples - n_inside)
    return {"start": 0, "middle": beyond // 2, "end": beyond}[place]


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What a model is, read from its files."""

    __pydantic_config__ = STRICT

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
