"""Sounds that a model is asked to see whether two ways of computing its answers agree."""

from __future__ import annotations

import numpy as np

from harness.domains import fft
from harness.domains.masks import largest
from harness.model_facts import ModelFacts
from harness.seeds import generator
from harness.types import Waveform

_N_KEPT = 40
"""Bins of a masked probe."""


def probes(facts: ModelFacts, min_samples: int) -> list[Waveform]:
    """Sounds at the rate of a model, (n_samples,) float32 each.

    Two of noise with a tone, faint and loud; of each the loudest bins alone, as in a control; silence; and a
    click. They last a second, or as little as a model takes; one is longer than its window.
    """
    rate = facts.sample_rate_hz
    n_samples = max(rate, min_samples)
    rng = generator("probes")
    times = np.arange(n_samples) / rate
    sounds = [
        (gain * (rng.normal(size=n_samples) + np.sin(2 * np.pi * pitch * rate * times))).astype(np.float32)
        for gain, pitch in ((0.003, 0.01), (0.1, 0.07))
    ]
    for sound in list(sounds):
        X = fft.spectrum(sound)
        sounds.append(fft.keep(X, largest(fft.bin_energy(X, n_samples), _N_KEPT), n_samples))
    sounds += [
        np.zeros(n_samples, dtype=np.float32),
        np.eye(1, n_samples, n_samples // 3, dtype=np.float32)[0],
    ]
    if facts.window_seconds is not None:
        n_window = round(facts.window_seconds * rate)
        sounds.append(np.resize(sounds[1], n_window + rate))
    return sounds
