"""Clips of the starter suite: three toy tasks made of numbers, in milliseconds and from seeds.

They stand in for recordings where none may be shipped: a second of synthetic music, of a synthetic voice in a
mood, of the same voice with or without a vocoder's traces. They are toys: what a model does on them says
nothing about real music or speech. The classes overlap on purpose, so that small models make mistakes, and
not the same ones; evidence lies in several parts of the spectrum and in time, so that they can listen to
different things.

Conventions: a clip is 1.0 s at 16 kHz, mono, rounded to 16 bit before anything is done with it, with a peak
of about 0.3 to 0.8. Clip i of a split depends on its task, its split and i alone, and has class i modulo the
number of classes: any prefix is as balanced as it can be. Times are in s, frequencies in Hz, pitch steps in
semitones.

Public: CLASSES, CORPUS, SAMPLE_RATE_HZ, N_SAMPLES, clips.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import scipy.fft
import scipy.signal
from numpy.random import Generator
from numpy.typing import NDArray

from harness.errors import BadTask
from harness.records import Clip, FloatArray, Mask, Waveform
from harness.seeds import generator
from harness.tasks import Task

CORPUS = "starter"
SAMPLE_RATE_HZ = 16_000
N_SAMPLES = 16_000

CLASSES: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "music-genre": ("blues", "classical", "disco", "metal"),
        "emotion": ("angry", "happy", "neutral", "sad"),
        "deepfake": ("bonafide", "spoof"),
    }
)
"""The canonical labels that occur, by task: clip i has the label at i modulo their number."""

Span = tuple[float, float]

_T = np.arange(N_SAMPLES) / SAMPLE_RATE_HZ
_F = scipy.fft.rfftfreq(N_SAMPLES, 1 / SAMPLE_RATE_HZ)
_TABLE = 2048
"""Samples in one cycle of a wavetable."""


def clips(task: Task, split: str, n: int) -> list[Clip]:
    """The first `n` clips of a split; another split name is another draw of the same kind.

    Raises:
        BadTask: a task that the starter suite does not play.
    """
    if task.name not in CLASSES:
        raise BadTask(f"the starter suite has no task {task.name!r}; it has: {', '.join(CLASSES)}")
    classes = CLASSES[task.name]
    made = []
    for index in range(n):
        label = classes[index % len(classes)]
        rng = generator(CORPUS, task.name, split, str(index))
        if task.name == "music-genre":
            waveform = _music(rng, label)
        elif task.name == "emotion":
            waveform = _mood(rng, label)
        else:
            waveform = _speaker(rng, label)
        clip_id = f"{task.name}-{split}-{index:03d}"
        made.append(Clip(clip_id, CORPUS, label, waveform, SAMPLE_RATE_HZ))
    return made


# ---- music-genre ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Style:
    """How one genre is played; a pair is the range a clip's value is drawn from."""

    tempo: Span
    """Beats per minute."""
    grid: tuple[float, ...]
    """Where in a beat notes may start."""
    chord: tuple[float, ...]
    """Semitones above the root, one line of notes each."""
    decay: Span
    """Time constant of a note."""
    tilt: Span
    """Harmonic h has amplitude h ** -tilt."""
    drive: Span
    """Gain before the saturation."""
    kick: Span
    """Level of a drum on every beat, against the notes."""
    hiss: Span
    """Level of cymbals between the beats, against the notes."""


_STYLES: MappingProxyType[str, _Style] = MappingProxyType(
    {  # tempo, grid, chord; decay, tilt, drive, kick, hiss
        "blues": _Style(
            *((76, 116), (0.0, 0.66), (0, 7, 10, 16)),
            *((0.1, 0.22), (1.1, 1.6), (0.8, 2.2), (0.0, 0.3), (0.05, 0.22)),
        ),
        "classical": _Style(
            *((60, 110), (0.0,), (0, 4, 7, 12)),
            *((0.5, 1.8), (1.5, 2.4), (0.3, 0.9), (0.0, 0.1), (0.0, 0.06)),
        ),
        "disco": _Style(
            *((110, 136), (0.0, 0.25, 0.5, 0.75), (0, 3, 7, 12)),
            *((0.05, 0.15), (0.9, 1.5), (0.5, 2.0), (0.7, 1.4), (0.25, 0.7)),
        ),
        "metal": _Style(
            *((120, 190), (0.0, 0.25, 0.5, 0.75), (0, 7, 12)),
            *((0.12, 0.4), (0.7, 1.2), (5.0, 16.0), (0.2, 0.9), (0.08, 0.4)),
        ),
    }
)


def _music(rng: Generator, label: str) -> Waveform:
    """A bar of one genre; each ingredient is borrowed from another genre now and then."""
    own = _STYLES[label]

    def style() -> _Style:
        return _STYLES[str(rng.choice(list(_STYLES)))] if rng.random() < 0.06 else own

    beat = 60 / rng.uniform(*style().tempo)
    start = -rng.uniform(0, beat)
    rhythm = style().grid
    onsets = np.sort((start + beat * np.add.outer(np.arange(5), rhythm)).ravel())
    root = 110 * 2 ** (rng.uniform(-7, 7) / 12)
    decay, tilt = rng.uniform(*style().decay), rng.uniform(*style().tilt)
    notes = _line(rng, root / 2, onsets[:: len(rhythm)], 2 * decay, tilt)
    for step in style().chord:
        played = onsets[rng.random(len(onsets)) < rng.uniform(0.5, 1.0)]
        notes += rng.uniform(0.4, 1.0) * _line(rng, root * 2 ** (step / 12 + 1), played, decay, tilt)
    drive = rng.uniform(*style().drive)
    notes = np.tanh(drive * notes / notes.std()) / np.tanh(drive)
    notes /= notes.std()
    beats = start + beat * np.arange(5)
    since = _since(beats)
    kick = np.sin(2 * np.pi * (45 * since - 6 * np.exp(-since / 0.03))) * np.exp(-since / 0.09)
    off = _since(beats + beat * rng.choice(rhythm))
    hiss = _noise(rng, rng.uniform(2500, 5500) < _F) * np.exp(-off / rng.uniform(0.02, 0.12))
    band = style()
    mix = notes + 3 * rng.uniform(*band.kick) * kick + 3 * rng.uniform(*band.hiss) * hiss
    mix += rng.uniform(0.005, 0.05) * _noise(rng, np.ones_like(_F))
    return _finished(mix, rng.uniform(0.4, 0.8))


def _line(rng: Generator, hz: float, onsets: FloatArray, decay: float, tilt: float) -> FloatArray:
    """Notes of one voice around `hz`, each a step of a scale away or not, dying away with `decay`."""
    if len(onsets) == 0:
        return np.zeros(N_SAMPLES)
    pitches = hz * 2 ** (rng.choice([-2, 0, 0, 0, 2, 5], len(onsets)) / 12)
    which, tau = np.maximum(_last(onsets), 0), _since(onsets)
    vibrato = 1 + 0.004 * np.sin(2 * np.pi * (rng.uniform(4, 7) * _T + rng.random()))
    envelope = (1 - np.exp(-tau / 0.006)) * np.exp(-tau / decay)
    return np.asarray(_cycles(pitches[which] * vibrato, tilt) * envelope)


# ---- emotion and deepfake: one synthetic voice ---------------------------------------------------

_VOWELS = np.array(
    [(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)]
)


@dataclass(frozen=True)
class _Mood:
    """How a mood is spoken; a pair is mean and standard deviation over clips."""

    shift: Span
    """Semitones above the speaker's own pitch."""
    swing: Span
    """Semitones of movement within a syllable."""
    slope: Span
    """Semitones from the beginning to the end of the clip."""
    rate: Span
    """Syllables per second."""
    tilt: Span
    """Harmonic h of the source has amplitude h ** -tilt."""
    breath: Span
    """Noise in the source, against its tone."""
    peak: Span
    """Level."""


_MOODS: MappingProxyType[str, _Mood] = MappingProxyType(
    {  # shift, swing, slope, rate, tilt, breath, peak
        "angry": _Mood((6, 1), (2, 0.8), (-4, 1), (6.5, 0.6), (0.6, 0.1), (0.1, 0.04), (0.68, 0.07)),
        "happy": _Mood((7, 1), (5, 1), (3, 1), (4.8, 0.5), (1.3, 0.1), (0.1, 0.04), (0.6, 0.07)),
        "neutral": _Mood((0, 1), (1, 0.5), (-1, 1), (3.8, 0.5), (1.2, 0.1), (0.08, 0.04), (0.5, 0.07)),
        "sad": _Mood((-2, 1), (0.6, 0.5), (-3, 1), (2.5, 0.4), (1.9, 0.15), (0.3, 0.1), (0.4, 0.05)),
    }
)


def _mood(rng: Generator, label: str) -> Waveform:
    mood = _MOODS[label]
    voice = _voice(rng, mood, jitter=0.01, shimmer=0.1)
    return _finished(_room(rng, voice, rng.uniform(0, 0.3)), rng.normal(*mood.peak))


def _speaker(rng: Generator, label: str) -> Waveform:
    """A voice with its irregularities, breath and room; a spoof has less of them and a vocoder's traces."""
    mood = _MOODS[str(rng.choice(list(_MOODS)))]
    if label == "bonafide":
        voice = _voice(rng, mood, jitter=rng.uniform(0.006, 0.03), shimmer=rng.uniform(0.08, 0.35))
        voice += rng.uniform(0.05, 0.16) * _noise(rng, _F > 50)
        voice = _room(rng, voice, rng.uniform(0.2, 0.7))
    else:
        voice = _voice(rng, mood, jitter=rng.uniform(0, 0.008), shimmer=rng.uniform(0, 0.1))
        voice += rng.uniform(0.003, 0.03) * _noise(rng, _F > 50)
        voice = _room(rng, voice, rng.uniform(0, 0.3))
        voice = (_framed, _mirrored, _combed)[rng.integers(3)](rng, voice)
    if rng.random() < 0.2:  # a telephone or a codec, whoever speaks
        voice = _shaped(voice, 1 / (1 + (_F / rng.uniform(4500, 7000)) ** 16))
    return _finished(voice, rng.uniform(0.3, 0.8))


def _framed(rng: Generator, voice: FloatArray) -> FloatArray:
    """Vocoder 1: magnitudes in coarse steps, every other frame repeated, phases flattened."""
    _, _, Z = scipy.signal.stft(voice, nperseg=512, noverlap=384)
    step = rng.uniform(1.0, 2.0)
    magnitude = np.exp(step * np.round(np.log(np.abs(Z) + 1e-6) / step))
    magnitude[:, 1::2] = magnitude[:, 0 : magnitude.shape[1] - magnitude.shape[1] % 2 : 2]
    flat = rng.uniform(0.7, 1.0)
    _, rebuilt = scipy.signal.istft(
        magnitude * np.exp(1j * (1 - flat) * np.angle(Z)), nperseg=512, noverlap=384
    )
    return np.asarray(rebuilt[:N_SAMPLES])


def _mirrored(rng: Generator, voice: FloatArray) -> FloatArray:
    """Vocoder 2: nothing above about 5.5 kHz but a faint mirror image of what lies below."""
    X = scipy.fft.rfft(voice)
    cut = int(rng.uniform(5000, 6000))
    image = X[2 * cut - len(X) + 1 : cut + 1][::-1]
    X[cut:] = np.conj(image) * rng.uniform(0.3, 1.2)
    return np.asarray(scipy.fft.irfft(X, N_SAMPLES))


def _combed(rng: Generator, voice: FloatArray) -> FloatArray:
    """Vocoder 3: a metallic comb, strongest in the upper half of the spectrum."""
    delay, depth = rng.uniform(0.001, 0.003), rng.uniform(0.6, 0.95)
    return _shaped(voice, 1 + depth * np.minimum(_F / 2500, 1) * np.cos(2 * np.pi * _F * delay))


def _voice(rng: Generator, mood: _Mood, jitter: float, shimmer: float) -> FloatArray:
    """A source with pitch and breath through the formants of three vowels, syllable by syllable."""
    rate = max(rng.normal(*mood.rate), 1.5)
    syllable = rate * _T + rng.random()
    within, which = syllable % 1, syllable.astype(int)
    semitones = rng.normal(*mood.shift) + rng.normal(*mood.slope) * (_T - 0.5)
    semitones = semitones + rng.normal(*mood.swing) * np.sin(np.pi * within)
    hz = rng.uniform(95, 210) * 2 ** (semitones / 12) * np.exp(jitter * _wander(rng))
    source = _cycles(hz, max(rng.normal(*mood.tilt), 0.4)) * (1 + shimmer * _wander(rng))
    source /= source.std()
    source += abs(rng.normal(*mood.breath)) * _noise(rng, _F / (_F + 1500))
    scale = rng.uniform(0.88, 1.18)
    X = scipy.fft.rfft(source * np.sin(np.pi * within) ** rng.uniform(0.4, 1.2))
    spoken = np.zeros(N_SAMPLES)
    for turn, vowel in enumerate(rng.choice(_VOWELS, 3, replace=False)):
        formants = scale * np.array([*vowel, 3500, 4500])
        gains = np.array([1, 0.6, 0.35, 0.25, 0.2])[:, None]
        response = (gains / (1 + ((_F - formants[:, None]) / (60 + 0.05 * formants[:, None])) ** 2)).sum(0)
        spoken += scipy.fft.irfft(X * response, N_SAMPLES) * (which % 3 == turn)
    return np.asarray(spoken / spoken.std())


# ---- what all are made of ------------------------------------------------------------------------


def _cycles(hz: FloatArray, tilt: float) -> FloatArray:
    """(n,) pitch over time -> (n,) tone whose harmonic h, below 7.6 kHz, has amplitude h ** -tilt."""
    harmonics = np.arange(1, max(2, int(7600 / hz.max())))
    bins = np.zeros(_TABLE // 2 + 1, dtype=complex)
    # Quadratic phases (Schroeder): a tone without the sharp peak that equal phases would give.
    bins[harmonics] = harmonics**-tilt * np.exp(-1j * np.pi * harmonics**2 / len(harmonics))
    table = scipy.fft.irfft(bins, _TABLE) * _TABLE
    phase = np.cumsum(hz) * (_TABLE / SAMPLE_RATE_HZ)
    return np.asarray(table[phase.astype(np.int64) % _TABLE])


def _noise(rng: Generator, shape: FloatArray | Mask) -> FloatArray:
    """Gaussian noise with a magnitude shape (N,) and standard deviation 1."""
    shaped = _shaped(rng.standard_normal(N_SAMPLES), shape)
    return np.asarray(shaped / shaped.std())


def _shaped(x: FloatArray, shape: FloatArray | Mask) -> FloatArray:
    return np.asarray(scipy.fft.irfft(scipy.fft.rfft(x) * shape, N_SAMPLES))


def _wander(rng: Generator) -> FloatArray:
    """(n,) a random value every 5 ms, joined by lines."""
    return np.interp(_T, np.linspace(0, 1, 201), rng.standard_normal(201))


def _last(onsets: NDArray[np.floating]) -> NDArray[np.int64]:
    """(n,) which of the rising onsets was the last, -1 before the first."""
    first = np.clip(np.ceil(onsets * SAMPLE_RATE_HZ), 0, N_SAMPLES).astype(int)
    return np.repeat(np.arange(-1, len(onsets)), np.diff(first, prepend=0, append=N_SAMPLES))


def _since(onsets: NDArray[np.floating]) -> FloatArray:
    """(n,) time since the last onset; long ago where there was none."""
    which = _last(onsets)
    return np.where(which >= 0, _T - onsets[np.maximum(which, 0)], 10.0)


def _room(rng: Generator, x: FloatArray, level: float) -> FloatArray:
    """The sound and its decaying echoes, wrapped at the end of the clip."""
    echoes = rng.standard_normal(N_SAMPLES) * np.exp(-_T / rng.uniform(0.02, 0.08))
    wet = _shaped(x, scipy.fft.rfft(echoes / np.sqrt((echoes**2).sum())))
    return np.asarray(x + level * wet)


def _finished(x: FloatArray, peak: float) -> Waveform:
    """Brought to its peak (0.3 to 0.8) and rounded to 16 bit the way a FLAC file holds it."""
    scaled = x * (float(np.clip(peak, 0.3, 0.8)) / np.abs(x).max())
    return np.asarray(np.round(scaled * 32767) / 32768, dtype=np.float32)
