"""The baseline hears the average spectrum, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from harness.seeds import generator
from harness.starter.build import spectrum_baseline
from harness.tasks import TASKS
from harness.types import Clip

RATE = 16_000


def tones(differ: str):
    """Clips of two classes: another pitch, or the same two pitches in another order."""

    def clips(task, split: str, n: int) -> list[Clip]:
        made = []
        for i in range(n):
            rng = generator(differ, split, str(i))
            low, high = (np.sin(2 * np.pi * hz * np.arange(RATE // 2) / RATE) for hz in (400, 3000))
            pair = [low, high] if differ == "order" else [low, low]
            if i % 2:
                pair = pair[::-1] if differ == "order" else [high, high]
            waveform = np.concatenate(pair) + 0.1 * rng.normal(size=RATE)
            made.append(Clip(f"{i}", "tones", task.labels[i % 2], waveform.astype(np.float32), RATE))
        return made

    return clips


@pytest.mark.parametrize(("differ", "low", "high"), [("pitch", 1.0, 1.0), ("order", 0.2, 0.8)])
def test_pitch_is_heard_and_order_in_time_is_not(differ: str, low: float, high: float, monkeypatch) -> None:
    monkeypatch.setattr(spectrum_baseline, "clips", tones(differ))
    assert low <= spectrum_baseline.baseline(TASKS["deepfake"], 40, 40) <= high
