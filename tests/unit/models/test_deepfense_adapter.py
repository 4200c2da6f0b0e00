"""The adapter of DeepFense: with tiny detectors, of a stub and, where it is installed, of that framework."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from transformers import Wav2Vec2Config, Wav2Vec2Model

from tests.helpers import deepfense_stub, toy_models
from tests.helpers.repository import ROOT

ADAPTERS = ROOT / "harness" / "models" / "adapters"
LENGTH = 1600
"""Of the test data in `CONFIG`, in samples."""
CONFIG: dict[str, Any] = {
    "data": {
        "sampling_rate": 16_000,
        "label_map": {"bonafide": 1, "spoof": 0},
        "train": {"base_transform": [{"type": "pad", "max_len": 400, "random_pad": True}]},
        "val": {"base_transform": [{"type": "pad", "max_len": LENGTH, "pad_type": "repeat"}]},
    },
    "model": {
        "type": "StandardDetector",
        "frontend": {"type": "wav2vec2", "args": {"ckpt_path": "/elsewhere/xlsr2_300m.pt", "freeze": False}},
        "backend": {"type": "Pool", "args": {"input_dim": 32, "pooling_type": "mean"}},
        "loss": [{"type": "CrossEntropy", "embedding_dim": 32, "n_classes": 2, "weight": 1.0}],
    },
}
SHAPE: dict[str, Any] = {
    "conv_feature_layers": "[(8,10,5)] + [(8,3,2)] * 4 + [(8,2,2)] * 2",
    "encoder_embed_dim": 32,
    "encoder_layers": 2,
    "encoder_ffn_embed_dim": 48,
    "encoder_attention_heads": 16,
}
BASE = {"extractor_mode": "default", "layer_norm_first": False, "conv_bias": False}
LARGE = {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}
RELATIVE = {
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "num_buckets": 320,
    "max_distance": 800,
    "encoder_attention_heads": 4,
}


pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated:FutureWarning")  # in deepfense
_spec = importlib.util.find_spec("deepfense")
IS_INSTALLED = (
    _spec is not None and _spec.submodule_search_locations is not None
)  # a package, not the adapter


@pytest.fixture(params=["stub", "installed"] if IS_INSTALLED else ["stub"])
def framework(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Module `deepfense.models`."""
    if request.param == "stub":
        deepfense_stub.install(monkeypatch)
    return importlib.import_module("deepfense.models")


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class, imported by the path of its file, as adapters are."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(ADAPTERS)])
    spec = importlib.util.spec_from_file_location("_adapter", ADAPTERS / "deepfense.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DeepFense


def save_detector(
    framework: Any,
    folder: Path,
    frontend: dict[str, Any],
    start: dict[str, Any] | Path,
    **model: Any,
) -> tuple[dict[str, Path], Any]:
    """Save a detector as its author would, with random weights.

    Args:
        framework: module `deepfense.models`.
        folder: where to.
        frontend: its type and source.
        start: what training began with: settings of fairseq or unil, or a folder of transformers.
        model: other fields of the model.

    Returns:
        Arguments of the adapter; the detector.
    """
    config = copy.deepcopy(CONFIG)
    args = config["model"]["frontend"]["args"]
    config["model"]["frontend"]["type"] = frontend["type"]
    args |= {key: value for key, value in frontend.items() if key != "type"}
    config["model"] |= model
    built = copy.deepcopy(config["model"])
    if isinstance(start, Path):
        built["frontend"]["args"]["ckpt_path"] = str(start)
    else:
        built["frontend"]["args"]["ckpt_path"] = str(folder / "start.pt")
        torch.save({"cfg": SHAPE | start, "model": {}}, folder / "start.pt")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        detector = framework.ModularDetector(built).eval()
        for parameter in detector.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    (folder / "start.pt").unlink(missing_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    state = {key: value.contiguous().clone() for key, value in detector.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    torch.save({"model_state": state, "epoch": 3, "best_metric": 0.01}, folder / "best_model.pth")
    return {"config": folder / "config.yaml", "weights": folder / "model.safetensors"}, detector


def answers(detector: Any, clips: list[Any], key: str = "logits") -> Any:
    """What the test command of the framework gets of each clip, alone."""
    values = []
    for clip in clips:
        x = torch.from_numpy(np.tile(clip, -(-LENGTH // len(clip)))[:LENGTH])[None]
        with torch.inference_mode():
            values.append(detector(x, mask=torch.ones_like(x))[key][0].numpy())
    return np.stack(values)


@pytest.mark.parametrize("settings", [BASE, LARGE], ids=["base", "large"])
@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_a_front_end_is_built_by_the_shapes_of_its_weights(
    framework: Any, adapter: Any, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    start = settings | (RELATIVE if kind == "wavlm" else {})
    arguments, detector = save_detector(framework, tmp_path, {"type": kind}, start)
    instance = adapter(**arguments)
    assert instance.class_names == ["spoof", "bonafide"]
    assert (instance.sample_rate_hz, instance.fixed_length, instance.window_seconds) == (16_000, True, 0.1)
    assert instance.weights == [tmp_path / "config.yaml", tmp_path / "model.safetensors"]
    assert not hasattr(instance, "scores")
    clips = toy_models.sounds(LENGTH, 700, 4000)
    expected = answers(detector, clips)
    np.testing.assert_allclose(instance.logits(clips), expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(expected[:, 0]) > 0.01


def test_a_front_end_of_transformers_is_built_by_its_config_json(
    framework: Any, adapter: Any, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "conv_dim": (8, 8, 8),
        "conv_kernel": (10, 8, 4),
        "conv_stride": (5, 8, 4),
        "num_feat_extract_layers": 3,
        "num_conv_pos_embeddings": 4,
        "num_conv_pos_embedding_groups": 2,
    }
    start = tmp_path / "start"
    Wav2Vec2Model(Wav2Vec2Config(**settings)).save_pretrained(start)
    arguments, detector = save_detector(
        framework, tmp_path, {"type": "wav2vec2", "source": "huggingface"}, start
    )
    (start / "model.safetensors").unlink()
    instance = adapter(**arguments, frontend=str(start))
    assert start / "config.json" in instance.weights
    clips = toy_models.sounds(LENGTH, 700)
    np.testing.assert_allclose(instance.logits(clips), answers(detector, clips), rtol=1e-5, atol=1e-5)


def test_a_loss_of_one_class_gives_scores(framework: Any, adapter: Any, tmp_path: Path) -> None:
    loss = {"type": "OCSoftmax", "embedding_dim": 32, "w_posi": 0.9, "w_nega": 0.2, "alpha": 20.0}
    arguments, detector = save_detector(framework, tmp_path, {"type": "hubert"}, BASE, loss=loss)
    with pytest.raises(ValueError, match="OCSoftmax gives one score: give threshold and threshold_source"):
        adapter(**arguments)
    instance = adapter(**arguments, threshold=0.4, threshold_source="dev")
    assert (instance.threshold, instance.above, instance.threshold_source) == (0.4, "bonafide", "dev")
    assert not hasattr(instance, "logits")
    clips = toy_models.sounds(LENGTH, LENGTH)
    np.testing.assert_allclose(
        instance.scores(clips), answers(detector, clips, "scores"), rtol=1e-5, atol=1e-5
    )


def test_a_pickle_is_read_with_consent_and_runs_no_code(framework: Any, adapter: Any, tmp_path: Path) -> None:
    arguments, detector = save_detector(framework, tmp_path, {"type": "hubert"}, BASE)
    arguments["weights"] = tmp_path / "best_model.pth"
    with pytest.raises(ValueError, match=r"best_model.pth is a pickle.*save_file.*allow_pth=true"):
        adapter(**arguments)
    clips = toy_models.sounds(LENGTH)
    instance = adapter(**arguments, allow_pth=True)
    np.testing.assert_allclose(instance.logits(clips), answers(detector, clips), rtol=1e-5, atol=1e-5)

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"model_state": Trap()}, arguments["weights"])
    with pytest.raises(pickle.UnpicklingError):
        adapter(**arguments, allow_pth=True)
    assert not (tmp_path / "ran").exists()


def test_test_data_come_before_those_of_validation_and_may_be_of_any_length(
    framework: Any, adapter: Any, tmp_path: Path
) -> None:
    arguments, detector = save_detector(framework, tmp_path, {"type": "hubert"}, BASE)
    config = yaml.safe_load(arguments["config"].read_text())
    config["data"] |= {"test": {"target_sr": 8000}, "label_map": {"real": 0, "fake": 1}}
    arguments["config"].write_text(yaml.safe_dump(config))
    instance = adapter(**arguments)
    assert (instance.sample_rate_hz, instance.class_names) == (8000, ["real", "fake"])
    assert not hasattr(instance, "window_seconds")
    clips = toy_models.sounds(LENGTH, LENGTH)
    np.testing.assert_allclose(instance.logits(clips), answers(detector, clips), rtol=1e-5, atol=1e-5)
    assert instance.logits(toy_models.sounds(3000)).shape == (1, 2)


def test_what_is_not_reproduced_is_one_line(framework: Any, adapter: Any, tmp_path: Path) -> None:
    arguments, _ = save_detector(framework, tmp_path, {"type": "hubert"}, BASE)
    written = arguments["config"].read_text()
    for old, new, line in (
        (
            "type: hubert",
            "type: eat",
            "the front end eat runs code from the Hub; expected one of hubert, wav",
        ),
        ("type: pad", "type: codec", r"prepares sounds by .*codec.*; expected pad alone, or nothing"),
    ):
        assert old in written
        arguments["config"].write_text(written.replace(old, new))
        with pytest.raises(ValueError, match=line):
            adapter(**arguments)


def test_without_the_framework_the_line_says_how_to_have_it(
    adapter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deepfense.models", None)
    with pytest.raises(
        ValueError, match=r"deepfense.*; give --env requirements.txt, with the line deepfense=="
    ):
        adapter(config=tmp_path, weights=tmp_path)
