"""What the adapter of DeepFense needs of that framework, which wants older versions than the tests run with.

The same names, arguments, keys and conventions as in deepfense 0.2.2, around networks of a few weights. Names
of weights are those of fairseq and unil as far as the adapter reads them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn


class Attention(nn.Module):
    """Of several heads; with a bias for each of them in the first layer of unil."""

    def __init__(self, settings: dict[str, Any], *, is_first: bool) -> None:
        super().__init__()
        width, n_heads = settings["encoder_embed_dim"], settings["encoder_attention_heads"]
        self.inner = nn.MultiheadAttention(width, n_heads, batch_first=True)
        if is_first and settings.get("relative_position_embedding"):
            self.relative_attention_bias = nn.Embedding(settings["num_buckets"], n_heads)

    def forward(self, x: Any) -> Any:
        return self.inner(x, x, x)[0]


class Layer(nn.Module):
    def __init__(self, settings: dict[str, Any], *, is_first: bool) -> None:
        super().__init__()
        width, inside = settings["encoder_embed_dim"], settings["encoder_ffn_embed_dim"]
        self.self_attn = Attention(settings, is_first=is_first)
        self.fc1, self.fc2 = nn.Linear(width, inside), nn.Linear(inside, width)

    def forward(self, x: Any) -> Any:
        x = x + self.self_attn(x)
        return x + self.fc2(self.fc1(x).relu())


class Network(nn.Module):
    """Of fairseq or unil, by its settings."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        stated = settings["conv_feature_layers"]
        n = int(stated.removeprefix("[(").partition(",")[0])
        assert stated == f"[({n},10,5)] + [({n},3,2)] * 4 + [({n},2,2)] * 2"
        layers = []
        for i, (kernel, stride) in enumerate([(10, 5)] + [(3, 2)] * 4 + [(2, 2)] * 2):
            convolution = nn.Conv1d(n if i else 1, n, kernel, stride, bias=settings["conv_bias"])
            has_norm = settings["extractor_mode"] == "layer_norm"
            norm = nn.Sequential(nn.Identity(), nn.GroupNorm(1, n)) if has_norm else nn.Identity()
            layers.append(nn.Sequential(convolution, nn.Dropout(), norm))
        self.feature_extractor, self.encoder = nn.Module(), nn.Module()
        self.feature_extractor.conv_layers = nn.ModuleList(layers)
        self.post_extract_proj = nn.Linear(n, settings["encoder_embed_dim"])
        self.encoder.layers = nn.ModuleList(
            Layer(settings, is_first=i == 0) for i in range(settings["encoder_layers"])
        )
        self.layer_norm_first = settings["layer_norm_first"]

    def forward(self, x: Any) -> Any:
        x = x[:, None]
        for layer in self.feature_extractor.conv_layers:
            x = layer(x).tanh()
        x = self.post_extract_proj(x.transpose(1, 2))
        for layer in self.encoder.layers:
            x = layer(x.tanh()) if self.layer_norm_first else layer(x).tanh()
        return x


class FrontEnd(nn.Module):
    """Starts from the checkpoint at `ckpt_path`, as those of the framework do."""

    def __init__(self, kind: str, args: dict[str, Any]) -> None:
        super().__init__()
        self.source = args.get("source", "unil" if kind == "wavlm" else "fairseq")
        if self.source == "huggingface":
            from transformers import Wav2Vec2Model

            self.model: Any = Wav2Vec2Model.from_pretrained(args["ckpt_path"])
        else:
            self.model = Network(torch.load(args["ckpt_path"])["cfg"])

    def forward(self, x: Any, mask: Any) -> Any:
        if self.source == "huggingface":
            return self.model(x, attention_mask=mask.long()).last_hidden_state
        return self.model(x)


class Loss(nn.Module):
    """CrossEntropy, whose score is the logit of bonafide, or OCSoftmax, whose score is all that it has."""

    def __init__(self, args: dict[str, Any]) -> None:
        super().__init__()
        self.bonafide_label = args.get("bonafide_label", 1)
        self.is_one_class = args["type"] == "OCSoftmax"
        self.fc = nn.Linear(args["embedding_dim"], 1 if self.is_one_class else args["n_classes"])

    def forward(self, x: Any) -> tuple[Any, Any]:
        logits = self.fc(x)
        return logits, logits[:, 0 if self.is_one_class else self.bonafide_label]


class ModularDetector(nn.Module):
    """Front end, mean over time, loss."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.frontend = FrontEnd(config["frontend"]["type"], config["frontend"].get("args", {}))
        losses = config["loss"] if isinstance(config["loss"], list) else [config["loss"]]
        self.losses = nn.ModuleList(Loss(loss) for loss in losses)

    def forward(self, x: Any, mask: Any = None) -> dict[str, Any]:
        embeddings = self.frontend(x, mask=mask).mean(dim=1)
        logits, scores = self.losses[0](embeddings)
        return {"embeddings": embeddings, "scores": scores, "logits": logits, "probs": None}


def install(patch: pytest.MonkeyPatch) -> None:
    """Have `from deepfense.models import ModularDetector` find the one here."""
    patch.setitem(sys.modules, "deepfense", ModuleType("deepfense"))
    patch.setitem(sys.modules, "deepfense.models", sys.modules[__name__])
