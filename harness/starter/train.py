"""Small models of the starter suite: five architectures of the Hub, a few ten thousand weights each.

Each is trained in seconds on clips of the split `train` and saved as a folder that transformers loads like
any other checkpoint. They are synthetic toys. They really learn, and they hear differently: log-mel patches
(AST), log-mel frames (Whisper), or the waveform through a fixed filter bank (wav2vec 2.0, HuBERT, SEW).

Conventions: every example is a training clip at a random level, half of them with only some of their
frequency bands kept (those of `spectra.log_bands`), so that a model has an opinion on a part of a spectrum.
A few silent examples carry the recipe's `silence_class`: what a network says of silence is an accident
otherwise, and it decides which signals are degenerate. Class names and their order differ, as on the Hub.

Public: Recipe, RECIPES, train.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import spectra
from harness.records import FloatArray, Waveform
from harness.seeds import generator, seed_of
from harness.starter.clips import N_SAMPLES, SAMPLE_RATE_HZ, clips
from harness.tasks import TASKS

if TYPE_CHECKING:
    import torch

N_TRAIN, N_HELD_OUT, N_SILENT = 320, 100, 16
"""Clips to learn from, clips to be examined on (split `held-out`), silent examples."""

_WIDTH, _HEADS, _DEPTH, _FEED = 32, 2, 1, 64
"""Every transformer: hidden size, attention heads, layers, feed-forward size."""

_N_CENTRES, _TAPS = 16, 256
"""Centre frequencies of the filter bank, length of its filters in samples."""

_BATCH, _RATE, _EPOCHS, _EPOCHS_AST = 32, 3e-3, 8, 12
"""Examples per step, highest learning rate, passes over the examples."""


@dataclass(frozen=True)
class Recipe:
    """One model of the suite."""

    name: str
    """`org/name`, as it would be called on the Hub."""
    task: str
    """Name of the task."""
    role: str
    """`reference` or `candidate`."""
    architecture: str
    """One of `ast`, `whisper`, `wav2vec2`, `hubert`, `sew`."""
    labels: tuple[str, ...]
    """Its class names, by index, in its own spelling."""
    silence_class: str
    """The canonical label that silent training examples carry."""
    n_mels: int = 0
    """Mel bands of the two log-mel architectures."""
    bank_hz: tuple[float, float] = (0, 0)
    """Lowest and highest centre frequency of the filter bank of the raw-waveform architectures."""
    do_normalize: bool = False
    """Zero mean and unit variance before the filter bank (raw-waveform architectures only)."""


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        *("goodenough/toy-genre-ast", "music-genre", "reference", "ast"),
        *(("Blues", "Classical", "Disco", "Metal"), "classical"),
        n_mels=48,
    ),
    Recipe(
        *("goodenough/toy-genre-wav2vec2", "music-genre", "reference", "wav2vec2"),
        *(("metal", "disco", "classical", "blues"), "blues"),
        bank_hz=(60, 7000),
        do_normalize=True,
    ),
    Recipe(
        *("goodenough/toy-genre-whisper", "music-genre", "reference", "whisper"),
        *(("classic", "blues", "heavy metal", "disco"), "disco"),
        n_mels=40,
    ),
    Recipe(
        *("goodenough/toy-genre-hubert", "music-genre", "candidate", "hubert"),
        *(("DISCO", "METAL", "BLUES", "CLASSICAL"), "metal"),
        bank_hz=(60, 6500),
    ),
    Recipe(
        *("goodenough/toy-emotion-hubert", "emotion", "reference", "hubert"),
        *(("neu", "hap", "ang", "sad"), "neutral"),
        bank_hz=(80, 6500),
    ),
    Recipe(
        *("goodenough/toy-emotion-ast", "emotion", "reference", "ast"),
        *(("Angry", "Happy", "Neutral", "Sad"), "sad"),
        n_mels=64,
    ),
    Recipe(
        *("goodenough/toy-emotion-whisper", "emotion", "reference", "whisper"),
        *(("sadness", "joy", "anger", "neutrality"), "happy"),
        n_mels=32,
    ),
    Recipe(
        *("goodenough/toy-emotion-wav2vec2", "emotion", "candidate", "wav2vec2"),
        *(("sad", "neutral", "happy", "angry"), "sad"),
        bank_hz=(80, 4500),
        do_normalize=True,
    ),
    Recipe(
        *("goodenough/toy-deepfake-ast", "deepfake", "reference", "ast"),
        *(("fake", "real"), "bonafide"),
        n_mels=64,
    ),
    Recipe(
        *("goodenough/toy-deepfake-wav2vec2", "deepfake", "reference", "wav2vec2"),
        *(("real", "fake"), "spoof"),
        bank_hz=(1500, 7800),
        do_normalize=True,
    ),
    Recipe(
        *("goodenough/toy-deepfake-whisper", "deepfake", "reference", "whisper"),
        *(("AIVoice", "HumanVoice"), "spoof"),
        n_mels=64,
    ),
    Recipe(
        *("goodenough/toy-deepfake-hubert", "deepfake", "reference", "hubert"),
        *(("bonafide", "spoof"), "bonafide"),
        bank_hz=(2500, 7800),
    ),
    Recipe(
        *("goodenough/toy-deepfake-sew", "deepfake", "candidate", "sew"),
        *(("Spoof", "Bona-fide"), "spoof"),
        bank_hz=(800, 7600),
        do_normalize=True,
    ),
)
"""Every model of the suite: three or four references and a candidate for each task."""


def train(recipe: Recipe, out: Path) -> dict[str, float]:
    """Train one model and save it as the folder `out`, which is made.

    One thread and fixed seeds: the same machine gives the same bytes. Afterwards torch's own random state
    and number of threads are as before.

    Returns:
        `parameters`, `accuracy` on N_HELD_OUT clips it was not trained on.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("starter", recipe.name))
            return _trained(recipe, out)
    finally:
        torch.set_num_threads(threads)


def _trained(recipe: Recipe, out: Path) -> dict[str, float]:
    import torch

    waveforms, targets = _examples(recipe)
    model, extractor = _untrained(recipe, waveforms)
    inputs = _inputs(extractor, waveforms)
    if recipe.architecture in ("ast", "whisper"):
        _fit(model, inputs, targets, _EPOCHS_AST if recipe.architecture == "ast" else _EPOCHS)
    else:
        # The filter bank does not learn: it is run once, and a step of the right shape stands in its place.
        layers = model.base_model.feature_extractor.conv_layers
        bank = layers[0]
        _fix_bank(bank, recipe)
        with torch.no_grad():
            heard = torch.cat([bank(inputs[i : i + _BATCH, None]) for i in range(0, len(inputs), _BATCH)])
        layers[0] = torch.nn.Flatten(1, 2)
        _fit(model, heard, targets, _EPOCHS)
        layers[0] = bank
    model.eval()
    held_out, truth = _material(recipe.task, "held-out", N_HELD_OUT)
    with torch.inference_mode():
        answers = model(_inputs(extractor, held_out)).logits.argmax(-1)
    accuracy = float((answers == _indices(recipe, truth)).double().mean())
    model.save_pretrained(out)
    extractor.save_pretrained(out)
    (out / "README.md").write_text(_card(recipe, accuracy), encoding="utf-8")
    return {"parameters": sum(p.numel() for p in model.parameters()), "accuracy": accuracy}


# ---- examples ------------------------------------------------------------------------------------


@lru_cache(maxsize=6)
def _material(task: str, split: str, n: int) -> tuple[Waveform, tuple[str, ...]]:
    """(n, N_SAMPLES) waveforms and their labels; kept, because all models of a task share them."""
    made = clips(TASKS[task], split, n)
    return np.stack([clip.waveform for clip in made]), tuple(str(clip.label) for clip in made)


def _examples(recipe: Recipe) -> tuple[Waveform, torch.Tensor]:
    """Training clips twice, whole and in part, each at a random level, then silence."""
    import torch

    whole, labels = _material(recipe.task, "train", N_TRAIN)
    rng = generator("starter", recipe.name, "examples")
    bands = spectra.log_bands(N_SAMPLES, SAMPLE_RATE_HZ, 40)
    kept = rng.random((N_TRAIN, len(bands))) < rng.uniform(0.1, 1.0, (N_TRAIN, 1))
    part = np.stack(
        [
            spectra.keep(spectra.spectrum(x), spectra.expand(bands, mask), N_SAMPLES)
            for x, mask in zip(whole, kept, strict=True)
        ]
    )
    level = 10 ** rng.uniform(-0.2, 0.2, (2 * N_TRAIN, 1))
    silent = np.zeros((N_SILENT, N_SAMPLES))
    waveforms = np.concatenate([np.concatenate([whole, part]) * level, silent]).astype(np.float32)
    targets = _indices(recipe, (*labels, *labels, *[recipe.silence_class] * N_SILENT))
    return waveforms, torch.as_tensor(targets)


def _indices(recipe: Recipe, labels: tuple[str, ...]) -> torch.Tensor:
    """Canonical labels as indices of the recipe's own classes."""
    import torch

    own = [TASKS[recipe.task].label_of(name) for name in recipe.labels]
    return torch.tensor([own.index(label) for label in labels])


def _inputs(extractor: Any, waveforms: Waveform) -> torch.Tensor:
    """What the model is fed, as its own feature extractor makes it."""
    features = extractor(list(waveforms), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
    inputs: torch.Tensor = features[extractor.model_input_names[0]]
    return inputs


# ---- models --------------------------------------------------------------------------------------


def _untrained(recipe: Recipe, waveforms: Waveform) -> tuple[Any, Any]:
    """A model with random weights, and its feature extractor; AST's is fitted to the waveforms."""
    from transformers import AutoModelForAudioClassification

    if recipe.architecture == "ast":
        config, extractor = _ast(recipe, waveforms)
    else:
        config, extractor = _whisper(recipe) if recipe.architecture == "whisper" else _raw(recipe)
    config.id2label = dict(enumerate(recipe.labels))
    config.label2id = {name: index for index, name in enumerate(recipe.labels)}
    return AutoModelForAudioClassification.from_config(config), extractor


def _ast(recipe: Recipe, waveforms: Waveform) -> tuple[Any, Any]:
    """Log-mel patches of 16 bands by 160 ms; mean and spread are those of whole clips."""
    from transformers import ASTConfig, ASTFeatureExtractor

    frames = 98
    extractor = ASTFeatureExtractor(num_mel_bins=recipe.n_mels, max_length=frames, do_normalize=False)
    values = _inputs(extractor, waveforms[: N_TRAIN // 2])
    extractor.mean, extractor.std = round(float(values.mean()), 3), round(float(values.std()), 3)
    extractor.do_normalize = True
    config = ASTConfig(
        hidden_size=_WIDTH,
        num_hidden_layers=_DEPTH,
        num_attention_heads=_HEADS,
        intermediate_size=_FEED,
        num_mel_bins=recipe.n_mels,
        max_length=frames,
        patch_size=16,
        frequency_stride=16,
        time_stride=16,
        initializer_range=0.1,
    )
    return config, extractor


def _whisper(recipe: Recipe) -> tuple[Any, Any]:
    """Log-mel frames of 10 ms in a window of one second; the classifier has no use for the decoder."""
    from transformers import WhisperConfig, WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=recipe.n_mels, chunk_length=1)
    config = WhisperConfig(
        d_model=_WIDTH,
        encoder_layers=_DEPTH,
        encoder_attention_heads=_HEADS,
        encoder_ffn_dim=_FEED,
        num_mel_bins=recipe.n_mels,
        max_source_positions=50,
        classifier_proj_size=_WIDTH,
        init_std=0.1,
    )
    return config, extractor


def _raw(recipe: Recipe) -> tuple[Any, Any]:
    """The waveform through three convolutions: a filter bank every 10 ms, then two that are learned."""
    from transformers import HubertConfig, SEWConfig, Wav2Vec2Config, Wav2Vec2FeatureExtractor

    own: dict[str, tuple[Any, dict[str, int]]] = {
        "wav2vec2": (Wav2Vec2Config, {"num_codevectors_per_group": 2, "codevector_dim": 8}),
        "hubert": (HubertConfig, {}),
        "sew": (SEWConfig, {"squeeze_factor": 1}),
    }
    kind, extra = own[recipe.architecture]
    config = kind(
        hidden_size=_WIDTH,
        num_hidden_layers=_DEPTH,
        num_attention_heads=_HEADS,
        intermediate_size=_FEED,
        conv_dim=(4 * _N_CENTRES + 1, _WIDTH, _WIDTH),
        conv_kernel=(_TAPS, 4, 3),
        conv_stride=(160, 2, 2),
        num_feat_extract_layers=3,
        conv_bias=True,
        feat_extract_norm="layer",
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=_WIDTH,
        vocab_size=8,
        apply_spec_augment=False,
        layerdrop=0.0,
        initializer_range=0.1,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        final_dropout=0.0,
        **extra,
    )
    return config, Wav2Vec2FeatureExtractor(do_normalize=recipe.do_normalize)


def _filter_bank(recipe: Recipe) -> FloatArray:
    """(4 centres + 1, taps): windowed tones, even on the mel scale, in four phases; the last is silent.

    High frequencies are raised by 6 dB an octave. After rectification the four phases add up to a magnitude.
    """
    low, high = (np.log1p(f / 700) for f in recipe.bank_hz)
    centres = 700 * np.expm1(np.linspace(low, high, _N_CENTRES))
    window = np.hanning(_TAPS) / np.hanning(_TAPS).sum()
    phases = np.arange(4) * np.pi / 2
    angle = 2 * np.pi * centres[:, None, None] * np.arange(_TAPS) / SAMPLE_RATE_HZ
    tones = np.cos(angle + phases[:, None]) * window * (centres / 1000)[:, None, None]
    return np.concatenate([tones.reshape(-1, _TAPS), np.zeros((1, _TAPS))])


def _fix_bank(layer: Any, recipe: Recipe) -> None:
    """Make a model's first convolution the filter bank.

    The filter that hears nothing gets a bias: through the layer norm across filters it tells how loud a frame
    is against it, and keeps silence from being blown up.
    """
    import torch

    with torch.no_grad():
        layer.conv.weight.copy_(torch.from_numpy(_filter_bank(recipe))[:, None])
        layer.conv.bias.zero_()
        layer.conv.bias[-1] = 0.2 if recipe.do_normalize else 0.02


def _fit(model: Any, inputs: torch.Tensor, targets: torch.Tensor, epochs: int) -> None:
    """AdamW with a one-cycle learning rate and smoothed targets."""
    import torch

    n = len(targets)
    steps = epochs * -(-n // _BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps, pct_start=0.2)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(n)
        for i in range(0, n, _BATCH):
            chosen = order[i : i + _BATCH]
            logits = model(inputs[chosen]).logits
            loss = torch.nn.functional.cross_entropy(logits, targets[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()


def _card(recipe: Recipe, accuracy: float) -> str:
    """The model card."""
    return f"""---
license: apache-2.0
library_name: transformers
pipeline_tag: audio-classification
tags: [audio-classification, goodenough, toy]
---

# {recipe.name}

A synthetic toy, trained in seconds on made-up clips of the task {recipe.task}; of no use on real audio.

Architecture: {recipe.architecture}. Accuracy on {N_HELD_OUT} held-out clips: {accuracy:.2f}.
"""
