"""What is scored is what the author saved: the logits of transformers to 1e-5, or a refusal that says why.

A variant is a change to the files of a model, as they are found on the Hub; each is tried on every
architecture that it can be made for. The default run takes every variant once, and all architectures.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import BadModel
from harness.models.checkpoints import resolve, settings_sha256
from harness.models.loading import load
from tests.helpers import toy_models

NAMES = ("happy", "sad", "neu")
RATE = 16_000
AST, WHISPER, BERT = "audio-spectrogram-transformer", "whisper", "wav2vec2-bert"
RAW = tuple(a for a in toy_models.ARCHITECTURES if a not in (AST, WHISPER, BERT))
WITH_ADAPTER = ("data2vec-audio", "unispeech-sat", "wav2vec2", "wav2vec2-bert", "wav2vec2-conformer", "wavlm")
CONFIG, PREPROCESSOR, PROCESSOR = "config.json", "preprocessor_config.json", "processor_config.json"
WEIGHTS = "model.safetensors"
CTC = {"wav2vec2": "Wav2Vec2ForCTC", "hubert": "HubertForCTC", "wavlm": "WavLMForCTC"}
SPEECH = {"wav2vec2": "Wav2Vec2ForSpeechClassification", "hubert": "HubertForSpeechClassification"}


@dataclass(frozen=True)
class Variant:
    """A change to the files of a model, and what becomes of it."""

    name: str
    change: Callable[[Path, str], Any]
    refusal: str | None = None
    """Part of the line; None where it is scored."""
    note: str | None = None
    """Part of a note of `check`."""
    on: Sequence[str] = toy_models.ARCHITECTURES
    settings: tuple[tuple[str, Any], ...] = ()
    """Of the model as its author made it."""


# ---- changes -----------------------------------------------------------------------------------------


def edited(folder: Path, file: str, **changes: Any) -> None:
    """Change fields of a JSON file; `...` removes one."""
    content = json.loads((folder / file).read_text()) | changes
    (folder / file).write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))


def config(**changes: Any) -> Callable[[Path, str], None]:
    return lambda folder, _: edited(folder, CONFIG, **changes)


def preprocessor(**changes: Any) -> Callable[[Path, str], None]:
    return lambda folder, _: edited(folder, PREPROCESSOR, **changes)


def weights(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path, str], None]:
    def changed(folder: Path, _: str) -> None:
        tensors = {k: v.clone().contiguous() for k, v in change(load_file(folder / WEIGHTS)).items()}
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return changed


def with_weights(**shapes: tuple[int, ...]) -> Callable[[Path, str], None]:
    return weights(lambda old: old | {k.replace("__", "."): torch.ones(s) for k, s in shapes.items()})


def renamed_head(new: str) -> Callable[[Path, str], None]:
    """The head as the classes of tutorials name it."""

    def rename(key: str) -> str:
        for old in ("projector.", "classifier.dense.", "classifier."):
            if key.startswith(old):
                return f"{new.split()[old != 'projector.']}{key.removeprefix(old)}"
        return key

    return weights(lambda old: {rename(key): value for key, value in old.items()})


def old_weight_norm(old: dict[str, Any]) -> dict[str, Any]:
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    new = {}
    for key, value in old.items():
        for now, before in names.items():
            key = key.replace(now, before)
        new[key] = value
    return new


def first_matrix(old: dict[str, Any]) -> str:
    return next(key for key, value in old.items() if value.ndim == 2 and "classifier" not in key)


def int8(old: dict[str, Any], *, scale: str | None = None) -> dict[str, Any]:
    key = first_matrix(old)
    small = (old[key] / old[key].abs().max() * 127).round().to(torch.int8)
    return old | {key: small} | ({f"{key}{scale}": torch.ones(1)} if scale else {})


def scaled(old: dict[str, Any]) -> dict[str, Any]:
    """Floats, but of another scale, which stands beside them."""
    key = first_matrix(old)
    return old | {key: old[key] * 127, f"{key}_scale": torch.full((1,), 1 / 127)}


def saved_as(kind: str) -> Callable[[Path, str], None]:
    """The same config, saved by another class of transformers."""

    def save(folder: Path, _: str) -> None:
        import transformers

        settings = transformers.AutoConfig.from_pretrained(folder)
        getattr(transformers, kind).from_config(settings).save_pretrained(folder)

    return save


def processor(
    folder: Path, architecture: str, *, alone: bool = False, key: str = "feature_extractor"
) -> None:
    """As transformers 5 writes it, with other settings than the file beside it."""
    settings = json.loads((folder / PREPROCESSOR).read_text())
    settings |= {
        AST: {"mean": -1.0},
        WHISPER: {"n_fft": 512},
        BERT: {"padding_value": 1.0, "sampling_rate": 16_000},
    }.get(architecture, {"do_normalize": False})
    content = {key: settings, "processor_class": "Wav2Vec2Processor"}
    (folder / PROCESSOR).write_text(json.dumps(content))
    if alone:
        (folder / PREPROCESSOR).unlink()


def numbered(name: str, *, also: bool = False) -> Callable[[Path, str], None]:
    """A file as a browser saves it that has one of that name."""

    def rename(folder: Path, _: str) -> None:
        other = folder / (name.replace(".", " (1)."))
        (folder / name).rename(other)
        if also:
            shutil.copy(other, folder / name)
            if other.suffix == ".json":
                edited(folder, other.name, id2label={"0": "x"}, sampling_rate=1)

    return rename


def in_shards(folder: Path, _: str) -> None:
    from transformers import AutoModelForAudioClassification

    AutoModelForAudioClassification.from_pretrained(folder).save_pretrained(folder, max_shard_size="5KB")
    (folder / WEIGHTS).unlink(missing_ok=True)


def both(*changes: Callable[[Path, str], Any]) -> Callable[[Path, str], None]:
    def change(folder: Path, architecture: str) -> None:
        for each in changes:
            each(folder, architecture)

    return change


def named(*names: str) -> dict[str, str]:
    return {str(i): name for i, name in enumerate(names)}


def turned(names: dict[str, str], form: Callable[[int], Any]) -> dict[str, Any]:
    return {name: form(int(i)) for i, name in names.items()}


SCORED = [
    Variant("as it is saved", lambda folder, architecture: None),
    Variant("in shards", in_shards),
    Variant("in float16", weights(lambda old: {k: v.half() for k, v in old.items()})),
    Variant("in bfloat16", weights(lambda old: {k: v.bfloat16() for k, v in old.items()})),
    Variant("in float64", weights(lambda old: {k: v.double() for k, v in old.items()})),
    Variant("weight_g and weight_v", weights(old_weight_norm), on=[a for a in RAW if a != "data2vec-audio"]),
    Variant(
        "without the mask of training",
        weights(lambda old: {k: v for k, v in old.items() if not k.endswith("masked_spec_embed")}),
        on=(*RAW, BERT),
    ),
    Variant("a head of transcription", with_weights(lm_head__weight=(8, 16)), note="transcription): lm_head"),
    Variant(
        "quantiser of pretraining",
        with_weights(quantizer__codevectors=(1, 4, 8), project_q__weight=(8, 8), project_hid__bias=(8,)),
        note="quantiser of pretraining): project_hid.bias, project_q.weight, quantizer.codevectors",
    ),
    Variant(
        "mask of training that is not built",
        both(
            config(mask_time_prob=0.0, mask_feature_prob=0.0),
            lambda folder, a: with_weights(**{a.replace("-", "_") + "__masked_spec_embed": (16,)})(folder, a),
        ),
        on=("wav2vec2", "hubert", "wavlm", BERT),
        note="mask of training",
    ),
    Variant(
        "whisper's decoder and its head",
        with_weights(model__decoder__embed_tokens__weight=(8, 16), proj_out__weight=(8, 16)),
        on=(WHISPER,),
        note="decoder): model.decoder.embed_tokens.weight",
    ),
    Variant(
        "fields of whisper's decoder",
        config(forced_decoder_ids=[[1, 2]], decoder_layers=4, suppress_tokens=[1, 2], max_length=448),
        on=(WHISPER,),
    ),
    Variant("class not named", config(architectures=...)),
    Variant("class null", config(architectures=None)),
    Variant(
        "another class named, all weights there",
        lambda folder, a: edited(folder, CONFIG, architectures=[CTC[a]]),
        on=tuple(CTC),
        note="which all weights fit",
    ),
    Variant("label2id missing", config(label2id=...)),
    Variant("label2id as text", config(label2id=turned(named(*NAMES), str))),
    Variant("label2id as LABEL_n", config(label2id=turned(named(*NAMES), "LABEL_{}".format))),
    Variant("label2id of default names", config(label2id={"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2})),
    Variant("label2id the other way round", config(label2id=named(*NAMES))),
    Variant("label2id in other case", config(label2id={"Happy": 0, "SAD": 1, "Neu": 2})),
    Variant("label2id of several spellings", config(label2id={"happy": 0, "joy": 0, "sad": 1})),
    Variant(
        "labels with a sex",
        config(id2label=named("female_angry", "male_angry", "female_happy"), label2id=...),
    ),
    Variant(
        "labels in alphabetical order",
        config(id2label=named("happy", "neu", "sad"), label2id={"neu": 1, "sad": 2, "happy": 0}),
    ),
    Variant("default names", config(id2label=named("LABEL_0", "LABEL_1", "LABEL_2"))),
    Variant("number of classes stated", config(num_labels=3, _num_labels=5)),
    Variant("a language model", preprocessor(processor_class="Wav2Vec2ProcessorWithLM")),
    Variant("own code for the processor", preprocessor(auto_map={"AutoProcessor": "own.Processor"})),
    Variant("processor config wins", processor),
    Variant("processor config alone", lambda folder, a: processor(folder, a, alone=True)),
    Variant("audio processor wins", lambda folder, a: processor(folder, a, key="audio_processor")),
    Variant("processor config of old", lambda folder, a: processor(folder, a, key="unknown")),
    Variant(
        "processor config with nothing in it",
        lambda folder, _: (folder / PROCESSOR).write_text('{"feature_extractor": null}'),
    ),
    Variant("extractor not named", preprocessor(feature_extractor_type=...), on=(AST, WHISPER, *RAW)),
    Variant("not normalised", preprocessor(do_normalize=False), on=(AST, *RAW)),
    Variant("padded on the left", preprocessor(padding_side="left", padding_value=1.0)),
    Variant("attention mask", preprocessor(return_attention_mask=True), on=RAW),
    Variant("another rate", preprocessor(sampling_rate=8_000), on=RAW),
    Variant("numbered files beside", numbered(CONFIG, also=True)),
    Variant("pooling by the mean", config(pooling_mode="mean")),
    Variant("several classes at once", config(problem_type="multi_label_classification"), note="several"),
    Variant("one class at a time", config(problem_type="single_label_classification")),
    Variant(
        "leavings of training",
        config(gradient_checkpointing=True, torch_dtype="float16", dtype=..., _name_or_path="/home/x"),
    ),
    Variant(
        "weighted layers",
        lambda folder, architecture: None,
        on=(BERT, WHISPER, *RAW),
        settings=(("use_weighted_layer_sum", True),),
    ),
]

REFUSED = [
    Variant(
        "head of the tutorial", renamed_head("classifier.dense. classifier.output."), "no fitting weights"
    ),
    Variant("head as out_proj", renamed_head("classifier.dense. classifier.out_proj."), "would be random"),
    Variant(
        "class of the tutorial",
        lambda folder, a: edited(folder, CONFIG, architectures=[SPEECH[a]], pooling_mode="max"),
        "which transformers does not have for",
        on=tuple(SPEECH),
    ),
    Variant(
        "class of another type",
        config(architectures=["BertForSequenceClassification"]),
        "is a BertForSequenceClassification",
    ),
    Variant("pooling by the maximum", config(pooling_mode="max"), "pooling_mode 'max'"),
    Variant("a pooling head", with_weights(pooling__attention__weight=(1, 16)), "no place for them"),
    Variant(
        "layer weights that are not used",
        with_weights(layer_weights=(2,)),
        "use_weighted_layer_sum: true",
        on=(BERT, WHISPER, *RAW),
    ),
    Variant(
        "layers that are not built",
        weights(
            lambda old: (
                old
                | {k.replace("r.layers.0.", "r.layers.1."): v for k, v in old.items() if "r.layers.0." in k}
            )
        ),
        "no place for them",
        on=(BERT, WHISPER, "wav2vec2", "hubert"),
    ),
    Variant(
        "layers that are not there", config(num_hidden_layers=2), "would be random", on=(AST, BERT, *RAW)
    ),
    Variant("an adapter that is not built", with_weights(adapter__proj__weight=(16, 16)), "add_adapter"),
    Variant("an adapter asked for", config(add_adapter=True), "does not support", on=WITH_ADAPTER),
    Variant("adapter of PEFT", with_weights(classifier__lora_A__weight=(2, 16)), "merge the adapter"),
    Variant("int8", weights(int8), "as I8"),
    Variant("int8 with scales", weights(lambda old: int8(old, scale="_scale")), "as I8"),
    Variant("int8 of bitsandbytes", weights(lambda old: int8(old, scale=".SCB")), "as I8"),
    Variant("scales of floats", weights(scaled), "are its weights quantised?"),
    Variant(
        "float8",
        weights(lambda old: old | {(k := first_matrix(old)): old[k].to(torch.float8_e4m3fn)}),
        "as F8_E4M3",
    ),
    Variant("quantised", config(quantization_config={"quant_method": "bitsandbytes"}), "quantised weights"),
    Variant("saved as CTC", saved_as("AutoModelForCTC"), "ForCTC by its config.json", on=tuple(CTC)),
    Variant(
        "saved for pretraining", saved_as("AutoModelForPreTraining"), "by its config.json", on=("wav2vec2",)
    ),
    Variant("saved without a head", saved_as("AutoModel"), "by its config.json"),
    Variant(
        "saved for speakers",
        saved_as("AutoModelForAudioXVector"),
        "XVector by its",
        on=("wav2vec2", "wavlm", BERT),
    ),
    Variant("own code without a classifier", config(auto_map={"AutoModel": "own.M"}), "only AutoModel"),
    Variant("own code", config(auto_map={"AutoModelForAudioClassification": "own.M"}), "not run unasked"),
    Variant(
        "own feature extractor",
        preprocessor(auto_map={"AutoFeatureExtractor": "own.F"}),
        "extractor of its own",
    ),
    Variant("label2id turns two", config(label2id={"happy": 1, "sad": 0, "neu": 2}), "cannot be trusted"),
    Variant(
        "label2id shifts all", config(label2id=turned(named("neu", *NAMES[:2]), int)), "cannot be trusted"
    ),
    Variant(
        "label2id shifts as text", config(label2id=turned(named("neu", *NAMES[:2]), str)), "cannot be trusted"
    ),
    Variant("label2id shifts as LABEL_n", config(label2id={"happy": "LABEL_2"}), "cannot be trusted"),
    Variant(
        "label2id of other names", config(label2id=turned(named("rock", "pop"), int)), "cannot be trusted"
    ),
    Variant(
        "label2id of more classes", config(label2id={**turned(named(*NAMES), int), "x": 3}), "no class 3"
    ),
    Variant("another number of classes", config(num_labels=5), "num_labels is 5"),
    Variant("a regression", config(problem_type="regression"), "is a regression"),
    Variant("weights in another file", config(transformers_weights="b.safetensors"), "transformers_weights"),
    Variant("config (1).json alone", numbered(CONFIG), "'config (1).json' looks like it"),
    Variant("preprocessor (1) alone", numbered(PREPROCESSOR), "rename it to preprocessor_config.json"),
    Variant("model (1).safetensors alone", numbered(WEIGHTS), "rename it to model.safetensors"),
    Variant(
        "processor config without extractor",
        lambda folder, _: (folder / PREPROCESSOR).rename(folder / PROCESSOR),
        "no feature_extractor in its processor_config.json",
    ),
    Variant(
        "extractor of another kind",
        preprocessor(feature_extractor_type="EncodecFeatureExtractor"),
        "is of a EncodecFeatureExtractor",
    ),
    Variant(
        "extractor of another kind, by its config",
        both(
            preprocessor(feature_extractor_type=...), config(feature_extractor_type="EncodecFeatureExtractor")
        ),
        "is of a EncodecFeatureExtractor",
    ),
]


# ---- the property ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, dict[str, Any]], Path]:
    """A model of each architecture, made once."""
    root = tmp_path_factory.mktemp("shelf")

    def folder(architecture: str, settings: dict[str, Any]) -> Path:
        path = root / f"{architecture}-{'-'.join(settings)}"
        return path if path.exists() else toy_models.save_model(path, architecture, NAMES, settings=settings)

    return folder


def pairs(variants: Sequence[Variant]) -> list[Any]:
    """Every variant with every architecture that it can be made for; all but one of each are slow."""
    names = []
    for i, variant in enumerate(variants):
        for j, architecture in enumerate(variant.on):
            slow = () if i == 0 or j == i % len(variant.on) else pytest.mark.slow
            names.append(pytest.param(variant, architecture, id=f"{variant.name}-{architecture}", marks=slow))
    return names


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize(("variant", "architecture"), pairs(SCORED))
def test_what_is_scored_has_the_logits_of_transformers(
    tmp_path: Path, shelf: Any, variant: Variant, architecture: str
) -> None:
    folder = shutil.copytree(shelf(architecture, dict(variant.settings)), tmp_path / "model")
    variant.change(folder, architecture)
    clips = toy_models.sounds(8_000, 11_111)
    model = load(str(folder), device="cpu")
    logits = model.logits(clips, model.facts.sample_rate_hz)
    wanted = toy_models.as_transformers(folder, clips)
    assert np.abs(logits - wanted).max() <= 1e-5 * max(1.0, float(np.abs(wanted).max()))
    notes = "\n".join(model.notes)
    assert (variant.note or "") in notes
    assert bool(notes) == bool(variant.note)


@pytest.mark.parametrize(("variant", "architecture"), pairs(REFUSED))
def test_what_is_not_scored_is_refused_with_the_reason(
    tmp_path: Path, shelf: Any, variant: Variant, architecture: str
) -> None:
    folder = shutil.copytree(shelf(architecture, {}), tmp_path / "model")
    variant.change(folder, architecture)
    with pytest.raises(BadModel) as caught:
        load(str(folder), device="cpu")
    assert str(variant.refusal) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_variants_are_heard_where_they_must_be(tmp_path: Path, shelf: Any) -> None:
    """The settings in the processor's file are others than those beside it, or nothing is tested above."""
    clips = toy_models.sounds(8_000)
    for architecture in (AST, WHISPER, "wav2vec2"):
        folder = shutil.copytree(shelf(architecture, {}), tmp_path / architecture)
        before = load(str(folder), device="cpu").logits(clips, RATE)
        processor(folder, architecture)
        assert np.abs(load(str(folder), device="cpu").logits(clips, RATE) - before).max() > 1e-3


def test_every_settings_file_changes_the_hash_and_the_revision(tmp_path: Path, shelf: Any) -> None:
    folder = shutil.copytree(shelf("wav2vec2", {}), tmp_path / "model")
    seen = []
    for change in (
        lambda: None,
        lambda: processor(folder, "wav2vec2"),
        lambda: edited(folder, PREPROCESSOR, padding_value=1.0),
        lambda: edited(folder, PROCESSOR, processor_class="x"),
        lambda: edited(folder, CONFIG, x=1),
        lambda: (folder / PREPROCESSOR).unlink(),
    ):
        change()
        checkpoint = resolve(str(folder))
        seen.append((checkpoint.ref.revision, settings_sha256(checkpoint)))
    assert len({revision for revision, _ in seen}) == len({settings for _, settings in seen}) == len(seen)
