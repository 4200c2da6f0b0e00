"""The adapter of ONNX models: networks of a few nodes, whose answers numpy computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from harness.models.adapters.onnx import Onnx
from tests.helpers.onnx_models import GAINS, save

RNG = np.random.default_rng(0)
CLASSES = "a, b, c"


def waveforms(n: int, n_samples: int) -> list[Any]:
    """Noise of several loudnesses."""
    return [(0.1 * (i + 1) * RNG.normal(size=n_samples)).astype(np.float32) for i in range(n)]


def loudness(clips: Sequence[Any]) -> Any:
    """(n, 1) mean square."""
    return np.stack([np.mean(np.square(clip), keepdims=True) for clip in clips])


def test_any_length_and_any_number_at_once(tmp_path: Path) -> None:
    adapter = Onnx(save(tmp_path / "m.onnx", [None, "n_samples"]), CLASSES, min_samples=10)
    assert adapter.class_names == ["a", "b", "c"]
    assert (adapter.sample_rate_hz, adapter.min_samples) == (16_000, 10)
    assert adapter.weights == [tmp_path / "m.onnx"]
    assert not hasattr(adapter, "scores")
    assert not hasattr(adapter, "window_seconds"), "it is measured"
    for n, n_samples in ((4, 4000), (1, 123)):
        clips = waveforms(n, n_samples)
        logits = adapter.logits(clips)
        assert logits.shape == (n, 3)
        np.testing.assert_allclose(logits, loudness(clips) * GAINS, rtol=1e-5)


@pytest.mark.parametrize("shape", [[None, 1000], [1, 1, 1000], ["batch", "channel", 1000]])
def test_a_fixed_length_is_cut_or_padded_and_stated(tmp_path: Path, shape: list[Any]) -> None:
    adapter = Onnx(save(tmp_path / "m.onnx", shape), CLASSES, sample_rate_hz=8000)
    assert (adapter.fixed_length, adapter.window_seconds) == (True, 0.125)
    clips = [*waveforms(2, 1000), *waveforms(1, 400), *waveforms(1, 2345)]
    padded = [np.concatenate([clip, np.zeros(1000, np.float32)])[:1000] for clip in clips]
    np.testing.assert_allclose(adapter.logits(clips), loudness(padded) * GAINS, rtol=1e-5)


def test_one_at_a_time_where_there_is_room_for_one(tmp_path: Path) -> None:
    adapter = Onnx(save(tmp_path / "m.onnx", [1, None]), CLASSES)
    clips = waveforms(3, 500)
    logits = adapter.logits(clips)
    np.testing.assert_allclose(logits, loudness(clips) * GAINS, rtol=1e-5)
    alone = [adapter.logits([clip])[0] for clip in clips]
    np.testing.assert_array_equal(logits, alone)


@pytest.mark.parametrize("batch", [None, 1])
def test_one_score_has_a_threshold(tmp_path: Path, batch: int | None) -> None:
    path = save(tmp_path / "m.onnx", [batch, None], GAINS[:, :1])
    threshold: dict[str, Any] = {"threshold": -0.5, "above": "spoof", "threshold_source": "dev set"}
    adapter = Onnx(path, "bonafide,spoof", **threshold)
    assert {name: getattr(adapter, name) for name in threshold} == threshold
    assert not hasattr(adapter, "logits")
    clips = waveforms(3, 700)
    np.testing.assert_allclose(adapter.scores(clips), (loudness(clips) * GAINS[0, 0])[:, 0], rtol=1e-5)
    with pytest.raises(ValueError, match=r"y has shape .*, not \(3, 2\); .* one score needs a thre"):
        Onnx(path, "bonafide,spoof").logits(clips)


@pytest.mark.parametrize("name", ["weights.bin", "é" * 100 + ".data"], ids=["short", "long"])
def test_files_of_external_data_are_weights(tmp_path: Path, name: str) -> None:
    """Also where a name is so long that its length takes two bytes."""
    classes = ",".join(map(str, range(300)))  # onnx leaves small tensors in the file of the model
    whole = save(tmp_path / "whole.onnx", [None, None], np.repeat(GAINS, 100, axis=1))
    onnx.save_model(onnx.load(whole), tmp_path / "m.onnx", save_as_external_data=True, location=name)
    (tmp_path / "unrelated.bin").write_bytes(b"weights")
    adapter = Onnx(tmp_path / "m.onnx", classes)
    assert adapter.weights == [tmp_path / "m.onnx", tmp_path / name]
    clips = waveforms(2, 50)
    np.testing.assert_array_equal(adapter.logits(clips), Onnx(whole, classes).logits(clips))


def test_inputs_and_outputs_are_named_where_there_are_several(tmp_path: Path) -> None:
    several = save(tmp_path / "several.onnx", [None, None], outputs=2, extra="speed")
    with pytest.raises(ValueError, match=r"has inputs \['x', 'speed'\]; name one by input_name$"):
        Onnx(several, CLASSES)
    with pytest.raises(ValueError, match=r"has outputs \['loudness', 'y'\]; name one by output_name$"):
        Onnx(save(tmp_path / "two.onnx", [None, None], outputs=2), CLASSES, output_name="z")
    adapter = Onnx(tmp_path / "two.onnx", CLASSES, input_name="x", output_name="y")
    clips = waveforms(2, 100)
    np.testing.assert_allclose(adapter.logits(clips), loudness(clips) * GAINS, rtol=1e-5)
    with pytest.raises(ValueError, match="speed"):
        Onnx(several, CLASSES, input_name="x", output_name="y").logits(clips)


def test_what_is_no_model_of_waveforms_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no protobuf\n")
    for bad, line in (
        (tmp_path / "none.onnx", "onnxruntime cannot load .*none.onnx: .*(File|exist)"),
        (tmp_path / "text.onnx", "onnxruntime cannot load .*text.onnx: .*"),
        (save(tmp_path / "features.onnx", [None, 64, 100]), r"takes .*64, 100.*; expected tensor\(float\)"),
        (
            save(tmp_path / "four.onnx", [4, 100]),
            r"takes .*4, 100.*; expected tensor\(float\) of shape \(n, n",
        ),
    ):
        with pytest.raises(ValueError, match=line) as refusal:
            Onnx(bad, CLASSES)
        assert "\n" not in str(refusal.value)


def test_a_card_that_onnxruntime_cannot_use_is_a_warning(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [None, None])
    clips = waveforms(2, 100)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        on_card = Onnx(path, CLASSES, device="cuda:1").logits(clips)
    np.testing.assert_array_equal(on_card, Onnx(path, CLASSES).logits(clips))
