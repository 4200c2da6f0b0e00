"""What libraries say does not reach the terminal: every architecture, in processes as a user starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harness.models import load
from tests import toys

ROOT = Path(__file__).parent.parent
CLASSES = ("fake", "real")
RUN = """
import json, sys
from harness import cli, memory
free, commands = json.loads(sys.argv[1])
if free:
    memory.available = lambda: free
    memory.Need.of = lambda need, length: 3e9
for command in commands:
    sys.argv = ["goodenough", *command]
    try:
        cli.main()
    except SystemExit as end:
        print("CODE", end.code)
"""
SETTINGS = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "use_weighted_layer_sum": True}


def save(folder: Path, architecture: str) -> Path:
    """A toy as large models are: an attention mask, and the mean of all layers."""
    settings = SETTINGS if architecture != "audio-spectrogram-transformer" else {}
    toys.save_model(folder, architecture, CLASSES, settings=settings)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"return_attention_mask": True}))
    return folder


def said(*commands: list[object], free: int = 0) -> tuple[str, str]:
    """Stdout and stderr of commands, given one after the other in a new process."""
    words = [[str(word) for word in command] for command in commands]
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONWARNINGS", "TRANSFORMERS_VERBOSITY")
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([free, words])],
        env=environment | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_no_warning_of_a_library_reaches_the_terminal(tmp_path: Path) -> None:
    toys.add_signals(tmp_path / "suite", "toys/a")
    suite = ["--signals", tmp_path / "suite", "--device", "cpu"]
    models = [save(tmp_path / name, name) for name in toys.ARCHITECTURES]
    out, err = said(*(["check", model, *suite] for model in models))
    assert out.count("CODE 0") == len(models)
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("architecture", toys.ARCHITECTURES)
def test_nor_does_one_from_a_verb_that_asks_it_much(tmp_path: Path, architecture: str) -> None:
    toys.add_signals(tmp_path / "suite", "toys/a", clips=[toys.clip_of(i, 1_200) for i in range(4)])
    model = save(tmp_path / "toy", architecture)
    (tmp_path / "corpus").mkdir()
    for i, sound in enumerate(toys.sounds(4_000, 4_100)):
        soundfile.write(tmp_path / f"corpus/{i}.wav", sound, 16_000)
    (tmp_path / "corpus/metadata.csv").write_text("file_name,label\n0.wav,spoof\n1.wav,bonafide\n")
    corpus = ["--corpus", tmp_path / "corpus", "--search", "minimal", "--out", tmp_path / "out"]
    out, err = said(
        ["evaluate", model, "--signals", tmp_path / "suite", "--out", tmp_path / "results"],
        ["validate", tmp_path / "results"],
        ["extract", model, "--task", "deepfake", *corpus],
    )
    assert out.count("CODE 0") == 3
    assert "Warning" not in err
    assert "warn" not in err


@pytest.mark.parametrize("architecture", toys.ARCHITECTURES)
def test_none_reaches_a_program_that_asks_a_model(tmp_path: Path, architecture: str) -> None:
    """Warnings are errors here."""
    model = load(str(save(tmp_path / "toy", architecture)), device="cpu")
    clips = toys.sounds(16_000, 16_000, 32_000, 8_000)
    assert model.logits(clips, 16_000).shape == (4, 2)
    model.slopes(clips[:1], 16_000, [np.array([True, False])])


def test_little_memory_is_said_in_one_line(tmp_path: Path) -> None:
    toys.add_signals(tmp_path / "suite", "toys/a")
    model = toys.save_model(tmp_path / "toy", "hubert", CLASSES)
    out, err = said(["check", model, "--signals", tmp_path / "suite", "--device", "cpu"], free=8 * 10**9)
    assert "CODE 0" in out
    [line] = err.splitlines()
    assert line == (
        "local/toy takes 3.0 GB of memory for a clip of 1.5 s, and 8.0 GB are free: batches of 2, not 16"
    )
