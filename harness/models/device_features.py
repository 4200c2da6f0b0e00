"""Feature extractors in torch: on the device of a model, and so that gradients reach the waveform.

    in_torch(extractor, device)     # as exact as the extractor: AST's filter bank in float64
    differentiable(extractor, n)    # in float32; close, not equal, and in no verdict

Conventions: waveforms are (b, n_samples) float32 of one length, as a tensor on the device. A model gets
features from here only where its logits are the same as through its extractor (`heads.Head.check_features`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.models.frontends import FFT, FLOOR, FRAME, HOP, PREEMPHASIS, samples_of
from harness.seeds import generator

if TYPE_CHECKING:
    import torch

    FrontEnd = Callable[[torch.Tensor], torch.Tensor]
    """(b, n_samples) waveforms -> what the extractor makes of them."""

_CLOSE = 1e-3
"""Most by which a differentiable front end may differ from the extractor, on features of unit spread."""


class TorchFeatures:
    """What a network takes, made of waveforms on its device."""

    def __init__(self, extractor: Any, front_end: FrontEnd, device: str) -> None:
        self._front_end, self._device = front_end, device
        probe = np.zeros(samples_of(2, extractor), dtype=np.float32)
        features = extractor([probe], sampling_rate=extractor.sampling_rate, return_tensors="pt")
        self._name = extractor.model_input_names[0]
        self._others = {name: value.dtype for name, value in features.items() if name != self._name}

    def __call__(self, waveforms: torch.Tensor) -> dict[str, torch.Tensor]:
        """(b, n_samples) float32 on the device -> inputs by name, each (b, ...)."""
        import torch

        # Nothing is padded in a batch of one length: an attention mask is all ones.
        ones = {
            name: torch.ones(waveforms.shape, dtype=dtype, device=self._device)
            for name, dtype in self._others.items()
        }
        return {self._name: self._front_end(waveforms), **ones}


def in_torch(extractor: Any, device: str) -> TorchFeatures | None:
    """The features of an extractor, computed on a device; None of a kind that has no front end here."""
    import torch

    builder = _builder(extractor)
    if builder is None:
        return None
    dtype = torch.float32 if device.startswith("mps") else torch.float64  # which that has not
    return TorchFeatures(extractor, builder(extractor, device, dtype), device)


def differentiable(extractor: Any, n_samples: int) -> FrontEnd | None:
    """A differentiable front end on the processor, for waveforms of one length.

    None where there is none: another kind of extractor, or one whose features it misses.
    """
    import torch

    builder = _builder(extractor)
    if builder is None:
        return None
    front_end = builder(extractor, "cpu", torch.float32)
    probe = generator("frontends").normal(size=n_samples).astype(np.float32) * 0.1
    expected = extractor(
        [probe], sampling_rate=extractor.sampling_rate, return_tensors="pt", return_attention_mask=False
    )[extractor.model_input_names[0]]
    with torch.inference_mode():
        features = front_end(torch.from_numpy(probe)[None])
    is_close = features.shape == expected.shape and bool((features - expected).abs().max() < _CLOSE)
    return front_end if is_close else None


def _waveform(extractor: Any, device: str, dtype: torch.dtype) -> FrontEnd:
    """Wav2Vec2FeatureExtractor: zero mean and unit variance, or nothing."""

    def front_end(waveforms: torch.Tensor) -> torch.Tensor:
        return _normalise(waveforms) if extractor.do_normalize else waveforms

    return front_end


def _whisper(extractor: Any, device: str, dtype: torch.dtype) -> FrontEnd:
    """WhisperFeatureExtractor: log-mel frames of a padded or cut window; in float32, as there."""
    import torch

    filters = torch.from_numpy(np.asarray(extractor.mel_filters, dtype=np.float32)).to(device)
    window = torch.hann_window(extractor.n_fft).to(device)

    def front_end(waveforms: torch.Tensor) -> torch.Tensor:
        n = extractor.n_samples
        missing = max(0, n - waveforms.shape[1])
        padding = (0, missing) if extractor.padding_side == "right" else (missing, 0)
        samples = torch.nn.functional.pad(waveforms[:, :n], padding, value=extractor.padding_value)
        spectrum = torch.stft(
            samples, extractor.n_fft, extractor.hop_length, window=window, return_complex=True
        )
        mel = filters.T @ spectrum[..., :-1].abs().square()
        log = mel.clamp(min=1e-10).log10()
        log = torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0)
        return (log + 4.0) / 4.0

    return front_end


def _ast(extractor: Any, device: str, dtype: torch.dtype) -> FrontEnd:
    """ASTFeatureExtractor: the filter bank of `frontends`, padded or cut, and normalised."""
    import torch

    filters = torch.from_numpy(np.asarray(extractor.mel_filters)).to(device, dtype)
    window = torch.from_numpy(np.asarray(extractor.window)).to(device, dtype)

    def front_end(waveforms: torch.Tensor) -> torch.Tensor:
        samples = waveforms[:, : samples_of(extractor.max_length, extractor)].to(dtype)
        frames = samples.unfold(1, FRAME, HOP)
        frames = frames - frames.mean(dim=2, keepdim=True)
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
        power = torch.fft.rfft((frames - PREEMPHASIS * previous) * window, FFT).abs().square()
        log = (power @ filters).clamp(min=FLOOR).log().float()
        log = torch.nn.functional.pad(log, (0, 0, 0, extractor.max_length - log.shape[1]))
        return (log - extractor.mean) / (extractor.std * 2) if extractor.do_normalize else log

    return front_end


def _normalise(waveforms: torch.Tensor) -> torch.Tensor:
    mean = waveforms.mean(dim=1, keepdim=True)
    return (waveforms - mean) / (waveforms.var(dim=1, keepdim=True, correction=0) + 1e-7).sqrt()


def _builder(extractor: Any) -> Callable[[Any, str, torch.dtype], FrontEnd] | None:
    """What makes the front end of an extractor; AST's has its filters only where it computes in numpy."""
    kind = type(extractor).__name__
    if kind == "ASTFeatureExtractor" and not hasattr(extractor, "mel_filters"):
        return None
    return _BUILDERS.get(kind)


_BUILDERS: dict[str, Callable[[Any, str, torch.dtype], FrontEnd]] = {
    "Wav2Vec2FeatureExtractor": _waveform,
    "WhisperFeatureExtractor": _whisper,
    "ASTFeatureExtractor": _ast,
}
