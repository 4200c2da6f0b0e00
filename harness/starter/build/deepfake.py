"""Makes the deepfake clips of the starter suite: speech as it was synthesised, and after a simulated spoof.

Bona fide is speech of `speech` made irregular in the time domain, without a vocoder: its cycles come a
little early or late (jitter), are a little louder or softer (shimmer), and breath follows its envelope. Spoof
is such speech after one family of `spoofs`. Speaker, sentence, room, microphone, noise, band limit and level
are drawn without regard to the class, and so is whether the recording comes before or after the machine.

Conventions: a clip is float64 (32000,), 2 s at 16 kHz, with a peak of 0.1 to 0.9. Times are in s.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.random import Generator
from scipy.interpolate import CubicSpline

from harness.starter.build import speech
from harness.starter.build.speech import SAMPLE_RATE_HZ, Delivery
from harness.starter.build.spoofs import SPOOFS, spoofed
from harness.types import FloatArray

LABELS: tuple[str, ...] = ("bonafide", "spoof")
SECONDS = 2.0

_N = int(SECONDS * SAMPLE_RATE_HZ)


def make(rng: Generator, label: str, family: str | None = None) -> FloatArray:
    """One clip (32000,); the same state of `rng` gives the same samples.

    Args:
        rng: where everything random is drawn from.
        label: one of LABELS.
        family: of the spoof, a name in SPOOFS; None draws one.

    Raises:
        BadInput: espeakng-loader or pyworld is not installed.
        ValueError: a label that is not in LABELS.
    """
    if label not in LABELS:
        raise ValueError(f"no label {label!r}; expected one of {', '.join(LABELS)}")
    x = speech.fit(rng, _uttered(rng), _N)
    drawn = str(rng.choice(list(SPOOFS)))
    recorded_first = rng.random() < 0.5
    x = _recorded(rng, x) if recorded_first else x
    if label == "spoof":
        # A generator of its own: what follows is drawn alike whatever a family takes from its own.
        x = spoofed(rng.spawn(1)[0], np.ascontiguousarray(x), family or drawn)
    x = x if recorded_first else _recorded(rng, x)
    x = x * 10 ** (rng.uniform(-28, -20) / 20) / np.sqrt(np.mean(x**2))
    peak = float(np.abs(x).max())
    return np.asarray(x * (np.clip(peak, 0.12, 0.85) / peak))


def _uttered(rng: Generator) -> FloatArray:
    """A sentence (n,) by a random speaker, as irregular as a living one's."""
    voice = speech.VOICES[rng.integers(len(speech.VOICES))]
    said = Delivery(voice, int(rng.integers(140, 210)), int(rng.integers(35, 66)), int(rng.integers(35, 66)))
    x = speech.say(speech.any_sentence(rng), said)
    return _breathed(rng, _shimmering(rng, _jittered(rng, x)))


def _jittered(rng: Generator, x: FloatArray) -> FloatArray:
    """Time bent by 1 to 4 % over tenths of a second, and from cycle to cycle by 0.4 to 1.2 %."""
    n = len(x)
    slow, fast = rng.uniform(0.01, 0.04), rng.uniform(0.004, 0.012)
    rate = 1 + slow * _wander(rng, n, 5) + fast * _wander(rng, n, 160)
    at = np.cumsum(np.clip(rate, 0.8, 1.2))
    finer = scipy.signal.resample_poly(x, 2, 1)  # a spline is true to sounds well below half its rate
    return np.asarray(CubicSpline(np.arange(2 * n), finer)(at * (2 * n - 1) / at[-1]))


def _shimmering(rng: Generator, x: FloatArray) -> FloatArray:
    """Loudness that wavers, slowly and from cycle to cycle."""
    slow, fast = rng.uniform(0.05, 0.2), rng.uniform(0.04, 0.12)
    return x * np.exp(slow * _wander(rng, len(x), 5) + fast * _wander(rng, len(x), 160))


def _breathed(rng: Generator, x: FloatArray) -> FloatArray:
    """With noise above a corner of 1.5 to 3 kHz, as loud as the voice lets through, 12 to 20 dB below it."""
    loudness = np.sqrt(scipy.ndimage.gaussian_filter1d(x**2, rng.uniform(12, 36)))
    corner = scipy.signal.butter(1, rng.uniform(1500, 3000), "high", fs=SAMPLE_RATE_HZ, output="sos")
    noise = scipy.signal.sosfilt(corner, rng.standard_normal(len(x)))
    return np.asarray(x + 10 ** (-rng.uniform(12, 20) / 20) * loudness * noise / noise.std())


def _wander(rng: Generator, n: int, per_second: float) -> FloatArray:
    """Smooth noise (n,) of about unit deviation that takes so many new values per second."""
    at = np.arange(n) * per_second / SAMPLE_RATE_HZ
    knots = rng.standard_normal(int(at[-1]) + 2)
    return np.asarray(CubicSpline(np.arange(len(knots)), knots)(at))


def _recorded(rng: Generator, x: FloatArray) -> FloatArray:
    """In a room (one clip in five), through a good microphone, with noise."""
    x = speech.in_room(rng, x) if rng.random() < 0.2 else x
    return speech.with_noise(rng, speech.through_microphone(rng, x, 0.5), rng.uniform(36, 54))
