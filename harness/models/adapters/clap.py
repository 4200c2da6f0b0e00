"""Zero-shot classes by CLAP: each class is a text, and the answer is the text nearest to the sound.

    clap.py:Clap --adapter-arg model=laion/clap-htsat-unfused --adapter-arg task=emotion

Any `ClapModel` of transformers, in float32. It takes the first window of a clip (10 s): of a longer clip the
feature extractor would draw a part at random. Logits are those of transformers for each clip alone.
"""

from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from torch.nn.functional import cosine_similarity
from transformers import ClapConfig, ClapModel, ClapProcessor

TEMPLATES = {"music-genre": "This is a sound of {} music.", "emotion": "This person is feeling {}."}
WORDS = {"hiphop": "hip hop", "soul-rnb": "soul and R&B", "spoken": "spoken word"}  # in a text
WORDS |= {"bonafide": "a real person speaking", "spoof": "a computer-made voice"}
FILES = ["*.safetensors", "*.json", "*.txt"]


class Clap:
    """Takes a folder or Hub id, and a task or `classes` as a,b,c; in `template`, {} stands for the class."""

    kind, fixed_length = "zero-shot", True

    def __init__(
        self, model: str, task: str = "", classes: str = "", template: str = "",
        revision: str = "", device: str = "cpu",
    ):  # fmt: skip
        if not classes:
            from harness.tasks import find
        names = [name.strip() for name in classes.split(",")] if classes else find(task).labels
        if "" in names or not 1 < len(names) == len(set(names)):
            raise ValueError(f"classes={classes}: expected two or more, each once, as in a,b,c")
        template = template or TEMPLATES.get(task, "This is a sound of {}.")
        if template.count("{}") != 1:
            raise ValueError(f"template={template}: expected {{}} once, where the class stands")
        self.class_names, self.name = tuple(names), Path(model).name
        self.prompts = [template.replace("{}", WORDS.get(name, name.replace("-", " "))) for name in names]
        folder = Path(model).expanduser().absolute()
        if revision or not folder.is_dir():
            try:
                commit = revision or None
                files = snapshot_download(model, revision=commit, allow_patterns=FILES, ignore_patterns="*/*")
                folder = Path(files)
            except (OSError, ValueError) as error:
                why = " ".join(str(error).split())
                raise ValueError(
                    f"{model} is no folder (which has no revision) and not on the Hub: {why}"
                ) from None
        if (kind := ClapConfig.get_config_dict(folder)[0].get("model_type")) != "clap":
            raise ValueError(f"{model} is of type {kind}: expected a ClapModel, saved by save_pretrained")
        self.weights = sorted(path for pattern in FILES for path in folder.glob(pattern))
        processor = ClapProcessor.from_pretrained(folder, trust_remote_code=False)
        options = {"use_safetensors": True, "dtype": torch.float32, "output_loading_info": True}
        self._model, report = ClapModel.from_pretrained(folder, **options)
        if missing := report["missing_keys"] & {name for name, _ in self._model.named_parameters()}:
            raise ValueError(f"{model} is no whole ClapModel: it lacks {min(missing)}, of {len(missing)}")
        self._model.eval().to(device)
        self._extractor, self._device = processor.feature_extractor, device
        self.sample_rate_hz, self._n_samples = self._extractor.sampling_rate, self._extractor.nb_max_samples
        self.window_seconds, self.n_parameters = self._extractor.max_length_s, self._model.num_parameters()
        with torch.inference_mode():
            tokens = processor.tokenizer(self.prompts, padding=True, return_tensors="pt").to(device)
            self._texts = self._model.text_projection(self._model.text_model(**tokens).pooler_output)

    @torch.inference_mode()
    def logits(self, waveforms: list[np.ndarray]) -> torch.Tensor:
        """(n, n_classes), `logits_per_audio`, of waveforms (n_samples,) of any lengths."""
        clips = [waveform[: self._n_samples] for waveform in waveforms]
        inputs = self._extractor(clips, sampling_rate=self.sample_rate_hz, return_tensors="pt")
        # For fusion the extractor calls one clip of a batch longer, at random: of a clip alone, that one.
        inputs["is_longer"][:] = self._extractor.truncation == "fusion"
        pooled = self._model.audio_model(**inputs.to(self._device)).pooler_output
        sounds = self._model.audio_projection(pooled)
        scale = self._model.logit_scale_a.exp()
        logits: torch.Tensor = scale * cosine_similarity(sounds[:, None], self._texts[None], dim=-1)
        return logits.cpu()
