"""Answers on other processors, as far as this one can play them: kernels without AVX2, other paths, threads.

Half precision, AMX and AVX-512 cannot be played where they are not there: of those no test has a bound.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.helpers import rounding, toy_models
from tests.helpers.repository import ROOT

PROCESSORS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "no AVX2, one thread": {
            "OMP_NUM_THREADS": "1",
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "MKL_CBWR": "COMPATIBLE",
            "OPENBLAS_CORETYPE": "Nehalem",
        },
        "AVX2, one thread": {"OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2"},
        "two threads": {"OMP_NUM_THREADS": "2"},
        "three threads, no AVX2": {"OMP_NUM_THREADS": "3", "ATEN_CPU_CAPABILITY": "default"},
    }
)
"""Variables that torch, oneDNN, MKL and OpenBLAS read when they are opened."""

NUMERIC = (
    *("unit/models/test_classifiers.py", "unit/models/test_loading.py", "unit/test_audio.py", "unit/domains"),
    *("unit/evaluation", "unit/extract", "unit/metrics", "unit/starter", "unit/entries/test_compare.py"),
    *("integration/test_verify.py", "integration/test_walkthrough.py", "integration/test_attacks.py"),
)
"""Tests with numbers in them."""

NAMES = ("happy", "sad", "neu")
SAMPLE = ("hubert", "sew-d", "wav2vec2", "whisper")

ASK = """
import sys
from pathlib import Path
import numpy as np
from harness.models.loading import load
from tests.helpers import toy_models
for architecture in sys.argv[2:]:
    folder = toy_models.save_model(Path(sys.argv[1]) / architecture, architecture, {names!r})
    logits = load(str(folder), device="cpu").logits(toy_models.sounds(16_000, 12_000), 16_000)
    np.save(folder / "logits.npy", logits)
"""


def environment(processor: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **PROCESSORS[processor]}


def asked(processor: str, folder: Path, architectures: tuple[str, ...]) -> None:
    command = [sys.executable, "-W", "error", "-c", ASK.format(names=NAMES), str(folder), *architectures]
    subprocess.run(command, env=environment(processor), cwd=ROOT, check=True, timeout=280)


def assert_alike(one: Path, other: Path, architectures: tuple[str, ...]) -> None:
    for architecture in architectures:
        ours, theirs = (load_file(root / architecture / "model.safetensors") for root in (one, other))
        for name, weight in ours.items():
            # The head was made of answers; all else is drawn.
            np.testing.assert_allclose(
                theirs[name], weight, rtol=0, atol=rounding.LOGIT * np.abs(weight).max()
            )
        answers, others = (np.load(root / architecture / "logits.npy") for root in (one, other))
        np.testing.assert_allclose(others, answers, rtol=0, atol=rounding.LOGIT)
        assert np.ptp(answers, axis=0).max() > 100 * rounding.LOGIT, "it tells sounds apart"


def test_a_model_made_and_asked_without_avx2_is_the_one_from_here_but_for_rounding(tmp_path: Path) -> None:
    from harness.models.loading import load

    for architecture in SAMPLE:
        folder = toy_models.save_model(tmp_path / "here" / architecture, architecture, NAMES)
        logits = load(str(folder), device="cpu").logits(toy_models.sounds(16_000, 12_000), 16_000)
        np.save(folder / "logits.npy", logits)
    asked("no AVX2, one thread", tmp_path / "there", SAMPLE)
    assert_alike(tmp_path / "here", tmp_path / "there", SAMPLE)


@pytest.mark.slow
def test_every_architecture_is_alike_on_every_processor(tmp_path: Path) -> None:
    for i, processor in enumerate(PROCESSORS):
        asked(processor, tmp_path / str(i), toy_models.ARCHITECTURES)
    for i in range(1, len(PROCESSORS)):
        assert_alike(tmp_path / "0", tmp_path / str(i), toy_models.ARCHITECTURES)


def test_tests_with_numbers_are_where_they_are_named() -> None:
    assert [name for name in NUMERIC if not (ROOT / "tests" / name).exists()] == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_no_bound_is_that_of_one_processor(processor: str) -> None:
    command = [sys.executable, "-m", "pytest", "-m", "not slow", *(f"tests/{name}" for name in NUMERIC)]
    done = subprocess.run(command, env=environment(processor), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
