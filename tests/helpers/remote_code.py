"""Models that bring code of their own, which hears as much of a clip as it likes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class EarConfig(PretrainedConfig):
    model_type = "own-ear"


class EarForAudioClassification(PreTrainedModel):
    config_class = EarConfig

    def __init__(self, config):
        super().__init__(config)
        self.filters = torch.nn.Conv1d(1, 8, 32, 16)
        self.classifier = torch.nn.Linear(8, config.num_labels)
        self.post_init()

    def forward(self, input_values):
        {hear}
        frames = self.filters(heard[:, None]).relu()
        return SequenceClassifierOutput(logits=self.classifier({pool}))
"""
MEAN = "frames.mean(2)"


def save_model(
    folder: Path,
    class_names: Sequence[str],
    *,
    hear: str = "heard = input_values",
    pool: str = MEAN,
    sample_rate_hz: int = 16_000,
) -> Path:
    """Save a small model with a file of its own.

    Args:
        folder: where to; made.
        class_names: its classes, by index.
        hear: a statement that makes `heard` of `input_values`, both (b, n_samples).
        pool: an expression that makes (b, 8) of `frames`, (b, 8, n_frames).
        sample_rate_hz: of its feature extractor, which brings every clip to mean 0 and variance 1.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True)
    (folder / "ear.py").write_text(CODE.format(hear=hear, pool=pool))
    config = {
        "model_type": "own-ear",
        "auto_map": {
            "AutoConfig": "ear.EarConfig",
            "AutoModelForAudioClassification": "ear.EarForAudioClassification",
        },
        "id2label": dict(enumerate(class_names)),
    }
    (folder / "config.json").write_text(json.dumps(config))
    rng = torch.Generator().manual_seed(0)
    shapes = {
        "filters.weight": (8, 1, 32),
        "filters.bias": (8,),
        "classifier.weight": (len(class_names), 8),
        "classifier.bias": (len(class_names),),
    }
    weights = {name: torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    extractor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "sampling_rate": sample_rate_hz,
        "do_normalize": True,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return folder
