"""Classes by an audio language model: how probable the name of a class is as its answer to a question.

    audio_lm.py:AudioLM --adapter-arg model=Qwen/Qwen2-Audio-7B-Instruct --adapter-arg task=emotion

A logit sums the log-probabilities of the tokens of a name (a mean would favour long ones), in one pass for
all names side by side. It is the mean over two prompts, names as given and reversed: models favour places.
"""

from pathlib import Path

import numpy as np
import torch
from huggingface_hub import snapshot_download
from transformers import AutoModelForSeq2SeqLM, AutoProcessor

WORDS = {"hiphop": "hip hop", "soul-rnb": "soul and R&B", "bonafide": "real", "spoof": "fake"}
QUESTIONS = {"music-genre": "Which genre is this?", "emotion": "Which emotion does the speaker express?"}
FILES = ["*.safetensors", "*.json", "*.txt", "*.jinja"]


class AudioLM:
    """Qwen2-Audio or alike, by folder or Hub id; classes of a task, or a,b,c. In bfloat16 logits may tie."""

    def __init__(
        self, model: str, task: str = "", classes: str = "", question: str = "",
        revision: str = "", device: str = "cpu", dtype: str = "float32",
    ):  # fmt: skip
        if not classes:
            from harness.tasks import find
        self.class_names = [name.strip() for name in classes.split(",")] if classes else find(task).labels
        words = [WORDS.get(name, name.replace("-", " ")) for name in self.class_names]
        folder, self.name = Path(model).expanduser().absolute(), Path(model).name
        if revision or not folder.is_dir():
            folder = Path(snapshot_download(model, revision=revision or None, allow_patterns=FILES))
        self.weights = sorted(path for pattern in FILES for path in folder.glob(pattern))
        options = {"use_safetensors": True, "trust_remote_code": False, "output_loading_info": True}
        self._model, report = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=dtype, **options)
        if missing := report["missing_keys"] & {name for name, _ in self._model.named_parameters()}:
            raise ValueError(f"{model} is not whole: it lacks {min(missing)}, of {len(missing)}")
        self.kind, self.n_parameters = "language model", self._model.eval().to(device).num_parameters()
        self._processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        extractor, tokenizer = self._processor.feature_extractor, self._processor.tokenizer
        self.sample_rate_hz, self.window_seconds = extractor.sampling_rate, extractor.chunk_length
        self.min_samples = self.sample_rate_hz // 10
        ids = [tokenizer(word, add_special_tokens=False).input_ids for word in words]
        if len(ids) < 2 or any(a == b[: len(a)] for a in ids for b in ids if a is not b):
            raise ValueError(f"expected two classes or more, none the beginning of another: {words}")
        self._names = names = torch.tensor([(token, i) for i, name in enumerate(ids) for token in name])
        ask = (question or QUESTIONS.get(task, "Which describes the sound best?")) + " Answer with one of: "
        self.prompts = [*(self._prompt(ask + ", ".join(order)) for order in (words, words[::-1])), *words]
        clip = [np.zeros(self.sample_rate_hz, np.float32)]
        alone, every = (self._read(clip, self.prompts[0], p)[0, -1] for p in (names[-len(ids[-1]) :], names))
        if not torch.isclose(alone, every, rtol=torch.finfo(self._model.dtype).eps ** 0.5):
            raise ValueError(f"{type(self._model).__name__} lets names side by side see each other")

    def _prompt(self, text: str) -> str:
        if not self._processor.chat_template:
            return f"{self._processor.audio_token}\n{text}\nAnswer:\n"
        turn = {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": text}]}
        return str(self._processor.apply_chat_template([turn], add_generation_prompt=True, tokenize=False))

    def logits(self, waveforms: list[np.ndarray]) -> torch.Tensor:
        """(n, n_classes), log-probabilities, of waveforms (n_samples,) of one length."""
        return torch.stack([self._read(waveforms, p, self._names) for p in self.prompts[:2]]).mean(dim=0)

    @torch.inference_mode()
    def _read(self, waveforms: list[np.ndarray], prompt: str, names: torch.Tensor) -> torch.Tensor:
        n, rate, dtype = len(waveforms), self.sample_rate_hz, self._model.dtype
        clips = [waveform[: self.window_seconds * rate] for waveform in waveforms]
        inputs = self._processor(text=[prompt] * n, audio=clips, sampling_rate=rate, return_tensors="pt")
        start, (tokens, name) = inputs["input_ids"].shape[1], names.T
        name_of = torch.nn.functional.pad(name, (start, 0), value=-1)  # -1: of the prompt, which all see
        sees = ((name_of == name_of[:, None]) | (name_of == -1)).tril()
        inputs["input_ids"] = torch.cat([inputs["input_ids"], tokens.expand(n, -1)], dim=1)
        inputs["attention_mask"] = torch.where(sees, 0.0, torch.finfo(dtype).min).expand(n, 1, -1, -1)
        inputs["position_ids"] = (sees.sum(1) - 1).expand(n, -1)
        before = torch.where(sees.sum(1) > start + 1, torch.arange(len(sees)), start)[start:] - 1
        logits = self._model(**inputs.to(self._model.device, dtype)).logits[:, before].float()
        log_p = logits.log_softmax(-1)[:, range(len(tokens)), tokens].cpu()
        return torch.stack([log_p[:, name == i].sum(1) for i in name.unique()], dim=1)
