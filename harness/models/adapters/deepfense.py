"""A detector of the framework DeepFense (arXiv 2604.08450), from its config.yaml and its weights.

It needs versions of its own: give `--env requirements.txt`, with the line deepfense==0.2.2. Sounds are cut or
repeated as its test data are. For a front end of transformers, `frontend` may say where its config.json is.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from deepfense_frontends import write_untrained
from safetensors.torch import load_file

PICKLE = (
    "is a pickle, and to unpickle one can run code; convert it where you trust it:"
    " save_file(torch.load(FILE, weights_only=True)['model_state'], 'model.safetensors');"
    " or let it be read here, by weights_only of torch 2.6 or later: --adapter-arg allow_pth=true"
)


class DeepFense:
    """Has `logits`, or with a threshold `scores`: those of its loss, the only ones that OCSoftmax has."""

    def __init__(
        self,
        config: Path,
        weights: Path,
        frontend: str = "",
        allow_pth: bool = False,
        threshold: float | None = None,
        threshold_source: str = "",
        device: str = "cpu",
    ):
        try:
            from deepfense.models import ModularDetector
        except ImportError as error:
            raise ValueError(
                f"{error}; give --env requirements.txt, with the line deepfense==0.2.2"
            ) from None
        if weights.suffix == ".safetensors":
            state = load_file(weights)
        elif allow_pth:
            state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        else:
            raise ValueError(f"{weights} {PICKLE}")
        settings = yaml.safe_load(config.read_text("utf-8"))
        data, model = settings["data"], settings["model"]
        split = data.get("test") or data["val"]
        steps = split.get("base_transform") or []
        if [step["type"] for step in steps] not in ([], ["pad"]):
            raise ValueError(f"{config} prepares sounds by {steps}; expected pad alone, or nothing")
        self.name = weights.absolute().parent.name
        self.class_names = sorted(data["label_map"], key=data["label_map"].get)
        self.sample_rate_hz = split.get("target_sr", 16_000)
        self._length = steps[0].get("max_len", 64_000) if steps else None
        if self._length:
            self.fixed_length, self.window_seconds = True, self._length / self.sample_rate_hz
        with tempfile.TemporaryDirectory() as folder:
            files = write_untrained(model["frontend"], state, frontend, Path(folder))
            self._detector = ModularDetector(model).to(device).float().eval()
        self._detector.load_state_dict(state)
        self.weights = [path.absolute() for path in (config, weights, *files)]
        loss = model["loss"] if isinstance(model["loss"], dict) else model["loss"][0]
        self._device, self._key = device, "logits" if threshold is None else "scores"
        if threshold is not None:
            self.scores, self.threshold, self.threshold_source = self._ask, threshold, threshold_source
            self.above = self.class_names[loss.get("bonafide_label", 1)]
        elif loss["type"] == "OCSoftmax":
            raise ValueError("OCSoftmax gives one score: give threshold and threshold_source")
        else:
            self.logits = self._ask

    def _ask(self, waveforms: list[Any]) -> Any:
        clips = [np.resize(x, self._length or len(x)) for x in waveforms]  # repeats a short one
        sounds = torch.from_numpy(np.stack(clips)).to(self._device)
        with torch.inference_mode():
            return self._detector(sounds, mask=torch.ones_like(sounds))[self._key].cpu().numpy()
