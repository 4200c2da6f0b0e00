"""Draws spectrograms of the starter suite's clips and of their signals.

Conventions: one row per clip, first the clip, then its first signal of each family. Time in s, frequency
in kHz, level in dB below the loudest point of the picture, down to 70.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from harness import spectra
from harness.dataset.suites import Suite
from harness.plurals import plural
from harness.types import FAMILIES, Clip, SufficientSignal, Waveform

_DEEP_DB = 70.0


def sounds(suite: Suite, task: str, reference: str, path: Path, per_class: int = 1) -> None:
    """Draw the first clips of each class that a reference has signals of, as a PNG.

    Args:
        suite: clips and signals.
        task: the task.
        reference: slug of the reference.
        path: the file.
        per_class: clips of each class.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    rows = _chosen(suite, task, reference, per_class)
    size = (3.2 * (1 + len(FAMILIES)), 1.35 * len(rows) + 0.5)
    figure, axes = plt.subplots(len(rows), 1 + len(FAMILIES), figsize=size, squeeze=False, sharex=True)
    for i, (clip, signals) in enumerate(rows):
        X = spectra.spectrum(clip.waveform)
        shown = [("clip", clip.waveform)]
        for signal in signals:
            n_kept = f"{signal.family}, {plural(signal.n_kept, 'bin')}"
            shown.append((n_kept, spectra.keep(X, signal.mask, signal.n_samples)))
        for axis, (title, waveform) in zip(axes[i], shown, strict=True):
            seconds = len(waveform) / clip.sample_rate_hz
            axis.imshow(
                _spectrogram(waveform, clip.sample_rate_hz),
                origin="lower",
                aspect="auto",
                cmap="magma",
                vmin=-_DEEP_DB,
                vmax=0,
                extent=(0, seconds, 0, clip.sample_rate_hz / 2000),
            )
            axis.set_title(title, fontsize=7, pad=2)
            axis.tick_params(labelsize=6)
        axes[i, 0].set_ylabel(f"{clip.label}\nkHz", fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("s", fontsize=7)
    figure.tight_layout(pad=0.4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)


def _chosen(
    suite: Suite, task: str, reference: str, per_class: int
) -> list[tuple[Clip, list[SufficientSignal]]]:
    by_clip: dict[str, list[SufficientSignal]] = {}
    for signal, _ in suite.signals(task, reference):
        if not signal.degenerate and signal.draw == 1:
            by_clip.setdefault(signal.clip_id, []).append(signal)
    clips = suite.clips(task)
    by_class: dict[str, list[tuple[Clip, list[SufficientSignal]]]] = {}
    for clip_id in sorted(by_clip):
        signals = sorted(by_clip[clip_id], key=lambda s: FAMILIES.index(s.family))
        rows = by_class.setdefault(str(clips[clip_id].label), [])
        if len(rows) < per_class and len(signals) == len(FAMILIES):
            rows.append((clips[clip_id], signals))
    return [row for label in sorted(by_class) for row in by_class[label]]


def _spectrogram(
    waveform: Waveform, sample_rate_hz: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(frequencies, times) in dB below the loudest point."""
    transform = ShortTimeFFT(hann(512, sym=False), hop=128, fs=sample_rate_hz)
    power = transform.spectrogram(waveform.astype(np.float64))
    return np.asarray(10 * np.log10(np.maximum(power / max(power.max(), 1e-30), 1e-12)))
