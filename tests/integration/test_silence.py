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

from harness.models.loading import load
from tests.helpers import toy_models
from tests.helpers.repository import ROOT

CLASSES = ("fake", "real")
SAMPLE = ("audio-spectrogram-transformer", "hubert", "wavlm")
"""`wavlm` is the one that torch warns of."""
RUN = """
import json, sys
from harness import cli
from harness.models import memory
available, of = memory.available, memory.Need.of
for free, *command in json.loads(sys.argv[1]):
    # Where it is said how much memory is free, a clip takes three of these GB.
    memory.available = (lambda: free * 10**9) if free else available
    memory.Need.of = (lambda need, length: 3e9) if free else of
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
    toy_models.save_model(folder, architecture, CLASSES, settings=settings)
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"return_attention_mask": True}))
    return folder


def said(*commands: list[object]) -> tuple[str, str]:
    """Stdout and stderr of commands in a new process; before each, how many GB of memory are free, or 0."""
    words = [[free, *map(str, command)] for free, *command in commands]
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONWARNINGS", "TRANSFORMERS_VERBOSITY")
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(words)],
        env=environment | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize(
    "architectures", [SAMPLE, pytest.param(toy_models.ARCHITECTURES, marks=pytest.mark.slow)]
)
def test_no_warning_of_a_library_reaches_the_terminal_but_our_line_on_memory(
    tmp_path: Path, architectures: tuple[str, ...]
) -> None:
    toy_models.add_signals(tmp_path / "suite", "toys/a")
    suite = ["--signals", tmp_path / "suite", "--device", "cpu"]
    models = [save(tmp_path / name, name) for name in architectures]
    out, err = said(
        *([0, "check", model, *suite] for model in models), [8, "check", tmp_path / "hubert", *suite]
    )
    assert out.count("CODE 0") == len(models) + 1
    assert err == (
        "local/hubert takes 3.0 GB of memory for a clip of 1.5 s, and 8.0 GB are free: batches of 2, not 16\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("architecture", toy_models.ARCHITECTURES)
def test_nor_does_one_from_a_verb_that_asks_it_much(tmp_path: Path, architecture: str) -> None:
    toy_models.add_signals(
        tmp_path / "suite", "toys/a", clips=[toy_models.clip_of(i, 1_200) for i in range(4)]
    )
    model = save(tmp_path / "toy", architecture)
    (tmp_path / "corpus").mkdir()
    for i, sound in enumerate(toy_models.sounds(4_000, 4_100)):
        soundfile.write(tmp_path / f"corpus/{i}.wav", sound, 16_000)
    (tmp_path / "corpus/metadata.csv").write_text("file_name,label\n0.wav,spoof\n1.wav,bonafide\n")
    corpus = ["--corpus", tmp_path / "corpus", "--search", "minimal", "--out", tmp_path / "out"]
    out, err = said(
        [0, "evaluate", model, "--signals", tmp_path / "suite", "--out", tmp_path / "results"],
        [0, "validate", tmp_path / "results"],
        [0, "extract", model, "--task", "deepfake", *corpus],
    )
    assert out.count("CODE 0") == 3
    assert "Warning" not in err
    assert "warn" not in err


@pytest.mark.parametrize(
    "architecture",
    [a if a in SAMPLE else pytest.param(a, marks=pytest.mark.slow) for a in toy_models.ARCHITECTURES],
)
def test_none_reaches_a_program_that_asks_a_model(tmp_path: Path, architecture: str) -> None:
    """Warnings are errors here."""
    model = load(str(save(tmp_path / "toy", architecture)), device="cpu")
    clips = toy_models.sounds(16_000, 16_000, 32_000, 8_000)
    assert model.logits(clips, 16_000).shape == (4, 2)
    model.input_gradients(clips[:1], 16_000, [np.array([True, False])])
