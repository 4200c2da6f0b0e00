"""Simulates spoofed speech: seven families of artefacts that distinguish it from a recording.

Each takes speech and gives the same words back as a synthesiser, a vocoder or a codec would leave them, at
a strength drawn for the clip. What changes is less the mean spectrum than the structure in time (aspiration,
melody, the phase between harmonics, frames) and the fine structure of the spectrum (smears, mirrors, lines),
in parts of the spectrum that depend on the family. The traces are coarse, as the models that are to hear them
are tiny: nothing here is the state of any art.

Conventions: speech is float64 (n_samples,) at 16 kHz, and so is what comes back, of equal length and RMS.
Everything random is drawn from `rng`. Times are in s or samples, frequencies in Hz.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg import pinv, solve_toeplitz
from scipy.ndimage import gaussian_filter1d
from scipy.signal import ShortTimeFFT, lfilter, resample_poly
from scipy.signal.windows import hann
from transformers.audio_utils import mel_filter_bank

from harness import audio
from harness.starter.build.optional_packages import package
from harness.types import FloatArray

Spoof = Callable[[Generator, FloatArray], FloatArray]
"""Speech (n_samples,) in, the same words with a machine's traces out."""

_RATE = 16_000
_FRAME_MS = 5.0
"""From one frame of the pitch track to the next."""


def spoofed(rng: Generator, x: FloatArray, family: str) -> FloatArray:
    """The speech `x` (n_samples,) after the family of that name in SPOOFS, at its old RMS."""
    y = SPOOFS[family](rng, x)[: len(x)]
    y = np.pad(y, (0, len(x) - len(y)))
    return np.asarray(y * np.sqrt(np.mean(x**2) / max(float(np.mean(y**2)), 1e-20)))


# ---- from a spectrogram: no phase, or a coarse one ------------------------------------------------


def griffin_lim(rng: Generator, x: FloatArray) -> FloatArray:
    """Twenty-four to forty mel bands inverted by one round of Griffin and Lim (1984), from random phases."""
    stft = _stft(1024, int(rng.choice([448, 512])))
    bank, inverse = _mel(int(rng.integers(24, 41)))
    size = np.maximum(inverse @ (bank @ np.abs(stft.stft(x))), 0.0)
    phase = np.exp(2j * np.pi * rng.random(size.shape))
    spectrum = stft.stft(stft.istft(size * phase, k1=len(x)))
    phase = spectrum / np.maximum(np.abs(spectrum), 1e-12)
    return np.asarray(stft.istft(size * phase, k1=len(x)))


def coarse_phase(rng: Generator, x: FloatArray) -> FloatArray:
    """The phase of every bin above a corner rounded to two or three values, or drawn anew."""
    width = int(rng.choice([1536, 2048]))
    stft = _stft(width, width // 4)
    spectrum = stft.stft(x)
    step = 2 * np.pi / rng.integers(2, 4)
    phase = np.angle(spectrum)
    coarse = np.round(phase / step) * step if rng.random() < 0.5 else rng.uniform(0, 2 * np.pi, phase.shape)
    above = stft.f > rng.uniform(0, 800)
    mixed = np.where(above[:, None], coarse, phase)
    return np.asarray(stft.istft(np.abs(spectrum) * np.exp(1j * mixed), k1=len(x)))


# ---- from a model of the voice --------------------------------------------------------------------


def world(rng: Generator, x: FloatArray) -> FloatArray:
    """WORLD (Morise et al., 2016): pitch flattened, envelope smoothed in time, aspiration mostly gone."""
    vocoder = package("pyworld")
    f0, times = _pitch(x)
    envelope = vocoder.cheaptrick(x, f0, times, _RATE)
    aperiodicity = vocoder.d4c(x, f0, times, _RATE)
    smooth = np.exp(gaussian_filter1d(np.log(envelope), rng.uniform(6, 14), axis=0))
    breath = np.where(f0[:, None] > 0, aperiodicity * rng.uniform(0.0, 0.1), aperiodicity)
    return np.asarray(
        vocoder.synthesize(_flattened(rng, f0), smooth, np.clip(breath, 1e-3, 1), _RATE, _FRAME_MS)
    )


def lpc(rng: Generator, x: FloatArray) -> FloatArray:
    """Linear prediction of 10 to 16 poles every 20 to 30 ms, driven by pulses where voiced, else by noise."""
    order, hop = int(rng.integers(10, 17)), int(rng.integers(160, 241)) * 2
    f0 = _flattened(rng, _pitch(x)[0])
    window = hann(2 * hop, sym=False)
    wide = hann(3 * hop, sym=False)
    drive = _excitation(rng, f0, len(x))
    y = np.zeros(len(x) + 8 * hop)
    padded, driven = np.pad(x, 2 * hop), np.pad(drive, 2 * hop)
    for start in range(hop, len(x) + hop, hop):
        frame = padded[start - hop // 2 : start + 5 * hop // 2] * wide
        r = np.correlate(frame, frame, "full")[len(frame) - 1 :][: order + 1]
        if r[0] < 1e-9:
            continue
        r[0] *= 1.001
        a = solve_toeplitz(r[:-1], r[1:])
        gain = np.sqrt(max(r[0] - a @ r[1:], 0.0) / (wide @ wide))
        pulse = np.pad(driven[start : start + 2 * hop] * window, (0, 2 * hop))
        y[start : start + 4 * hop] += lfilter([gain], np.r_[1.0, -a], pulse)
    return y[2 * hop : 2 * hop + len(x)]


# ---- from a channel --------------------------------------------------------------------------------


def codec(rng: Generator, x: FloatArray) -> FloatArray:
    """Two to four times through a lossy codec of few bits: told a higher rate than 16 kHz, it spends less."""
    name, rounds = str(rng.choice(["mp3", "opus", "vorbis"])), int(rng.integers(2, 5))
    told = 16_000 if name == "opus" else 32_000
    peak = 2 * np.abs(x).max()
    y = (x / peak).astype(np.float32)
    for _ in range(rounds):
        y = audio.lossy(y, told, name)
    return np.asarray(y * peak, dtype=np.float64)


def upsampled(rng: Generator, x: FloatArray) -> FloatArray:
    """Made at 6 to 10 kHz and upsampled without a filter: the lower half comes again above, in a mirror."""
    up, down = [(3, 8), (2, 5), (1, 2), (3, 5), (5, 8)][rng.integers(5)]
    clean = resample_poly(resample_poly(x, up, down), down, up)[: len(x)]
    mirror = 2 * np.cos(2 * np.pi * np.arange(len(x)) * up / down) * clean
    return np.asarray(clean + rng.uniform(0.5, 0.9) * mirror)


def comb(rng: Generator, x: FloatArray) -> FloatArray:
    """Frames of a neural vocoder that do not add up to one, and the lines its upsampling layers leave."""
    frame, period = int(rng.integers(480, 801)), int(rng.choice([16, 32, 64]))
    dip = np.cos(np.pi * np.arange(len(x)) / frame) ** 4
    lines = np.resize(rng.normal(size=period), len(x))
    level = np.sqrt(gaussian_filter1d(x**2, 400))
    return x * (1 - rng.uniform(0.85, 1.0) * dip) + rng.uniform(0.04, 0.1) * level * lines


SPOOFS: MappingProxyType[str, Spoof] = MappingProxyType(
    {
        "griffin-lim": griffin_lim,
        "coarse-phase": coarse_phase,
        "world": world,
        "lpc": lpc,
        "codec": codec,
        "upsampled": upsampled,
        "comb": comb,
    }
)
"""The families, by name; a spoofed clip has gone through one of them."""


# ---- shared -----------------------------------------------------------------------------------------


def _stft(width: int, hop: int) -> ShortTimeFFT:
    return ShortTimeFFT(hann(width, sym=False), hop, _RATE)


@lru_cache(maxsize=64)
def _mel(n_mels: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """A mel filter bank (n_mels, 513) and its pseudo-inverse."""
    bank = np.asarray(mel_filter_bank(513, n_mels, 0.0, _RATE / 2, _RATE)).T
    return bank, pinv(bank)


def _pitch(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fundamental frequency (n_frames,), 0 where unvoiced, and the time of each frame."""
    vocoder = package("pyworld")
    f0, times = vocoder.dio(x, _RATE, frame_period=_FRAME_MS)
    return vocoder.stonemask(x, f0, times, _RATE), times


def _flattened(rng: Generator, f0: FloatArray) -> FloatArray:
    """Smoother than any larynx: no jitter, and the melody drawn towards its mean."""
    voiced = f0 > 0
    if not voiced.any():
        return f0
    log = np.interp(np.arange(len(f0)), np.flatnonzero(voiced), np.log(f0[voiced]))
    log = gaussian_filter1d(log, 4.0)
    flat = log.mean() + rng.uniform(0.0, 0.3) * (log - log.mean())
    return np.where(voiced, np.exp(flat), 0.0)


def _excitation(rng: Generator, f0: FloatArray, n_samples: int) -> FloatArray:
    """One pulse per cycle where voiced, white noise elsewhere, both of unit power."""
    held = f0[np.minimum(np.arange(n_samples) // int(_RATE * _FRAME_MS / 1000), len(f0) - 1)]
    cycles = np.floor(np.cumsum(held) / _RATE)
    pulses = np.diff(cycles, prepend=0.0) * np.sqrt(_RATE / np.maximum(held, 50.0))
    return np.where(held > 0, pulses, rng.normal(size=n_samples))
