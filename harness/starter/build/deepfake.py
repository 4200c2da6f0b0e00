"""The deepfake clips of the starter suite: a recorded voice, and what a machine made of it, in pairs.

Bona fide is a cut of `recordings`, spoof the same cut after one family of `copies`: voice, language, words
and times of the two are equal by construction. Then both are silent outside the same stretch of the clip, as
a copy would spread into the silence, and go through the same band limit and the same G.722, at the same
level; neither level, length, place, bandwidth nor the last codec knows the class.

Splits share no recording. `train`, `held-out` and `test` hold every voice but UNSEEN_VOICE and every family
but UNSEEN_FAMILY; each of the two splits UNSEEN holds one of these alone.

Conventions: a clip is float64 (32000,), 2 s at 16 kHz. Times are in s.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.random import Generator

from harness.seeds import generator
from harness.starter.build import codecs, recordings
from harness.starter.build.copies import FAMILIES, copied
from harness.starter.build.recordings import SAMPLE_RATE_HZ, Cut
from harness.types import FloatArray

LABELS: tuple[str, ...] = ("bonafide", "spoof")
SECONDS = 2.0

UNSEEN_VOICE = "ru_RU_f_IvrvoiceRU"
UNSEEN_FAMILY = "g723"

UNSEEN = ("unseen-voice", "unseen-family")
"""Splits of a voice and a family that no clip to learn from has."""

_N_PAIRS = {"test": 76, "held-out": 120, "unseen-family": 60}
"""Pairs of a split; each is of a recording of its own. `train` has all cuts of the other recordings."""

_N = int(SECONDS * SAMPLE_RATE_HZ)
_RAMP = SAMPLE_RATE_HZ // 200
"""Samples in which a cut is faded in and out."""


class Pair(NamedTuple):
    """A recording and the copy that is made of it."""

    cut: Cut
    family: str
    """Of the copy, a name in FAMILIES."""


def clip(split: str, index: int) -> FloatArray:
    """A clip (32000,); even ones are bona fide, the one after it is made of it.

    Raises:
        BadInput: a recording or a package that makes sound is not installed.
        IndexError: the split has fewer clips.
    """
    pair = pairs(split)[index // 2]
    rng = generator("starter", "deepfake", pair.cut.name)
    x, window = _placed(rng, recordings.samples(pair.cut))
    edge = min(rng.uniform(5_500, 7_000), FAMILIES[pair.family].limit_hz)
    level_db = rng.uniform(-28, -20)
    if index % 2:
        x = copied(rng, x, pair.family)
    x = codecs.g722(_levelled(_below(x * window, edge), level_db))
    return _levelled(x, level_db)


@cache
def pairs(split: str) -> tuple[Pair, ...]:
    """The pairs of a split, with voices about evenly; families see `family_of`.

    Raises:
        BadInput: see `recordings.read`.
    """
    return tuple(Pair(cut, family_of(split, i)) for i, cut in enumerate(_cuts()[split]))


def family_of(split: str, index: int) -> str:
    """The family of the copy in a pair of a split: all in turn, but for the one that is unseen."""
    families = [name for name in FAMILIES if (name == UNSEEN_FAMILY) == (split == "unseen-family")]
    return families[index % len(families)]


@cache
def _cuts() -> dict[str, list[Cut]]:
    """Cuts of every split; no recording is in two."""
    rng = generator("starter", "deepfake", "splits")
    by_recording: dict[str, list[Cut]] = {}
    for cut in recordings.cuts():
        by_recording.setdefault(cut.path, []).append(cut)
    in_turn = [list(by_recording.values())[i] for i in rng.permutation(len(by_recording))]
    unseen = [cuts for cuts in in_turn if cuts[0].voice == UNSEEN_VOICE]
    others = _voices_in_turn([cuts for cuts in in_turn if cuts[0].voice != UNSEEN_VOICE])
    splits = {"unseen-voice": [cuts[0] for cuts in unseen]}
    for split, n in _N_PAIRS.items():
        splits[split] = [cuts[0] for cuts in others[:n]]
        others = others[n:]
    left = [cut for cuts in others for cut in cuts]
    splits["train"] = [left[i] for i in rng.permutation(len(left))]
    return splits


def _voices_in_turn(recordings_of: Sequence[list[Cut]]) -> list[list[Cut]]:
    """The same, one of each voice after the other while there are any."""
    by_voice: dict[str, list[list[Cut]]] = {}
    for cuts in recordings_of:
        by_voice.setdefault(cuts[0].voice, []).append(cuts)
    return [cuts for turn in zip_longest(*by_voice.values()) for cuts in turn if cuts is not None]


def _placed(rng: Generator, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The sound in a clip (32000,), faded in and out within 5 ms, and the gain (32000,) that fades it."""
    ramp = np.minimum(1.0, np.minimum(np.arange(len(x)), np.arange(len(x))[::-1]) / _RAMP)
    start = int(rng.integers(_N - len(x) + 1))
    around = (start, _N - len(x) - start)
    return np.pad(x * ramp, around), np.pad(ramp, around)


def _below(x: FloatArray, edge_hz: float) -> FloatArray:
    """The sound without what lies above `edge_hz`; the edge is 200 Hz wide."""
    frequency = scipy.fft.rfftfreq(len(x), 1 / SAMPLE_RATE_HZ)
    gain = np.clip((edge_hz - frequency) / 200 + 0.5, 0, 1)
    return np.asarray(scipy.fft.irfft(scipy.fft.rfft(x) * gain, len(x)))


def _levelled(x: FloatArray, level_db: float) -> FloatArray:
    """The sound at an RMS of `level_db`, or below it where its peak would exceed 0.85."""
    x = x * 10 ** (level_db / 20) / np.sqrt(np.mean(x**2))
    return np.asarray(x * min(1.0, 0.85 / float(np.abs(x).max())))
