"""The adapters that come with goodenough, through the command line: tiny models of the real classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness import cli
from harness.dataset.paths import PARTIAL
from harness.entries import store
from harness.starter import paths
from tests.helpers import onnx_models, tiny_text_models, toy_models
from tests.helpers.small_starter import TASK, small_suite

EMOTIONS = ("neutral", "happy", "angry", "sad")


@pytest.fixture(scope="module", autouse=True)
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small suite in place of the embedded one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "SUITE", small_suite(tmp_path_factory.getbasetemp()))
        yield paths.SUITE


def clap(folder: Path) -> list[str]:
    return [f"model={tiny_text_models.save_clap(folder / 'tiny-clap')}", f"task={TASK}"]


def audio_lm(folder: Path) -> list[str]:
    return [f"model={tiny_text_models.save_qwen(folder / 'tiny-qwen')}", f"classes={','.join(EMOTIONS)}"]


def multilabel(folder: Path) -> list[str]:
    names = ("Speech", *EMOTIONS, "Dog")
    model = toy_models.save_model(folder / "tiny-tagger", "wav2vec2", names)
    return [f"model={model}", f"task={TASK}", "threshold=0.4"]


def onnx(folder: Path) -> list[str]:
    gains = np.array([[1.0, 40.0, -8.0, 3.0]], dtype=np.float32)
    model = onnx_models.save(folder / "tiny.onnx", [None, "n_samples"], gains)
    return [f"model={model}", f"classes={','.join(EMOTIONS)}"]


CASES = {
    "clap": (clap, "zero-shot"),
    "audio-lm": (audio_lm, "language model"),
    "multilabel": (multilabel, "adapter"),
    "onnx": (onnx, "adapter"),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_checked_and_evaluated(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build, kind = CASES[name]
    arguments = [word for argument in build(tmp_path) for word in ("--adapter-arg", argument)]
    if name != "audio-lm":  # its forward passes take longest, and its check is that of the others
        assert cli.run(["check", f"adapter:{name}", *arguments, "--task", TASK, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["facts"]["kind"] == kind
        assert answer["next"].startswith(f"goodenough evaluate adapter:{name} --task {TASK} --adapter-arg")
    words = ["--task", TASK, "--limit", "1", "--out", str(tmp_path / "out")]
    assert cli.run(["evaluate", f"adapter:{name}", *arguments, *words]) == 0
    (folder,) = store.find(tmp_path / "out" / PARTIAL)
    entry = store.read(folder)
    adapter = entry.facts.adapter
    assert adapter is not None
    assert entry.facts.kind == kind
    assert entry.model.revision == adapter.revision
    assert adapter.weights
    assert (adapter.prompts_sha256 is None) == (kind == "adapter")
    assert {"clap": "transformers", "onnx": "onnxruntime"}.get(name, "torch") in adapter.packages
    assert str(tmp_path) not in (folder / store.ENTRY).read_text()
    assert not entry.complete
