"""Untrained front ends for DeepFense, whose classes start from a checkpoint.

That checkpoint, often a pickle, is not needed: the weights of a detector hold those of its front end. So one
without weights is written: for transformers by a config.json, for fairseq and unil by the shapes of weights.
What these do not tell, such as the number of heads, is as in all that were published.
"""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers.utils import cached_file

SOURCES = {"hubert": "fairseq", "wav2vec2": "fairseq", "wavlm": "unil"}  # where the configuration names none


def write_untrained(
    frontend: dict[str, Any], weights: dict[str, Any], origin: str, folder: Path
) -> list[Path]:
    """Write a checkpoint to a folder, and set `ckpt_path` to it.

    Args:
        frontend: of the configuration.
        weights: of the detector.
        origin: folder or Hub id of the config.json, of one of transformers; empty: as configured.
        folder: an empty one.

    Returns:
        Files that were read.

    Raises:
        ValueError: a front end that runs code from the Hub, or of another shape.
    """
    for name in ("deepfense", "transformers"):  # they would warn of every weight that is missing
        logging.getLogger(name).setLevel(logging.ERROR)
    kind, args = frontend["type"], frontend.setdefault("args", {})
    if kind not in SOURCES:
        raise ValueError(f"the front end {kind} runs code from the Hub; expected one of {', '.join(SOURCES)}")
    if args.get("source", SOURCES[kind]) == "huggingface":
        file = Path(cached_file(origin or args["ckpt_path"], "config.json"))
        config = json.loads(file.read_text("utf-8"))
        config = {key: value for key, value in config.items() if "attn_implementation" not in key}
        (folder / "config.json").write_text(json.dumps(config))
        save_file({}, folder / "model.safetensors", {"format": "pt"})
        args["ckpt_path"] = str(folder)
        return [file]
    args["ckpt_path"] = str(folder / "frontend.pt")
    torch.save({"cfg": _settings(weights, kind), "model": {}}, args["ckpt_path"])
    return []


def _settings(weights: dict[str, Any], kind: str) -> dict[str, Any]:
    """Settings of a network of fairseq or unil, with weights of these shapes."""
    shapes = {name.removeprefix("frontend.model."): tuple(w.shape) for name, w in weights.items()}
    channels = shapes["feature_extractor.conv_layers.0.0.weight"][0]
    width_inside, width = shapes["encoder.layers.0.fc1.weight"]
    bias = shapes.get("encoder.layers.0.self_attn.relative_attention_bias.weight")
    n_buckets, n_heads = bias or (320, 12 if width == 768 else 16)
    has_norms = "feature_extractor.conv_layers.1.2.1.weight" in shapes
    return {
        "conv_feature_layers": f"[({channels},10,5)] + [({channels},3,2)] * 4 + [({channels},2,2)] * 2",
        "conv_bias": "feature_extractor.conv_layers.0.0.bias" in shapes,
        "extractor_mode": "layer_norm" if has_norms else "default",
        "layer_norm_first": has_norms,
        "encoder_embed_dim": width,
        "encoder_ffn_embed_dim": width_inside,
        "encoder_attention_heads": n_heads,
        "encoder_layers": sum(f"encoder.layers.{i}.fc1.weight" in shapes for i in range(len(shapes))),
        "relative_position_embedding": bias is not None,
        "gru_rel_pos": bias is not None,
        "num_buckets": n_buckets,
        "max_distance": 800,
    }
