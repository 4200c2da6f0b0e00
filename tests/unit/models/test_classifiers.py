"""Asking classifiers of every architecture; how they are opened stands in test_loading.py."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from harness import audio
from harness.errors import BadInput
from harness.models.architectures import ARCHITECTURES
from harness.models.checkpoints import Checkpoint, resolve
from harness.models.classifiers import Classifier
from harness.models.heads import open_checkpoint
from harness.models.loading import load
from harness.types import ModelRef
from tests.helpers import rounding, toy_models
from tests.helpers.hub import LoopbackHub
from tests.helpers.repository import ROOT

NAMES = ("happy", "sad", "neu")
RATE = 16_000
REAL = os.environ.get("GOODENOUGH_REAL_AUDIO")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A toy of each architecture, made once."""
    root = tmp_path_factory.mktemp("shelf")

    def folder(architecture: str) -> Path:
        path = root / architecture
        return path if path.exists() else toy_models.save_model(path, architecture, NAMES)

    return folder


@pytest.fixture
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_toys_are_of_every_architecture_transformers_has() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES

    assert (
        set(ARCHITECTURES)
        == set(toy_models.ARCHITECTURES)
        == set(MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES)
    )


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("architecture", toy_models.ARCHITECTURES)
def test_company_in_a_batch_moves_no_logit(shelf: Callable[[str], Path], architecture: str) -> None:
    clips = toy_models.sounds(16_000, 8_000, 16_000, 11_111, 8_000, 24_000, 16_000, 8_000)
    model = load(str(shelf(architecture)), device="cpu", batch_size=3)
    together = model.logits(clips, RATE)
    alone = np.concatenate([model.logits([clip], RATE) for clip in clips])
    backwards = model.logits(clips[::-1], RATE)[::-1]
    assert together.shape == (8, 3)
    assert together.dtype == np.float32
    assert np.abs(together - alone).max() < rounding.LOGIT
    assert np.abs(together - backwards).max() < rounding.LOGIT
    assert (together.argmax(1) == alone.argmax(1)).all()
    # The differences above mean something only if different clips get different answers.
    assert np.abs(together - together.mean(axis=0)).max() > 0.05


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("architecture", toy_models.ARCHITECTURES)
def test_the_shortest_clip_is_heard_and_a_shorter_one_refused(
    shelf: Callable[[str], Path], architecture: str
) -> None:
    model = load(str(shelf(architecture)), device="cpu")
    assert model.logits(toy_models.sounds(model.min_samples), RATE).shape == (1, 3)
    with pytest.raises(BadInput, match=f"needs {model.min_samples} "):
        model.logits(toy_models.sounds(16_000, model.min_samples - 1), RATE)


def test_the_shortest_clip_of_a_convolution_stack_is_counted_backwards(shelf: Callable[[str], Path]) -> None:
    # kernels 10, 8, 4 and strides 5, 8, 4: one frame needs 4, these need 3 * 8 + 8 = 32, these 31 * 5 + 10.
    assert load(str(shelf("wav2vec2")), device="cpu").min_samples == 165
    # squeezed by two: 2 frames need 8, these 7 * 8 + 8 = 64, these 63 * 5 + 10.
    assert load(str(shelf("sew")), device="cpu").min_samples == 325


@pytest.mark.usefixtures("one_thread")
def test_what_a_model_is_stands_in_its_facts(shelf: Callable[[str], Path]) -> None:
    ast, whisper, wav2vec2 = (
        load(str(shelf(a)), device="cpu", batch_size=5)
        for a in ("audio-spectrogram-transformer", "whisper", "wav2vec2")
    )
    assert (ast.facts.window_seconds, whisper.facts.window_seconds, wav2vec2.facts.window_seconds) == (
        0.975,  # six patches of 16 frames, of 100; a frame is 25 ms, 10 ms after the one before
        1,
        None,
    )
    assert wav2vec2.facts.architecture == "Wav2Vec2ForSequenceClassification"
    assert wav2vec2.facts.sample_rate_hz == RATE
    assert wav2vec2.facts.n_parameters == sum(
        w.numel() for w in load_file(shelf("wav2vec2") / "model.safetensors").values()
    )
    assert wav2vec2.class_names == NAMES
    assert (wav2vec2.device, wav2vec2.dtype, wav2vec2.batch_size) == ("cpu", "float32", 5)
    assert ast.frontend in ("ASTFeatureExtractor (numpy fbank)", "ASTFeatureExtractor (torchaudio fbank)")
    assert whisper.frontend == "WhisperFeatureExtractor (torch)"
    assert wav2vec2.frontend == "Wav2Vec2FeatureExtractor (numpy)"


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("architecture", ["audio-spectrogram-transformer", "whisper"])
def test_what_lies_beyond_the_window_is_not_heard(shelf: Callable[[str], Path], architecture: str) -> None:
    model = load(str(shelf(architecture)), device="cpu")
    [long] = toy_models.sounds(32_000)
    cut = long[:16_400]
    assert np.abs(model.logits([long], RATE) - model.logits([cut], RATE)).max() < rounding.LOGIT
    assert np.abs(model.logits([long], RATE) - model.logits([long[:8_000]], RATE)).max() > 1e-3


def test_another_rate_is_brought_to_the_models_own(shelf: Callable[[str], Path]) -> None:
    model = load(str(shelf("wav2vec2")), device="cpu")
    [clip] = toy_models.sounds(8_000)
    there = model.logits([audio.resample(clip, 8_000, RATE)], RATE)
    assert np.array_equal(model.logits([clip], 8_000), there)
    assert not np.array_equal(model.logits([clip], RATE), there)


def test_a_model_of_another_rate_hears_at_that_rate(tmp_path: Path) -> None:
    folder = toy_models.save_model(tmp_path / "slow", "hubert", NAMES, sample_rate_hz=8_000)
    model = load(str(folder), device="cpu")
    [clip] = toy_models.sounds(16_000)
    assert model.facts.sample_rate_hz == 8_000
    assert np.array_equal(
        model.logits([clip], RATE), model.logits([audio.resample(clip, RATE, 8_000)], 8_000)
    )


@pytest.mark.parametrize(
    "waveform",
    [np.zeros((2, 16_000), np.float32), np.zeros(16_000, np.float64), np.zeros(16_000, np.int16)],
    ids=["stereo", "float64", "int16"],
)
def test_anything_but_mono_float32_is_refused(shelf: Callable[[str], Path], waveform: Any) -> None:
    with pytest.raises(BadInput, match="must be mono float32"):
        load(str(shelf("wav2vec2")), device="cpu").logits([waveform], RATE)


def test_nothing_asked_is_nothing_answered(shelf: Callable[[str], Path]) -> None:
    assert load(str(shelf("wav2vec2")), device="cpu").logits([], RATE).shape == (0, 3)


@pytest.mark.parametrize(
    "architecture", ["wav2vec2", "whisper", "wav2vec2-bert", "audio-spectrogram-transformer"]
)
def test_a_toy_with_a_bias_says_the_same_of_everything(tmp_path: Path, architecture: str) -> None:
    folder = toy_models.save_model(tmp_path / "one", architecture, NAMES, bias=(0.0, 3.0, -1.0))
    logits = load(str(folder), device="cpu").logits(toy_models.sounds(16_000, 9_000), RATE)
    assert np.allclose(logits, [[0.0, 3.0, -1.0]] * 2, atol=1e-6)


def test_the_same_seed_makes_the_same_toy(tmp_path: Path) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    a, b, c = (
        toy_models.save_model(tmp_path / n, "sew", NAMES, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(before, torch.get_rng_state())
    hashes = [resolve(str(folder)).ref.weights_sha256 for folder in (a, b, c)]
    assert hashes[0] == hashes[1] != hashes[2]


def scarce(model: Any, at_most: int, error: Exception) -> list[int]:
    """Give the model memory for so many clips at a time; the batches it tries are listed."""
    tried: list[int] = []
    body = model._model

    def forward(**inputs: Any) -> Any:
        tried.append(len(inputs["input_values"]))
        if tried[-1] > at_most:
            raise error
        return body(**inputs)

    model._model = forward
    return tried


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("error", [torch.OutOfMemoryError(), RuntimeError("MPS backend out of memory (x)")])
def test_when_memory_runs_out_the_batch_is_halved_and_the_work_goes_on(
    shelf: Callable[[str], Path], error: Exception
) -> None:
    clips = toy_models.sounds(*[8_000] * 10)
    expected = load(str(shelf("wav2vec2")), device="cpu").logits(clips, RATE)
    model = load(str(shelf("wav2vec2")), device="cpu", batch_size=8)
    tried = scarce(model, 3, error)
    assert np.abs(model.logits(clips, RATE) - expected).max() < rounding.LOGIT
    assert tried == [1, 8, 4, 2, 2, 2, 2, 2]  # the first to see what one takes
    assert model.batch_size == 2


def test_when_one_clip_does_not_fit_it_is_bad_input(shelf: Callable[[str], Path]) -> None:
    model = load(str(shelf("wav2vec2")), device="cpu", batch_size=2)
    scarce(model, 0, torch.OutOfMemoryError())
    with pytest.raises(BadInput, match=r"single clip of 1\.0 s; try --device cpu"):
        model.logits(toy_models.sounds(16_000, 16_000), RATE)


def test_another_runtime_error_is_not_taken_for_want_of_memory(shelf: Callable[[str], Path]) -> None:
    model = load(str(shelf("wav2vec2")), device="cpu", batch_size=2)
    scarce(model, 0, RuntimeError("a fault of ours"))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        model.logits(toy_models.sounds(16_000), RATE)


ASK = """
import sys
from harness.models.checkpoints import resolve
found = resolve("org/toy", sys.argv[1])
print(found.ref.repo_id, found.ref.revision, found.ref.weights_sha256, found.folder)
"""


def test_a_model_of_the_hub_answers_as_its_folder_does(tmp_path: Path) -> None:
    folder = toy_models.save_model(tmp_path / "models/org/toy", "hubert", NAMES)
    with LoopbackHub(tmp_path) as hub:
        commit = hub.commit("models/org/toy")
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", ASK, commit],
            env=hub.environment(tmp_path / "cache"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    repo_id, revision, weights_sha256, fetched = done.stdout.strip().split(" ", 3)
    checkpoint = Checkpoint(ModelRef(repo_id, revision, weights_sha256), Path(fetched), None)
    model = open_checkpoint(checkpoint, device="cpu")
    assert model.ref == ModelRef("org/toy", commit, resolve(str(folder)).ref.weights_sha256)
    clips = toy_models.sounds(8_000)
    assert np.array_equal(model.logits(clips, RATE), load(str(folder), device="cpu").logits(clips, RATE))


@pytest.mark.skipif(not REAL, reason="GOODENOUGH_REAL_AUDIO names no folder of recordings and models")
@pytest.mark.parametrize(
    ("name", "accuracy"), [("ast", 0.739), ("whisper", 0.861), ("wav2vec2", 0.685), ("sew", 0.679)]
)
def test_a_trained_model_reaches_its_known_accuracy(name: str, accuracy: float) -> None:
    root = Path(str(REAL))
    spoken = {"cel": "cello", "cla": "clarinet", "flu": "flute", "gac": "guitar", "sax": "saxophone"}
    spoken |= {"tro": "trombone", "acoustic guitar": "guitar"}
    with open(root / "instrument/metadata.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    clips = [audio.read(root / "instrument" / row["file_name"])[0] for row in rows]
    model = load(str(root / "models" / name), device="cpu")
    top = [model.class_names[i].lower() for i in model.logits(clips, RATE).argmax(axis=1)]
    right = [spoken.get(said, said) == row["label"] for said, row in zip(top, rows, strict=True)]
    assert round(float(np.mean(right)), 3) == accuracy


# ---- slopes ----------------------------------------------------------------------------------------


def lead(classifier: Classifier, waveform: Any, expected: Any) -> float:
    (logits,) = classifier.logits([waveform], RATE).astype(np.float64)
    return float(logits[expected].max() - logits[~expected].max())


@pytest.mark.parametrize("architecture", [a for a in toy_models.ARCHITECTURES if a != "wav2vec2-bert"])
def test_a_slope_is_what_a_small_step_changes(shelf: Callable[[str], Path], architecture: str) -> None:
    classifier = load(str(shelf(architecture)), device="cpu")
    noise = np.random.default_rng(0).normal(size=16_000)
    waveform = (0.1 * noise + toy_models.sounds(16_000)[0]).astype(np.float32)
    expected = np.array([True, False, False])
    found = classifier.input_gradients([waveform], RATE, [expected])
    assert found is not None
    (slope,) = found
    assert slope.shape == waveform.shape
    # What a slope leaves out is of the square of the step, some thousandths here; a longer one meets kinks,
    # where another class comes to be the best of the others.
    step = (0.005 * slope / np.linalg.norm(slope)).astype(np.float32)
    changed = lead(classifier, waveform + step, expected) - lead(classifier, waveform - step, expected)
    assert changed == pytest.approx(2 * float(slope @ step), rel=0.01, abs=2 * rounding.MARGIN)


def test_there_are_no_slopes_where_they_cannot_pass(shelf: Callable[[str], Path]) -> None:
    waveform, expected = toy_models.sounds(8_000)[0], np.array([True, False, False])
    assert (
        load(str(shelf("wav2vec2-bert")), device="cpu").input_gradients([waveform], RATE, [expected]) is None
    )
    assert load(str(shelf("hubert")), device="cpu").input_gradients([waveform], 8_000, [expected]) is None
