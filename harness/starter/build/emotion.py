"""Emotion in the starter suite: many voices and sentences, said angrily, in fear, happily, plainly or sadly.

A sentence or two come from `speech`; WORLD (Morise et al. 2016; the module `pyworld`) takes them apart
into pitch and envelope, the emotion bends these, and WORLD puts them together again. What an emotion does to
speech follows the directions found in studies of acted emotion (Scherer 2003; Juslin & Laukka 2003): rate and
pauses, pitch level and range, the shape of accents and endings, dynamics, tremor, articulation, tense,
breathy, rough or creaky voice. The sizes are ours, and larger than life: small models are to learn them from
a thousand clips. Each cue is drawn from a normal distribution, and any may be missing. Most overlap between
emotions; a few mark one (growl and plunge anger, rise and fall joy, tremor fear, long pauses sadness), but no
single cue, known exactly, tells the five apart in more than 0.65 of clips. Speaker, base pitch,
sentence, room, microphone, noise and overall level are drawn without regard to the emotion.

Conventions: a clip is float64 (48000,), 3 s at 16 kHz, with a peak of 0.1 to 0.9. Pitch steps are in
semitones, levels in dB; a contour has one value per frame of 5 ms; a place in the utterance lies in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.random import Generator
from numpy.typing import NDArray

from harness.starter.build import speech
from harness.starter.build.optional_packages import package
from harness.starter.build.speech import SAMPLE_RATE_HZ, Delivery
from harness.types import FloatArray

LABELS: tuple[str, ...] = ("angry", "fear", "happy", "neutral", "sad")
SECONDS = 3.0

_N = int(SECONDS * SAMPLE_RATE_HZ)
_FRAME_S = 0.005
_MISSING = 0.04
"""Share of cues that are drawn as in neutral speech, whatever the emotion."""


@dataclass(frozen=True)
class _Manner:
    """How something is said: a value for each cue."""

    rate_wpm: float
    """Speaking rate."""
    word_gap: float
    """Pause between words, in steps of 10 ms."""
    level: float
    """Pitch above the speaker's own, semitones."""
    spread: float
    """Width of the sentence's intonation, in octaves about that of the synthesiser."""
    rise_fall: float
    """Height of a rise and fall of pitch on each accent, semitones."""
    plunge: float
    """Height from which pitch falls steeply on each accent, semitones."""
    ending: float
    """Glide of pitch over the last 0.35 s, semitones; up is positive."""
    accent_db: float
    """Loudness of accents over what lies between."""
    thrust: float
    """Shape of accents: 1 a sudden onset that dies away, 0 symmetric, -1 a swell that breaks off."""
    fade_db: float
    """Loss of loudness from the first to the last word."""
    tremor: float
    """Depth of a tremor of pitch (semitones) and loudness (5 dB for each), at 6 to 10 Hz."""
    unsteady: float
    """Irregularity of tempo: spread of its logarithm."""
    crisp: float
    """Articulation: quick changes of the envelope exaggerated (up to 1) or smoothed out (down to -1)."""
    tense_db: float
    """Tilt of the spectrum per octave, in full on accents, half between them."""
    breath: float
    """Share of noise in the voice, 0 to 1."""
    growl: float
    """Depth of an amplitude modulation at 18 to 30 Hz, 0 to 1."""
    creak: float
    """Depth of creaky voice towards the end, 0 to 1."""


_MEANS: MappingProxyType[str, _Manner] = MappingProxyType(
    {
        "angry": _Manner(
            rate_wpm=195, word_gap=1, level=2.5, spread=0.4, rise_fall=0.0, plunge=8.0, ending=-4.0,
            accent_db=16, thrust=0.9, fade_db=1, tremor=0.0, unsteady=0.10, crisp=0.7,
            tense_db=5, breath=0.0, growl=0.90, creak=0.0,
        ),
        "fear": _Manner(
            rate_wpm=200, word_gap=3, level=4.5, spread=-0.2, rise_fall=0.5, plunge=0.3, ending=1.0,
            accent_db=3, thrust=0.0, fade_db=0, tremor=1.5, unsteady=0.35, crisp=0.1,
            tense_db=1, breath=0.5, growl=0.10, creak=0.0,
        ),
        "happy": _Manner(
            rate_wpm=185, word_gap=1, level=3.5, spread=0.6, rise_fall=9.0, plunge=0.3, ending=6.0,
            accent_db=18, thrust=-0.9, fade_db=0, tremor=0.0, unsteady=0.12, crisp=0.3,
            tense_db=1, breath=0.1, growl=0.00, creak=0.0,
        ),
        "neutral": _Manner(
            rate_wpm=165, word_gap=2, level=0.0, spread=0.0, rise_fall=0.3, plunge=0.3, ending=-2.0,
            accent_db=1, thrust=0.0, fade_db=2, tremor=0.0, unsteady=0.06, crisp=0.0,
            tense_db=0, breath=0.05, growl=0.00, creak=0.1,
        ),
        "sad": _Manner(
            rate_wpm=135, word_gap=12, level=-1.5, spread=-0.9, rise_fall=0.0, plunge=0.0, ending=-3.0,
            accent_db=1, thrust=0.0, fade_db=9, tremor=0.1, unsteady=0.10, crisp=-0.7,
            tense_db=-3, breath=0.6, growl=0.00, creak=0.7,
        ),
    }
)  # fmt: skip
"""The mean of each cue."""

_DEVIATIONS = _Manner(
    rate_wpm=15, word_gap=2, level=1.8, spread=0.25, rise_fall=0.8, plunge=0.8, ending=1.5,
    accent_db=2.0, thrust=0.2, fade_db=2, tremor=0.12, unsteady=0.05, crisp=0.2,
    tense_db=1.2, breath=0.1, growl=0.1, creak=0.15,
)  # fmt: skip
"""The standard deviation of each cue, the same for all emotions; draws stay within two."""


@dataclass(frozen=True)
class _Voice:
    """A sentence as WORLD sees it, in frames of 5 ms."""

    pitch: FloatArray
    """Hz, (frames,); 0 where there is no voice."""
    envelope: FloatArray
    """Power, (frames, 513)."""


def make(rng: Generator, label: str) -> FloatArray:
    """One clip (48000,) of a sentence in this mood; the same state of `rng` gives the same samples.

    Raises:
        BadInput: espeakng-loader or pyworld is not installed.
        KeyError: a label that is not in LABELS.
    """
    cues = _drawn(rng, _MEANS[label])
    voice = _analysed(rng, cues)
    voice = _paced(rng, voice, cues)
    place = np.linspace(0, 1, len(voice.pitch))
    accents = _accents(voice)
    pitch = _pitch(rng, voice, cues, accents, place)
    envelope, noise = _timbre(rng, voice, cues, accents, place)
    x = package("pyworld").synthesize(pitch, envelope, noise, SAMPLE_RATE_HZ, _FRAME_S * 1000)
    x = _growled(rng, x, cues.growl)
    return _recorded(rng, x)


def _drawn(rng: Generator, mean: _Manner) -> _Manner:
    drawn = {}
    for cue in fields(_Manner):
        centre = getattr(_MEANS["neutral"] if rng.random() < _MISSING else mean, cue.name)
        drawn[cue.name] = centre + getattr(_DEVIATIONS, cue.name) * float(
            np.clip(rng.standard_normal(), -2, 2)
        )
    return _Manner(**drawn)


# ---- the sentence --------------------------------------------------------------------------------


def _analysed(rng: Generator, cues: _Manner) -> _Voice:
    """A random sentence by a random speaker at the right rate, taken apart."""
    name = speech.VOICES[rng.integers(len(speech.VOICES))]
    centre, width = rng.integers(40, 61, 2)
    said = Delivery(name, round(cues.rate_wpm), int(centre), int(width), max(round(cues.word_gap), 0))
    x = _said(rng, said)
    world = package("pyworld")
    found, times = world.dio(x, SAMPLE_RATE_HZ, f0_floor=60.0, f0_ceil=500.0, frame_period=_FRAME_S * 1000)
    pitch = world.stonemask(x, found, times, SAMPLE_RATE_HZ)
    envelope = world.cheaptrick(x, pitch, times, SAMPLE_RATE_HZ)
    low, high = (170.0, 260.0) if "+f" in name else (100.0, 160.0)
    voiced = pitch > 0
    if voiced.any():
        base = low * (high / low) ** rng.random()
        pitch[voiced] *= base / np.median(pitch[voiced])
    bins = np.arange(envelope.shape[1])
    tract = np.clip(np.round(bins * rng.uniform(0.9, 1.12)), 0, bins[-1]).astype(int)
    return _Voice(pitch, envelope[:, tract])


def _said(rng: Generator, delivery: Delivery) -> FloatArray:
    """A sentence, or two where one leaves much of the clip empty; cut after as much as the clip holds."""
    first, second = (speech.any_sentence(rng) for _ in range(2))
    x = speech.say(first, delivery)
    if len(x) < 0.7 * _N:
        x = speech.say(f"{first}, {second}", delivery)
    return np.ascontiguousarray(x[: int(0.97 * _N)])


def _paced(rng: Generator, voice: _Voice, cues: _Manner) -> _Voice:
    """The same with an irregular tempo."""
    n = len(voice.pitch)
    slow = np.exp(max(cues.unsteady, 0.0) * _wander(rng, n, 0.12))
    at = np.cumsum(slow) / slow.mean()
    picked = np.interp(np.arange(n), at, np.arange(n)).round().astype(int)
    return _Voice(voice.pitch[picked], voice.envelope[picked])


def _accents(voice: _Voice) -> NDArray[np.int64]:
    """Frames at which syllables are loudest, at least 0.18 s apart; the loudest frame if there are none."""
    level = scipy.ndimage.gaussian_filter1d(_level_db(voice.envelope) * (voice.pitch > 0), 6)
    peaks, _ = scipy.signal.find_peaks(level, distance=36, prominence=2)
    return np.asarray(peaks if len(peaks) else [np.argmax(level)], dtype=np.int64)


# ---- the emotion ---------------------------------------------------------------------------------


def _pitch(
    rng: Generator, voice: _Voice, cues: _Manner, accents: NDArray[np.int64], place: FloatArray
) -> FloatArray:
    """The contour in Hz, (frames,), 0 where there is no voice."""
    n = len(voice.pitch)
    voiced = voice.pitch > 0
    if not voiced.any():
        return voice.pitch
    base = float(np.median(voice.pitch[voiced]))
    steps = np.zeros(n)
    steps[voiced] = 12 * np.log2(voice.pitch[voiced] / base)
    steps = np.clip(steps, -7, 7) * 2**cues.spread + cues.level
    for accent in accents:
        since = (np.arange(n) - accent) * _FRAME_S
        strength = rng.uniform(0.6, 1.3)
        steps += strength * cues.rise_fall * np.exp(-0.5 * (since / 0.06) ** 2)
        steps += strength * cues.plunge * np.where(since > -0.07, np.exp(-(since + 0.07) / 0.07), 0)
    left = (n - np.arange(n)) * _FRAME_S
    steps += cues.ending * np.clip(1 - left / 0.35, 0, 1)
    steps += cues.tremor * _shaking(rng, n)
    creaky = np.clip(cues.creak, 0, 1) * np.clip((place - 0.55) / 0.3, 0, 1)
    steps += creaky * (rng.normal(0, 3, n) - 9)
    steps += 0.15 * _wander(rng, n, 0.02)
    return np.where(voiced, np.clip(base * 2 ** (steps / 12), 45, 600), 0.0)


def _timbre(
    rng: Generator, voice: _Voice, cues: _Manner, accents: NDArray[np.int64], place: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Envelope and noise, (frames, 513) each, with the emotion's dynamics and voice quality."""
    n = len(place)
    near = _nearness(n, accents, float(np.clip(cues.thrust, -1, 1)))
    gain_db = cues.accent_db * (near - 0.5) - cues.fade_db * place
    gain_db = gain_db + max(cues.tremor, 0.0) * 5 * _shaking(rng, n)
    creaky = np.clip(cues.creak, 0, 1) * np.clip((place - 0.55) / 0.3, 0, 1)
    gain_db += creaky * rng.normal(0, 3, n)
    octaves = np.clip(np.log2(np.maximum(np.arange(513) / 512 * 8, 0.05)), -2, 3)
    tilt_db = (cues.tense_db * (0.5 + 0.5 * near))[:, None] * octaves
    log_db = 10 * np.log10(voice.envelope + 1e-12)
    change_db = log_db - scipy.ndimage.gaussian_filter1d(log_db, 0.03 / _FRAME_S, axis=0)
    change_db = np.clip(float(np.clip(cues.crisp, -1, 1)) * change_db, -15, 15)
    envelope = 10 ** ((log_db + change_db + gain_db[:, None] + tilt_db) / 10)
    breath = 0.03 + np.clip(cues.breath, 0, 1) * np.clip(0.4 + 0.3 * octaves, 0, 1)
    noise = np.where(voice.pitch[:, None] > 0, np.clip(breath, 0.01, 0.95), 1 - 1e-4)
    return np.ascontiguousarray(envelope), np.ascontiguousarray(noise)


def _nearness(n: int, accents: NDArray[np.int64], thrust: float) -> FloatArray:
    """How near each frame (n,) is to an accent, 0 to 1, with the shape that `thrust` says."""
    since = (np.arange(n)[:, None] - accents) * _FRAME_S
    even = np.exp(-0.5 * (since / 0.05) ** 2)
    onset = np.where(since > -0.05, np.exp(-(since + 0.05) / 0.07), 0)
    swell = np.where(since < 0.05, np.exp((since - 0.05) / 0.07), 0)
    shaped = (1 - abs(thrust)) * even + max(thrust, 0) * onset + max(-thrust, 0) * swell
    near: FloatArray = shaped.max(axis=1)
    return near


def _growled(rng: Generator, x: FloatArray, depth: float) -> FloatArray:
    """The sound with its amplitude modulated at an unsteady rate."""
    n = len(x) // 80 + 1
    cycles = np.cumsum(rng.uniform(18, 30) * np.exp(0.1 * _wander(rng, n, 0.03))) * _FRAME_S
    wave = np.sin(2 * np.pi * np.interp(np.arange(len(x)), np.arange(n) * 80, cycles))
    growled: FloatArray = x * (1 + np.clip(depth, 0, 0.95) * wave)
    return growled


def _shaking(rng: Generator, n: int) -> FloatArray:
    """A tremor (n frames,) at 6 to 10 Hz, peak about 1."""
    rate = rng.uniform(6, 10) * np.exp(0.12 * _wander(rng, n, 0.1))
    shaking: FloatArray = np.sin(2 * np.pi * (np.cumsum(rate) * _FRAME_S + rng.random()))
    return shaking


def _wander(rng: Generator, n: int, seconds: float) -> FloatArray:
    """Smooth noise (n frames,) of unit deviation that changes over about so many seconds."""
    noise: FloatArray = scipy.ndimage.gaussian_filter1d(rng.standard_normal(n), seconds / _FRAME_S)
    return noise / max(float(noise.std()), 1e-9)


# ---- the recording -------------------------------------------------------------------------------


def _recorded(rng: Generator, x: FloatArray) -> FloatArray:
    """In a room, through a microphone, with noise, at a level that tells nothing."""
    x = speech.in_room(rng, speech.fit(rng, x, _N, floor=0.003), amount=0.5)
    x = speech.through_microphone(rng, x, strength=0.8)
    x = speech.with_noise(rng, x, rng.uniform(28, 45))
    x = x * 10 ** (rng.uniform(-28, -20) / 20) / np.sqrt(np.mean(x**2))
    peak = float(np.abs(x).max())
    return x * float(np.clip(peak, 0.12, 0.85) / peak)


def _level_db(envelope: FloatArray) -> FloatArray:
    """Level of each frame over the quietest that counts, 50 dB below the loudest, (frames,)."""
    power = envelope.sum(axis=1)
    level: FloatArray = 10 * np.log10(np.maximum(power / power.max(), 1e-5)) + 50
    return level
