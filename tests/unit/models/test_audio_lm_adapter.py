"""An audio language model gives the log-probabilities of names, one after the other, read all at once."""

import shutil

import pytest
import torch
import transformers

from harness.models.adapters import audio_lm
from harness.models.adapters.audio_lm import AudioLM
from tests.helpers import tiny_text_models, toy_models

CLASSES = "rain,barking-dog,cat"
WORDS = ["rain", "barking dog", "cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_text_models.save_qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture(scope="module")
def adapter(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        return AudioLM(folder.name, classes=CLASSES)


def log_probability(folder, prompt, word, clip):
    """Of the tokens of a word after a prompt and a clip, by the model's own forward on the text of both."""
    processor = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.Qwen2AudioForConditionalGeneration.from_pretrained(folder).eval()
    inputs = processor(text=[prompt + word], audio=[clip], sampling_rate=16_000, return_tensors="pt")
    n_tokens = len(processor.tokenizer(word).input_ids)
    with torch.inference_mode():
        log_p = model(**inputs).logits[0, :-1].log_softmax(-1)
    return log_p.gather(1, inputs["input_ids"][0, 1:, None])[-n_tokens:].sum()


def test_logits_are_the_mean_over_two_prompts_of_names_that_are_read_one_by_one(folder, adapter):
    given, reverse, *words = adapter.prompts
    assert words == WORDS
    assert "Answer with one of: rain, barking dog, cat<|im_end|>" in given
    assert reverse == given.replace("rain, barking dog, cat", "cat, barking dog, rain")
    (clip,) = toy_models.sounds(9000)
    by_hand = [[log_probability(folder, prompt, word, clip) for word in WORDS] for prompt in (given, reverse)]
    first, second = torch.tensor(by_hand)
    assert (first - second).abs().min() > 1e-3  # the order matters
    torch.testing.assert_close(adapter.logits([clip])[0], (first + second) / 2, atol=1e-4, rtol=0)


def test_a_relative_folder_gives_its_name_and_absolute_files(folder, adapter):
    assert adapter.name == folder.name
    assert {path.parent for path in adapter.weights} == {folder}


def test_a_clip_has_the_same_logits_alone_and_beside_others(adapter):
    clips = toy_models.sounds(*[7000] * 4)
    for clip in clips:
        clip.setflags(write=False)
    together = adapter.logits(clips)
    assert together.shape == (4, 3)
    assert together.std(dim=0).min() > 1e-3
    alone = torch.cat([adapter.logits([clip]) for clip in clips])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_the_shortest_clip_is_heard_and_of_a_long_one_the_first_window(adapter):
    assert adapter.logits(toy_models.sounds(adapter.min_samples)).isfinite().all()
    (long,) = toy_models.sounds(40_000)
    assert adapter.window_seconds == 1
    torch.testing.assert_close(adapter.logits([long]), adapter.logits([long[:16_000]]))


def test_the_question_is_that_of_the_task_or_the_users(folder):
    voices = AudioLM(str(folder), task="deepfake")
    assert tuple(voices.class_names) == ("bonafide", "spoof")
    assert voices.prompts[2:] == ["real", "fake"]
    own = AudioLM(str(folder), task="emotion", classes="happy,sad", question="How does she feel?")
    assert "\nHow does she feel? Answer with one of: happy, sad<" in own.prompts[0]
    assert {path.name for path in own.weights} >= {
        "chat_template.jinja",
        "model.safetensors",
        "tokenizer.json",
    }


def test_a_processor_without_a_chat_template_gets_a_plain_prompt(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model/chat_template.jinja").unlink()
    monkeypatch.setattr(transformers.Qwen2AudioProcessor, "default_chat_template", "")
    plain = AudioLM(str(tmp_path / "model"), classes="rain,cat", question="What?")
    assert plain.prompts[0] == "<|AUDIO|>\nWhat? Answer with one of: rain, cat\nAnswer:\n"
    assert plain.logits(toy_models.sounds(9000)).isfinite().all()


def test_a_model_that_reads_one_name_after_another_is_refused(folder, monkeypatch):
    forward = transformers.Qwen2AudioForConditionalGeneration.forward

    def without_mask(self, attention_mask=None, position_ids=None, **inputs):
        return forward(self, attention_mask=torch.ones_like(inputs["input_ids"]), **inputs)

    monkeypatch.setattr(transformers.Qwen2AudioForConditionalGeneration, "forward", without_mask)
    with pytest.raises(ValueError, match="lets names side by side see each other"):
        AudioLM(str(folder), classes=CLASSES)


def test_of_a_hub_model_one_commit_is_read(folder, monkeypatch):
    asked = []
    monkeypatch.setattr(audio_lm, "snapshot_download", lambda *a, **how: asked.append((a, how)) or folder)
    AudioLM("org/model", classes=CLASSES, revision="v1")
    ((names, how),) = asked
    assert (names, how["revision"]) == (("org/model",), "v1")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, "known: music-genre, emotion, deepfake"),
        ({"task": "emotino"}, "did you mean 'emotion'"),
        ({"classes": "cat"}, "two classes or more"),
        ({"classes": "pop,pop punk"}, "none the beginning of another"),
        ({"classes": "cat,"}, "none the beginning of another"),
        ({"model": "./nowhere/at/all", "classes": CLASSES}, "nowhere/at/all"),
    ],
)
def test_arguments_that_are_not_clear_are_refused(folder, arguments, line):
    with pytest.raises(Exception, match=line):
        AudioLM(**{"model": str(folder)} | arguments)


def test_weights_in_a_pickle_are_not_read(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model/model.safetensors").rename(tmp_path / "model/pytorch_model.bin")
    with pytest.raises(OSError, match="no file named model"):
        AudioLM(str(tmp_path / "model"), classes=CLASSES)
