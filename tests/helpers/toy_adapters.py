"""Adapters as their users write them, as text: a file is written, and named as `file.py:Class`."""

from __future__ import annotations

from pathlib import Path

LOGITS = '''
from pathlib import Path

import numpy as np

from shapes import spectrum


class Shape:
    """The shape of the spectrum, times weights that lie in a file."""

    class_names = ["angry", "happy", "neutral", "sad"]
    sample_rate_hz = 16_000
    min_samples = 400
    window_seconds = None
    licence = "mit"

    def __init__(self, weights: Path, gain: float = 1.0):
        self.weights = [weights]
        self.matrix, self.gain = np.load(weights), gain

    def logits(self, waveforms):
        return self.gain * np.stack([spectrum(waveform) for waveform in waveforms]) @ self.matrix
'''
"""Imports a module beside it, and reads weights."""

SHAPES = """
import numpy as np


def spectrum(waveform):
    power = np.abs(np.fft.rfft(waveform)) ** 2
    bands = np.add.reduceat(power, np.linspace(0, len(power), 8, endpoint=False).astype(int))
    return np.log(bands + 1e-6)
"""

SCORES = '''
import numpy as np


class Detector:
    """One number: how loud a sound is."""

    class_names = ["spoof", "bonafide"]
    sample_rate_hz = 16_000
    window_seconds = None
    threshold = 0.01
    above = "bonafide"
    threshold_source = "equal error rate on recordings of a neighbour"

    def scores(self, waveforms):
        return [float(np.abs(waveform.astype(np.float64)).mean()) for waveform in waveforms]
'''


def write_logits(folder: Path) -> str:
    """A folder with an adapter, a module beside it and weights; returns its MODEL."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shape.py").write_text(LOGITS)
    (folder / "shapes.py").write_text(SHAPES)
    np.save(folder / "weights.npy", np.random.default_rng(5).normal(size=(8, 4)))
    return f"{folder / 'shape.py'}:Shape"


def write(folder: Path, text: str, class_name: str = "Detector") -> str:
    """A file with an adapter in a folder; returns its MODEL."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter.py").write_text(text)
    return f"{folder / 'adapter.py'}:{class_name}"
