"""Accuracy of logistic regression on the average spectrum: how hard the tasks of the starter suite are."""

from __future__ import annotations

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from harness.starter.build.clips import SAMPLE_RATE_HZ, clips
from harness.tasks import Task
from harness.types import FloatArray

_N_MELS = 64


def baseline(task: Task, n_train: int, n_held_out: int) -> float:
    """Accuracy on held-out clips of logistic regression on the time-averaged log-mel spectrum.

    Args:
        task: the task.
        n_train: clips of the split `train` to learn from.
        n_held_out: clips of the split `held-out` to be examined on.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000, C=0.3))
    model.fit(*_averaged(task, "train", n_train))
    return float(model.score(*_averaged(task, "held-out", n_held_out)))


def _averaged(task: Task, split: str, n: int) -> tuple[FloatArray, list[str]]:
    """(n, mel bands) mean over time of the log of the mel spectrum, and the labels."""
    from transformers.audio_utils import mel_filter_bank

    transform = ShortTimeFFT(hann(400, sym=False), hop=160, fs=SAMPLE_RATE_HZ, mfft=512)
    bank = np.asarray(mel_filter_bank(257, _N_MELS, 20.0, SAMPLE_RATE_HZ / 2, SAMPLE_RATE_HZ)).T
    made = clips(task, split, n)
    levels = [np.log(bank @ transform.spectrogram(clip.waveform.astype(np.float64)) + 1e-6) for clip in made]
    return np.stack([level.mean(axis=1) for level in levels]), [str(clip.label) for clip in made]
