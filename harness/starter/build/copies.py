"""Copy-synthesis of recorded speech: eight families in which a machine says the same words again.

Each takes speech and gives it back as a vocoder, a codec or a synthesiser would, with parameters drawn for
the clip. `copied` then takes away what would betray a copy without listening: its average spectrum is
brought to that of the recording, and so is its level; a band limit that a family brings is stated, so that
the recording gets it, too. What is left is structure in time and the fine structure of the spectrum.

Conventions: speech is float64 (n_samples,) at 16 kHz, and so is what comes back, of equal length. Everything
random is drawn from `rng`. Times are in s or samples, frequencies in Hz.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

from harness.starter.build import codecs
from harness.starter.build.optional_packages import package
from harness.types import FloatArray

_RATE = 16_000
_FRAME_MS = 5.0
"""From one frame of the pitch track to the next."""

_SPECTRUM_DB = 20.0
"""By how much the average spectrum of a copy is corrected at most."""


@dataclass(frozen=True)
class Family:
    """One way to make a copy."""

    copy: Callable[[Generator, FloatArray], FloatArray]
    """Speech (n_samples,) in, the same words from a machine out."""
    limit_hz: float = 8_000
    """Above it a copy holds nothing."""


def copied(rng: Generator, x: FloatArray, family: str) -> FloatArray:
    """The speech `x` (n_samples,) as a family makes it, with the average spectrum and the level of `x`.

    Args:
        rng: where its parameters are drawn from.
        x: speech at 16 kHz.
        family: a name in FAMILIES.
    """
    y = FAMILIES[family].copy(rng, x)[: len(x)]
    y = _with_average_spectrum(np.pad(y, (0, len(x) - len(y))), x)
    return np.asarray(y * np.sqrt(np.mean(x**2) / max(float(np.mean(y**2)), 1e-20)))


# ---- from a spectrogram: no phase, or a coarse one ------------------------------------------------


def griffin_lim(rng: Generator, x: FloatArray) -> FloatArray:
    """Eighty mel bands inverted by one to eight rounds of Griffin and Lim (1984), from random phases."""
    stft = _stft(1024, int(rng.choice([256, 320, 400])))
    bank, inverse = _mel(80)
    size = np.maximum(inverse @ (bank @ np.abs(stft.stft(x))), 0.0)
    phase = np.exp(2j * np.pi * rng.random(size.shape))
    for _ in range(int(rng.integers(1, 9))):
        spectrum = stft.stft(stft.istft(size * phase, k1=len(x)))
        phase = spectrum / np.maximum(np.abs(spectrum), 1e-12)
    return np.asarray(stft.istft(size * phase, k1=len(x)))


def coarse_phase(rng: Generator, x: FloatArray) -> FloatArray:
    """The phase of every bin above a corner rounded to two or three values, or drawn anew."""
    width = int(rng.choice([1024, 1536, 2048]))
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
    """WORLD (Morise et al., 2016): envelope smoothed over 15 to 35 ms, no jitter, little breath."""
    vocoder = package("pyworld")
    f0, times = _pitch(x)
    envelope = vocoder.cheaptrick(x, f0, times, _RATE)
    aperiodicity = vocoder.d4c(x, f0, times, _RATE)
    smooth = np.exp(gaussian_filter1d(np.log(envelope), rng.uniform(3, 7), axis=0))
    breath = np.where(f0[:, None] > 0, aperiodicity * rng.uniform(0.0, 0.3), aperiodicity)
    return np.asarray(vocoder.synthesize(_smooth(f0), smooth, np.clip(breath, 1e-3, 1), _RATE, _FRAME_MS))


def lpc(rng: Generator, x: FloatArray) -> FloatArray:
    """Linear prediction of 10 to 16 poles every 20 to 30 ms, driven by pulses where voiced, else by noise."""
    order, hop = int(rng.integers(10, 17)), int(rng.integers(160, 241)) * 2
    f0 = _smooth(_pitch(x)[0])
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


def opus(rng: Generator, x: FloatArray) -> FloatArray:
    """Opus at 6 to 8 kb/s, one to three times."""
    bit_rate = int(rng.integers(6_000, 8_001))
    for _ in range(int(rng.integers(1, 4))):
        x = codecs.opus(x, bit_rate)
    return x


def amr(rng: Generator, x: FloatArray) -> FloatArray:
    """AMR narrowband, the codec of mobile telephones, at 4.75 to 5.9 kb/s, one to three times."""
    bit_rate = int(rng.choice([4_750, 5_150, 5_900]))
    for _ in range(int(rng.integers(1, 4))):
        x = codecs.amr(x, bit_rate)
    return x


def g723(rng: Generator, x: FloatArray) -> FloatArray:
    """G.723.1 at 6.3 kb/s, one to three times."""
    for _ in range(int(rng.integers(1, 4))):
        x = codecs.g723(x)
    return x


def upsampled(rng: Generator, x: FloatArray) -> FloatArray:
    """Made at 6 to 10 kHz and upsampled with a bad filter: the lower half comes again above, in a mirror."""
    up, down = [(3, 8), (2, 5), (1, 2), (3, 5), (5, 8)][rng.integers(5)]
    clean = resample_poly(resample_poly(x, up, down), down, up)[: len(x)]
    mirror = 2 * np.cos(2 * np.pi * np.arange(len(x)) * up / down) * clean
    return np.asarray(clean + rng.uniform(0.3, 0.9) * mirror)


FAMILIES: MappingProxyType[str, Family] = MappingProxyType(
    {
        "griffin-lim": Family(griffin_lim),
        "coarse-phase": Family(coarse_phase),
        "world": Family(world),
        "lpc": Family(lpc),
        "opus": Family(opus, 3_800),
        "amr": Family(amr, 3_600),
        "upsampled": Family(upsampled),
        "g723": Family(g723, 3_600),
    }
)
"""The families, by name."""


# ---- shared -----------------------------------------------------------------------------------------


def _with_average_spectrum(y: FloatArray, x: FloatArray) -> FloatArray:
    """`y` filtered so that its spectrum, averaged over time and forty mel bands, is that of `x`."""
    stft = _stft(1024, 256)
    bank, _ = _mel(40)
    power = [bank @ np.mean(stft.spectrogram(sound), axis=1) + 1e-12 for sound in (y, x)]
    limit = _SPECTRUM_DB / 10
    gain = np.clip(np.log10(power[1]) - np.log10(power[0]), -limit, limit) / 2
    centres = (bank @ np.arange(bank.shape[1])) / bank.sum(axis=1)
    n = 2 * len(y)
    frequency = np.fft.rfftfreq(n, 1 / _RATE) * 1024 / _RATE
    return np.asarray(
        np.fft.irfft(np.fft.rfft(y, n) * 10 ** np.interp(frequency, centres, gain), n)[: len(y)]
    )


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


def _smooth(f0: FloatArray) -> FloatArray:
    """Smoother than any larynx: without jitter."""
    voiced = f0 > 0
    if not voiced.any():
        return f0
    log = np.interp(np.arange(len(f0)), np.flatnonzero(voiced), np.log(f0[voiced]))
    return np.where(voiced, np.exp(gaussian_filter1d(log, 4.0)), 0.0)


def _excitation(rng: Generator, f0: FloatArray, n_samples: int) -> FloatArray:
    """One pulse per cycle where voiced, white noise elsewhere, both of unit power."""
    held = f0[np.minimum(np.arange(n_samples) // int(_RATE * _FRAME_MS / 1000), len(f0) - 1)]
    cycles = np.floor(np.cumsum(held) / _RATE)
    pulses = np.diff(cycles, prepend=0.0) * np.sqrt(_RATE / np.maximum(held, 50.0))
    return np.where(held > 0, pulses, rng.normal(size=n_samples))
