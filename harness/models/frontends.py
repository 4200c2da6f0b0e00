"""Feature extractors: how much they take in, and faster implementations, equal to the last bit.

The filter bank of AST's extractor goes through a whole clip frame by frame, also beyond what it keeps, and
costs more than a small model. Features in torch are in `device_features`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.seeds import generator
from harness.types import Waveform

FRAME, HOP, FFT = 400, 160, 512
"""Samples in a frame, from one frame to the next, and in its transform: fixed in AST's extractor where it
computes in numpy, at every sampling rate."""
_FRAMES_IN_CACHE = 100
"""Frames that are transformed at a time: faster than all of them through main memory."""
PREEMPHASIS = 0.97
FLOOR = 1.192092955078125e-07
"""Smallest mel energy before the logarithm."""

Features = NDArray[np.float32]


def use_fast_fbank(extractor: Any) -> bool:
    """Have an ASTFeatureExtractor compute only what it keeps, and that faster, if it changes nothing.

    Returns whether it was done: only where noise, silence, a click and a clip longer than is kept give the
    same features, bit for bit.
    """
    original, longest = extractor._extract_fbank_features, samples_of(extractor.max_length, extractor)

    def whole_frames(waveform: Waveform, max_length: int) -> Features:
        bank = _fbank(waveform[:longest], extractor.window, extractor.mel_filters)
        return np.pad(bank, ((0, max_length - len(bank)), (0, 0)))

    def cut_first(waveform: Waveform, max_length: int) -> Features:
        features: Features = original(waveform[:longest], max_length)
        return features

    rng = generator("frontends")
    lengths = ((16_000, 0.1), (7_777, 3.0), (longest + 7_777, 0.1))
    probes = [rng.normal(size=n).astype(np.float32) * gain for n, gain in lengths]
    probes[-1][longest:] *= 30  # what is not kept is the loudest
    probes += [np.zeros(4_000, dtype=np.float32), np.eye(1, 5_000, 1_234, dtype=np.float32)[0]]
    expected = [original(probe, max_length=extractor.max_length) for probe in probes]
    for features in (whole_frames, cut_first) if hasattr(extractor, "mel_filters") else (cut_first,):
        results = [features(probe, extractor.max_length) for probe in probes]
        if all(map(np.array_equal, results, expected)):
            extractor._extract_fbank_features = features
            return True
    return False


def _fbank(waveform: Waveform, window: NDArray[Any], mel_filters: NDArray[Any]) -> Features:
    """Log mel energies, (n_frames, n_mels), of a waveform (n_samples,)."""
    samples = waveform.astype(np.float64)
    n_frames, size = (len(samples) - FRAME) // HOP + 1, samples.itemsize
    # A view, as by sliding_window_view, which takes a twentieth of the whole.
    frames = np.ndarray((n_frames, FRAME), samples.dtype, samples, strides=(HOP * size, size))
    power = np.empty((n_frames, FFT // 2 + 1))
    for start in range(0, len(frames), _FRAMES_IN_CACHE):
        block = frames[start : start + _FRAMES_IN_CACHE]
        block = block - np.add.reduce(block, axis=1, keepdims=True) / FRAME
        block[:, 1:] -= PREEMPHASIS * block[:, :-1]
        block[:, 0] *= 1 - PREEMPHASIS
        block *= window
        spectrum = np.fft.rfft(block, FFT).astype(np.complex64)
        np.abs(spectrum, out=power[start : start + _FRAMES_IN_CACHE], dtype=np.float64)
    power *= power
    mel: NDArray[np.float64] = np.dot(mel_filters.T, power.T)
    return np.log(np.maximum(FLOOR, mel, out=mel), out=mel).astype(np.float32).T


# ---- how much is heard -----------------------------------------------------------------------------


def window_samples(config: Any, extractor: Any) -> int | None:
    """Samples from the first to the last that can change the logits; None of a model that takes any length.

    AST: up to the end of the last frame that is in a patch; frames too few for one more patch are in none.
    Whisper: its chunk.
    """
    if config.model_type == "whisper":
        last_frame = (extractor.nb_max_frames - 1) * extractor.hop_length + extractor.n_fft // 2
        return int(min(extractor.n_samples, last_frame))
    if config.model_type == "audio-spectrogram-transformer":
        n_strides = (config.max_length - config.patch_size) // config.time_stride
        return samples_of(n_strides * config.time_stride + config.patch_size, extractor)
    return None


def min_samples(config: Any, extractor: Any) -> int:
    """Shortest input that still gives every layer something to work on; 1 of a model that does not say."""
    if config.model_type == "whisper":
        return 1
    if config.model_type == "audio-spectrogram-transformer":
        return samples_of(1, extractor)
    if config.model_type == "wav2vec2-bert":
        return FRAME + HOP  # two frames: it divides by their standard deviation
    n = int(getattr(config, "squeeze_factor", 1))
    kernels, strides = getattr(config, "conv_kernel", ()), getattr(config, "conv_stride", ())
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        n = (n - 1) * stride + kernel
    return n


def samples_of(n_frames: int, extractor: Any) -> int:
    """Samples in some frames of AST's extractor: 400 a frame in numpy at any rate, 25 ms in torchaudio."""
    frame, hop = FRAME, HOP
    if not hasattr(extractor, "mel_filters"):
        frame, hop = int(extractor.sampling_rate * 0.025), int(extractor.sampling_rate * 0.010)
    return (n_frames - 1) * hop + frame
