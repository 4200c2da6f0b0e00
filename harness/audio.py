"""The only door to soundfile and soxr: bytes and files in, mono waveforms out, and back to bytes.

Conventions: a waveform is float32 (n_samples,) with full scale 1.0. Published audio is WAV FLOAT: exact for
float32, and values beyond full scale survive. Nothing here changes the level of a sound.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from types import MappingProxyType

import numpy as np
import soundfile
import soxr
from scipy.io import wavfile

from harness.errors import BadCorpus
from harness.records import Waveform

CODECS: MappingProxyType[str, tuple[str, str, float]] = MappingProxyType(
    {
        "mp3": ("MP3", "MPEG_LAYER_III", 0.9),
        "opus": ("OGG", "OPUS", 1.0),
        "vorbis": ("OGG", "VORBIS", 1.0),
    }
)
"""Lossy codecs: container, encoding, and the compression level of the lowest quality."""


def read(source: Path | bytes, name: str | None = None) -> tuple[Waveform, int, int]:
    """Decode a recording and average its channels.

    Returns:
        waveform (n,), its rate in Hz, its number of channels.

    Raises:
        BadCorpus: not a sound file, or cut off, or empty, or with NaN or infinite samples.
    """
    label = name or (str(source) if isinstance(source, Path) else "audio")
    try:
        if missing := _missing_bytes(source):
            raise BadCorpus(f"{label} is cut off: {missing:,} bytes are missing; copy it again")
        samples, rate = soundfile.read(
            io.BytesIO(source) if isinstance(source, bytes) else str(source),
            dtype="float32",
            always_2d=True,
        )
    except (soundfile.LibsndfileError, OSError) as error:
        reason = str(error).split(": ", 1)[-1].rstrip(".")
        raise BadCorpus(
            f"{label} is not a readable sound file ({reason}); expected WAV, FLAC, OGG or MP3"
        ) from None
    if len(samples) == 0:
        raise BadCorpus(f"{label} holds no samples; remove it from the corpus")
    waveform = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    if not np.isfinite(waveform).all():
        raise BadCorpus(f"{label} holds NaN or infinite samples; export it again")
    return waveform, int(rate), samples.shape[1]


def _missing_bytes(source: Path | bytes) -> int:
    """How much shorter a WAV file is than it says: libsndfile reads what is left without a word."""
    if isinstance(source, bytes):
        head, size = source[:12], len(source)
    else:
        with open(source, "rb") as file:
            head, size = file.read(12), os.fstat(file.fileno()).st_size
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 0
    said = int.from_bytes(head[4:8], "little")
    # A stream of unknown length says nothing or the most it can, of 31 or 32 bits, less some headers.
    unknown = said == 0 or said >= 2**31 - 2**16
    missing = 8 + said - size
    return missing if missing > 1 and not unknown else 0  # the byte that pads an odd length is often left out


def resample(waveform: Waveform, from_hz: int, to_hz: int) -> Waveform:
    """The one resampler of the project (soxr, quality HQ); a no-op when the rates agree."""
    if from_hz == to_hz:
        return waveform
    return np.asarray(soxr.resample(waveform, from_hz, to_hz, quality="HQ"), dtype=np.float32)


def encode(waveform: Waveform, sample_rate_hz: int) -> bytes:
    """WAV FLOAT bytes: `read` gives the same float32 samples back, bit for bit.

    Written by scipy: libsndfile would add a chunk with the time of day, and equal audio must be equal bytes.
    """
    buffer = io.BytesIO()
    wavfile.write(buffer, sample_rate_hz, waveform)
    return buffer.getvalue()


def encode_exact(waveform: Waveform, sample_rate_hz: int) -> tuple[bytes, str]:
    """The smallest bytes that decode to the same samples, and their ending: FLAC if 16 bits hold them."""
    if sample_rate_hz <= 655_350:
        data = _encoded(waveform, sample_rate_hz, "FLAC", "PCM_16", level=1.0)
        if np.array_equal(read(data)[0], waveform):
            return data, "flac"
    return encode(waveform, sample_rate_hz), "wav"


def encode_listenable(waveform: Waveform, sample_rate_hz: int, container: str = "WAV") -> tuple[bytes, float]:
    """PCM 16 for a player on a page, raised to a peak of 0.5, with the gain that was applied in dB.

    Args:
        waveform: the sound.
        sample_rate_hz: its rate.
        container: WAV, or FLAC, which takes a half to a third of the room.
    """
    peak = float(np.abs(waveform).max(initial=0.0))
    gain = 0.5 / peak if peak > 0 else 1.0
    data = _encoded((waveform * gain).astype(np.float32), sample_rate_hz, container, "PCM_16")
    return data, float(20 * np.log10(gain))


def lossy(waveform: Waveform, sample_rate_hz: int, codec: str) -> Waveform:
    """The waveform after encoding and decoding at the lowest quality of one of CODECS, of equal length."""
    container, subtype, level = CODECS[codec]
    buffer = io.BytesIO()
    settings = {"format": container, "subtype": subtype, "compression_level": level}
    soundfile.write(buffer, waveform, sample_rate_hz, **settings)
    decoded = read(buffer.getvalue())[0][: len(waveform)]
    return np.pad(decoded, (0, len(waveform) - len(decoded)))


def sha256(waveform: Waveform) -> str:
    """Of the float32 samples, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(waveform, dtype="<f4").tobytes()).hexdigest()


def _encoded(
    waveform: Waveform, rate: int, container: str, subtype: str, level: float | None = None
) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, rate, format=container, subtype=subtype, compression_level=level)
    return buffer.getvalue()
