"""Stimuli by name, and whether the controls of a signal are as loud as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from harness.evaluation.stimuli import Stimulus, sounds
from harness.types import Waveform


def of_name(stimuli: Sequence[Stimulus], name: str) -> list[Stimulus]:
    """Those of a name, in their order."""
    return [stimulus for stimulus in stimuli if stimulus.name == name]


def energy_of(waveform: Waveform) -> float:
    """Sum of the squares of (n_samples,)."""
    return float(np.square(waveform, dtype=np.float64).sum())


def assert_controls_are_as_loud(stimuli: Sequence[Stimulus], rel: float) -> None:
    """`swap` and `matched` have the energy of the signal, or are silent; all are as long as their clip."""
    sound_of = dict(zip([stimulus.key for stimulus in stimuli], sounds(stimuli), strict=True))
    (signal,) = (s for s in stimuli if s.name == "signal" and s.level in (None, 0))
    expected = energy_of(sound_of[signal.key])
    for stimulus in (*of_name(stimuli, "swap"), *of_name(stimuli, "matched")):
        if stimulus.mask.any():
            assert energy_of(sound_of[stimulus.key]) == pytest.approx(expected, rel=rel)
        else:
            assert not sound_of[stimulus.key].any()
    for stimulus in stimuli:
        assert len(sound_of[stimulus.key]) == len(stimulus.clip.waveform)
