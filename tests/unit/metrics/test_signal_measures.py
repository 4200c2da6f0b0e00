"""Measures of signals: equal, to the last bit, to the formulas written out for one signal at a time."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest

from harness.dataset.clip_cache import domain_of, energy_of, parts_of
from harness.domains import fft
from harness.domains.masks import runs
from harness.metrics.signal_measures import N_MEL, OCCUPIED, mask_bits, mel_use, of_signal, of_signals
from harness.types import Clip, FloatArray, Mask

RATE = 8000
DOMAINS = ("frequency", "time", "time-frequency")


def noise(n_samples: int, seed: int) -> Clip:
    waveform = np.random.default_rng(seed).normal(size=n_samples).astype(np.float32)
    return Clip(f"noise-{seed}", "toys", None, waveform, RATE)


def masks_of(n: int, seed: int) -> list[Mask]:
    """Few runs, many runs, one coefficient, all of them."""
    rng = np.random.default_rng(seed)
    few = np.repeat(rng.random(8) < 0.5, n // 8 + 1)[:n]
    few[0] = True
    return [few, rng.random(n) < 0.3, np.arange(n) == n // 2, np.ones(n, dtype=bool)]


def entropy(p: FloatArray) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def by_formula(clip: Clip, domain: str, mask: Mask) -> tuple[float, ...]:
    power = energy_of(clip, "frequency")
    if domain == "frequency":
        signal_power = np.where(mask, power, 0.0)
    else:
        (signal,) = parts_of(clip, domain, mask[np.newaxis])
        signal_power = fft.bin_energy(fft.spectrum(signal), len(clip.waveform))
    energy = energy_of(clip, domain)
    hz = np.arange(len(power)) * RATE / len(clip.waveform)
    share = signal_power / signal_power.sum()
    cumulative, tail = np.cumsum(share), (1 - OCCUPIED) / 2
    low, high = (hz[min(int(np.searchsorted(cumulative, q)), len(hz) - 1)] for q in (tail, 1 - tail))
    edges = np.flatnonzero(np.diff(mask.astype(np.int8)))
    lengths = np.diff(np.concatenate([[-1], edges, [len(mask) - 1]]))
    bits = int(1 + (2 * np.floor(np.log2(lengths)) + 1).sum())
    return (
        float(mask.mean()),
        float(energy[mask].sum() / energy.sum()),
        entropy(share),
        entropy(power / power.sum()) - entropy(share),
        bits / len(mask),
        float(high - low),
        float((share * hz).sum()),
    )


@pytest.mark.parametrize("n_samples", [1_600, 4_001])
def test_all_signals_of_a_clip_have_the_measures_of_each_by_itself(n_samples: int) -> None:
    for seed in range(5):
        clip = noise(n_samples, seed)
        signals = [
            (name, mask)
            for name in DOMAINS
            for mask in masks_of(int(np.prod(domain_of(clip, name).shape)), seed)
        ]
        measures = [astuple(each) for each in of_signals(clip, signals)]
        assert measures == [by_formula(clip, *signal) for signal in signals]
        assert measures == [astuple(of_signal(clip, *signal)) for signal in signals]


@pytest.mark.parametrize("name", DOMAINS)
def test_mel_bands_are_counted_coefficient_by_coefficient(name: str) -> None:
    clip = noise(4_001, 1)
    domain = domain_of(clip, name)
    edges_hz = domain.column_edges_hz
    for mask in masks_of(int(np.prod(domain.shape)), 2):
        counts = mask.reshape(domain.shape).sum(axis=0)
        if name == "time":
            hz, counts = np.linspace(0, RATE / 2, 4096), np.ones(4096, dtype=np.int64)
        elif name == "frequency":
            hz = np.arange(len(counts)) * RATE / len(clip.waveform)
        else:
            hz = (edges_hz[:-1] + edges_hz[1:]) / 2
        mel = 2595 * np.log10(1 + hz / 700)
        band = np.minimum((mel / mel[-1] * N_MEL).astype(np.int64), N_MEL - 1)
        expected = np.bincount(band, counts, minlength=N_MEL) / counts.sum()
        np.testing.assert_array_equal(mel_use(mask, domain), expected)


def test_the_bits_of_a_mask_are_those_of_its_runs_and_gaps() -> None:
    for mask in masks_of(600, 3):
        borders = np.unique(np.concatenate([[0], runs(mask).cumsum(axis=1).ravel(), [len(mask)]]))
        bits = 1 + sum(2 * (int(length).bit_length() - 1) + 1 for length in np.diff(borders))
        assert mask_bits(mask) == bits
