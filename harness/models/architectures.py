"""The architectures of audio classifiers, and the error for a model that is none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from harness.errors import BadModel

ARCHITECTURES: MappingProxyType[str, str] = MappingProxyType(
    {
        "audio-spectrogram-transformer": "ASTFeatureExtractor",
        "data2vec-audio": "Wav2Vec2FeatureExtractor",
        "hubert": "Wav2Vec2FeatureExtractor",
        "sew": "Wav2Vec2FeatureExtractor",
        "sew-d": "Wav2Vec2FeatureExtractor",
        "unispeech": "Wav2Vec2FeatureExtractor",
        "unispeech-sat": "Wav2Vec2FeatureExtractor",
        "wav2vec2": "Wav2Vec2FeatureExtractor",
        "wav2vec2-bert": "SeamlessM4TFeatureExtractor",
        "wav2vec2-conformer": "Wav2Vec2FeatureExtractor",
        "wavlm": "Wav2Vec2FeatureExtractor",
        "whisper": "WhisperFeatureExtractor",
    }
)
"""Model types of AutoModelForAudioClassification, and the feature extractor each is fed by."""


def require_audio(name: str, config: Mapping[str, Any]) -> None:
    """Check from config.json alone that a model may be an audio classifier.

    A model with code of its own is what this code makes of it, and is let through.

    Raises:
        BadModel: it is of another kind.
    """
    kind = config.get("model_type")
    if config.get("auto_map") or (isinstance(kind, str) and kind in ARCHITECTURES):
        return
    classes = config.get("architectures")
    class_note = f", a {classes[0]!s:.60}" if isinstance(classes, list) and classes else ""
    raise BadModel(
        f"{name} is of type {kind!r:.60}{class_note}: not an audio classifier of transformers; expected one"
        f" of the types: {', '.join(ARCHITECTURES)}"
    )
