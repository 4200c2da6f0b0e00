"""The band of the starter suite: notes in, samples out, with the instruments of a soundfont.

FluidSynth plays; what it plays is written in music.py. Every clip gets a synthesiser of its own: one that is
reset remembers enough of its last clip to change samples of the next. Samples of the soundfont are read as
they are needed, so that a new synthesiser costs some 20 ms.

Conventions: programs and keys are those of General MIDI, times are in s from the beginning of what is
rendered. FluidSynth runs at twice our rate and is brought down afterwards, as it does not guard against
aliasing. Notes start on its blocks of 64 samples, 2 ms.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal

from harness.errors import BadCorpus
from harness.types import FloatArray

SAMPLE_RATE_HZ = 16_000
SOUNDFONT_VARIABLE = "GOODENOUGH_SOUNDFONT"
"""Environment variable: the soundfont, where it does not lie in one of the usual places."""

_SOUNDFONTS = (
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    Path("/usr/share/soundfonts/FluidR3_GM.sf2"),
)
_MISSING = (
    "the starter suite's music is played by FluidSynth with a General MIDI soundfont; {}: "
    "install the system packages fluidsynth and fluid-soundfont-gm and the Python package pyfluidsynth, "
    f"or set {SOUNDFONT_VARIABLE} to a soundfont"
)
_OVERSAMPLING = 2
_BLOCK = 64
_DRUM_CHANNEL = 9
_DRUM_BANK = 128
_VOLUME = 7


@dataclass(frozen=True, order=True)
class Note:
    """One key, struck and let go."""

    start_s: float
    """May be negative: a note that sounds already is struck at 0."""
    duration_s: float
    """Until the key is let go; drums ring on."""
    key: int
    """Of General MIDI: 60 is middle C, or a piece of the drum kit."""
    velocity: int
    """1 to 127."""


@dataclass(frozen=True)
class Part:
    """What one instrument plays."""

    program: int
    """Of General MIDI, counted from 0; a kit, where it is drums."""
    notes: Sequence[Note]
    """In any order."""
    volume: int = 100
    """0 to 127."""
    bend: float = 0.0
    """Semitones by which all of it is out of tune, -2 to 2."""
    drums: bool = False
    """Whether keys are pieces of a drum kit."""


def soundfont() -> Path:
    """Where the soundfont lies.

    Raises:
        BadCorpus: there is none.
    """
    named = os.environ.get(SOUNDFONT_VARIABLE)
    for path in (Path(named),) if named else _SOUNDFONTS:
        if path.is_file():
            return path
    raise BadCorpus(_MISSING.format(f"there is no soundfont at {named or _SOUNDFONTS[0]}"))


def render(parts: Sequence[Part], seconds: float) -> FloatArray:
    """The parts played together: (seconds * 16000,), mono, at no particular level.

    Raises:
        BadCorpus: FluidSynth or its soundfont is missing.
    """
    library = _fluidsynth()
    synth = library.Synth(
        samplerate=float(_OVERSAMPLING * SAMPLE_RATE_HZ),
        channels=16,
        **{"synth.dynamic-sample-loading": 1, "synth.reverb.active": 0, "synth.chorus.active": 0},
    )
    try:
        font = synth.sfload(str(soundfont()))
        if font < 0:
            raise BadCorpus(_MISSING.format(f"{soundfont()} is no soundfont"))
        events = _events(synth, font, parts)
        stereo = _played(synth.synth, _writer(), events, round(seconds * SAMPLE_RATE_HZ) * _OVERSAMPLING)
    finally:
        synth.delete()
    return np.asarray(scipy.signal.resample_poly(stereo.mean(0), 1, _OVERSAMPLING))


def _events(synth: Any, font: int, parts: Sequence[Part]) -> list[tuple[int, Callable[[], object]]]:
    """What happens at which block, in time; keys are let go before others are struck."""
    melodic = (channel for channel in range(16) if channel != _DRUM_CHANNEL)
    events: list[tuple[int, int, Callable[[], object]]] = []
    per_s = _OVERSAMPLING * SAMPLE_RATE_HZ / _BLOCK
    for part in parts:
        channel = _DRUM_CHANNEL if part.drums else next(melodic)
        synth.program_select(channel, font, _DRUM_BANK if part.drums else 0, part.program)
        synth.cc(channel, _VOLUME, part.volume)
        synth.pitch_bend(channel, round(4096 * part.bend))
        for note in sorted(part.notes):
            on = max(0, round(note.start_s * per_s))
            off = max(on + 1, round((note.start_s + note.duration_s) * per_s))

            def strike(channel: int = channel, note: Note = note) -> object:
                return synth.noteon(channel, note.key, note.velocity)

            def let_go(channel: int = channel, note: Note = note) -> object:
                return synth.noteoff(channel, note.key)

            events += [(on, 1, strike), (off, 0, let_go)]
    return [(block, act) for block, _, act in sorted(events, key=lambda event: event[:2])]


def _played(
    synth: int, write: Callable[..., object], events: list[tuple[int, Callable[[], object]]], n_samples: int
) -> FloatArray:
    n_blocks = -(-n_samples // _BLOCK)
    stereo = np.zeros((2, n_blocks * _BLOCK), np.float32)

    def play(first: int, last: int) -> None:
        left, right = (channel[first * _BLOCK :].ctypes.data for channel in stereo)
        write(synth, (last - first) * _BLOCK, left, 0, 1, right, 0, 1)

    now = 0
    for block, act in events:
        if block >= n_blocks:
            break
        if block > now:
            play(now, block)
            now = block
        act()
    play(now, n_blocks)
    return stereo[:, :n_samples].astype(np.float64)


@lru_cache(maxsize=1)
def _fluidsynth() -> Any:
    try:
        return importlib.import_module("fluidsynth")
    except ImportError as error:
        raise BadCorpus(_MISSING.format(" ".join(str(error).split()).rstrip("."))) from None


@lru_cache(maxsize=1)
def _writer() -> Callable[..., object]:
    """FluidSynth's float output: its 16 bit output is dithered."""
    pointer, number = ctypes.c_void_p, ctypes.c_int
    names = ("synth", "len", "lout", "loff", "lincr", "rout", "roff", "rincr")
    types = (pointer, number, pointer, number, number, pointer, number, number)
    write: Callable[..., object] = _fluidsynth().cfunc(
        "fluid_synth_write_float", number, *((name, kind, 1) for name, kind in zip(names, types, strict=True))
    )
    return write
