"""Feature extractors: how much they take in, and other implementations with the same features.

`use_fast_fbank` is faster, and equal to the last bit: the filter bank of AST's extractor goes through a whole
clip frame by frame, also beyond what it keeps, and costs more than a small model. `differentiable` is in
torch, so that gradients reach the waveform: close, not equal, and in no verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.seeds import generator
from harness.types import Waveform

if TYPE_CHECKING:
    import torch

    Differentiable = Callable[[torch.Tensor], torch.Tensor]
    """(b, n_samples) float32 waveforms of one length -> what the extractor makes of them."""

_FRAME, _HOP, _FFT = 400, 160, 512
"""Samples in a frame, from one frame to the next, and in its transform: fixed in AST's extractor where it
computes in numpy, at every sampling rate."""
_FRAMES_IN_CACHE = 100
"""Frames that are transformed at a time: faster than all of them through main memory."""
_PREEMPHASIS = 0.97
_FLOOR = 1.192092955078125e-07
"""Smallest mel energy before the logarithm."""

_CLOSE = 1e-3
"""Most by which a differentiable front end may differ from the extractor, on features of unit spread."""

Features = NDArray[np.float32]


def use_fast_fbank(extractor: Any) -> bool:
    """Have an ASTFeatureExtractor compute only what it keeps, and that faster, if it changes nothing.

    Returns whether it was done: only where noise, silence, a click and a clip longer than is kept give the
    same features, bit for bit.
    """
    original, longest = extractor._extract_fbank_features, _samples_of(extractor.max_length, extractor)

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
    frames = np.lib.stride_tricks.sliding_window_view(waveform.astype(np.float64), _FRAME)[::_HOP]
    power = np.empty((len(frames), _FFT // 2 + 1))
    for start in range(0, len(frames), _FRAMES_IN_CACHE):
        block = frames[start : start + _FRAMES_IN_CACHE]
        block = block - block.mean(axis=1, keepdims=True)
        block[:, 1:] -= _PREEMPHASIS * block[:, :-1]
        block[:, 0] *= 1 - _PREEMPHASIS
        block *= window
        spectrum = np.fft.rfft(block, _FFT).astype(np.complex64)
        np.abs(spectrum, out=power[start : start + _FRAMES_IN_CACHE], dtype=np.float64)
    power *= power
    mel: NDArray[np.float64] = np.dot(mel_filters.T, power.T)
    return np.log(np.maximum(_FLOOR, mel, out=mel), out=mel).astype(np.float32).T


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
        return _samples_of(n_strides * config.time_stride + config.patch_size, extractor)
    return None


def min_samples(config: Any, extractor: Any) -> int:
    """Shortest input that still gives every layer something to work on; 1 of a model that does not say."""
    if config.model_type == "whisper":
        return 1
    if config.model_type == "audio-spectrogram-transformer":
        return _samples_of(1, extractor)
    if config.model_type == "wav2vec2-bert":
        return _FRAME + _HOP  # two frames: it divides by their standard deviation
    n = int(getattr(config, "squeeze_factor", 1))
    kernels, strides = getattr(config, "conv_kernel", ()), getattr(config, "conv_stride", ())
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        n = (n - 1) * stride + kernel
    return n


def _samples_of(n_frames: int, extractor: Any) -> int:
    """Samples in some frames of AST's extractor: 400 a frame in numpy at any rate, 25 ms in torchaudio."""
    frame, hop = _FRAME, _HOP
    if not hasattr(extractor, "mel_filters"):
        frame, hop = int(extractor.sampling_rate * 0.025), int(extractor.sampling_rate * 0.010)
    return (n_frames - 1) * hop + frame


# ---- in torch --------------------------------------------------------------------------------------


def differentiable(extractor: Any, n_samples: int) -> Differentiable | None:
    """A differentiable front end, for waveforms of one length.

    None where there is none: another kind of extractor, or one whose features it misses.
    """
    import torch

    builder = _BUILDERS.get(type(extractor).__name__)
    if builder is None:
        return None
    front_end = builder(extractor)
    probe = generator("frontends").normal(size=n_samples).astype(np.float32) * 0.1
    expected = extractor(
        [probe], sampling_rate=extractor.sampling_rate, return_tensors="pt", return_attention_mask=False
    )[extractor.model_input_names[0]]
    with torch.inference_mode():
        features = front_end(torch.from_numpy(probe)[None])
    is_close = features.shape == expected.shape and bool((features - expected).abs().max() < _CLOSE)
    return front_end if is_close else None


def _waveform(extractor: Any) -> Differentiable:
    """Wav2Vec2FeatureExtractor: zero mean and unit variance, or nothing."""

    def front_end(waveforms: torch.Tensor) -> torch.Tensor:
        return _normalise(waveforms) if extractor.do_normalize else waveforms

    return front_end


def _whisper(extractor: Any) -> Differentiable:
    """WhisperFeatureExtractor: log-mel frames of a padded or cut window."""
    import torch

    filters = torch.from_numpy(np.asarray(extractor.mel_filters, dtype=np.float32))
    window = torch.hann_window(extractor.n_fft)

    def front_end(waveforms: torch.Tensor) -> torch.Tensor:
        n = extractor.n_samples
        samples = torch.nn.functional.pad(waveforms[:, :n], (0, max(0, n - waveforms.shape[1])))
        spectrum = torch.stft(
            samples, extractor.n_fft, extractor.hop_length, window=window, return_complex=True
        )
        mel = filters.T @ spectrum[..., :-1].abs().square()
        log = mel.clamp(min=1e-10).log10()
        log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
        return (log + 4.0) / 4.0

    return front_end


def _ast(extractor: Any) -> Differentiable:
    """ASTFeatureExtractor: the filter bank of `_fbank`, padded or cut, and normalised."""
    import torch

    filters = torch.from_numpy(np.asarray(extractor.mel_filters, dtype=np.float32))
    window = torch.from_numpy(np.asarray(extractor.window, dtype=np.float32))

    def front_end(waveforms: torch.Tensor) -> torch.Tensor:
        frames = waveforms[:, : _samples_of(extractor.max_length, extractor)].unfold(1, _FRAME, _HOP)
        frames = frames - frames.mean(dim=2, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        power = torch.fft.rfft((frames - _PREEMPHASIS * previous) * window, _FFT).abs().square()
        log = (power @ filters).clamp(min=_FLOOR).log()
        log = torch.nn.functional.pad(log, (0, 0, 0, extractor.max_length - log.shape[1]))
        return (log - extractor.mean) / (extractor.std * 2) if extractor.do_normalize else log

    return front_end


def _normalise(waveforms: torch.Tensor) -> torch.Tensor:
    mean = waveforms.mean(dim=1, keepdim=True)
    return (waveforms - mean) / (waveforms.var(dim=1, keepdim=True, correction=0) + 1e-7).sqrt()


_BUILDERS: dict[str, Callable[[Any], Differentiable]] = {
    "Wav2Vec2FeatureExtractor": _waveform,
    "WhisperFeatureExtractor": _whisper,
    "ASTFeatureExtractor": _ast,
}
