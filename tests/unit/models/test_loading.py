"""Opening a checkpoint: what is refused, what is put right, and that it is done in silence."""

from __future__ import annotations

import json
import logging as python_logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForAudioClassification

from harness.errors import BadInput, BadModel
from harness.models.architectures import ARCHITECTURES
from harness.models.checkpoints import resolve
from harness.models.feature_extractors import quiet
from harness.models.heads import open_checkpoint
from harness.models.loading import load
from tests.helpers import rounding, toy_models

NAMES = ("happy", "sad", "neu")
RATE = 16_000


def edit(folder: Path, file: str, **changes: Any) -> Path:
    """Change fields of a JSON file; None removes one."""
    content = json.loads((folder / file).read_text()) | changes
    kept = {key: value for key, value in content.items() if value is not None}
    (folder / file).write_text(json.dumps(kept))
    return folder


def refusal(folder: Path, kind: type[Exception] = BadModel, device: str = "cpu") -> str:
    with pytest.raises(kind) as caught:
        load(str(folder), device=device)
    line = str(caught.value)
    assert "\n" not in line
    return line


def toy(tmp_path: Path, architecture: str = "wav2vec2") -> Path:
    return toy_models.save_model(tmp_path / "toy", architecture, NAMES)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """Change the weights."""
    weights = change(load_file(folder / "model.safetensors"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_renamed_head_is_refused_with_the_missing_keys_named(tmp_path: Path) -> None:
    folder = rewrite(
        toy(tmp_path), lambda w: {k.replace("classifier.", "classifier.output."): v for k, v in w.items()}
    )
    line = refusal(folder)
    assert "no fitting weights for classifier.bias, classifier.weight:" in line
    assert "they would be random" in line


def test_a_head_of_another_size_is_refused(tmp_path: Path) -> None:
    names = dict(enumerate([*NAMES, "calm"]))
    assert "no fitting weights for classifier.bias, classifier.weight:" in refusal(
        edit(toy(tmp_path), "config.json", id2label=names)
    )


def test_of_many_missing_weights_three_are_named(tmp_path: Path) -> None:
    folder = rewrite(toy(tmp_path), lambda w: {k: v for k, v in w.items() if "conv_layers" in k})
    assert " more: they would be random" in refusal(folder)


def test_a_weight_used_in_training_only_may_be_missing(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    [clip] = toy_models.sounds(16_000)
    before = load(str(folder), device="cpu").logits([clip], RATE)
    rewrite(folder, lambda w: {k: v for k, v in w.items() if not k.endswith("masked_spec_embed")})
    assert np.array_equal(load(str(folder), device="cpu").logits([clip], RATE), before)


def test_a_half_precision_checkpoint_is_scored_in_float32(tmp_path: Path) -> None:
    folder = rewrite(toy(tmp_path), lambda w: {k: v.half() for k, v in w.items()})
    edit(folder, "config.json", dtype="float16")
    model = load(str(folder), device="cpu")
    [clip] = toy_models.sounds(16_000)
    logits = model.logits([clip], RATE)
    rewrite(folder, lambda w: {k: v.float() for k, v in w.items()})
    edit(folder, "config.json", dtype="float32")
    assert np.array_equal(load(str(folder), device="cpu").logits([clip], RATE), logits)
    assert model.dtype == "float32"


@pytest.mark.parametrize("architecture", toy_models.ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_there_for_the_asking(tmp_path: Path, architecture: str, dtype: str) -> None:
    # How near half precision comes to float32 is the processor's: some have instructions of their own for it,
    # and their faults. What transformers makes of the same input on the same processor is the measure.
    folder = toy(tmp_path, architecture)
    clips = toy_models.sounds(16_000, 16_000)
    half, whole = (load(str(folder), device="cpu", dtype=name) for name in (dtype, "float32"))
    logits = half.logits(clips, RATE)
    assert (half.dtype, logits.dtype) == (dtype, np.float32)
    precision = getattr(torch, dtype)
    inputs = {
        name: feature.to(precision) if feature.is_floating_point() else feature
        for name, feature in inputs_of(whole, clips).items()
    }
    theirs = AutoModelForAudioClassification.from_pretrained(folder, dtype=precision).eval()
    with torch.inference_mode():
        np.testing.assert_array_equal(logits, theirs(**inputs).logits.float().numpy())
    assert not np.array_equal(logits, whole.logits(clips, RATE))


def inputs_of(model: Any, clips: list[Any]) -> dict[str, torch.Tensor]:
    """What the network of a model is given of some clips of one length."""
    seen: dict[str, torch.Tensor] = {}
    body = model._model

    def forward(**inputs: torch.Tensor) -> Any:
        seen.update(inputs)
        return body(**inputs)

    model._model = forward
    model.logits(clips, RATE)
    model._model = body
    return seen


def test_an_arithmetic_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no arithmetic 'int8'; expected one of float32, bfloat16, float16"):
        load(str(toy(tmp_path)), device="cpu", dtype="int8")


@pytest.mark.parametrize("normalisation", ["group", "layer"])
@pytest.mark.parametrize("architecture", ["wav2vec2", "hubert", "wavlm", "unispeech-sat"])
def test_either_normalisation_is_scored_alike_in_any_batch(
    tmp_path: Path, architecture: str, normalisation: str
) -> None:
    settings = {"feat_extract_norm": normalisation, "do_stable_layer_norm": normalisation == "layer"}
    folder = toy_models.save_model(tmp_path / "toy", architecture, NAMES, settings=settings)
    clips = toy_models.sounds(16_000, 8_000, 16_000, 8_000)
    model = load(str(folder), device="cpu", batch_size=4)
    alone = np.concatenate([model.logits([clip], RATE) for clip in clips])
    assert np.abs(model.logits(clips, RATE) - alone).max() < rounding.LOGIT


OWN_CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class EarConfig(PretrainedConfig):
    model_type = "ear"


class EarForAudioClassification(PreTrainedModel):
    config_class = EarConfig

    def __init__(self, config):
        super().__init__(config)
        self.classifier = torch.nn.Linear(2, config.num_labels)
        self.post_init()

    def forward(self, input_values):
        heard = torch.stack([input_values.abs().mean(1), input_values.std(1)], 1)
        return SequenceClassifierOutput(logits=self.classifier(heard))
"""


def own_code(folder: Path) -> Path:
    """A model with a file of its own, which says so when it is run."""
    folder.mkdir()
    ran = folder.parent / "ran"
    (folder / "ear.py").write_text(f"open({str(ran)!r}, 'w').close()\n{OWN_CODE}")
    config = {
        "model_type": "ear",
        "auto_map": {
            "AutoConfig": "ear.EarConfig",
            "AutoModelForAudioClassification": "ear.EarForAudioClassification",
        },
        "id2label": dict(enumerate(NAMES)),
    }
    (folder / "config.json").write_text(json.dumps(config))
    weights = {"classifier.weight": torch.eye(3)[:, :2], "classifier.bias": torch.zeros(3)}
    save_file({k: v.contiguous() for k, v in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": RATE}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    return folder


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is trusted is copied to a folder of the test."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])


@pytest.mark.usefixtures("modules")
def test_code_that_is_trusted_is_run_and_said_to_be(tmp_path: Path) -> None:
    folder = own_code(tmp_path / "own")
    assert "--trust-remote-code" in refusal(folder)
    assert not (tmp_path / "ran").exists()
    model = load(str(folder), device="cpu", trust_remote_code=True)
    assert (tmp_path / "ran").exists()
    assert model.facts.remote_code
    clips = toy_models.sounds(16_000, 8_000)
    assert model.logits(clips, RATE).shape == (2, 3)
    before = model.ref.revision
    (folder / "ear.py").write_text((folder / "ear.py").read_text() + "\n# another thought\n")
    assert load(str(folder), device="cpu", trust_remote_code=True).ref.revision != before


@pytest.mark.usefixtures("modules")
def test_logits_of_another_shape_are_refused(tmp_path: Path) -> None:
    folder = own_code(tmp_path / "own")
    code = (folder / "ear.py").read_text().replace("self.classifier(heard)", "self.classifier(heard)[:, :1]")
    (folder / "ear.py").write_text(code)
    with pytest.raises(BadModel, match=r"gave logits of shape \(1, 1\) for 1 clip; .* each of its 3 classes"):
        load(str(folder), device="cpu", trust_remote_code=True)


OWN_EXTRACTOR = """
from transformers import Wav2Vec2FeatureExtractor


class Halving(Wav2Vec2FeatureExtractor):
    def __call__(self, clips, **options):
        return super().__call__([clip / 2 for clip in clips], **options)
"""


@pytest.mark.usefixtures("modules")
def test_a_feature_extractor_of_the_models_own_is_used_when_it_is_trusted(tmp_path: Path) -> None:
    folder = edit(toy(tmp_path), "preprocessor_config.json", do_normalize=False)
    [clip] = toy_models.sounds(16_000)
    halved = load(str(folder), device="cpu").logits([clip / 2], RATE)
    (folder / "halving.py").write_text(OWN_EXTRACTOR)
    edit(folder, "preprocessor_config.json", auto_map={"AutoFeatureExtractor": "halving.Halving"})
    assert "a feature extractor of its own" in refusal(folder)
    model = load(str(folder), device="cpu", trust_remote_code=True)
    assert np.allclose(model.logits([clip], RATE), halved, atol=1e-6)


@pytest.mark.parametrize("revision", [None, "main", "abc123"])
def test_code_of_the_hub_is_trusted_at_one_commit_only(revision: str | None) -> None:
    with pytest.raises(BadModel, match="all 40 digits of the commit that you have read"):
        load("org/name", revision, trust_remote_code=True)


def test_weights_that_are_not_numbers_are_refused_when_they_speak(tmp_path: Path) -> None:
    folder = rewrite(toy(tmp_path), lambda w: w | {"classifier.bias": torch.full((3,), torch.nan)})
    with pytest.raises(BadModel, match="local/toy gave logits that are not finite"):
        load(str(folder), device="cpu").logits(toy_models.sounds(16_000), RATE)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    (folder / "model.safetensors").write_bytes(b"not weights")
    assert "model.safetensors is no safetensors file that is whole" in refusal(folder)


@pytest.mark.parametrize("kind", ["bert", "clap", None])
def test_another_kind_of_model_is_refused_with_the_kinds_there_are(tmp_path: Path, kind: str | None) -> None:
    line = refusal(edit(toy(tmp_path), "config.json", model_type=kind))
    assert f"is of type {kind!r}" in line
    assert ", ".join(ARCHITECTURES) in line


def test_code_of_the_models_own_is_never_run(tmp_path: Path) -> None:
    folder = edit(toy(tmp_path), "config.json", auto_map={"AutoConfig": "evil.Config"})
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    assert "which is not run unasked" in refusal(folder)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_an_attention_kernel_of_somebody_else_is_refused(tmp_path: Path, key: str) -> None:
    assert "expected eager or sdpa" in refusal(edit(toy(tmp_path), "config.json", **{key: "evil/kernel"}))


@pytest.mark.parametrize(
    ("id2label", "line"),
    [
        ({"0": "happy", "2": "sad", "3": "neu"}, "must run from 0 without gaps"),
        ({"1": "happy", "2": "sad", "3": "neu"}, "must run from 0 without gaps"),
        ({"0": "happy"}, "has 1 class in config.json"),
        ({"zero": "happy", "one": "sad"}, "transformers cannot load"),
    ],
)
def test_classes_that_cannot_be_counted_are_refused(
    tmp_path: Path, id2label: dict[str, str], line: str
) -> None:
    assert line in refusal(edit(toy(tmp_path), "config.json", id2label=id2label, label2id=None))


def test_a_wav2vec2_bert_that_does_not_name_its_extractor_gets_the_right_one(tmp_path: Path) -> None:
    folder = toy(tmp_path, "wav2vec2-bert")
    [clip] = toy_models.sounds(16_000)
    before = load(str(folder), device="cpu").logits([clip], RATE)
    edit(folder, "preprocessor_config.json", feature_extractor_type=None)
    model = load(str(folder), device="cpu")
    assert model.frontend.startswith("SeamlessM4TFeatureExtractor")
    assert np.array_equal(model.logits([clip], RATE), before)


def test_a_wav2vec2_bert_without_settings_of_an_extractor_is_refused(tmp_path: Path) -> None:
    folder = toy(tmp_path, "wav2vec2-bert")
    edit(folder, "preprocessor_config.json", feature_size=1)
    assert "feature_size in preprocessor_config.json is 1" in refusal(folder)
    (folder / "preprocessor_config.json").write_text('{"sampling_rate": 16000}')
    assert "no feature extractor is named in preprocessor_config.json" in refusal(folder)


def test_the_feature_extractor_of_another_architecture_is_refused(tmp_path: Path) -> None:
    folder = edit(toy(tmp_path), "preprocessor_config.json", feature_extractor_type="WhisperFeatureExtractor")
    assert "wav2vec2 is fed by a Wav2Vec2FeatureExtractor" in refusal(folder)


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("audio-spectrogram-transformer", {"max_length": 128}),
        ("audio-spectrogram-transformer", {"num_mel_bins": 64}),
        ("whisper", {"chunk_length": 2}),
        ("whisper", {"feature_size": 128}),
    ],
)
def test_a_feature_extractor_of_another_shape_is_refused(
    tmp_path: Path, architecture: str, changes: dict[str, int]
) -> None:
    folder = edit(toy(tmp_path, architecture), "preprocessor_config.json", **changes)
    assert "one of the two files is of another model" in refusal(folder)


def test_the_mel_bands_of_another_wav2vec2_bert_are_refused(tmp_path: Path) -> None:
    folder = edit(toy(tmp_path, "wav2vec2-bert"), "preprocessor_config.json", num_mel_bins=40)
    assert "joins 2 frames of 40 mel bands, its config wants 160 numbers" in refusal(folder)


def test_a_model_that_needs_minutes_of_sound_is_refused(tmp_path: Path) -> None:
    folder = edit(toy(tmp_path), "config.json", conv_stride=[10**6, 8, 4])
    # 32 frames of the second layer need 31 strides and a kernel of the first.
    assert f"needs clips of {(31 * 10**6 + 10) / RATE:,.0f} s or more" in refusal(folder)


def test_a_network_much_larger_than_its_weights_is_not_built(tmp_path: Path) -> None:
    line = refusal(edit(toy(tmp_path), "config.json", intermediate_size=10**12))
    assert "and its files hold 3,463; one of them is of another model" in line


def test_noise_added_by_the_feature_extractor_is_switched_off(tmp_path: Path) -> None:
    model = load(str(edit(toy(tmp_path, "whisper"), "preprocessor_config.json", dither=0.1)), device="cpu")
    [clip] = toy_models.sounds(16_000)
    assert np.array_equal(model.logits([clip], RATE), model.logits([clip], RATE))


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, device: str) -> None:
    assert f"no device {device!r} here" in refusal(toy(tmp_path), BadInput, device)


def test_a_batch_of_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="batch size is 0"):
        open_checkpoint(resolve(str(toy(tmp_path))), device="cpu", batch_size=0)


def test_without_a_device_given_one_is_found(tmp_path: Path) -> None:
    assert load(str(toy(tmp_path))).device == ("cuda" if torch.cuda.is_available() else "cpu")


def test_loading_is_silent_and_puts_the_settings_of_transformers_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    folders = [toy_models.save_model(tmp_path / a, a, NAMES) for a in toy_models.ARCHITECTURES]
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    capfd.readouterr()
    for folder in folders:
        load(str(folder), device="cpu")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("propagates", [False, True])
def test_what_transformers_warns_of_is_not_shown_while_a_model_works(
    propagates: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.utils import logging

    library, logger = logging.get_logger(), logging.get_logger("transformers.models")
    monkeypatch.setattr(library, "propagate", propagates)
    monkeypatch.setattr(library, "handlers", [] if propagates else [caplog.handler])
    logger.warning("before")
    is_enabled = dict(logger._cache)
    with quiet():
        with quiet():
            logger.warning("within")
        logger.warning("within")
        python_logging.getLogger("goodenough").warning("ours")
        assert logger._cache == is_enabled, "to empty the caches of all loggers takes a millisecond"
    logger.warning("after")
    assert caplog.messages == ["before", "ours", "after"]
