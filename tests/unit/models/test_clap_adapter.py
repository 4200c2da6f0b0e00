"""CLAP answers as transformers does for each clip alone, whatever is beside it or was drawn before."""

import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from harness.models.adapters import clap
from harness.models.adapters.clap import Clap
from tests.helpers import tiny_text_models, toy_models

RATE = 48_000
CLASSES = "cat,barking-dog,rain"


@pytest.fixture(scope="module", params=[False, True], ids=["unfused", "fused"])
def folder(request, tmp_path_factory):
    return tiny_text_models.save_clap(tmp_path_factory.mktemp("clap"), fusion=request.param)


@pytest.fixture(scope="module")
def unfused(tmp_path_factory):
    return tiny_text_models.save_clap(tmp_path_factory.mktemp("clap"))


def as_transformers(folder, prompts, clip):
    """(n_classes,) logits of one clip, by the model's own forward on what its own processor makes."""
    processor = transformers.ClapProcessor.from_pretrained(folder)
    model = transformers.ClapModel.from_pretrained(folder).eval()
    # One by one: in transformers 5.0 the processor pads the sound, too, as it was told to pad the texts.
    inputs = processor.tokenizer(prompts, padding=True, return_tensors="pt")
    inputs |= processor.feature_extractor(clip, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        return model(**inputs).logits_per_audio[0].numpy()


def test_logits_are_those_of_transformers_whatever_is_beside_a_clip(folder):
    adapter = Clap(str(folder), classes=CLASSES)
    assert (adapter.sample_rate_hz, adapter.window_seconds, adapter.fixed_length) == (RATE, 1, True)
    assert adapter.prompts[1] == "This is a sound of barking dog."
    clips = toy_models.sounds(1, 1000, 20_000, RATE)
    for clip in clips:
        clip.setflags(write=False)
    logits = adapter.logits(clips).numpy()
    assert logits.dtype == np.float32
    expected = np.stack([as_transformers(folder, adapter.prompts, clip) for clip in clips])
    np.testing.assert_allclose(logits, expected, atol=2e-5)
    assert np.ptp(logits, axis=0).min() > 1e-3  # it does hear a difference


def test_of_a_longer_clip_the_first_window_counts_and_nothing_is_drawn(folder):
    adapter = Clap(str(folder), classes=CLASSES)
    long, other = toy_models.sounds(5 * RATE // 2, 3 * RATE)
    alone = adapter.logits([long])
    for seed in range(3):
        np.random.seed(seed)  # noqa: NPY002 - what the feature extractor draws from
        assert torch.equal(adapter.logits([long]), alone)
        torch.testing.assert_close(adapter.logits([other, long, other[:99]])[1:2], alone)
    assert torch.equal(adapter.logits([long[:RATE]]), alone)


def test_classes_in_another_order_have_the_same_logits(unfused):
    clips = toy_models.sounds(9000, 9000)
    order = [2, 0, 1]
    given = Clap(str(unfused), classes=CLASSES)
    permuted = Clap(str(unfused), classes=", ".join(given.class_names[i] for i in order))
    torch.testing.assert_close(permuted.logits(clips), given.logits(clips)[:, order])


def test_the_texts_of_a_task_are_english_and_a_template_replaces_them(unfused):
    genres = Clap(str(unfused), task="music-genre")
    assert genres.prompts[genres.class_names.index("soul-rnb")] == "This is a sound of soul and R&B music."
    assert genres.prompts[genres.class_names.index("easy-listening")].endswith(" easy listening music.")
    voices = Clap(str(unfused), task="deepfake")
    assert voices.class_names == ("bonafide", "spoof")
    assert voices.prompts[1] == "This is a sound of a computer-made voice."
    own = Clap(str(unfused), task="emotion", template="A {} voice", classes="happy,sad")
    assert own.prompts == ["A happy voice", "A sad voice"]
    names = {path.name for path in own.weights}
    assert names >= {"config.json", "model.safetensors", "processor_config.json", "tokenizer.json"}


def test_a_folder_may_be_relative_and_gives_its_name(unfused, monkeypatch):
    monkeypatch.chdir(unfused.parent)
    adapter = Clap(unfused.name, classes=CLASSES)
    assert adapter.name == unfused.name
    assert all(path.parent == unfused for path in adapter.weights)


def test_of_a_hub_model_one_commit_is_read(unfused, monkeypatch):
    asked = []
    monkeypatch.setattr(
        clap, "snapshot_download", lambda *names, **how: asked.append((names, how)) or unfused
    )
    adapter = Clap("org/clap", classes=CLASSES, revision="v1")
    ((names, how),) = asked
    assert (names, how["revision"]) == (("org/clap",), "v1")
    assert not any(pattern.endswith((".bin", "*", ".py")) for pattern in how["allow_patterns"])
    assert all(path.parent == unfused for path in adapter.weights)


def without_a_weight(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["text_projection.linear1.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def of_another_kind(folder):
    shutil.rmtree(folder)
    toy_models.save_model(folder, "wav2vec2", ["a", "b"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "safetensors"),
        (without_a_weight, "it lacks text_projection.linear1.weight"),
        (of_another_kind, "is of type wav2vec2: expected a ClapModel"),
        (shutil.rmtree, "is no folder"),
    ],
)
def test_a_folder_that_is_no_whole_clap_is_refused_in_a_line(unfused, tmp_path, change, line):
    change(shutil.copytree(unfused, tmp_path / "model"))
    with pytest.raises(Exception, match=line) as refusal:
        Clap(str(tmp_path / "model"), classes=CLASSES)
    assert "\n" not in str(refusal.value).strip()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, "known: music-genre, emotion, deepfake"),
        ({"task": "emotino"}, "did you mean 'emotion'"),
        ({"classes": "cat"}, "two or more"),
        ({"classes": "cat,dog,cat"}, "each once"),
        ({"classes": "cat,dog", "template": "a sound"}, "expected {} once"),
    ],
)
def test_classes_that_are_not_clear_are_refused(unfused, arguments, line):
    with pytest.raises(Exception, match=line):
        Clap(str(unfused), **arguments)
