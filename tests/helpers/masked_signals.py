"""Signals that keep chosen atoms of a clip, for what draws and describes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.families import parse_family
from harness.types import Clip, SufficientSignal, signal_id
from tests.helpers.toy_models import signal_of


def signal_keeping(
    atoms: Sequence[int] | slice,
    family: str,
    n_samples: int,
    sample_rate_hz: int = 16_000,
    clip_id: str = "c0",
) -> SufficientSignal:
    """A signal of a silent clip that keeps some atoms, by index; all else in it is arbitrary."""
    partition = parse_family(family).resolution.atoms(n_samples, sample_rate_hz)
    kept = np.zeros(len(partition), dtype=bool)
    kept[atoms] = True
    silence = Clip("c0", "toys", "spoof", np.zeros(n_samples, np.float32), sample_rate_hz)
    signal = signal_of(silence, family=family, mask=partition.expand(kept))
    return replace(signal, clip_id=clip_id, signal_id=signal_id(clip_id, "toys__a", family, 0, 1))
