"""Draws spectrograms of the starter suite's clips and of their signals.

Conventions: one row per clip, first the clip, then its first signal of each family. Time in s, frequency
in kHz, level in dB below the loudest point of the picture, down to 70.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from harness.dataset.suites import Suite
from harness.families import n_atoms_kept, parse_family
from harness.types import Clip, SufficientSignal, Waveform

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
    n_columns = 1 + len(suite.families(task))
    size = (3.2 * n_columns, 1.35 * len(rows) + 0.5)
    figure, axes = plt.subplots(len(rows), n_columns, figsize=size, squeeze=False, sharex=True)
    for i, (clip, signals) in enumerate(rows):
        shown = [("clip", clip.waveform)]
        for signal, sound in signals:
            atoms = parse_family(signal.family).resolution.count(n_atoms_kept(signal))
            shown.append((f"{signal.family}, {atoms}", sound))
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
) -> list[tuple[Clip, list[tuple[SufficientSignal, Waveform]]]]:
    """Clips with a signal of every family, the headline first."""
    families = suite.families(task)
    by_clip: dict[str, list[tuple[SufficientSignal, Waveform]]] = {}
    for signal, sound in suite.signals(task, reference):
        if not signal.degenerate and signal.draw == 1:
            by_clip.setdefault(signal.clip_id, []).append((signal, sound))
    clips = suite.clips(task)
    by_class: dict[str, list[tuple[Clip, list[tuple[SufficientSignal, Waveform]]]]] = {}
    for clip_id in sorted(by_clip):
        signals = sorted(by_clip[clip_id], key=lambda pair: families.index(pair[0].family))
        rows = by_class.setdefault(str(clips[clip_id].label), [])
        if len(rows) < per_class and len(signals) == len(families):
            rows.append((clips[clip_id], signals))
    return [row for label in sorted(by_class) for row in by_class[label]]


def _spectrogram(
    waveform: Waveform, sample_rate_hz: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """(frequencies, times) in dB below the loudest point."""
    transform = ShortTimeFFT(hann(512, sym=False), hop=128, fs=sample_rate_hz)
    power = transform.spectrogram(waveform.astype(np.float64))
    return np.asarray(10 * np.log10(np.maximum(power / max(power.max(), 1e-30), 1e-12)))
