"""Stand-ins for recorded voices: synthesised prompts in G.722, laid out as the packages are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from harness.starter.build import deepfake, recordings, speech
from harness.types import FloatArray

RATE = 16_000

_PINS = "recordings.sha256"

VOICES = ("en_US_f_Allison", "es_MX_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", deepfake.UNSEEN_VOICE)


def band_power(x: FloatArray, low: float, high: float) -> float:
    """Energy between two frequencies in Hz."""
    power = np.abs(np.fft.rfft(x)) ** 2
    frequency = np.fft.rfftfreq(len(x), 1 / RATE)
    return float(power[(frequency >= low) & (frequency < high)].sum())


def g722_file(sound: FloatArray) -> bytes:
    """A file of G.722 of a sound (n,) at 16 kHz."""
    coder = av.CodecContext.create("g722", "w")
    coder.sample_rate, coder.layout, coder.format = 16_000, "mono", "s16"
    samples = np.round(sound[: len(sound) // 320 * 320] * 32767).astype(np.int16)
    packets = []
    for start in range(0, len(samples), 320):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 320], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, start
        packets += coder.encode(frame)
    return b"".join(bytes(packet) for packet in [*packets, *coder.encode(None)])


def prompt(voice: int, number: int) -> FloatArray:
    """Two sentences with a pause between them, at 16 kHz."""
    style = speech.Delivery(speech.VOICES[voice], rate_wpm=150)
    sentences = [speech.say(speech.SENTENCES[(7 * voice + 2 * number + i) % 60], style) for i in range(2)]
    pause = np.zeros(4_800)
    joined = np.concatenate([pause, sentences[0], pause, sentences[1], pause])
    return 0.5 * joined / np.abs(joined).max()


@contextmanager
def installed(folder: Path, per_voice: int) -> Iterator[Path]:
    """So many prompts of each voice in a folder, as the recordings of the suite; small splits."""
    lines = []
    for v, name in enumerate(VOICES):
        for number in range(per_voice):
            data = g722_file(prompt(v, number))
            path = folder / name / f"prompt-{number}.g722"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            lines.append(f"{hashlib.sha256(data).hexdigest()}  {path.relative_to(folder)}\n")
    (folder / _PINS).write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        use(folder, patch)
        yield folder
    _forget()


def use(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Take prompts that are `installed` for the recordings, in a worker of a pool, too."""
    patch.setenv(recordings.VARIABLE, str(folder))
    patch.setattr(recordings, "RECORDINGS_LIST", folder / _PINS)
    patch.setattr(deepfake, "_N_PAIRS", {"test": 4, "held-out": 4, "unseen-family": 2})
    _forget()


def _forget() -> None:
    for remembered in (recordings.pinned, recordings.cuts, deepfake.pairs, deepfake._cuts):
        remembered.cache_clear()
