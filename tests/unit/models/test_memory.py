"""Memory: what is free, what a clip takes, and batches that fit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.models import memory
from harness.models.loading import load
from tests.helpers import toy_models

NAMES = ("happy", "sad", "neu")
RATE = 16_000
MB = 2**20


def machine(root: Path, files: dict[str, str]) -> int | None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory.available(root / "proc", root / "groups")


FREE = {"proc/meminfo": "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n"}
V2 = {"proc/self/cgroup": "0::/job/step\n"}
V1 = {"proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/job\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (FREE, 4000 * 1024),
        (FREE | V2, 4000 * 1024),
        (FREE | V2 | {"groups/job/memory.max": "max", "groups/job/memory.current": "7"}, 4000 * 1024),
        (FREE | V2 | {"groups/job/memory.max": "5000", "groups/job/memory.current": "2000"}, 3000),
        (FREE | V2 | {"groups/memory.max": "5000", "groups/memory.current": "2000"}, 3000),
        (V2 | {"groups/job/step/memory.max": "5000", "groups/job/step/memory.current": "6000"}, 0),
        (
            V2
            | {"groups/job/memory.max": "5000", "groups/job/memory.current": "2000"}
            | {"groups/job/memory.stat": "anon 1\ninactive_file 500\nactive_file 9\n"},
            3500,
        ),
        (
            FREE
            | V1
            | {"groups/memory/job/memory.limit_in_bytes": "5000"}
            | {"groups/memory/job/memory.usage_in_bytes": "1000"}
            | {"groups/memory/job/memory.stat": "inactive_file 1\ntotal_inactive_file 50\n"},
            4050,
        ),
    ],
)
def test_what_is_free_is_what_the_machine_and_the_group_of_the_process_leave(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    assert machine(tmp_path, files) == expected


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the kernel does not say what it knows")
def test_the_peak_of_a_call_is_seen_after_it_is_over() -> None:
    def take() -> float:
        with torch.inference_mode():
            return float(sum(torch.ones(64 * MB // 4).sum() for _ in range(20)))

    take()
    with memory.Peak() as peak:
        take()
    assert peak.bytes is not None
    assert 32 * MB < peak.bytes < 200 * MB


def test_what_a_clip_takes_grows_with_its_length_or_with_the_square_of_it() -> None:
    need = memory.Need()
    assert need.of(100) == 0
    need.length, need.bytes = 100, 1000
    assert [need.of(n) for n in (50, 100, 200)] == [500, 1000, 4000]


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """So many bytes are free, and so many a clip of a second takes; the batches that are heard are listed."""
    state: dict[str, Any] = {"free": 0, "taken": 0, "heard": []}

    class Peak(memory.Peak):
        def __exit__(self, *error: Any) -> None:
            super().__exit__(*error)
            self.bytes = state["taken"]

    monkeypatch.setattr(memory, "available", lambda: state["free"])
    monkeypatch.setattr(memory, "Peak", Peak)
    return state


def opened(folder: Path, state: dict[str, Any], batch_size: int = 16) -> Any:
    model: Any = load(str(folder), device="cpu", batch_size=batch_size)
    body = model._model

    def forward(**inputs: Any) -> Any:
        state["heard"].append(len(next(iter(inputs.values()))))
        return body(**inputs)

    model._model = forward
    return model


@pytest.mark.parametrize(
    ("free", "batch", "heard"),
    [(1000, 16, [1, 16, 4]), (200, 16, [1, 16, 4]), (199, 8, [1, 1, 8, 8, 4]), (13, 1, [1, 1, *[1] * 20])],
)
@pytest.mark.parametrize("architecture", ["wav2vec2", "whisper"])
def test_a_batch_is_as_large_as_the_memory_allows_and_one_line_says_so(
    tmp_path: Path,
    scarce: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    architecture: str,
    free: int,
    batch: int,
    heard: list[int],
) -> None:
    folder = toy_models.save_model(tmp_path / "toy", architecture, NAMES)
    clips = toy_models.sounds(*[RATE] * 20)
    scarce["free"] = 10**9
    expected = load(str(folder), device="cpu").logits(clips, RATE)
    scarce |= {"free": free * 10**6, "taken": 10 * 10**6}
    model = opened(folder, scarce)
    with caplog.at_level(logging.WARNING, "goodenough"):
        logits = model.logits(clips, RATE)
        again = model.logits(clips[:3], RATE)
    assert scarce["heard"][: len(heard)] == heard
    assert model.batch_size == batch
    assert np.abs(logits - expected).max() < 1e-5
    assert np.abs(again - expected[:3]).max() < 1e-5
    lines = [record.getMessage() for record in caplog.records]
    wanted = (
        f"local/toy takes 0.0 GB of memory for a clip of 1.0 s, and {free / 1000:.1f} GB are free:"
        f" batches of {batch}, not 16"
    )
    assert lines == ([] if batch == 16 else [wanted])


def test_a_longer_clip_is_measured_again_and_a_shorter_one_is_not(
    tmp_path: Path, scarce: dict[str, Any]
) -> None:
    scarce |= {"free": 10**9, "taken": 10**6}
    model = opened(toy_models.save_model(tmp_path / "toy", "hubert", NAMES), scarce)
    for n_samples in (8_000, 4_000, 16_000, 8_000):
        model.logits(toy_models.sounds(n_samples, n_samples), RATE)
    assert scarce["heard"] == [1, 2, 2, 1, 2, 2]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_a_processor_without_memory_is_met_as_a_card_is(tmp_path: Path, error: Exception) -> None:
    folder = toy_models.save_model(tmp_path / "toy", "hubert", NAMES)
    model: Any = load(str(folder), device="cpu", batch_size=4)
    clips, body = toy_models.sounds(*[RATE] * 4), model._model
    expected = model.logits(clips, RATE)

    def forward(**inputs: Any) -> Any:
        if len(inputs["input_values"]) > 1:
            raise error
        return body(**inputs)

    model._model = forward
    assert np.abs(model.logits(clips, RATE) - expected).max() < 1e-5
    assert model.batch_size == 1


def test_free_memory_is_looked_at_once_a_second_and_before_what_is_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks, now = iter([1000, 10, 1000, 10]), [0.0]
    monkeypatch.setattr(memory, "available", lambda: next(looks))
    monkeypatch.setattr("harness.models.memory.time.monotonic", lambda: now[0])
    need = memory.Need()
    need.length, need.bytes = 100, 10

    def fitting_at(seconds: float, length: int) -> int:
        now[0] = seconds
        return need.fitting(16, length)[0]

    assert [fitting_at(0.0, 100), fitting_at(0.9, 100)] == [16, 16]
    assert fitting_at(1.1, 100) == 0, "another look, at 10 bytes that are free"
    assert fitting_at(1.2, 101) == 16, "another look, before a longer clip"
    need.measure(lambda: None, 100)
    assert next(looks, None) is None, "another look, after a measurement"
