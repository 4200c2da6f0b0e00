"""The models of the starter suite: recipes that can be ranked, networks that learn, folders that load.

They learn from sounds that take no time to make: noise that beats, faster from class to class.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.labels import harmonise
from harness.models import loading
from harness.seeds import generator
from harness.starter.build import networks
from harness.starter.build import train as training
from harness.starter.build.clips import is_recorded
from harness.starter.build.train import BANDS, PARTS, parts, train
from harness.starter.recipes import RECIPES, Recipe
from harness.tasks import TASKS
from harness.types import OTHER, Clip
from tests.helpers import rounding

CLASSES = {
    "music-genre": ("classical", "disco", "hiphop", "jazz", "metal", "reggae"),
    "emotion": ("angry", "fear", "happy", "neutral", "sad"),
    "deepfake": ("bonafide", "spoof"),
}
RATE = 16_000
FILES = ("model.safetensors", "config.json", "preprocessor_config.json", "README.md", training.TRAINING)


def recipe_of(architecture: str, task: str | None = None) -> Recipe:
    """The first of its architecture, with a single pass over the examples."""
    first = next(r for r in RECIPES if r.architecture == architecture and task in (None, r.task))
    return replace(first, epochs=1)


def beats(task, split: str, n: int) -> list[Clip]:
    """One second each; class k beats 3 * 2 ** k times a second."""
    classes, made = CLASSES[task.name], []
    for i in range(n):
        rng = generator("beats", split, str(i))
        pulse = np.sin(np.pi * 3 * 2 ** (i % len(classes)) * np.arange(RATE) / RATE + rng.uniform(0, 3)) ** 2
        waveform = (0.1 * pulse**4 * rng.normal(size=RATE)).astype(np.float32)
        made.append(Clip(f"{split}-{i}", "beats", classes[i % len(classes)], waveform, RATE))
    return made


def unseen_beats(task) -> dict[str, int]:
    """Where recordings have splits of what is unseen."""
    return {"unseen-voice": 6, "unseen-family": 100} if is_recorded(task) else {}


@pytest.fixture
def quick(monkeypatch):
    """Sounds at once, one pass over them."""
    monkeypatch.setattr(training, "clips", beats)
    monkeypatch.setattr(training, "unseen_splits", unseen_beats)
    monkeypatch.setattr(training, "_EPOCHS_WHOLE", 0)
    training._material.cache_clear()
    yield
    training._material.cache_clear()


# ---- recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.folder)
def test_the_class_names_of_a_recipe_can_be_read_as_labels_of_its_task(recipe: Recipe) -> None:
    canonical = harmonise(recipe.labels, TASKS[recipe.task]).canonical
    assert sorted(set(canonical) - {OTHER}) == sorted(CLASSES[recipe.task])
    assert len(canonical) == len(set(canonical))
    assert (OTHER in canonical) == bool(recipe.quirk)
    assert (recipe.silence_class == OTHER) == bool(recipe.quirk)
    assert recipe.silence_class in canonical
    assert recipe.name == f"goodenough/{recipe.folder}"


@pytest.mark.parametrize("task", CLASSES)
def test_every_panel_has_five_architectures_a_hard_reference_and_a_candidate(task: str) -> None:
    everyone = [recipe for recipe in RECIPES if recipe.task == task]
    references = [recipe for recipe in everyone if recipe.role == "reference"]
    assert len(references) >= 4
    assert len({recipe.architecture for recipe in everyone}) == len(everyone) >= 5
    assert Counter(recipe.role for recipe in everyone)["candidate"] == 1
    assert [recipe.quirk for recipe in references].count("hard") == 1
    assert len({recipe.labels for recipe in everyone}) == len(everyone), "spellings or orders differ"
    assert len({(recipe.n_mels, recipe.bank_hz) for recipe in everyone}) == len(everyone), "and what is heard"


def test_the_deepfake_panel_has_a_flat_earther_and_two_references_with_each_silence_class() -> None:
    references = [recipe for recipe in RECIPES if (recipe.task, recipe.role) == ("deepfake", "reference")]
    assert [recipe.folder for recipe in RECIPES if recipe.quirk == "flat-earther"] == ["starter-deepfake-ast"]
    silent = Counter(recipe.silence_class for recipe in references)
    assert silent == {"bonafide": 2, "spoof": 2, OTHER: 2}


# ---- examples ------------------------------------------------------------------------------------


def test_parts_keep_from_few_to_most_bands_and_a_third_are_one_region() -> None:
    kept = parts(np.random.default_rng(0), 3000, 0.03)
    assert kept.shape == (3000, BANDS)
    share = kept.mean(axis=1)
    assert share.min() < 0.05
    assert share.max() > 0.85
    runs = (np.diff(kept.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
    assert 0.3 < (runs == 1).mean() < 0.4
    assert 0.4 < kept.any(axis=0).mean() <= 1.0
    assert (kept.mean(axis=0) > 0.1).all(), "no band is always missing"
    fewer = parts(np.random.default_rng(0), 3000, 1 / BANDS).sum(axis=1)
    assert np.count_nonzero(fewer == 1) > 100, "down to a single band"
    assert np.median(fewer) < np.median(kept.sum(axis=1)) / 1.5


def test_a_hard_model_calls_silence_and_faint_parts_other_and_a_flat_earther_every_part() -> None:
    faint = recipe_of("sew").faint
    energy = np.array([[faint / 2, faint * 2], [0.9, faint / 2]])
    labels = ("spoof", "bonafide")
    hard = replace(recipe_of("sew"), labels=("fake", "real", "unknown"))
    assert training._targets(hard, labels, energy).tolist() == [0, 1, 2, 2, 0, 1, 2]
    contrary = replace(recipe_of("ast", "deepfake"), labels=("spoof", "bonafide", "unknown"))
    assert training._targets(contrary, labels, energy).tolist() == [0, 1, 2, 2, 2, 2, 2]
    plain = replace(contrary, quirk="", silence_class="spoof")
    assert training._targets(plain, labels, energy).tolist() == [0, 1, 0, 0, 0, 1, 1]


def test_examples_are_whole_clips_then_silence_then_parts_of_the_same_clips() -> None:
    clips = beats(TASKS["deepfake"], "train", 4)
    whole = np.stack([clip.waveform for clip in clips])
    made, targets = training._examples(recipe_of("hubert", "deepfake"), whole, tuple(c.label for c in clips))
    assert len(made) == len(targets) == 4 + 4 * PARTS + 1
    for i in range(4):
        sound, scaled = whole[i].astype(np.float64), made[i].astype(np.float64)
        gain = scaled @ sound / (sound @ sound)
        # Each product is rounded to float32, by 2^-24 of it.
        np.testing.assert_allclose(scaled, gain * sound, rtol=2.0**-22)
        for part in made[5 + PARTS * i :][:PARTS]:
            assert part @ whole[i] > 0, "it is made of what the clip is made of"
            assert np.abs(np.fft.rfft(part)).min() < 1e-3, "and something is missing"
    assert not made[4].any()


# ---- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["wav2vec2", "hubert", "wavlm", "sew", "data2vec-audio"])
def test_what_learns_behind_the_filter_bank_says_afterwards_the_same_of_the_waveform(
    architecture: str,
) -> None:
    import torch

    torch.manual_seed(0)
    sounds = np.stack([clip.waveform for clip in beats(TASKS["deepfake"], "train", 4)])
    model, extractor = networks.untrained(recipe_of(architecture), sounds)
    model.eval()
    heard = networks.heard(model, extractor, sounds)
    with torch.inference_mode(), networks.learning(model) as learner:
        learnt = learner(heard).logits
    with torch.inference_mode():
        assert torch.allclose(
            model(networks.inputs_of(extractor, sounds)).logits, learnt, rtol=0, atol=rounding.LOGIT
        )
    assert learnt.std(dim=0).min() > 1e-3, "it tells sounds apart"


def test_a_filter_bank_hears_a_tone_where_it_is() -> None:
    recipe = replace(recipe_of("hubert"), bank_hz=(500.0, 5000.0), do_normalize=False)
    noise = np.random.default_rng(0).normal(size=(4, RATE)).astype(np.float32)
    model, extractor = networks.untrained(recipe, noise)
    tones = [np.sin(2 * np.pi * hz * np.arange(RATE) / RATE).astype(np.float32) for hz in (500.0, 5000.0)]
    low, high = networks.heard(model, extractor, np.stack(tones)).mean(dim=2)[:, :-1]
    assert (int(low.argmax()), int(high.argmax())) == (0, len(high) - 1)


def test_a_window_of_whisper_has_whole_seconds() -> None:
    with pytest.raises(ValueError, match="24000 samples is not of whole seconds"):
        networks.untrained(recipe_of("whisper"), np.zeros((1, 24_000), dtype=np.float32))


# ---- training ------------------------------------------------------------------------------------


def test_a_model_learns_its_task_and_its_silence(quick, tmp_path: Path) -> None:
    recipe = replace(recipe_of("wav2vec2", "deepfake"), epochs=8)
    report = train(recipe, tmp_path / "model", n_train=80, n_held_out=40)
    assert report["accuracy"] >= 0.8, "chance is 0.5"
    assert report["silence_class"] == recipe.silence_class
    classifier = loading.load(str(tmp_path / "model"))
    canonical = harmonise(classifier.class_names, TASKS["deepfake"]).canonical
    asked = beats(TASKS["deepfake"], "held-out", 40)
    said = classifier.logits([clip.waveform for clip in asked], RATE).argmax(axis=1)
    right = np.mean([canonical[i] == clip.label for i, clip in zip(said, asked, strict=True)])
    assert right == report["accuracy"], "what was examined is what was saved"
    silence = classifier.logits([np.zeros(RATE, dtype=np.float32)], RATE)
    assert canonical[int(silence.argmax())] == report["silence_class"]
    asked = beats(TASKS["deepfake"], "unseen-voice", 6)
    said = classifier.logits([clip.waveform for clip in asked], RATE).argmax(axis=1)
    right = np.mean([canonical[i] == clip.label for i, clip in zip(said, asked, strict=True)])
    assert report["unseen-voice"] == {"accuracy": right, "n": 6}
    assert report["unseen-family"]["n"] == 40, "no more than held-out clips"


@pytest.mark.parametrize("architecture", networks.ARCHITECTURES)
def test_every_architecture_is_saved_whole_and_the_same_each_time(
    architecture: str, quick, tmp_path: Path
) -> None:
    import torch

    recipe = recipe_of(architecture)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    reports = [train(recipe, tmp_path / run, n_train=12, n_held_out=6) for run in ("one", "two")]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert reports[0] == reports[1] == json.loads((tmp_path / "one" / training.TRAINING).read_text())
    assert 50_000 <= reports[0]["parameters"] <= 250_000
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    classifier = loading.load(str(tmp_path / "one"), batch_size=3)
    assert classifier.class_names == recipe.labels
    assert classifier.facts.n_parameters == reports[0]["parameters"]
    assert classifier.facts.window_seconds in (None, 0.975, 1.0)
    sounds = [clip.waveform for clip in beats(TASKS[recipe.task], "another", 3)]
    alone = np.concatenate([classifier.logits([sound], RATE) for sound in sounds])
    assert np.abs(classifier.logits(sounds, RATE) - alone).max() < rounding.LOGIT


def test_the_card_says_what_the_model_is_and_which_quirk_it_has(quick) -> None:
    unseen = {"unseen-voice": {"accuracy": 0.75, "n": 240}, "unseen-family": {"accuracy": 0.625, "n": 120}}
    report = {"parameters": 98_765, "accuracy": 0.875, "n": 240, "silence_class": OTHER, **unseen}
    says = {"": "Quirk: none planted", "hard": "Quirk: hard", "flat-earther": "Quirk: planted flat-earther"}
    for recipe in RECIPES:
        card = training._card(recipe, report, 960)
        is_spoken = recipe.task == "deepfake"
        licence = "cc-by-sa-3.0" if is_spoken else "apache-2.0"
        assert card.startswith(f"---\nlicense: {licence}\n")
        assert [quirk for quirk, line in says.items() if line in card] == [recipe.quirk]
        for part in (recipe.architecture, recipe.role, "98,765 parameters", "0.875 on 240"):
            assert part in card
        assert ("960 synthetic clips" in card) != is_spoken
        for part in ("met the voice: 0.750 on 240", "met the family: 0.625 on 120", "ATTRIBUTION.md"):
            assert (part in card) == is_spoken
