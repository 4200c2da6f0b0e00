"""Files of a stranger's model: settings, index, model card and weights."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import yaml

from harness.models import checkpoints, weights
from harness.models.configs import notes_of, require_buildable
from tests.fuzz import mutate
from tests.fuzz.json_files import known
from tests.fuzz.target import Target

CONFIG: dict[str, Any] = {
    "architectures": ["Wav2Vec2ForSequenceClassification"],
    "model_type": "wav2vec2",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "conv_stride": [5, 2],
    "layerdrop": 0.1,
    "feat_extract_norm": "group",
    "apply_spec_augment": True,
    "pad_token_id": None,
    "id2label": {"0": "angry", "1": "happy", "2": "sad"},
    "label2id": {"angry": 0, "happy": 1, "sad": 2},
    "problem_type": "single_label_classification",
    "pooling_mode": "mean",
    "transformers_version": "5.20.0",
}
EXTRACTOR: dict[str, Any] = {
    "do_normalize": True,
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": False,
    "sampling_rate": 16000,
}
PROCESSOR = {"processor_class": "Wav2Vec2Processor", "feature_extractor": EXTRACTOR}
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
MAP = {"classifier.weight": SHARDS[0], "classifier.bias": SHARDS[1], "projector.weight": SHARDS[0]}
INDEX = {"metadata": {"total_size": 1240}, "weight_map": MAP}
CARD = """---
license: other
license_name: openrail
license_link: https://example.org
datasets:
- org/speech
- superb
base_model: &base org/base
tags: [audio, "1.0", *base]
date: 2026-01-31
model-index:
- name: x
  results:
  - task: {type: audio-classification}
    metrics: [{type: accuracy, value: 0.9e+0, n: 1_000, ok: yes}]
---

# A model
"""


def safetensors(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """A file of zeros."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape) in tensors.items():
        size = prod(shape) * _BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + bytes(at)


_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
WEIGHTS = {
    "classifier.weight": ("F32", (3, 8)),
    "classifier.bias": ("F16", (3,)),
    "lm_head.weight": ("BF16", (2, 2)),
}


def _folder(name: str, *without: str) -> Callable[[Path], Path]:
    """A model with all of its files but one."""

    def place(folder: Path) -> Path:
        files: dict[str, bytes] = {
            checkpoints.CONFIG: json.dumps(CONFIG).encode(),
            checkpoints.PREPROCESSOR: json.dumps(EXTRACTOR).encode(),
            checkpoints.WEIGHTS: b"",
            **dict.fromkeys(SHARDS, b"weights"),
        }
        for file, data in files.items():
            if file not in without:
                (folder / file).write_bytes(data)
        return folder / name

    return place


def _resolved(path: Path) -> checkpoints.Checkpoint:
    return checkpoints.resolve(str(path.parent))


def _config(path: Path) -> Any:
    checkpoint = _resolved(path)
    require_buildable(checkpoint)
    notes_of(checkpoint, "Wav2Vec2ForSequenceClassification")
    return checkpoints.config_of(checkpoint), checkpoints.class_names_of(checkpoint)


def _same_config(value: Any, data: bytes) -> str | None:
    config, names = value
    if config != json.loads(data):
        return "transformers reads another one"
    stated = json.loads(data).get("id2label") or {}
    return (
        None if not names or list(names) == [stated[str(i)] for i in range(len(stated))] else "other classes"
    )


def _extractor(path: Path) -> Any:
    """As `open_extractor`, for a network that is fed by the original settings."""
    from types import SimpleNamespace

    from harness.models.feature_extractors import open_extractor

    checkpoint = _resolved(path)
    extractor = open_extractor(checkpoint, SimpleNamespace(model_type="wav2vec2"))
    return checkpoints.preprocessor_of(checkpoint)[1], extractor


def _same_settings(value: Any, data: bytes) -> str | None:
    settings, extractor = value
    if settings not in (json.loads(data), json.loads(data).get("feature_extractor"), EXTRACTOR):
        return "settings that do not stand there"
    rate = settings.get("sampling_rate", 16_000)
    return None if extractor.sampling_rate == rate else f"rate {extractor.sampling_rate} for {rate}"


def _index(path: Path) -> Any:
    checkpoint = _resolved(path)
    return [file.name for file in checkpoints.weights_in(checkpoint.ref.repo_id, checkpoint.folder)]


def _same_shards(names: Any, data: bytes) -> str | None:
    return None if names == sorted(set(json.loads(data)["weight_map"].values())) else f"{names}"


def _as_pyyaml(checkpoint: checkpoints.Checkpoint, data: bytes) -> str | None:
    text = data.decode("utf-8-sig").replace("\r\n", "\n")
    head = re.match(r"---[^\S\n]*\n(.*?)\n---", text, re.DOTALL)
    card = plain_yaml(head[1]) if head else None
    stated = card.get("license") if isinstance(card, dict) else None
    if stated == "other" and card.get("license_name"):
        stated = card["license_name"]
    stated = ", ".join(stated) if isinstance(stated, list) else stated
    return None if checkpoint.licence == (stated or None) else f"{checkpoint.licence!r} for {stated!r}"


class PlainLoader(yaml.SafeLoader):
    """PyYAML in Python, dates as text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in rules if not tag.endswith(("timestamp", ":value"))]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def plain_yaml(text: str) -> Any:
    """What a second reader makes of YAML.

    It takes a line of a tab alone for an error, which YAML and libyaml do not.
    """
    return yaml.load(re.sub(r"(?m)^[ \t]+$", "", text), PlainLoader)  # noqa: S506 - a SafeLoader


def _weights(path: Path) -> int:
    return weights.require_numbers("org/name", [path])


def _as_header(n: int, data: bytes) -> str | None:
    """A reader of its own: where the tensors lie, and how many numbers they are."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    spans, numbers = [], 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        start, end = tensor["data_offsets"]
        count = prod(tensor["shape"])
        if not 0 <= start <= end <= len(data) - 8 - length:
            return f"{name!r:.40} lies at {start} to {end}"
        if tensor["dtype"] in _BYTES and count * _BYTES[tensor["dtype"]] != end - start:
            return f"{name!r:.40} has {count} numbers in {end - start} bytes"
        spans.append((start, end))
        numbers += count
    if any(a[1] > b[0] for a, b in pairwise(sorted(spans))):
        return "tensors overlap"
    return None if numbers == n else f"{n} numbers for {numbers}"


_DTYPES = (b'"I8"', b'"U8"', b'"F8_E4M3"', b'"F4"', b'"BOOL"', b'"F128"', b'"C64"', b'"f32"', b'""')


def header(generator: random.Random, data: bytes) -> bytes:
    """Weights whose header was changed: its length, offsets, shapes, types, names; or their bytes."""
    length = int.from_bytes(data[:8], "little")
    text, body = data[8 : 8 + length], data[8 + length :]
    roll = generator.randrange(10)
    if roll == 0:
        return mutate.damaged(generator, data)
    if roll == 1:
        stated = generator.choice(
            (0, 1, 7, length - 1, length + 1, len(data), 2**31, 2**32, 2**63 - 1, 2**64 - 1)
        )
        return stated.to_bytes(8, "little") + text + body
    if roll == 2:
        numbers = list(re.finditer(rb"\d+", text))
        match = generator.choice(numbers)
        new = str(
            generator.choice((0, 1, 2, -1, 3, 4, 96, 97, 2**31, 2**53 + 1, 2**63, 2**64, 10**30))
        ).encode()
        text = text[: match.start()] + new + text[match.end() :]
    elif roll == 3:
        text = text.replace(b'"F32"', generator.choice(_DTYPES))
    elif roll == 4:
        body = generator.choice((body[:-1], body + b"\0", b"", body * 2))
    elif roll == 5:
        text = text.replace(b"lm_head", b"classifier")
    else:
        text = mutate.json_text(generator, text)
    return len(text).to_bytes(8, "little") + text + body


TARGETS = (
    Target(
        "config.json", known(CONFIG), mutate.json_text, _config, _same_config, _folder(checkpoints.CONFIG)
    ),
    Target(
        "preprocessor_config.json",
        known(EXTRACTOR),
        mutate.json_text,
        _extractor,
        _same_settings,
        _folder(checkpoints.PREPROCESSOR),
    ),
    Target(
        "processor_config.json",
        known(PROCESSOR),
        mutate.json_text,
        _extractor,
        _same_settings,
        _folder(checkpoints.PROCESSOR),
    ),
    Target(
        "model.safetensors.index.json",
        known(INDEX),
        mutate.json_text,
        _index,
        _same_shards,
        _folder(checkpoints.INDEX, checkpoints.WEIGHTS),
    ),
    Target("model card", known(CARD), mutate.yaml_text, _resolved, _as_pyyaml, _folder(checkpoints.CARD)),
    Target("safetensors", lambda: [safetensors(WEIGHTS)], header, _weights, _as_header),
)
