"""An adapter of musicnn, in the words of a user who has its weights and `port.py`, a module that runs them.

`port.py` and the weights are at GOODENOUGH_REAL_AUDIO; nothing of them is stored here.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ADAPTER = '''"""musicnn (Pons & Serra 2019): 50 tags of music, by port.py and labels.json beside this file."""

import json
from pathlib import Path

import numpy as np
import torch
from port import FRAMES, HOP, RATE, log_mel, tags

WINDOW = (FRAMES - 1) * HOP  # samples, 3 s


class Musicnn:
    """The logits of mean probabilities over windows."""

    sample_rate_hz, min_samples, licence = RATE, WINDOW, "ISC"

    def __init__(self, weights: Path):
        labels = Path(__file__).with_name("labels.json")
        self.name, self.weights = weights.stem, [weights.absolute(), labels]
        self.class_names = json.loads(labels.read_text())[weights.name[:3]]
        self.trained_on = {"msd": ["Million Song Dataset"], "mtt": ["MagnaTagATune"]}[weights.name[:3]]
        self._arrays = dict(np.load(weights))
        self.n_parameters = sum(array.size for array in self._arrays.values())

    def logits(self, waveforms):
        with torch.no_grad():
            return torch.stack([self._logits(torch.from_numpy(x)) for x in waveforms]).numpy()

    def _logits(self, x):
        windows = x.unfold(0, WINDOW, WINDOW) if len(x) >= FRAMES * HOP else x[None]
        p = tags(log_mel(windows)[:, :FRAMES], self._arrays).double().sigmoid().mean(0)
        return p.clamp(1e-12, 1 - 1e-12).logit()
'''
"""Text of `musicnn.py`."""


def lay_out(root: Path, folder: Path) -> Path:
    """Write the adapter to a folder, beside copies of the module and the labels.

    Args:
        root: the folder of musicnn, read only.
        folder: where to; made if needed.

    Returns:
        The file of the adapter, whose class is `Musicnn`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("port.py", "labels.json"):
        shutil.copyfile(root / name, folder / name)
    (folder / "musicnn.py").write_text(ADAPTER)
    return folder / "musicnn.py"
