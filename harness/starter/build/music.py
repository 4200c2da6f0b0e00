"""Music of the starter suite: an excerpt of a piece that nobody played, in one of six genres.

A clip is composed from the patterns of its genre (genres.py), played by a band drawn anew each time
(instruments.py), and mixed: tone control, room, saturation, noise and band limits, none of which knows the
genre. It begins anywhere in a phrase. What tells a genre is rhythm, harmony, how notes follow each other and,
in part, its instruments: nine in ten are its favourites, some of which other genres like too.

Conventions: everything random is drawn from the generator given, one clip hears nothing of another. Times are
in s, frequencies in Hz, pitches in semitones of MIDI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.fft
from numpy.random import Generator

from harness.starter.build.genres import GENRES, PIECES, Genre, Scale
from harness.starter.build.instruments import SAMPLE_RATE_HZ, Note, Part, render
from harness.types import FloatArray

LABELS: tuple[str, ...] = tuple(GENRES)
"""Canonical labels of the task."""
SECONDS = 3.0
"""Length of a clip."""

_LEAD_IN = 0.5
"""Seconds played before the clip begins, so that it begins in the middle of things."""
_BASSES = (32, 33, 34, 35, 36, 37, 38, 39)
_CHORDS = (0, 1, 4, 5, 6, 7, 11, 16, 17, 18, 21, 24, 25, 26, 27, 28, 29, 30, 48, 50, 61, 62)
_MELODIES = (0, 4, 11, 12, 22, 26, 27, 29, 30, 40, 42, 56, 57, 60, 64, 65, 66, 68, 71, 73, 80, 81)
_KITS = (0, 8, 16, 24, 25, 32, 40, 48)
_LEANING = 0.9
"""How often an instrument is one that the genre prefers."""
_VELOCITIES = {"X": 112, "x": 90, "r": 80, "o": 55}

T = TypeVar("T")


def make(rng: Generator, label: str) -> FloatArray:
    """A clip of music, (SECONDS * 16000,), with a peak between 0.3 and 0.85.

    Raises:
        BadCorpus: FluidSynth or its soundfont is missing.
    """
    played = render(_compose(rng, GENRES[label]), _LEAD_IN + SECONDS)
    mixed = _mix(rng, played)[-round(SECONDS * SAMPLE_RATE_HZ) :]
    return np.asarray(mixed * rng.uniform(0.3, 0.85) / np.abs(mixed).max())


# ---- composition ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """What the players have agreed on."""

    rng: Generator
    genre: Genre
    scale: Scale
    key: int
    """Of the first degree, between 48 and 59."""
    progression: tuple[int, ...]
    chord_steps: int
    step_s: float
    swing: float
    first: float
    """The step at which rendering begins."""
    looseness_s: float
    """Standard deviation of a player's timing."""

    def pitch(self, degree: int) -> int:
        """Semitones of a degree of the scale, which goes on through the octaves."""
        return self.key + 12 * (degree // len(self.scale)) + self.scale[degree % len(self.scale)]

    def chord(self, step: int) -> int:
        """The degree on which the chord of a step stands."""
        return self.progression[step // self.chord_steps % len(self.progression)]

    def steps(self, pattern: str) -> Iterator[tuple[int, str, int]]:
        """Every stroke of a pattern in time to be heard: its step, its mark and its length in steps."""
        last = int(self.first + (_LEAD_IN + SECONDS) / self.step_s) + 1
        for step in range(int(self.first) - 16, last):
            mark = pattern[step % len(pattern)]
            held = 1
            while held < len(pattern) and pattern[(step + held) % len(pattern)] == "-":
                held += 1
            if mark not in ".-" and step + held > self.first:
                yield step, mark, held

    def note(self, step: float, length: float, key: int, velocity: float) -> Note:
        """A note as a player plays it: swung, a little early or late, a little louder or softer."""
        late = self.swing if step % 2 == 1 else 0.0
        start = (step + late - self.first) * self.step_s + self.rng.normal(0, self.looseness_s)
        loud = velocity + self.rng.normal(0, 7)
        return Note(start, max(0.03, length * self.step_s), key, int(np.clip(loud, 20, 127)))


def _compose(rng: Generator, genre: Genre) -> list[Part]:
    step_s = 60 / rng.uniform(*genre.tempo) / genre.division
    piece = _Piece(
        rng=rng,
        genre=genre,
        scale=_one(rng, genre.scales),
        key=int(rng.integers(48, 60)),
        progression=_one(rng, genre.progressions),
        chord_steps=genre.division * _one(rng, genre.chord_beats),
        step_s=step_s,
        swing=rng.uniform(*genre.swing),
        first=float(rng.uniform(32, 32 + 16 * genre.division)),
        looseness_s=rng.uniform(0.001, 0.008),
    )
    parts = [
        _part(rng, 0, _BASSES, _bass(piece), genre),
        _part(rng, 1, _CHORDS, _chords(piece), genre),
        _part(rng, 2, _MELODIES, _melody(piece), genre),
        _part(rng, 3, _KITS, _drums(piece), genre),
    ]
    if rng.random() < 0.1:  # somebody other than the drummer pauses
        del parts[int(rng.integers(3))]
    return parts


def _part(rng: Generator, role: int, programs: tuple[int, ...], notes: list[Note], genre: Genre) -> Part:
    """The notes of a role, given to an instrument."""
    program = _one(rng, genre.favourites[role] if rng.random() < _LEANING else programs)
    drums = role == 3
    return Part(
        program=program,
        notes=notes,
        volume=int(rng.integers(100, 122) if drums else rng.integers(82, 112)),
        bend=float(rng.uniform(-0.8, 0.8) if drums else rng.normal(0, 0.06)),
        drums=drums,
    )


def _drums(piece: _Piece) -> list[Note]:
    notes = []
    for name, pattern in _one(piece.rng, piece.genre.drums).items():
        key, level = _one(piece.rng, PIECES[name]), piece.rng.uniform(0.7, 1.1)
        for step, mark, _ in piece.steps(pattern):
            if piece.rng.random() < 0.02:
                continue
            strokes = 2 if mark == "r" else 1
            for stroke in range(strokes):
                notes.append(piece.note(step + stroke / strokes, 1.0, key, level * _VELOCITIES[mark]))
    return notes


def _bass(piece: _Piece) -> list[Note]:
    steps = {"R": 0, "3": 2, "5": 4, "8": 7}
    walk, level, notes = 0, piece.rng.uniform(75, 110), []
    for step, mark, held in piece.steps(_one(piece.rng, piece.genre.bass)):
        root = piece.chord(step)
        if mark == "w":
            new_chord = step % piece.chord_steps == 0
            walk = 0 if new_chord else walk + int(piece.rng.choice([-2, -1, 1, 1, 2, 2]))
        degree = root + (walk if mark == "w" else steps[mark])
        notes.append(piece.note(step, 0.92 * held, piece.pitch(degree) - 24 + 12 * (piece.key < 52), level))
    return notes


def _chords(piece: _Piece) -> list[Note]:
    genre, rng = piece.genre, piece.rng
    voicing, gate, level = _one(rng, genre.voicings), rng.uniform(*genre.gate), rng.uniform(70, 105)
    octave, notes = genre.register + int(rng.choice([0, 0, 12])), []
    for step, mark, held in piece.steps(_one(rng, genre.chords)):
        root = piece.chord(step)
        if mark == "c":
            degrees = [root + offset for offset in voicing]
        else:
            rounds, place = divmod(int(mark), len(voicing))
            degrees = [root + voicing[place] + 7 * rounds]
        notes += [piece.note(step, gate * held, piece.pitch(degree) + octave, level) for degree in degrees]
    return notes


def _melody(piece: _Piece) -> list[Note]:
    rng = piece.rng
    degree, level, notes = int(rng.integers(7, 14)), rng.uniform(75, 112), []
    gate = rng.uniform(0.8, 1.0)
    for step, mark, held in piece.steps(_one(rng, piece.genre.melody)):
        if mark == "j":
            degree = piece.chord(step) + int(rng.choice([0, 2, 4, 7])) + 7
        else:
            degree += {"s": 0, "u": 1, "d": -1, "n": int(rng.choice([-2, -1, -1, 1, 1, 2]))}[mark]
        if not 4 <= degree <= 18:
            degree += 7 if degree < 4 else -7
        notes.append(piece.note(step, gate * held, piece.pitch(degree), level))
    return notes


def _one(rng: Generator, options: tuple[T, ...]) -> T:
    return options[int(rng.integers(len(options)))]


# ---- mix -----------------------------------------------------------------------------------------


def _mix(rng: Generator, played: FloatArray) -> FloatArray:
    """Saturation, tone, room, noise and band limits, whatever the genre."""
    sound = played / played.std()
    if rng.random() < 0.3:
        drive = rng.uniform(0.3, 1.5)
        sound = np.tanh(drive * sound) / drive
    n = len(sound)
    f = scipy.fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ)
    X = scipy.fft.rfft(sound)
    t = np.arange(n) / SAMPLE_RATE_HZ
    tail = rng.normal(size=n) * np.exp(-6.9 * t / rng.uniform(0.2, 1.0))
    tail *= rng.uniform(0.02, 0.25) / np.sqrt(np.sum(tail**2))
    X = X * (1 + scipy.fft.rfft(tail))
    hiss = rng.normal(size=n) * 10 ** rng.uniform(-3.3, -1.6)
    X += scipy.fft.rfft(hiss) * (1 + f / 500) ** rng.uniform(-1, 0)
    bands = np.geomspace(40, 8000, 7)
    X *= 10 ** (np.interp(np.log(f + 1), np.log(bands), rng.normal(0, 3.5, len(bands))) / 20)
    low, high = rng.uniform(30, 150), rng.uniform(4500, 9000)
    X *= f**4 / (f**4 + low**4) / (1 + (f / high) ** 12)
    return np.asarray(scipy.fft.irfft(X, n))
