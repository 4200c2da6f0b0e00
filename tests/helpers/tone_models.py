"""Models whose answers are known by hand: they depend on the energy at a few frequencies."""

import numpy as np

from harness.types import Clip

RATE = 8000

TONES_HZ = {"low": 500, "mid": 1500, "high": 3000}


class ToneModel:
    """Logit of a class: amplitude of its tone, but for a bias of silence towards `mid`."""

    def __init__(self, batch_size=10_000):
        self.n_heard = 0
        self.batch_size = batch_size

    def logits(self, waveforms, sample_rate_hz):
        assert sample_rate_hz == RATE
        self.n_heard += len(waveforms)
        rows = []
        for x in waveforms:
            spectrum = np.abs(np.fft.rfft(x)) / (len(x) / 2)
            at = [round(hz * len(x) / RATE) for hz in TONES_HZ.values()]
            rows.append([spectrum[i] for i in at])
        return np.array(rows, dtype=np.float32) * 10 + np.array([0, 0.5, 0], dtype=np.float32)


class TwoToneModel(ToneModel):
    """An ear that hears `high` at 3,000 and at 3,500 Hz: one of them is enough, both are more certain."""

    def logits(self, waveforms, sample_rate_hz):
        rows = super().logits(waveforms, sample_rate_hz)
        for row, x in zip(rows, waveforms, strict=True):
            row[2] += 10 * np.abs(np.fft.rfft(x))[round(3500 * len(x) / RATE)] / (len(x) / 2)
        return rows


def clip_of(clip_id, amplitudes, n_samples=800, seed=0):
    t = np.arange(n_samples) / RATE
    x = 0.01 * np.random.default_rng(seed).normal(size=n_samples)
    for hz, amplitude in zip(TONES_HZ.values(), amplitudes, strict=True):
        x += amplitude * np.sin(2 * np.pi * hz * t)
    return Clip(clip_id, "toy", None, x.astype(np.float32), RATE)
