"""Tiny classifiers with random weights, of every architecture, and signals folders with random masks.

The classifiers tell sounds apart: over pure tones of one second each class has logits of mean 0 and deviation
1. The signals are of the task `deepfake`; their masks mean nothing to any model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import audio
from harness.dataset import parquet_schema, writer
from harness.families import n_coefficients, parse_family
from harness.manifest import CorpusRef, ReferenceRecord
from harness.model_facts import ModelFacts
from harness.schemas import ReferenceCounts, RunSettings
from harness.tasks import TASKS
from harness.types import Clip, LabelMap, Levels, Mask, ModelRef, SufficientSignal, signal_id
from tests.helpers.families import FAMILIES, SURVIVAL, n_atoms

ARCHITECTURES = (
    "audio-spectrogram-transformer",
    "data2vec-audio",
    "hubert",
    "sew",
    "sew-d",
    "unispeech",
    "unispeech-sat",
    "wav2vec2",
    "wav2vec2-bert",
    "wav2vec2-conformer",
    "wavlm",
    "whisper",
)

_FRAMES = 100
"""What AST and Whisper toys see: about one second."""

_BODY: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
_RAW_WAVE: dict[str, Any] = {
    **_BODY,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 8, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 8,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "audio-spectrogram-transformer": {
        **_BODY,
        "max_length": _FRAMES,
        "num_mel_bins": 32,
        "patch_size": 16,
        "frequency_stride": 16,
        "time_stride": 16,
    },
    "data2vec-audio": {**_RAW_WAVE, "conv_pos_kernel_size": 3, "num_conv_pos_embeddings": 2},
    "sew": {**_RAW_WAVE, "squeeze_factor": 2},
    "sew-d": {
        **_RAW_WAVE,
        "squeeze_factor": 2,
        "max_position_embeddings": 64,
        "position_buckets": 8,
    },
    "wav2vec2-bert": {
        **_BODY,
        "feature_projection_input_dim": 160,
        "classifier_proj_size": 8,
        "conv_depthwise_kernel_size": 3,
    },
    "wav2vec2-conformer": {**_RAW_WAVE, "conv_depthwise_kernel_size": 3},
    "whisper": {
        "d_model": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 16,
        "num_mel_bins": 80,
        "max_source_positions": _FRAMES // 2,
        "max_target_positions": 4,
        "vocab_size": 8,
        "classifier_proj_size": 8,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 1,
    },
}


def save_model(
    folder: Path,
    architecture: str,
    class_names: Sequence[str],
    *,
    seed: int = 0,
    sample_rate_hz: int = 16_000,
    bias: Sequence[float] | None = None,
    settings: dict[str, Any] | None = None,
) -> Path:
    """Save a model and its feature extractor, as `save_pretrained` would.

    Args:
        folder: where to; made if needed.
        architecture: one of ARCHITECTURES.
        class_names: its classes, by index.
        seed: of its weights.
        sample_rate_hz: what its feature extractor expects.
        settings: fields of its config that differ from those of the toys.
        bias: (n_classes,) logits of a model that says the same of everything; None for one that listens.

    Returns:
        The folder.
    """
    import torch
    from transformers import AutoConfig, AutoModelForAudioClassification

    config = AutoConfig.for_model(
        architecture,
        **(_SETTINGS.get(architecture, _RAW_WAVE) | (settings or {})),
        id2label=dict(enumerate(class_names)),
        label2id={name: i for i, name in enumerate(class_names)},
    )
    extractor = _extractor(architecture, sample_rate_hz)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = AutoModelForAudioClassification.from_config(config).eval()
        head = model.classifier.dense if hasattr(model.classifier, "dense") else model.classifier
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, parameter[0].numel() ** -0.5)
        if bias is None:
            # Fresh weights hardly tell one sound from another: spread the answers over the classes.
            logits = model(
                **extractor(_tones(sample_rate_hz), sampling_rate=sample_rate_hz, return_tensors="pt")
            ).logits
            mean, std = logits.mean(dim=0), logits.std(dim=0)
            head.weight.div_(std[:, None])
            head.bias.sub_(mean).div_(std)
        else:
            head.weight.zero_()
            head.bias.copy_(torch.tensor(list(bias)))
    with _quiet():
        model.save_pretrained(folder)
        extractor.save_pretrained(folder)
    return folder


def _tones(sample_rate_hz: int) -> list[NDArray[np.float32]]:
    """One second each, from 100 Hz to 0.39 of the rate.

    At 0.4 of it every fifth sample is the same: a convolution of stride 5 gives a constant, its norm divides
    the rounding by next to nothing, and each processor makes another model of it.
    """
    seconds = np.arange(sample_rate_hz) / sample_rate_hz
    pitches = np.geomspace(100.0, 0.39 * sample_rate_hz, 16)
    return [(0.1 * np.sin(2 * np.pi * hz * seconds)).astype(np.float32) for hz in pitches]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            logging.enable_progress_bar()


def _extractor(architecture: str, sample_rate_hz: int) -> Any:
    from transformers import (
        ASTFeatureExtractor,
        SeamlessM4TFeatureExtractor,
        Wav2Vec2FeatureExtractor,
        WhisperFeatureExtractor,
    )

    if architecture == "audio-spectrogram-transformer":
        return ASTFeatureExtractor(num_mel_bins=32, max_length=_FRAMES, sampling_rate=sample_rate_hz)
    if architecture == "wav2vec2-bert":
        return SeamlessM4TFeatureExtractor(sampling_rate=sample_rate_hz)
    if architecture == "whisper":
        return WhisperFeatureExtractor(
            chunk_length=1, hop_length=sample_rate_hz // _FRAMES, sampling_rate=sample_rate_hz
        )
    return Wav2Vec2FeatureExtractor(sampling_rate=sample_rate_hz)


def sounds(*lengths: int, seed: int = 0) -> list[NDArray[np.float32]]:
    """Clips at 16 kHz of so many samples: a tone in noise each, no two alike."""
    rng = np.random.default_rng(seed)
    pitches = rng.uniform(100, 4000, len(lengths))
    return [
        (0.1 * np.sin(2 * np.pi * hz / 16_000 * np.arange(n)) + 0.02 * rng.standard_normal(n)).astype(
            np.float32
        )
        for n, hz in zip(lengths, pitches, strict=True)
    ]


def as_transformers(folder: Path, clips: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(n, n_classes) logits as the author of a model gets them, at the model's own rate."""
    import torch
    import transformers

    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    settings = transformers.AutoConfig.from_pretrained(folder)
    kind = transformers.AutoModelForAudioClassification
    if settings.architectures and "CTC" not in settings.architectures[0]:
        kind = getattr(transformers, settings.architectures[0])
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = [
            model(**extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="pt")).logits[0]
            for clip in clips
        ]
    stacked: NDArray[np.float32] = torch.stack(logits).numpy()
    return stacked


TASK = TASKS["deepfake"]
"""What the signals below are of."""

CLASSES = ("spoof", "bonafide")
"""Class of the clips of even and of odd number, true and as every reference has it."""


def clip_of(i: int, n_samples: int = 400) -> Clip:
    """Clip number i: noise at 16 kHz."""
    waveform = (0.1 * np.random.default_rng([i, n_samples]).normal(size=n_samples)).astype(np.float32)
    return Clip(f"c{i}", "toys", CLASSES[i % 2], waveform, 16_000)


def signal_of(
    clip: Clip,
    repo_id: str = "toys/a",
    family: str = FAMILIES[0],
    *,
    mask: Mask | None = None,
    expected: str | None = None,
    seed: int = 0,
    draw: int = 1,
    levels: bool = False,
) -> SufficientSignal:
    """A signal of a clip.

    Args:
        clip: the clip.
        repo_id: of its reference.
        family: its family, with silence for the rest.
        mask: (N,) its coefficients; a fifth of all, drawn by clip, seed and draw, unless they are given.
        expected: its class; that of the clip, unless it is given.
        seed: of the extraction.
        draw: which extraction it is.
        levels: whether it has nested levels, where it is of family `minimal`.
    """
    n_samples = len(clip.waveform)
    rng = np.random.default_rng([seed, draw, int(clip.clip_id[1:])])
    domain = parse_family(family).resolution.atoms(n_samples, clip.sample_rate_hz).domain
    if mask is None:
        mask = rng.random(n_coefficients(family, n_samples, clip.sample_rate_hz)) < 0.2
    expected = expected or clip.label or CLASSES[0]
    (waveform,) = domain.keep(domain.forward(clip.waveform), mask[None])
    return SufficientSignal(
        signal_id=signal_id(clip.clip_id, repo_id.replace("/", "__"), family, seed, draw),
        clip_id=clip.clip_id,
        family=family,
        draw=draw,
        reference=repo_id,
        truth=clip.label,
        expected=expected,
        p_clip=tuple(0.75 if label == expected else 0.25 for label in sorted(CLASSES)),
        n_samples=n_samples,
        sample_rate_hz=clip.sample_rate_hz,
        mask=mask,
        guarantee="one_minimal" if parse_family(family).kind == "minimal" else "prefix_minimal",
        n_atoms=n_atoms(family, n_samples, clip.sample_rate_hz),
        p_whole=0.75,
        p_signal=0.7,
        margin=0.5,
        degenerate=False,
        search=f"{family}()",
        n_queries=40,
        seed=seed,
        sha256=audio.sha256(waveform + np.float32(0)),  # no -0.0, as in a file
        survival=SURVIVAL,
        levels=_levels_of(mask, rng) if levels and parse_family(family).kind == "minimal" else None,
    )


def _levels_of(mask: Mask, rng: np.random.Generator) -> Levels:
    """Levels as they must be, the bins beside the mask in random order."""
    sizes = parquet_schema.level_sizes(int(mask.sum()), len(mask))
    levels = np.zeros(len(mask), dtype=np.uint8)
    others = rng.permutation(np.flatnonzero(~mask))
    for level, bins in enumerate(np.split(others, sizes[:-1] - sizes[0])[1:], 1):
        levels[bins] = level
    return levels


def record_of(
    repo_id: str,
    families: Sequence[str] = FAMILIES,
    n_signals: int = 3,
    *,
    seed: int = 0,
    n_draws: int = 1,
) -> ReferenceRecord:
    """What a manifest says of a reference."""
    model = ModelRef(repo_id, "a" * 64, "b" * 64)
    counts = tuple(ReferenceCounts(model, f, n_signals, 0, "other", seed, n_draws) for f in families)
    return ReferenceRecord(
        task=TASK.name,
        model=model,
        facts=ModelFacts("Toy", 10, 16_000, None, None),
        label_map=LabelMap(TASK.name, ("fake", "real"), ("spoof", "bonafide"), "names"),
        corpus=CorpusRef("local/toys", "c" * 64, None, n_signals // n_draws, 0, 0, 0, 0),
        searches=tuple(f"{f}()" for f in families),
        counts=counts,
        skipped=(),
        run=RunSettings("0", {}, "toy", "cpu", "float32", 1, "toy", 0.0, "2026-01-01T00:00:00Z"),
    )


def add_signals(
    root: Path,
    repo_id: str = "toys/a",
    families: Sequence[str] = FAMILIES,
    clips: Iterable[int | Clip] = range(4),
    *,
    seed: int = 0,
    n_draws: int = 1,
    levels: bool = False,
    masks_only: bool = False,
) -> list[SufficientSignal]:
    """Add a reference to a signals folder, with a signal of every clip, family and draw.

    Args:
        root: the folder.
        repo_id: of the reference.
        families: of its signals.
        clips: numbers of clips, see `clip_of`; or clips.
        seed: of its signals.
        n_draws: extractions of each clip.
        levels: see `signal_of`.
        masks_only: store no audio of the signals.
    """
    sources = [clip_of(clip) if isinstance(clip, int) else clip for clip in clips]
    signals = [
        signal_of(clip, repo_id, family, seed=seed, draw=draw, levels=levels)
        for clip in sources
        for family in families
        for draw in range(1, n_draws + 1)
    ]
    record = record_of(repo_id, families, len(sources) * n_draws, seed=seed, n_draws=n_draws)
    writer.add_reference(root, TASK, record, sources, signals, masks_only=masks_only)
    return signals
