"""Features, masks and forward passes that stay on a device; on the processor by the same code."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.dataset.suites import load as load_suite
from harness.domains import fft
from harness.errors import BadInput
from harness.evaluation import runner
from harness.extract import oracle
from harness.extract.oracle import SearchState
from harness.families import parse_family
from harness.labels import harmonise
from harness.models import device_features, devices
from harness.models.heads import Head
from harness.models.loading import load
from harness.types import Clip
from tests.helpers import toy_models

NAMES = ("happy", "sad", "neu")
RATE = 16_000
AST, WHISPER, WAVE = "audio-spectrogram-transformer", "whisper", "wav2vec2"
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")),
]
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "AST": (AST, {}),
    "AST that does not normalise": (AST, {"do_normalize": False}),
    "Whisper": (WHISPER, {}),
    "Whisper that pads with ones on the left": (WHISPER, {"padding_side": "left", "padding_value": 1.0}),
    "raw waves": (WAVE, {}),
    "raw waves as they are, with an attention mask": (
        WAVE,
        {"do_normalize": False, "return_attention_mask": True},
    ),
}
TOLERANCE = 1e-4
"""Of logits whose deviation is 1."""


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A toy of an architecture whose extractor has some settings, made once."""
    root = tmp_path_factory.mktemp("toys")

    def make(architecture: str, changes: dict[str, Any] | None = None) -> Path:
        path = root / f"{architecture}-{'-'.join(changes or {})}"
        if not path.exists():
            toy_models.save_model(path, architecture, NAMES)
            settings = path / "preprocessor_config.json"
            settings.write_text(json.dumps(json.loads(settings.read_text()) | (changes or {})))
        return path

    return make


def with_torch_features(path: str, **options: Any) -> Head:
    model = load(path, **options)
    assert isinstance(model, Head)
    model.use_torch_features()
    return model


def clips() -> list[np.ndarray]:
    """Of several lengths, shorter and longer than the window of a toy, in no order; masked; and silent."""
    sounds = toy_models.sounds(16_000, 8_000, 16_000, 11_111, 24_000, 8_000, 16_000)
    X = fft.spectrum(sounds[0])
    few = np.random.default_rng(0).random(len(X)) < 0.01
    return [*sounds, fft.keep(X, few, 16_000), np.zeros(8_000, dtype=np.float32)]


@pytest.mark.parametrize("name", SETTINGS)
def test_features_in_torch_give_the_logits_of_the_extractor(
    folder: Callable[..., Path], device: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(*SETTINGS[name])
    expected = load(str(path), device="cpu").logits(clips(), RATE)
    model = with_torch_features(str(path), device=device, batch_size=3)
    assert f"(torch on {device})" in model.frontend

    def extract(*_: Any, **__: Any) -> None:
        raise AssertionError("the extractor is called")

    monkeypatch.setattr(model, "_extractor", extract)
    logits = model.logits(clips(), RATE)
    assert np.abs(logits - expected).max() < TOLERANCE
    assert (logits.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert np.abs(logits - logits.mean(axis=0)).max() > 0.05


@pytest.mark.parametrize("architecture", [AST, WAVE])
def test_features_made_a_batch_ahead_give_the_same_logits(
    folder: Callable[..., Path], device: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit; and where memory runs out for a batch whose successor is already being prepared."""
    model = with_torch_features(str(folder(architecture)), device=device, batch_size=2)
    sounds = toy_models.sounds(*[16_000] * 7)
    forward, sizes, threads = model._forward, [], set()

    def full(batch: Any, features: Any) -> Any:
        sizes.append(len(batch))
        threads.update(thread.name for thread in threading.enumerate() if "features" in thread.name)
        return None if sizes == [2, 2] else forward(batch, features)

    monkeypatch.setattr(model, "_forward", full)
    logits = {}
    for model._works_ahead in (False, True):
        sizes.clear(), threads.clear()
        model.batch_size = 2
        logits[model._works_ahead] = model.logits(sounds, RATE)
        assert bool(threads) == model._works_ahead
        assert sizes[:3] == [2, 2, 1]
    assert np.array_equal(logits[True], logits[False])


def test_an_extractor_that_is_missed_goes_on(
    folder: Callable[..., Path], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features that are a thousandth too loud; and a kind of extractor that is not there in torch."""
    by_extractor = with_torch_features(str(folder(AST)), device=device)
    by_extractor.use_extractor()
    builder = device_features._BUILDERS["ASTFeatureExtractor"]

    def loud(*args: Any) -> Any:
        front_end = builder(*args)
        return lambda waveforms: 1.01 * front_end(waveforms)

    monkeypatch.setitem(device_features._BUILDERS, "ASTFeatureExtractor", loud)
    missed = with_torch_features(str(folder(AST)), device=device)
    assert missed.frontend == by_extractor.frontend == "ASTFeatureExtractor (numpy fbank)"
    assert np.array_equal(missed.logits(clips(), RATE), by_extractor.logits(clips(), RATE))
    other = with_torch_features(str(folder("wav2vec2-bert")), device=device)
    assert other.frontend == "SeamlessM4TFeatureExtractor (numpy)"


def test_features_that_differ_on_other_sounds_are_given_up_there(
    folder: Callable[..., Path], device: str
) -> None:
    model = with_torch_features(str(folder(AST)), device=device)
    own = model._torch_features
    model._torch_features = lambda x: {k: v * (1 + (x.shape[1] == 8_000)) for k, v in own(x).items()}
    assert model.check_features(toy_models.sounds(16_000), RATE)
    assert "torch" in model.frontend
    assert not model.check_features(toy_models.sounds(8_000), RATE)
    assert not model.has_torch_features
    assert model.frontend == "ASTFeatureExtractor (numpy fbank)"


def test_an_evaluation_checks_features_on_the_stimuli_of_its_proof(
    folder: Callable[..., Path], device: str, tmp_path: Path
) -> None:
    """Verdicts are those of the extractor, and the entry says what computed the features."""
    toy_models.add_signals(tmp_path / "suite", clips=range(4))
    suite, frontends, predicted = load_suite(str(tmp_path / "suite")), [], []
    path = toy_models.save_model(tmp_path / "ear", AST, ("fake", "real"))
    for error in (None, 0.0, 0.5):
        model = with_torch_features(str(path), device=device)
        if error is None:
            model.use_extractor()
        else:
            own = model._torch_features
            model._torch_features = lambda x, own=own, error=error: {k: v + error for k, v in own(x).items()}
        labels = harmonise(model.class_names, toy_models.TASK)
        result = runner.evaluate(model, labels, suite, toy_models.TASK, tmp_path / f"out-{error}")
        frontends.append(result.entry.run.frontend)
        predicted.append(result.verdicts["predicted_raw"].to_pylist())
    assert frontends[0] == frontends[2] == "ASTFeatureExtractor (numpy fbank)"
    assert frontends[1] == f"ASTFeatureExtractor (torch on {device})"
    assert predicted[0] == predicted[1] == predicted[2]


@pytest.mark.parametrize("architecture", [AST, WAVE])
def test_masked_signals_never_leave_the_device(
    folder: Callable[..., Path], device: str, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are those by scipy and the extractor; masks go in, and logits come out."""
    by_scipy = load(str(folder(architecture)), device="cpu")
    model = with_torch_features(str(folder(architecture)), device=device, batch_size=4)
    atoms = parse_family("minimal@bins").resolution.atoms(RATE, RATE)
    sounds = [Clip(f"c{i}", "toys", None, x, RATE) for i, x in enumerate(toy_models.sounds(RATE, RATE))]
    masks = np.random.default_rng(1).random((5, len(atoms))) < [[0.0], [0.01], [0.1], [0.5], [1.0]]
    taken, answers = [], []
    stack = devices.stack

    def stack_on_device(waveforms: Any, device: str) -> torch.Tensor:
        taken.extend(type(waveform) for waveform in waveforms)
        return stack(waveforms, device)

    monkeypatch.setattr(devices, "stack", stack_on_device)
    for listener in (by_scipy, model):
        states = [SearchState(clip, np.array([True, False, False]), atoms) for clip in sounds]
        oracle.ask(listener, [(state, masks) for state in states])
        answers.append([state.answers(masks).tolist() for state in states])
    assert answers[0] == answers[1]
    assert set(taken) == {torch.Tensor}
    assert len(taken) == 2 * len(masks)
    # At another rate than the model's they come back, to be resampled.
    rows = model.keep(fft.spectrum(sounds[0].waveform), masks, RATE)
    assert np.abs(
        model.logits(list(rows), 8_000) - by_scipy.logits(list(rows.cpu().numpy()), 8_000)
    ).max() < (TOLERANCE)


@pytest.mark.parametrize("architecture", [AST, WAVE])
def test_controls_of_an_evaluation_are_made_on_the_device(
    folder: Callable[..., Path],
    device: str,
    tmp_path: Path,
    architecture: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Signals, as published, and whole clips are sent there; verdicts are those by scipy."""
    toy_models.add_signals(tmp_path / "suite", clips=range(4))
    suite, task = load_suite(str(tmp_path / "suite")), toy_models.TASK
    path = str(toy_models.save_model(tmp_path / "ear", architecture, ("fake", "real")))
    sent, tables = {}, []
    stack = devices.stack

    def stack_on_device(waveforms: Any, device: str) -> torch.Tensor:
        for waveform in waveforms:
            sent[type(waveform)] = sent.get(type(waveform), 0) + 1
        return stack(waveforms, device)

    monkeypatch.setattr(devices, "stack", stack_on_device)
    by_scipy = load(path, device="cpu")
    for model in (by_scipy, with_torch_features(path, device=device)):
        sent.clear()
        labels = harmonise(model.class_names, task)
        tables.append(runner.evaluate(model, labels, suite, task, tmp_path / f"out-{len(tables)}").verdicts)
    assert sent[torch.Tensor] > sent[np.ndarray] / 2 > 0
    assert len(tables[0]) == len(tables[1])
    p = [np.array(table["p"].to_pylist()) for table in tables]
    assert np.abs(p[0] - p[1]).max() < TOLERANCE
    exact = [name for name in tables[0].column_names if name not in ("p", "p_expected")]
    assert tables[0].select(exact).equals(tables[1].select(exact))


def test_a_slope_is_that_of_a_signal_in_memory(folder: Callable[..., Path], device: str) -> None:
    model = with_torch_features(str(folder(WHISPER)), device=device)
    [clip] = toy_models.sounds(RATE)
    signal = model.keep(fft.spectrum(clip), np.ones((1, RATE // 2 + 1), dtype=bool), RATE)[0]
    is_expected = np.array([True, False, False])
    [expected] = model.input_gradients([signal.cpu().numpy()], RATE, [is_expected])
    [gradient] = model.input_gradients([signal], RATE, [is_expected])
    np.testing.assert_array_equal(gradient, expected)
    assert np.abs(expected).max() > 0


def test_a_full_device_gets_smaller_batches_whose_features_are_made_anew(
    folder: Callable[..., Path], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = with_torch_features(str(folder(WAVE)), device=device, batch_size=4)
    expected, body, heard = model.logits(clips(), RATE), model._model, []

    def forward(**inputs: Any) -> Any:
        heard.append(len(inputs["input_values"]))
        if heard[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return body(**inputs)

    monkeypatch.setattr(model, "_model", forward)
    assert np.abs(model.logits(clips(), RATE) - expected).max() < TOLERANCE
    assert model.batch_size == 1
    assert heard.count(1) == len(expected)


def test_a_compiled_forward_pass_says_what_it_moves_or_is_refused(
    folder: Callable[..., Path], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**inputs: Any) -> Any:
        raise RuntimeError("no compiler\nanywhere")

    def compiler(factor: float) -> Callable[..., Any]:
        def compile_model(model: Any, *, backend: str) -> Any:
            def forward(**inputs: Any) -> Any:
                output = model(**inputs)
                output.logits *= factor
                return output

            return fail if factor == 0 else forward

        return compile_model

    expected = load(str(folder(WAVE)), device=device).logits(clips(), RATE)
    monkeypatch.setattr(torch, "compile", compiler(1 + 1e-6))
    model = load(str(folder(WAVE)), device=device)
    model.compile("toy")
    assert 0 < np.abs(model.logits(clips(), RATE) - expected).max() < TOLERANCE
    assert model.frontend.endswith(", forward pass compiled by toy")
    assert "compiled by toy: a logit of a test sound moves by" in model.notes[-1]
    for factor, message in ((2, "gives other answers once compiled"), (0, "no compiler anywhere")):
        monkeypatch.setattr(torch, "compile", compiler(factor))
        with pytest.raises(BadInput, match=message) as caught:
            load(str(folder(WAVE)), device=device).compile("toy")
        assert "\n" not in str(caught.value)
        assert "leave --compile out" in str(caught.value)


@pytest.mark.slow
def test_the_compiler_of_torch_takes_every_kind_of_model(folder: Callable[..., Path], device: str) -> None:
    for architecture in (AST, WHISPER, WAVE):
        expected = load(str(folder(architecture)), device=device).logits(clips(), RATE)
        model = load(str(folder(architecture)), device=device)
        model.compile("aot_eager")
        assert np.abs(model.logits(clips(), RATE) - expected).max() < TOLERANCE
