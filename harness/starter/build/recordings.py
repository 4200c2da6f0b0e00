"""Human speech of the starter suite: telephone prompts by professional voices, cut where they pause.

The recordings are those of the packages `asterisk-core-sounds-{en,es,fr,it,ru}-g722` (see LICENCES): G.722,
16 kHz, spoken in studios. Of each the sha256 is pinned in RECORDINGS_LIST, so that a suite is made of these
bytes and no others. A cut begins where somebody begins to speak and ends in the quietest moment of its last
tenths of a second, if that is quiet enough to lie between words.

Conventions: a sound is float64 (n,) at 16 kHz, full scale 1.0. Levels are in dB, of frames of 10 ms.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from harness.errors import BadInput
from harness.starter.build import codecs
from harness.types import FloatArray

SAMPLE_RATE_HZ = 16_000

LANGUAGES: tuple[str, ...] = ("en", "es", "fr", "it", "ru")
"""Of the packages; each has one voice."""

PACKAGES = tuple(f"asterisk-core-sounds-{language}-g722" for language in LANGUAGES)

FOLDER = "/usr/share/asterisk/sounds"
"""Where the packages put their files."""

VARIABLE = "GOODENOUGH_RECORDINGS"
"""Environment variable that names another folder with the same files."""

RECORDINGS_LIST = Path(__file__).parent / "recordings.sha256"
"""sha256 and path of every recording, as `sha256sum` writes them."""

SHORTEST, LONGEST = 1.7, 2.0
"""Seconds of a cut."""

_FRAME = SAMPLE_RATE_HZ // 100
_LOUD_DB, _QUIET_DB = -35.0, -28.0
"""Against the loudest twentieth of a recording: a frame in which somebody speaks; a gap between words."""
_SPEECH = 0.6
"""Share of the frames of a cut in which somebody speaks, at least."""


@dataclass(frozen=True)
class Cut:
    """Some words of a recording."""

    path: str
    """Of the recording: voice and file."""
    first: int
    """Sample at which it begins."""
    n_samples: int
    """Its length."""

    @property
    def voice(self) -> str:
        """Who speaks, in which language, e.g. `fr_CA_f_June`."""
        return self.path.split("/", 1)[0]

    @property
    def name(self) -> str:
        """The recording and the hundredth of a second, e.g. `fr_CA_f_June/vm-intro/0312`."""
        return f"{self.path.removesuffix('.g722')}/{self.first // _FRAME:04d}"


@cache
def pinned() -> dict[str, str]:
    """sha256 of every recording by its path."""
    lines = RECORDINGS_LIST.read_text("utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def read(path: str) -> FloatArray:
    """A recording (n,) by its path.

    Raises:
        BadInput: it is missing, or is not the one that is pinned.
    """
    folder = Path(os.environ.get(VARIABLE) or FOLDER)
    install = f"apt-get install {' '.join(PACKAGES)}"
    try:
        data = (folder / path).read_bytes()
    except OSError:
        raise BadInput(
            f"no recording {path} in {folder}; {install}, or name their folder with --recordings"
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != pinned()[path]:
        raise BadInput(
            f"{folder / path} has sha256 {digest}, expected {pinned()[path]}: is the package another version?"
        )
    return codecs.decode_g722(data)


@cache
def cuts() -> tuple[Cut, ...]:
    """All cuts of all recordings, by path and time.

    Raises:
        BadInput: see `read`.
    """
    return tuple(
        Cut(path, first, n_samples) for path in sorted(pinned()) for first, n_samples in cuts_of(read(path))
    )


def samples(cut: Cut) -> FloatArray:
    """The sound of a cut (n_samples,)."""
    return read(cut.path)[cut.first : cut.first + cut.n_samples]


def cuts_of(recording: FloatArray) -> Iterator[tuple[int, int]]:
    """First sample and length of each cut of a recording (n,), none overlapping another."""
    level = levels(recording)
    shortest, longest = round(SHORTEST * 100), round(LONGEST * 100)
    if len(level) < shortest:
        return
    loudest = np.percentile(level, 95)
    smooth = np.convolve(np.pad(level, 1, "edge"), np.ones(3) / 3, "valid")
    speaks, quiet = level > loudest + _LOUD_DB, smooth < loudest + _QUIET_DB
    at = 0
    while at < len(level) and speaks[at:].any():
        at += int(np.argmax(speaks[at:]))
        ends = smooth[at + shortest : at + longest]
        if not len(ends):
            return
        end = at + shortest + int(np.argmin(ends))
        if not quiet[end]:
            # No gap between words in reach: it goes on behind the next one.
            gaps = np.flatnonzero(quiet[at + 10 :])
            if not len(gaps):
                return
            at += 10 + int(gaps[0])
        else:
            if speaks[at:end].mean() >= _SPEECH:
                yield at * _FRAME, (end - at) * _FRAME
            at = end


def levels(sound: FloatArray) -> FloatArray:
    """Level of each frame of 10 ms in dB, (n // 160,), -120 at least."""
    frames = sound[: len(sound) // _FRAME * _FRAME].reshape(-1, _FRAME)
    return np.asarray(20 * np.log10(np.sqrt(np.mean(frames**2, axis=1)) + 1e-6))
