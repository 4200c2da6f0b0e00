"""The only module that imports soundfile and soxr: bytes and files in, mono waveforms out, and back to bytes.

Conventions: a waveform is float32 (n_samples,) with full scale 1.0. Published audio is WAV FLOAT: exact for
float32, and values beyond full scale survive. Nothing here changes the level of a sound.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from harness import containers
from harness.bitstreams import Flac
from harness.errors import BadCorpus
from harness.types import Waveform

LOUDEST = 10.0
"""Largest sample of a recording, full scale being 1: +20 dB.

Peaks between samples, lossy codecs and mixing in floating point go a few dB beyond 1; numbers at the scale of
16-bit integers stay below 10 only where a recording is quieter than -70 dB.
"""

_CANCELLED = 0.15
"""Fraction of the loudness that unrelated channels average to; below it the channels cancel each other."""


def read(source: Path | bytes, name: str | None = None) -> tuple[Waveform, int, int]:
    """Decode a sound file and average its channels.

    Returns:
        waveform (n,), its rate in Hz, its number of channels.

    Raises:
        BadCorpus: not a sound file, or cut off, damaged, or empty, or with NaN or infinite samples.
    """
    samples, rate = _decode(source, _label(source, name))
    return _mean(samples), rate, samples.shape[1]


def read_recording(source: Path | bytes, name: str | None = None) -> tuple[Waveform, int, int]:
    """Like `read`, but a recording that is silent or not at full scale 1 is refused.

    Raises:
        BadCorpus: as `read`, or silent, silent when its channels are averaged, or far beyond full scale.
    """
    label = _label(source, name)
    samples, rate = _decode(source, label)
    peak = float(np.abs(samples).max())
    if peak > LOUDEST:
        raise BadCorpus(
            f"{label} is not at full scale 1: its largest sample is {peak:,.0f}; divide it by the largest"
            " number of its format (32768 for 16 bits) and save it again"
        )
    if np.ptp(samples, axis=0).max() == 0:
        raise BadCorpus(f"{label} is silent: all of its samples are equal; remove it from the corpus")
    waveform = _mean(samples)
    loudness = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    mean_loudness = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))
    if mean_loudness <= _CANCELLED * loudness / np.sqrt(samples.shape[1]):
        raise BadCorpus(
            f"{label} is silent when its {samples.shape[1]} channels are averaged: they cancel each other;"
            " turn one of them round or keep only one"
        )
    return waveform, rate, samples.shape[1]


def _label(source: Path | bytes, name: str | None) -> str:
    return name or (str(source) if isinstance(source, Path) else "audio")


def _mean(samples: Waveform) -> Waveform:
    return np.asarray(samples.mean(axis=1, dtype=np.float64), dtype=np.float32)


def _decode(source: Path | bytes, label: str) -> tuple[Waveform, int]:
    """All samples of a file, (n, channels), and its rate; every sample is finite."""
    try:
        sound = containers.repair(source if isinstance(source, bytes) else source.read_bytes())
        kind: Literal["float32", "int32"] = "float32" if sound.flac is None else "int32"
        # A seek before the first sample changes the last bit of an MP3: soundfile.read always makes one.
        samples, rate = soundfile.read(io.BytesIO(sound.data), dtype=kind, always_2d=True)
        if sound.with_header is not None and len(samples) < (sound.n_frames or 0):
            samples, rate = soundfile.read(io.BytesIO(sound.with_header), dtype=kind, always_2d=True)
        if sound.flac is not None:
            samples = _from_flac(samples, sound.flac)
    except BadCorpus as error:
        raise BadCorpus(f"{label} {error}") from None
    except OSError as error:
        raise BadCorpus(f"{label} is not a readable sound file ({error.strerror})") from None
    except MemoryError:
        raise BadCorpus(f"{label} says that it holds more samples than fit in memory; cut it up") from None
    except (soundfile.LibsndfileError, ValueError) as error:
        # A ValueError is of numpy: of an MP3 that pads more than it holds no array has the size.
        message = getattr(error, "error_string", "a size without sense")
        reason = message.removeprefix("Error : ").rstrip(".")
        raise BadCorpus(
            f"{label} is cut off, damaged or of an encoding that is not known here ({reason}); copy it again,"
            " or convert it to FLAC or WAV"
        ) from None
    if sound.n_frames is not None:
        if len(samples) < sound.n_frames - sound.tolerance:
            raise BadCorpus(
                f"{label} is cut off or damaged: {len(samples):,} of {sound.n_frames:,} samples are left;"
                " copy it again"
            )
        if sound.padding and len(samples) <= sound.n_frames + sound.padding:
            samples = samples[: sound.n_frames]
    if len(samples) == 0:
        raise BadCorpus(f"{label} holds no samples; remove it from the corpus")
    if not np.isfinite(samples).all():
        raise BadCorpus(f"{label} holds NaN or infinite samples; export it again")
    return samples, int(rate)


def _from_flac(samples: NDArray[np.int32], flac: Flac) -> Waveform:
    """FLAC samples, left-aligned in 32 bits, as float32; their MD5 is checked."""
    if any(flac.md5):
        n_bytes = (flac.bits + 7) // 8
        integers = samples >> (32 - flac.bits)
        samples_le = integers.astype(f"<i{n_bytes}") if n_bytes < 3 else integers.astype("<i4").view(np.uint8)
        if n_bytes == 3:
            samples_le = samples_le.reshape(-1, 4)[:, :3]
        if hashlib.md5(samples_le.tobytes(), usedforsecurity=False).digest() != flac.md5:
            raise BadCorpus("is damaged: its samples do not have the MD5 of its header; copy it again")
    return samples.astype(np.float32) * np.float32(2.0**-31)  # both exact: FLAC has 24 bits at most here


def resample(waveform: Waveform, from_hz: int, to_hz: int) -> Waveform:
    """The one resampler of the project (soxr, quality HQ); a no-op when the rates agree."""
    if from_hz == to_hz:
        return waveform
    return np.asarray(soxr.resample(waveform, from_hz, to_hz, quality="HQ"), dtype=np.float32)


def excerpt(waveform: Waveform, from_hz: int, to_hz: int, max_seconds: float) -> tuple[Waveform, bool]:
    """A recording (n,) at another rate, or its centre where it is longer; and whether it is."""
    waveform = resample(waveform, from_hz, to_hz)
    longest = int(max_seconds * to_hz)
    start = max(0, (len(waveform) - longest) // 2)
    # Adding zero makes -0.0 into 0.0, which is what a 16-bit file would give back.
    return waveform[start : start + longest] + np.float32(0), longest < len(waveform)


def encode(waveform: Waveform, sample_rate_hz: int) -> bytes:
    """WAV FLOAT bytes: `read` gives the same float32 samples back, bit for bit.

    Written by scipy: libsndfile would add a chunk with the time of day, and equal audio must be equal bytes.
    """
    from scipy.io import wavfile

    buffer = io.BytesIO()
    wavfile.write(buffer, sample_rate_hz, waveform)
    return buffer.getvalue()


def encode_exact(waveform: Waveform, sample_rate_hz: int) -> tuple[bytes, str]:
    """The smallest bytes that decode to the same samples, and their ending: FLAC if 16 bits hold them."""
    if sample_rate_hz <= 655_350:
        data = _encode(waveform, sample_rate_hz, "FLAC", "PCM_16", level=1.0)
        if np.array_equal(read(data)[0], waveform):
            return data, "flac"
    return encode(waveform, sample_rate_hz), "wav"


def encode_listenable(waveform: Waveform, sample_rate_hz: int, container: str = "WAV") -> tuple[bytes, float]:
    """PCM 16 for a player on a web page, scaled to a peak of 0.5, and the gain that was applied, in dB.

    The container is WAV, or FLAC, which takes a half to a third of the space.
    """
    peak = float(np.abs(waveform).max(initial=0.0))
    gain = 0.5 / peak if peak > 0 else 1.0
    data = _encode((waveform * gain).astype(np.float32), sample_rate_hz, container, "PCM_16")
    return data, float(20 * np.log10(gain))


def sha256(waveform: Waveform) -> str:
    """sha256 of the float32 samples, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(waveform, dtype="<f4").tobytes()).hexdigest()


def _encode(waveform: Waveform, rate: int, container: str, subtype: str, level: float | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, rate, format=container, subtype=subtype, compression_level=level)
    return buffer.getvalue()
