"""Voiced speech of the starter suite: a synthesiser's voices, then the room, the microphone and the noise.

The speech is that of espeak-ng, a formant synthesiser, called in-process as a C library; the pip package
`espeakng-loader` brings the library and its data. The library keeps state between sentences (random numbers,
the phase of its flutter), so each sentence is said by a freshly loaded copy: about 5 ms, and the same call
gives the same samples whatever was said before, in any process. (Loading and unloading are those of POSIX.)

What follows (`in_room`, `through_microphone`, `with_noise`, `fit`) draws everything from the generator it is
given and knows no class: it moves the average spectrum of all clips alike.

Conventions: a sound is float64 (n,) at 16 kHz, full scale 1.0. Levels are in dB, frequencies in Hz.
"""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.signal
from numpy.random import Generator

from harness import audio
from harness.starter.build.optional_packages import package
from harness.types import FloatArray

SAMPLE_RATE_HZ = 16_000

VOICES: tuple[str, ...] = (
    *("en-us+f1", "en-us+f2", "en-us+f5", "en-us+f4", "en-us+m1", "en-us+m2", "en-us+m3", "en-us+m4"),
    *("en+f2", "en+f3", "en+f5", "en+m1", "en+m5", "en+m7", "en-gb-x-rp+f1", "en-gb-x-rp+m4"),
    *("en-gb-scotland+f4", "en-gb-scotland+f2", "en-gb-scotland+m1", "en-gb-scotland+m3"),
    *("en-us-nyc+f2", "en-us-nyc+m5", "en-029+f3", "en-029+m4", "en-gb-x-gbclan+f1", "en-gb-x-gbcwmd+m8"),
    *("de+f2", "de+m3", "nl+f5", "nl+m1", "sv+f1", "sv+m4", "it+f4", "it+m3", "es+f2", "es+m7"),
    *("pl+f1", "pl+m5", "fi+f2", "fi+m1"),
)
"""Accent + speaker: English kinds, and other languages reading English; f are women, m are men."""

SENTENCES: tuple[str, ...] = (
    *("The boat came home before noon", "We found seven shells today", "She put the kettle on"),
    *("My brother lives near the river", "They are moving on Monday", "Give me the yellow folder"),
    *("The train leaves in nine minutes", "Nobody knew about the letter", "I will be there early"),
    *("Our neighbour owns three geese", "All the windows were open", "He asked you a question"),
    *("The rain began around eleven", "You left your bag upstairs", "Someone rang the bell again"),
    *("We are going to the market", "The dog ran along the beach", "Bring a warm woollen jumper"),
    *("That is all I remember", "The door opens from inside", "Her uncle drives a lorry"),
    *("The milk goes into the bowl", "I saw them yesterday evening", "The garden needs more water"),
    *("You said it would be ready", "Both of them play the violin", "The meeting was on Thursday"),
    *("An owl lives in our barn", "The lamp over there is mine", "He knows what you mean"),
    *("Leave the key with Julia", "There was a moon last night", "The engine made a low noise"),
    *("We only have one hour", "The old mill is empty now", "My glove fell in the snow"),
    *("They never told me why", "Come down from the ladder", "The answer was on page five"),
    *("Every morning begins like this", "Look what the wind did", "I need a little more time"),
    *("The bread is still warm", "She walked along the wall", "Are you coming with us"),
    *("Where did the others go", "The children were all asleep", "Tell me about your journey"),
    *("It must be under the table", "Nine people waited for the bus", "A lion roared in the zoo"),
    *("The wool is blue and green", "Please read the second line", "No one has seen him since"),
    *("I thought it was your turn", "The mayor will give a speech", "The road turns left by the church"),
    *("Our radio broke this morning", "We were young in those days", "You know I love that song"),
    *("The ship is out of view", "Joan made us a lemon pie", "He would rather stay here"),
    *("Now the whole village knows", "The paint is nearly dry", "Anna will join us at eight"),
)
"""Short sentences of our own, three to seven words, rich in voiced sounds."""


@dataclass(frozen=True)
class Delivery:
    """How a sentence is said, in the synthesiser's own units."""

    voice: str
    """One of VOICES, or another name that espeak-ng knows."""
    rate_wpm: int = 170
    """Words per minute, 80 to 450."""
    pitch: int = 50
    """Base pitch, 0 to 99; 50 is the voice's own."""
    pitch_range: int = 50
    """Width of the intonation, 0 (monotone) to 99; 50 is the voice's own."""
    word_gap: int = 0
    """Extra pause between words, in steps of 10 ms."""


_lock = threading.Lock()
_SYNCHRONOUS, _UTF8 = 2, 1
_RATE, _VOLUME, _PITCH, _RANGE, _WORD_GAP = 1, 2, 3, 4, 7
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def say(text: str, delivery: Delivery) -> FloatArray:
    """The sentence (n,), with the silence around it trimmed: the same call gives the same samples.

    Raises:
        BadInput: the synthesiser is not installed.
        ValueError: a voice it does not know, or a text in which nothing is to be said.
    """
    with _lock:
        spoken, rate = _spoken(text, delivery)
    sound = audio.resample((spoken / 32768).astype(np.float32), rate, SAMPLE_RATE_HZ).astype(np.float64)
    return _trimmed(sound)


def _spoken(text: str, delivery: Delivery) -> tuple[FloatArray, int]:
    """The synthesiser's samples and their rate, from a copy of the library that has said nothing before."""
    loader = package("espeakng_loader")
    libc, library = ctypes.CDLL(None), ctypes.CDLL(loader.get_library_path())
    heard: list[FloatArray] = []

    def hear(samples: Any, n: int, events: Any) -> int:
        if samples and n > 0:
            heard.append(np.ctypeslib.as_array(samples, (n,)).astype(np.float64))
        return 0

    callback = _Callback(hear)
    try:
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, loader.get_data_path().encode(), 0)
        library.espeak_SetSynthCallback(callback)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        libc.srand(1)  # breath is drawn from the C library's numbers
        if library.espeak_SetVoiceByName(delivery.voice.encode()) != 0:
            raise ValueError(f"espeak-ng knows no voice {delivery.voice!r}; see VOICES")
        for parameter, value in (
            (_RATE, delivery.rate_wpm),
            (_VOLUME, 90),
            (_PITCH, delivery.pitch),
            (_RANGE, delivery.pitch_range),
            (_WORD_GAP, delivery.word_gap),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
        library.espeak_Terminate()
    finally:
        libc.dlclose(ctypes.c_void_p(library._handle))
    if not heard or not np.concatenate(heard).any():
        raise ValueError(f"nothing to say in {text!r}")
    return np.concatenate(heard), int(rate)


def _trimmed(sound: FloatArray) -> FloatArray:
    """Without what lies 46 dB below the loudest frame of 10 ms at either end."""
    level = _frame_rms(sound)
    loud = np.flatnonzero(level > level.max() * 0.005)
    return sound[loud[0] * 160 : (loud[-1] + 1) * 160]


def any_sentence(rng: Generator) -> str:
    """One of SENTENCES."""
    return SENTENCES[rng.integers(len(SENTENCES))]


# ---- where and how it was recorded -----------------------------------------------------------------


def in_room(rng: Generator, x: FloatArray, amount: float = 1.0) -> FloatArray:
    """The sound (n,) in a synthetic room, cut to its own length.

    Early reflections at 2 to 40 ms, then noise that decays by 60 dB in 0.1 to 0.5 s; the direct sound is 3 to
    18 dB above the rest, which is scaled by `amount` (amplitude).
    """
    decay = rng.uniform(0.1, 0.5)
    t = np.arange(int(decay * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay)
    tail = scipy.signal.lfilter([1.0], [1.0, -rng.uniform(0.0, 0.7)], tail)
    tail[: int(0.01 * SAMPLE_RATE_HZ)] *= 0.2
    early = rng.integers(32, 640, size=rng.integers(3, 9))
    tail[early] += rng.choice([-1.0, 1.0], len(early)) * rng.uniform(1.0, 4.0, len(early))
    tail *= amount * 10 ** (-rng.uniform(3, 18) / 20) / np.linalg.norm(tail)
    tail[0] += 1.0
    wet: FloatArray = scipy.signal.fftconvolve(x, tail)[: len(x)]
    return wet


def through_microphone(rng: Generator, x: FloatArray, strength: float = 1.0) -> FloatArray:
    """The sound (n,) through a random frequency response, at its own RMS.

    A tilt of -4 to 4 dB per octave, six broad resonances or dips of up to 9 dB, a high-pass edge at 40 to
    250 Hz and a low-pass edge at 3.8 to 8 kHz; `strength` scales tilt and resonances, in dB.
    """
    n = scipy.fft.next_fast_len(len(x) + 1024, real=True)
    octaves = np.log2(np.maximum(scipy.fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ), 20) / 1000)
    gain_db = np.clip(rng.uniform(-4, 4) * octaves, -18, 18)
    for centre, width in zip(rng.uniform(-3, 3, 6), rng.uniform(0.15, 0.8, 6), strict=True):
        gain_db += rng.uniform(-9, 9) * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
    gain_db *= strength
    low, high = np.log2(rng.uniform(40, 250) / 1000), np.log2(rng.uniform(3800, 8000) / 1000)
    gain_db -= 10 * np.log10(1 + 2.0 ** (4 * (low - octaves)))  # second order
    gain_db -= 10 * np.log10(1 + 2.0 ** (8 * (octaves - high)))  # fourth order
    y: FloatArray = scipy.fft.irfft(scipy.fft.rfft(x, n) * 10 ** (gain_db / 20), n)[: len(x)]
    return y * (_rms(x) / max(_rms(y), 1e-12))


def with_noise(rng: Generator, x: FloatArray, snr: float) -> FloatArray:
    """The sound (n,) with noise `snr` dB below it: coloured (half of the draws), mains hum or babble."""
    kind = rng.choice(["coloured", "coloured", "hum", "babble"])
    noise = _coloured(rng, len(x), rng.uniform(0, 2))
    if kind == "hum":
        noise = 0.4 * noise / _rms(noise) + _hum(rng, len(x))
    elif kind == "babble":
        noise = 0.3 * noise / _rms(noise) + _babble(rng, len(x))
    return x + noise * (_rms(x) / max(_rms(noise), 1e-12) * 10 ** (-snr / 20))


def fit(rng: Generator, x: FloatArray, n_samples: int, floor: float = 0.03) -> FloatArray:
    """The sound somewhere in a clip of (n_samples,): padded with its own noise floor, or a stretch of it.

    The floor is at most `floor` times the RMS of the sound.
    """
    spare = n_samples - len(x)
    start = int(rng.integers(abs(spare) + 1))
    if spare <= 0:
        return x[start : start + n_samples].copy()
    quiet = max(float(np.quantile(_frame_rms(x), 0.05)), 1e-3 * _rms(x))
    y = _coloured(rng, n_samples, 1.0)
    y *= min(quiet, floor * _rms(x)) / _rms(y)
    ramp = np.minimum(1.0, np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / 80)  # 5 ms
    y[start : start + len(x)] *= 1 - ramp
    y[start : start + len(x)] += x * ramp
    return y


def _coloured(rng: Generator, n: int, slope: float) -> FloatArray:
    """Noise (n,) whose power falls with frequency to the power of `slope`, flat below 50 Hz."""
    size = scipy.fft.next_fast_len(n, real=True)
    frequency = np.maximum(scipy.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ), 50)
    spectrum = scipy.fft.rfft(rng.standard_normal(size)) * frequency ** (-slope / 2)
    noise: FloatArray = scipy.fft.irfft(spectrum, size)[:n]
    return noise


def _hum(rng: Generator, n: int) -> FloatArray:
    t = np.arange(n) / SAMPLE_RATE_HZ
    mains = rng.choice([50.0, 60.0])
    partials = [
        np.sin(2 * np.pi * (mains * k * t + rng.random())) * rng.uniform(0.2, 1.0) / k for k in range(1, 12)
    ]
    hum: FloatArray = np.sum(partials, axis=0)
    return hum / _rms(hum)


def _babble(rng: Generator, n: int) -> FloatArray:
    """Five people talking at once."""
    babble = np.zeros(n)
    for _ in range(5):
        voice = VOICES[rng.integers(len(VOICES))]
        speech = say(any_sentence(rng), Delivery(voice, int(rng.integers(140, 210))))
        babble += np.roll(np.resize(speech / _rms(speech), n), rng.integers(n))
    return babble / _rms(babble)


def _frame_rms(x: FloatArray) -> FloatArray:
    """RMS of frames of 10 ms, (n // 160,); one frame if there are fewer samples."""
    frames = x[: len(x) // 160 * 160].reshape(-1, 160) if len(x) >= 160 else x[None]
    rms: FloatArray = np.sqrt(np.mean(frames**2, axis=1))
    return rms


def _rms(x: FloatArray) -> float:
    return float(np.sqrt(np.mean(x**2)))
