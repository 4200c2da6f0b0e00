"""Two pretrained music taggers, brought as their owner would: a folder with code of its own, or an adapter.

Found through GOODENOUGH_REAL_AUDIO, skipped without. Its `musicnn/` holds `port.py`, `labels.json` and the
weights; nothing of it is stored here.
"""

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from harness.models.external.options import AdapterOptions
from harness.models.loading import load
from tests.helpers import musicnn_adapter
from tests.helpers.terminal_widths import shown

ROOT = Path(os.environ.get("GOODENOUGH_REAL_AUDIO", ""), "musicnn")
pytestmark = [
    pytest.mark.skipif("GOODENOUGH_REAL_AUDIO" not in os.environ, reason="GOODENOUGH_REAL_AUDIO is not set"),
    pytest.mark.skipif(not ROOT.is_dir(), reason="GOODENOUGH_REAL_AUDIO has no folder musicnn"),
    pytest.mark.timeout(1200),
]

MODELING = """
import torch
from torch.nn.functional import conv2d, pad
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class TaggerConfig(PreTrainedConfig):
    model_type = "music-tagger"

    def __init__(self, shapes=None, **kwargs):
        self.shapes = shapes or {}
        super().__init__(**kwargs)


class TaggerForAudioClassification(PreTrainedModel):
    config_class = TaggerConfig
    main_input_name = "input_values"

    def __init__(self, config):
        super().__init__(config)
        self.weights = torch.nn.ParameterDict({k: torch.zeros(s) for k, s in config.shapes.items()})
        self.post_init()

    def forward(self, input_values):
        # (batch, windows, frames, mel bands): a clip has the mean of the probabilities of its windows
        p = torch.stack([self.tags(windows).sigmoid().mean(0) for windows in input_values])
        return SequenceClassifierOutput(logits=torch.logit(p, 1e-6))

    def norm(self, i):
        name = "batch_normalization" + (f"_{i}" if i else "")
        gamma, beta, mean, variance = (
            self.weights[f"{name}/{k}"] for k in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / torch.sqrt(variance + 1e-3)
        return scale, beta - mean * scale

    def affine(self, x, i):
        scale, shift = self.norm(i)
        return x * scale + shift

    def conv(self, x, name):
        kernel = self.weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        return conv2d(x, kernel, self.weights[f"{name}/bias"]).relu()

    def peak(self, x, name, i):
        # the highest over frequency after the norm, whose scale may be negative
        scale, shift = (v[:, None] for v in self.norm(i))
        h = self.conv(x, name)
        return torch.where(scale > 0, h.amax(3), h.amin(3)) * scale + shift

    def middle(self, h, name, i):
        return self.affine(self.conv(pad(h, (0, 0, 3, 3))[:, None], name)[..., 0].transpose(1, 2), i)

    def tags(self, mel):
        x = self.affine(mel, 0)[:, None]
        front = [self.peak(pad(x, (0, 0, 3, 3)), n, i) for n, i in (("conv2d", 1), ("conv2d_1", 2))]
        for name, k, i in (("conv2d_2", 128, 3), ("conv2d_3", 64, 4), ("conv2d_4", 32, 5)):
            front.append(self.peak(pad(x, (0, 0, (k - 1) // 2, k // 2)), name, i))
        front = torch.cat(front, 1).transpose(1, 2)
        c1 = self.middle(front, "conv2d_5", 6)
        c2 = self.middle(c1, "conv2d_6", 7) + c1
        c3 = self.middle(c2, "conv2d_7", 8) + c2
        m = torch.cat([front, c1, c2, c3], 2)
        z = self.affine(torch.stack([m.amax(1), m.mean(1)], 2).flatten(1), 9)
        z = self.affine((z @ self.weights["dense/kernel"] + self.weights["dense/bias"]).relu(), 10)
        return z @ self.weights["dense_1/kernel"] + self.weights["dense_1/bias"]
"""
EXTRACTION = """
import numpy as np
import torch
from transformers import BatchFeature, SequenceFeatureExtractor

from .port import FRAMES, HOP, N_MELS, RATE, log_mel


class TaggerFeatureExtractor(SequenceFeatureExtractor):
    model_input_names = ["input_values"]

    def __init__(self, feature_size=N_MELS, sampling_rate=RATE, padding_value=0.0, **kwargs):
        super().__init__(
            feature_size=feature_size, sampling_rate=sampling_rate, padding_value=padding_value, **kwargs
        )

    def __call__(self, raw_speech, sampling_rate=None, return_tensors=None, **kwargs):
        sounds = [torch.from_numpy(np.asarray(x, dtype=np.float32)) for x in raw_speech]
        step = (FRAMES - 1) * HOP
        n = max(step, max(len(x) for x in sounds) // step * step)
        waves = torch.stack([torch.nn.functional.pad(x, (0, max(0, n - len(x))))[:n] for x in sounds])
        mel = log_mel(waves.unfold(1, step, step).flatten(0, 1))[:, :FRAMES]
        return BatchFeature({"input_values": mel.unflatten(0, (len(sounds), -1))}, tensor_type=return_tensors)
"""


TRUSTED = ("--trust-remote-code", "--device", "cpu", "--batch-size", 2)


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is trusted is copied to a folder of the test."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]:
        monkeypatch.delitem(sys.modules, name)  # of another test, from its folder


def save_tagger(folder: Path, name: str) -> Path:
    """Save one of the two as its owner would, with its 50 tags as they are spelled."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "port.py", folder)
    (folder / "modeling_tagger.py").write_text(MODELING)
    (folder / "feature_extraction_tagger.py").write_text(EXTRACTION)
    tags = json.loads((ROOT / "labels.json").read_text())[name]
    with np.load(ROOT / f"{name}_musicnn.npz") as file:
        arrays = {k: file[k] for k in file.files if not k.startswith("beta")}
    weights = {f"weights.{k}": torch.from_numpy(v.copy()) for k, v in arrays.items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = {
        "model_type": "music-tagger",
        "architectures": ["TaggerForAudioClassification"],
        "auto_map": {
            "AutoConfig": "modeling_tagger.TaggerConfig",
            "AutoModelForAudioClassification": "modeling_tagger.TaggerForAudioClassification",
        },
        "problem_type": "multi_label_classification",
        "id2label": dict(enumerate(tags)),
        "label2id": {tag: i for i, tag in enumerate(tags)},
        "shapes": {k: list(v.shape) for k, v in arrays.items()},
    }
    (folder / "config.json").write_text(json.dumps(config))
    extractor = {
        "feature_extractor_type": "TaggerFeatureExtractor",
        "auto_map": {"AutoFeatureExtractor": "feature_extraction_tagger.TaggerFeatureExtractor"},
        "sampling_rate": 16_000,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return folder


def report_of(model: Path, *options: object) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a check; the findings by name."""
    code, out, err = shown("pipe", "check", model, *TRUSTED, *options, "--json")
    assert out, err
    report = json.loads(out)
    return code, report | {finding["what"]: finding["detail"] for finding in report["findings"]}


def test_a_tagger_is_evaluated_as_it_is(tmp_path: Path) -> None:
    model = save_tagger(tmp_path / "mtt", "mtt")
    code, _, err = shown("pipe", "check", model)
    assert code == 2
    assert "--trust-remote-code" in err
    code, report = report_of(model)
    assert (code, report["verdict"]) == (0, "Ready to evaluate on music-genre")
    assert report["facts"]["multi_label"]
    assert report["input"].startswith("16000 Hz, clips of any length")
    assert report["coverage of music-genre"].endswith("so it will have none")
    command = ("evaluate", model, *TRUSTED, "--task", "music-genre", "--limit", 2, "--out", tmp_path / "out")
    code, out, err = shown("pipe", *command)
    assert code == 0, err
    assert "scored by the best one alone" in err
    assert "Not ranked: " in out


def test_a_tag_of_two_genres_is_all_that_is_left_to_review(tmp_path: Path) -> None:
    """Two of its 50 tags are emotions, by chance; that does not hide the task that it is for."""
    model = save_tagger(tmp_path / "msd", "msd")
    code, report = report_of(model)
    assert (code, report["verdict"]) == (0, "Ready to evaluate on emotion, not on music-genre")
    hint = report["labels of music-genre"].split("; to start a label map: ")[1]
    _, out, _ = shown("pipe", *shlex.split(hint.split(" > ")[0])[1:])
    label_map = json.loads(out)
    assert label_map["labels"]["Hip-Hop"] == "hiphop"
    assert label_map["labels"]["classic rock"] is None
    label_map["labels"]["classic rock"] = "rock"
    (tmp_path / "labels.json").write_text(json.dumps(label_map | {"reviewed_by": "owner", "why": "its tags"}))
    code, report = report_of(model, "--task", "music-genre", "--label-map", tmp_path / "labels.json")
    assert (code, report["verdict"]) == (0, "Ready to evaluate on music-genre")


@pytest.mark.parametrize("name", ["msd", "mtt"])
def test_an_adapter_of_forty_lines_says_what_the_port_and_the_folder_say(tmp_path: Path, name: str) -> None:
    assert len(musicnn_adapter.ADAPTER.splitlines()) <= 40
    weights = ROOT / f"{name}_musicnn.npz"
    file = musicnn_adapter.lay_out(ROOT, tmp_path / "adapter")
    options = AdapterOptions((f"weights={weights}",))
    adapter = load(f"{file}:Musicnn", device="cpu", adapter=options)
    facts = adapter.facts.adapter
    assert facts is not None
    assert [*facts.code] == ["musicnn.py", "port.py"]
    assert [*facts.weights] == ["labels.json", weights.name]
    sound = np.concatenate(
        [
            soundfile.read(path, dtype="float32")[0]
            for path in sorted((ROOT.parent / "instrument" / "cello").glob("*.flac"))[:9]
        ]
    )
    for n_samples in (47_800, 112_000):  # one window, of all that there is; two
        soundfile.write(tmp_path / "sound.flac", sound[:n_samples], 16_000)
        clip, _ = soundfile.read(tmp_path / "sound.flac", dtype="float32")
        (logits,) = adapter.logits([clip], 16_000)
        command = [sys.executable, file.with_name("port.py"), weights, tmp_path / "sound.flac"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        tags, probabilities = zip(*ast.literal_eval(output), strict=True)
        best = np.argsort(-logits)[:6]
        assert [adapter.class_names[i] for i in best] == [*tags]
        np.testing.assert_allclose(1 / (1 + np.exp(-logits[best])), probabilities, rtol=0, atol=6e-4)
    folder = load(str(save_tagger(tmp_path / name, name)), trust_remote_code=True, device="cpu")
    assert adapter.class_names == folder.class_names
    of_folder = folder.logits([clip], 16_000)[0]
    assert len(of_folder) == 50
    np.testing.assert_allclose(np.clip(logits, *np.log([1e-6, 1e6])), of_folder, atol=2e-3)
