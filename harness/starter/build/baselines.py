"""Anchors of the starter suite: models that show what its numbers are worth, and are ranked nowhere.

    random-weights        the network of the task's candidate, never trained
    logistic-regression   on the time-averaged log-mel spectrum, as the baseline of `spectrum_baseline`

Both know every class of the clips. A network with fresh weights gives nearly all sounds one class: the random
one has its logits brought to mean 0 and deviation 1 over clips, class by class, so that it tells sounds
apart, by accident.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.signal.windows import hann

from harness import audio
from harness.model_facts import ModelFacts
from harness.seeds import seed_of
from harness.starter.build import networks
from harness.starter.build.clips import SAMPLE_RATE_HZ
from harness.starter.recipes import Recipe
from harness.types import Clip, FloatArray, ModelRef, Waveform

RANDOM, REGRESSION = "random-weights", "logistic-regression"
"""Names of the anchors: of their folders in the suite, and of the models."""

_N_MELS, _WINDOW, _N_FFT, _HOP = 64, 400, 512, 160
"""Of the log-mel spectrum; the last three in samples."""

_BATCH = 64


def random_weights(recipe: Recipe, out: Path, clips: Sequence[Clip], seed: int = 0) -> None:
    """Save a network that was never trained.

    Args:
        recipe: the model whose architecture, front end and classes it has.
        out: its folder, which is made.
        clips: of one length; they scale its front end and its logits, and their labels are not looked at.
        seed: of its weights.
    """
    import torch

    whole = np.stack([clip.waveform for clip in clips])
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed_of(RANDOM, recipe.name, str(seed)))
        model, extractor = networks.untrained(recipe, whole)
        model.eval()
        parts = (whole[i : i + _BATCH] for i in range(0, len(whole), _BATCH))
        logits = torch.cat([model(networks.inputs_of(extractor, part)).logits for part in parts])
        head = model.classifier.dense if hasattr(model.classifier, "dense") else model.classifier
        mean, deviation = logits.mean(dim=0), logits.std(dim=0)
        head.weight.div_(deviation[:, None])
        head.bias.sub_(mean).div_(deviation)
    model.save_pretrained(out)
    extractor.save_pretrained(out)


class Regression:
    """Logistic regression with what an evaluation needs of a model (`classifiers.Classifier`)."""

    device = "cpu"
    """Where it runs."""
    dtype = "float32"
    """Of its logits; it counts in float64."""
    frontend = "mean log-mel spectrum (scipy)"
    """What computes its features."""
    batch_size = 64
    """Largest batch; each sound is computed by itself."""

    def __init__(self, pipeline: Any) -> None:
        """Take a fitted pipeline of a scaler and `LogisticRegression`, whose classes are its class names."""
        scaler, model = (step for _, step in pipeline.steps)
        arrays = (scaler.mean_, scaler.scale_, model.coef_, model.intercept_)
        weights = hashlib.sha256(b"".join(a.astype("<f8").tobytes() for a in arrays)).hexdigest()
        settings = f"{self.frontend} {(_N_MELS, _WINDOW, _N_FFT, _HOP)} {model.classes_.tolist()}"
        self.settings_sha256 = hashlib.sha256(settings.encode()).hexdigest()
        """Of its classes and of what its features are made with."""
        revision = hashlib.sha256(f"{weights} {self.settings_sha256}".encode()).hexdigest()
        self.ref = ModelRef(f"local/{REGRESSION}", revision, weights)
        """Which model."""
        self.class_names = tuple(map(str, model.classes_))
        """Its classes, by index."""
        self.facts = ModelFacts(
            architecture="LogisticRegression",
            n_parameters=model.coef_.size + model.intercept_.size,
            sample_rate_hz=SAMPLE_RATE_HZ,
            window_seconds=None,
            licence="apache-2.0",
        )
        """What it is."""
        self._pipeline = pipeline

    def logits(self, waveforms: Sequence[Waveform], sample_rate_hz: int) -> NDArray[np.float32]:
        """What it says.

        Args:
            waveforms: n of them, each (n_samples,).
            sample_rate_hz: their rate.

        Returns:
            (n, n_classes).
        """
        at_its_rate = [audio.resample(x, sample_rate_hz, SAMPLE_RATE_HZ) for x in waveforms]
        # One by one: sums over many rows at once may differ in their last bits.
        scores = np.concatenate([self._pipeline.decision_function(_mean_log_mel([x])) for x in at_its_rate])
        if scores.ndim == 1:  # of two classes there is one score, of the second against the first
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        return np.asarray(scores, dtype=np.float32)


def regression(clips: Sequence[Clip]) -> Regression:
    """Fit the logistic regression to clips and their labels."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000, C=0.3))
    pipeline.fit(_mean_log_mel([clip.waveform for clip in clips]), [str(clip.label) for clip in clips])
    return Regression(pipeline)


@cache
def _mel_bank() -> FloatArray:
    """(mel bands, bins)."""
    from transformers.audio_utils import mel_filter_bank

    n_bins = _N_FFT // 2 + 1
    return np.asarray(mel_filter_bank(n_bins, _N_MELS, 20.0, SAMPLE_RATE_HZ / 2, SAMPLE_RATE_HZ)).T


def _mean_log_mel(waveforms: Sequence[Waveform]) -> FloatArray:
    """(n, mel bands) mean over time of the log of the mel spectrum."""
    window, bank = hann(_WINDOW, sym=False), _mel_bank()

    def of(waveform: Waveform) -> FloatArray:
        padded = np.pad(waveform.astype(np.float64), _WINDOW // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
        power = np.abs(rfft(frames * window, _N_FFT)) ** 2
        return np.asarray(np.log(power @ bank.T + 1e-6).mean(axis=0))

    return np.stack([of(waveform) for waveform in waveforms])
