"""Untrained networks of the starter suite: seven architectures of the Hub, made small.

They hear differently: log-mel patches (AST), log-mel frames (Whisper), or the waveform through a filter bank
that does not learn (wav2vec 2.0, HuBERT, WavLM, SEW, data2vec-audio).

Conventions: windows of AST and Whisper are as long as a clip, and a Whisper window has whole seconds. A
filter bank holds windowed tones, even on the mel scale, in four phases each; after the layer norm across
filters and the rectifier the four phases add up to a magnitude. As the bank does not learn, it is run once
per set of examples, and what learns is fed magnitudes: one input for four phases, whose weights are repeated
afterwards.
Shapes: b examples, c inputs (magnitudes or mel bands), t frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.models.frontends import use_fast_fbank
from harness.starter.build.clips import SAMPLE_RATE_HZ
from harness.starter.recipes import Recipe
from harness.types import FloatArray, Waveform

if TYPE_CHECKING:
    import torch

_WIDTH, _HEADS, _DEPTH, _FEED = 48, 4, 2, 96
"""Every transformer: hidden size, attention heads, layers, feed-forward size."""

_HOP = 160
"""Samples from one frame to the next, in every front end."""

_PATCH = 16
"""Mel bands and frames of a patch of AST."""

_CENTRES, _TAPS, _PHASES = 32, 400, 4
"""Centre frequencies of a filter bank, length of its filters in samples, phases of each tone."""

_SILENT_BIAS, _SHARPNESS = 0.3, 3.0
"""Of the filter that hears nothing, against filters of deviation 1; gain before the rectifier."""

_BATCH = 64

_RAW: MappingProxyType[str, tuple[str, MappingProxyType[str, Any]]] = MappingProxyType(
    {
        "wav2vec2": (
            "Wav2Vec2Config",
            MappingProxyType({"num_codevectors_per_group": 2, "codevector_dim": 8}),
        ),
        "hubert": ("HubertConfig", MappingProxyType({})),
        "wavlm": ("WavLMConfig", MappingProxyType({"num_buckets": 16, "max_bucket_distance": 64})),
        "sew": ("SEWConfig", MappingProxyType({"squeeze_factor": 1})),
        "data2vec-audio": (
            "Data2VecAudioConfig",
            MappingProxyType({"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5}),
        ),
    }
)
"""Raw-waveform architectures: class of the configuration, and what only it has."""

ARCHITECTURES = ("ast", "whisper", *_RAW)
"""What a recipe may ask for."""


def untrained(recipe: Recipe, whole: Waveform) -> tuple[Any, Any]:
    """A model with random weights and its feature extractor; the front end is scaled to the clips.

    Args:
        recipe: what to make.
        whole: (n, n_samples) clips; their length is that of the window, their levels set the front end.
    """
    from transformers import AutoModelForAudioClassification

    if recipe.architecture == "ast":
        config, extractor = _ast(recipe, whole)
    elif recipe.architecture == "whisper":
        config, extractor = _whisper(recipe, whole.shape[1])
    else:
        config, extractor = _raw(recipe)
    config.id2label = dict(enumerate(recipe.labels))
    config.label2id = {name: index for index, name in enumerate(recipe.labels)}
    model = AutoModelForAudioClassification.from_config(config)
    if recipe.architecture in _RAW:
        _set_bank(_conv_layers(model)[0], recipe, inputs_of(extractor, whole))
    return model, extractor


def heard(model: Any, extractor: Any, waveforms: Waveform) -> torch.Tensor:
    """(b, c, t) of the raw-waveform and Whisper architectures, (b, t, c) of AST: what learns is fed this."""
    import torch

    made = []
    with torch.inference_mode():
        for i in range(0, len(waveforms), _BATCH):
            inputs = inputs_of(extractor, waveforms[i : i + _BATCH])
            if hasattr(model.base_model, "feature_extractor"):
                inputs = _magnitudes(_conv_layers(model)[0](inputs[:, None]))
            made.append(inputs)
    return torch.cat(made).clone()


def inputs_of(extractor: Any, waveforms: Waveform) -> torch.Tensor:
    """What the model is fed, as its own feature extractor makes it."""
    quick = copy(extractor)  # what makes it quicker cannot be saved
    if hasattr(quick, "_extract_fbank_features") and hasattr(quick, "mel_filters"):
        use_fast_fbank(quick)
    features = quick(list(waveforms), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
    inputs: torch.Tensor = features[quick.model_input_names[0]]
    return inputs


@contextmanager
def learning(model: Any) -> Iterator[Any]:
    """The model without its filter bank, to be fed what was `heard`; afterwards it is whole again."""
    import torch

    if not hasattr(model.base_model, "feature_extractor"):
        yield model
        return
    layers = _conv_layers(model)
    bank, wide = layers[0], layers[1].conv
    layers[0] = torch.nn.Flatten(1, 2)
    layers[1].conv = torch.nn.Conv1d(_CENTRES + 1, wide.out_channels, wide.kernel_size, wide.stride)
    try:
        yield model
    finally:
        learned = layers[1].conv
        with torch.no_grad():
            wide.weight.copy_(_over_phases(learned.weight))
            wide.bias.copy_(learned.bias)
        layers[0], layers[1].conv = bank, wide


# ---- log-mel -------------------------------------------------------------------------------------


def _ast(recipe: Recipe, whole: Waveform) -> tuple[Any, Any]:
    """Square patches of 160 ms; mean and spread are those of whole clips."""
    from transformers import ASTConfig, ASTFeatureExtractor

    frames = 1 + (whole.shape[1] - _TAPS) // _HOP
    settings = {"num_mel_bins": recipe.n_mels, "max_length": frames}
    extractor = ASTFeatureExtractor(**settings, do_normalize=False)
    values = inputs_of(extractor, whole)
    mean, std = round(float(values.mean()), 3), round(float(values.std()), 3)
    config = ASTConfig(
        hidden_size=_WIDTH,
        num_hidden_layers=_DEPTH,
        num_attention_heads=_HEADS,
        intermediate_size=_FEED,
        patch_size=_PATCH,
        frequency_stride=_PATCH,
        time_stride=_PATCH // 2,
        initializer_range=0.1,
        hidden_dropout_prob=0.1,
        **settings,
    )
    return config, ASTFeatureExtractor(**settings, mean=mean, std=std)


def _whisper(recipe: Recipe, n_samples: int) -> tuple[Any, Any]:
    """Frames of 10 ms; the classifier has no use for the decoder."""
    from transformers import WhisperConfig, WhisperFeatureExtractor

    seconds, rest = divmod(n_samples, SAMPLE_RATE_HZ)
    if rest:
        raise ValueError(f"a window of {n_samples} samples is not of whole seconds")
    extractor = WhisperFeatureExtractor(feature_size=recipe.n_mels, chunk_length=seconds)
    config = WhisperConfig(
        d_model=_WIDTH,
        encoder_layers=_DEPTH,
        encoder_attention_heads=_HEADS,
        encoder_ffn_dim=_FEED,
        num_mel_bins=recipe.n_mels,
        max_source_positions=n_samples // _HOP // 2,
        classifier_proj_size=_WIDTH,
        init_std=0.1,
        dropout=0.1,
    )
    return config, extractor


# ---- the waveform through a filter bank ----------------------------------------------------------


def _raw(recipe: Recipe) -> tuple[Any, Any]:
    """Three convolutions, a filter bank every 10 ms and two that learn, to frames of 40 ms."""
    import transformers

    kind, extra = _RAW[recipe.architecture]
    settings: dict[str, Any] = {"num_conv_pos_embeddings": 8, **extra}
    config = getattr(transformers, kind)(
        hidden_size=_WIDTH,
        num_hidden_layers=_DEPTH,
        num_attention_heads=_HEADS,
        intermediate_size=_FEED,
        conv_dim=(_PHASES * _CENTRES + 1, _WIDTH, _WIDTH),
        conv_kernel=(_TAPS, 4, 3),
        conv_stride=(_HOP, 2, 2),
        num_feat_extract_layers=3,
        conv_bias=True,
        feat_extract_norm="layer",
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=_WIDTH,
        vocab_size=8,
        apply_spec_augment=False,
        layerdrop=0.0,
        initializer_range=0.1,
        hidden_dropout=0.1,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.1,
        **settings,
    )
    return config, transformers.Wav2Vec2FeatureExtractor(do_normalize=recipe.do_normalize)


def _filter_bank(lowest_hz: float, highest_hz: float) -> FloatArray:
    """(phases * centres + 1, taps); the last filter hears nothing."""
    low, high = np.log1p(lowest_hz / 700), np.log1p(highest_hz / 700)
    centres = 700 * np.expm1(np.linspace(low, high, _CENTRES))
    phases = 2 * np.pi * np.arange(_PHASES) / _PHASES
    angle = 2 * np.pi * centres[:, None, None] * np.arange(_TAPS) / SAMPLE_RATE_HZ
    tones = np.cos(angle + phases[:, None]) * np.hanning(_TAPS)
    return np.concatenate([tones.reshape(-1, _TAPS), np.zeros((1, _TAPS))])


def _set_bank(layer: Any, recipe: Recipe, inputs: torch.Tensor) -> None:
    """Make a first convolution the filter bank, each tone of deviation 1 over the inputs.

    The filter that hears nothing has a bias: through the layer norm across filters it tells how loud a frame
    is against it, and keeps silence from being blown up.
    """
    import torch

    conv, norm = layer.conv, layer.layer_norm
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(_filter_bank(*recipe.bank_hz))[:, None])
        conv.bias.zero_()
        power = torch.stack([conv(x[None, None]).square().mean(dim=(0, 2)) for x in inputs]).mean(dim=0)
        per_tone = power[:-1].reshape(_CENTRES, _PHASES).mean(dim=1).sqrt()
        conv.weight[:-1] /= per_tone.repeat_interleave(_PHASES)[:, None, None]
        conv.bias[-1] = _SILENT_BIAS
        norm.weight.fill_(_SHARPNESS)
        norm.bias.zero_()


def _magnitudes(phases: torch.Tensor) -> torch.Tensor:
    """(b, phases * centres + 1, t) -> (b, centres + 1, t)."""
    import torch

    tones = phases[:, :-1].unflatten(1, (_CENTRES, _PHASES)).sum(dim=2)  # type: ignore[no-untyped-call]
    return torch.cat([tones, phases[:, -1:]], dim=1)


def _over_phases(weight: torch.Tensor) -> torch.Tensor:
    """(out, centres + 1, taps) -> (out, phases * centres + 1, taps): a weight for each phase."""
    import torch

    return torch.cat([weight[:, :-1].repeat_interleave(_PHASES, dim=1), weight[:, -1:]], dim=1)


def _conv_layers(model: Any) -> Any:
    return model.base_model.feature_extractor.conv_layers
