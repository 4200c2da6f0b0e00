"""A checkpoint of transformers with sigmoid heads, such as AST on AudioSet, as a classifier of one task.

Its classes that are spellings of a label of `task` compete, or those in `classes`: a,b,"c, with a comma".
With `threshold`, a probability, the answer is `none` where no class reaches it.
"""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from harness import tasks
from harness.errors import BadInput, BadModel, likely

FILES = ["model*.safetensors", "model.safetensors.index.json", "config.json", "pr*processor_config.json"]


class MultiLabel:
    """Logits of the classes that compete, and that of the threshold."""

    def __init__(
        self,
        model: str,
        task: str = "",
        classes: str = "",
        threshold: float | None = None,
        revision: str = "",
        device: str = "cpu",
    ):
        if bool(task) == bool(classes) or (threshold is not None and not 0 < threshold < 1):
            raise BadInput("give either task or classes, and a threshold, if any, between 0 and 1")
        folder, self.name = Path(model).expanduser().absolute(), Path(model).name
        try:
            if not folder.is_dir():
                folder = Path(snapshot_download(model, revision=revision or None, allow_patterns=FILES))
            self.weights = [path for pattern in FILES for path in sorted(folder.glob(pattern))]
            config = json.loads((folder / "config.json").read_text("utf-8"))
            if any("/" in str(config.get(key)) for key in ("attn_implementation", "_attn_implementation")):
                raise BadModel("its config.json asks for other code than that of transformers")
            options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            self._extractor = AutoFeatureExtractor.from_pretrained(folder, **options)
            options |= {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
            self._network, loading = AutoModelForAudioClassification.from_pretrained(folder, **options)
            if missing := [k for k in loading["missing_keys"] if not k.endswith("masked_spec_embed")]:
                raise BadModel(f"it has no weights for {min(missing)}, which would be random")
        except Exception as error:
            raise BadModel(f"{model} cannot be loaded as a classifier of sounds: {error}") from None
        self._network, self._device, config = self._network.to(device).eval(), device, self._network.config
        names = [config.id2label[i] for i in range(len(config.id2label))]
        chosen = next(csv.reader([classes], skipinitialspace=True), [])
        if unknown := [name for name in chosen if name not in names]:
            raise BadInput(f"{model} has no class {unknown[0]!r}{likely(unknown[0], names)}")
        chosen = chosen or [name for name in names if tasks.find(task).label_of(name)]
        self._columns = [names.index(name) for name in chosen]
        self._none = [] if threshold is None else [math.log(threshold / (1 - threshold))]
        self.class_names = chosen + ["none"] * len(self._none)
        if len(self.class_names) < 2:
            raise BadModel(f"{model} has {len(chosen) or 'no'} class of {task}; name some by classes=A,B")
        self.sample_rate_hz = self._extractor.sampling_rate
        self.n_parameters = sum(p.numel() for p in self._network.parameters())
        self.min_samples = getattr(config, "squeeze_factor", 1)
        kernels, strides = getattr(config, "conv_kernel", (400,)), getattr(config, "conv_stride", (1,))
        for kernel, stride in zip(kernels[::-1], strides[::-1], strict=True):
            self.min_samples = (self.min_samples - 1) * stride + kernel

    def logits(self, waveforms: list[Any]) -> Any:
        """(n, n_classes), the logit of `none` last: a class that reaches the threshold comes before it."""
        inputs = self._extractor(waveforms, sampling_rate=self.sample_rate_hz, return_tensors="pt")
        with torch.inference_mode():
            logits = self._network(**inputs.to(self._device)).logits.float().cpu().numpy()[:, self._columns]
        return np.concatenate([logits, np.tile(self._none, (len(logits), 1))], axis=1)
