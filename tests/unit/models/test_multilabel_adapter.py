"""The adapter of models with sigmoid heads: tiny ones of the real architectures, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from harness.errors import BadInput, BadModel
from harness.models.adapters import multilabel
from harness.models.adapters.multilabel import MultiLabel
from tests.helpers import toy_models

NAMES = ("Speech", "Rock music", "Dog", "Male speech, man speaking", "Jazz", "Happy")
FILES = ["config.json", "model.safetensors", "preprocessor_config.json"]


@pytest.fixture(scope="module")
def ast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ast")
    return toy_models.save_model(folder, "audio-spectrogram-transformer", NAMES)


def test_only_classes_of_the_task_compete(ast: Path) -> None:
    adapter = MultiLabel(str(ast), task="music-genre")
    assert adapter.class_names == ["Speech", "Rock music", "Jazz"], "speech is a spelling of spoken"
    assert (adapter.sample_rate_hz, adapter.min_samples) == (16_000, 400)
    assert adapter.n_parameters == sum(w.numel() for w in load_file(ast / "model.safetensors").values())
    assert sorted(path.name for path in adapter.weights) == FILES
    assert {path.parent for path in adapter.weights} == {ast}
    clips = toy_models.sounds(16_000, 16_000, 16_000)
    np.testing.assert_allclose(
        adapter.logits(clips), toy_models.as_transformers(ast, clips)[:, [0, 1, 4]], atol=1e-5
    )
    assert adapter.logits(toy_models.sounds(adapter.min_samples)).shape == (1, 3)


def test_classes_are_chosen_by_the_names_of_the_model(ast: Path) -> None:
    adapter = MultiLabel(str(ast), classes='Jazz, "Male speech, man speaking",Dog')
    assert adapter.class_names == ["Jazz", "Male speech, man speaking", "Dog"]
    clips = toy_models.sounds(9_000, 9_000)
    np.testing.assert_allclose(
        adapter.logits(clips), toy_models.as_transformers(ast, clips)[:, [4, 3, 2]], atol=1e-5
    )


def test_none_is_the_answer_where_no_class_reaches_the_threshold(ast: Path) -> None:
    clips = toy_models.sounds(*[16_000] * 8)
    logits = toy_models.as_transformers(ast, clips)[:, [1, 4]]
    best = 1 / (1 + np.exp(-logits.max(axis=1)))
    threshold = float(np.median(best))
    adapter = MultiLabel(str(ast), classes="Rock music,Jazz", threshold=threshold)
    assert adapter.class_names == ["Rock music", "Jazz", "none"]
    answers = adapter.logits(clips).argmax(axis=1)
    np.testing.assert_array_equal(answers, np.where(best > threshold, logits.argmax(axis=1), 2))
    assert len({*answers}) > 1
    assert MultiLabel(str(ast), classes="Dog", threshold=0.5).logits(clips)[0, 1] == 0


@pytest.mark.parametrize("architecture", ["wav2vec2", "sew", "whisper"])
def test_the_shortest_waveform_goes_through(tmp_path: Path, architecture: str) -> None:
    folder = toy_models.save_model(tmp_path, architecture, NAMES)
    adapter = MultiLabel(str(folder), task="music-genre")
    clips = toy_models.sounds(adapter.min_samples, adapter.min_samples)
    expected = toy_models.as_transformers(folder, clips)[:, [0, 1, 4]]
    np.testing.assert_allclose(adapter.logits(clips), expected, atol=1e-5)
    if architecture != "whisper":
        with pytest.raises(RuntimeError):
            adapter.logits(toy_models.sounds(adapter.min_samples - 1))


def test_a_hub_model_is_loaded_from_the_files_that_are_downloaded(
    ast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(repo_id: str, **options: Any) -> str:
        asked.update(options, repo_id=repo_id)
        return str(ast)

    monkeypatch.setattr(multilabel, "snapshot_download", snapshot_download)
    adapter = MultiLabel("org/tagger", task="music-genre", revision="v1")
    assert asked == {"repo_id": "org/tagger", "revision": "v1", "allow_patterns": multilabel.FILES}
    assert sorted(path.name for path in adapter.weights) == FILES


def copy_of(ast: Path, folder: Path, **settings: Any) -> Path:
    """The model, with other settings in its config."""
    folder.mkdir()
    for path in ast.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((ast / "config.json").read_text()) | settings
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_cannot_be_loaded_is_one_line(ast: Path, tmp_path: Path) -> None:
    headless = copy_of(ast, tmp_path / "headless")
    weights = load_file(ast / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "classifier" not in k}, headless / "model.safetensors")
    pickled = copy_of(ast, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    kernel = copy_of(ast, tmp_path / "kernel", _attn_implementation="org/kernel")
    code = copy_of(ast, tmp_path / "code", model_type="own", auto_map={"AutoConfig": "own.Own"})
    for folder, line in (
        (headless, "it has no weights for classifier.*random"),
        (pickled, "safetensors"),
        (kernel, "asks for other code"),
        (code, "trust_remote_code|own"),
        (tmp_path, "config.json"),
    ):
        with pytest.raises(BadModel, match=f"{folder.name} cannot be loaded.*{line}") as refusal:
            MultiLabel(str(folder), task="emotion")
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, "either task or classes"),
        ({"task": "emotion", "classes": "Dog,Jazz"}, "either task or classes"),
        ({"task": "emotion", "threshold": 1.0}, "between 0 and 1"),
        ({"task": "emotoin"}, "did you mean 'emotion'"),
        ({"task": "emotion"}, r"has 1 class of emotion; name some by classes=A,B"),
        ({"classes": "Dog,jaz"}, "has no class 'jaz'; did you mean 'Jazz'"),
    ],
)
def test_what_leaves_no_classes_is_one_line(ast: Path, arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(BadInput, match=line):
        MultiLabel(str(ast), **arguments)
