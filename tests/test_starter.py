"""The starter suite: its clips are what they claim, its models learn and load."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import audio
from harness.errors import BadTask
from harness.labels import harmonise
from harness.starter import train as training
from harness.starter.clips import CLASSES, N_SAMPLES, SAMPLE_RATE_HZ, clips
from harness.starter.train import RECIPES, Recipe, train
from harness.tasks import TASKS

TASK_NAMES = list(CLASSES)


def _loaded(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    model, info = AutoModelForAudioClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    return model, AutoFeatureExtractor.from_pretrained(folder)


def _answers(folder: Path, waveforms: list[Any]) -> list[str]:
    """Class names, as anyone would get them from the folder."""
    import torch

    model, extractor = _loaded(folder)
    with torch.inference_mode():
        logits = model(**extractor(waveforms, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")).logits
    return [model.config.id2label[int(index)] for index in logits.argmax(-1)]


# ---- clips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASK_NAMES)
def test_a_clip_depends_on_its_task_split_and_number_alone(name: str) -> None:
    few, more = clips(TASKS[name], "test", 3), clips(TASKS[name], "test", 5)
    for a, b in zip(few, more, strict=False):
        assert (a.clip_id, a.label) == (b.clip_id, b.label)
        assert np.array_equal(a.waveform, b.waveform)
    other = clips(TASKS[name], "train", 3)
    assert [a.label for a in few] == [b.label for b in other]
    assert not any(np.array_equal(a.waveform, b.waveform) for a in few for b in other)
    assert len({clip.waveform.tobytes() for clip in more}) == 5


@pytest.mark.parametrize("name", TASK_NAMES)
def test_clips_are_balanced_named_and_labelled_canonically(name: str) -> None:
    made = clips(TASKS[name], "test", 12)
    counts = Counter(clip.label for clip in made)
    assert set(counts) == set(CLASSES[name]) <= set(TASKS[name].labels)
    assert len(set(counts.values())) == 1
    assert made[3].clip_id == f"{name}-test-003"
    assert {clip.corpus for clip in made} == {"starter"}


@pytest.mark.parametrize("name", TASK_NAMES)
def test_clips_are_one_second_of_16_bit_audio_with_a_moderate_peak(name: str) -> None:
    for clip in clips(TASKS[name], "test", 12):
        assert clip.sample_rate_hz == SAMPLE_RATE_HZ == TASKS[name].sample_rate_hz
        assert clip.waveform.shape == (N_SAMPLES,)
        assert clip.waveform.dtype == np.float32
        assert 0.29 < np.abs(clip.waveform).max() < 0.81
        data, ending = audio.encode_exact(clip.waveform, SAMPLE_RATE_HZ)
        assert ending == "flac"
        assert np.array_equal(audio.read(data)[0], clip.waveform)


def test_a_task_the_suite_does_not_play_is_refused_with_those_it_has(tmp_path: Path) -> None:
    from harness.tasks import find

    own = tmp_path / "task.yaml"
    own.write_text("name: instrument\nlabels: [cello, flute]\n")
    with pytest.raises(BadTask, match="no task 'instrument'; it has: music-genre, emotion, deepfake"):
        clips(find(str(own)), "test", 1)


# ---- recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_class_names_of_a_recipe_can_be_read_as_labels_of_its_task(recipe: Recipe) -> None:
    label_map = harmonise(recipe.labels, TASKS[recipe.task])
    assert sorted(label_map.canonical) == sorted(CLASSES[recipe.task])
    assert recipe.silence_class in CLASSES[recipe.task]


def test_every_task_has_a_panel_that_can_be_ranked() -> None:
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    for name in TASK_NAMES:
        panel = [r for r in RECIPES if r.task == name and r.role == "reference"]
        assert len(panel) >= (4 if name == "deepfake" else 3)
        assert len({r.architecture for r in panel}) == len(panel)
        assert any(r.task == name and r.role == "candidate" for r in RECIPES)
    silent = Counter(r.silence_class for r in RECIPES if (r.task, r.role) == ("deepfake", "reference"))
    assert silent == {"bonafide": 2, "spoof": 2}, "definitions: two references with each silence class"


def test_models_of_a_task_name_or_order_their_classes_differently() -> None:
    for name in TASK_NAMES:
        named = [recipe.labels for recipe in RECIPES if recipe.task == name]
        assert len(set(named)) == len(named)


# ---- training ------------------------------------------------------------------------------------


def test_a_recipe_learns_its_task_and_its_silence_even_from_half_of_its_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "N_TRAIN", 160)
    monkeypatch.setattr(training, "N_HELD_OUT", 40)
    monkeypatch.setattr(training, "_EPOCHS", 14)
    recipe = next(r for r in RECIPES if r.name == "goodenough/toy-genre-whisper")
    task = TASKS[recipe.task]
    report = train(recipe, tmp_path / "model")
    assert report["accuracy"] >= 0.5, "chance is 0.25"
    assert report["parameters"] <= 60_000
    asked = clips(task, "another-seed", 40)
    answers = [task.label_of(a) for a in _answers(tmp_path / "model", [c.waveform for c in asked])]
    right = [answer == clip.label for answer, clip in zip(answers, asked, strict=True)]
    assert np.mean(right) >= 0.5
    (on_silence,) = _answers(tmp_path / "model", [np.zeros(N_SAMPLES, np.float32)])
    assert task.label_of(on_silence) == recipe.silence_class
    card = (tmp_path / "model" / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "synthetic toy" in card


@pytest.mark.parametrize("architecture", ["ast", "whisper", "wav2vec2", "hubert", "sew"])
def test_every_architecture_is_saved_whole_and_the_same_each_time(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(training, "N_TRAIN", 16)
    monkeypatch.setattr(training, "N_HELD_OUT", 8)
    monkeypatch.setattr(training, "_EPOCHS", 1)
    monkeypatch.setattr(training, "_EPOCHS_AST", 1)
    recipe = next(r for r in RECIPES if r.architecture == architecture)
    before = torch.random.get_rng_state()
    reports = [train(recipe, tmp_path / run) for run in ("one", "two")]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert reports[0] == reports[1]
    assert reports[0]["parameters"] <= 60_000
    for file in ("model.safetensors", "config.json", "preprocessor_config.json", "README.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    id2label = json.loads((tmp_path / "one" / "config.json").read_text())["id2label"]
    assert tuple(id2label[str(i)] for i in range(len(recipe.labels))) == recipe.labels
    # What was examined is what was saved: the filter bank, taken out while training, is back in.
    asked = clips(TASKS[recipe.task], "held-out", 8)
    answers = _answers(tmp_path / "one", [clip.waveform for clip in asked])
    canonical = [TASKS[recipe.task].label_of(answer) for answer in answers]
    right = [a == clip.label for a, clip in zip(canonical, asked, strict=True)]
    assert np.mean(right) == reports[0]["accuracy"]
