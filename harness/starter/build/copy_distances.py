"""How far the copies of each family are from their recordings: the two clips of a pair, measured.

Two distances, in dB, of two sounds of equal length (n_samples,). The log-spectral distance (Gray and Markel,
1976) is taken frame by frame, so that it hears what a machine does in time; the same of the two average
spectra says what a model could tell without listening to time at all.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from harness.dataset.card import format_estimate, markdown_table
from harness.dataset.suites import Suite
from harness.metrics.estimates import clip_weights, draws_of, from_draws
from harness.metrics.paired_evidence import partners_of
from harness.starter.build.clips import SAMPLE_RATE_HZ
from harness.starter.build.deepfake import family_of
from harness.types import FloatArray, Waveform

_STFT = ShortTimeFFT(hann(512, sym=False), 128, SAMPLE_RATE_HZ)
"""Frames of 32 ms, one each 8 ms."""

_RANGE_DB = 60.0
"""Below the loudest value of the recording by so much, both count as this faint."""

_TOP_HZ = 3_400
"""Bins above it are left out: every pair has its own band limit, and the lowest lies at 3.6 kHz."""

_SPEAKS_DB = 40.0
"""A frame this far below the loudest one is a pause, and is left out."""


def distances(recording: Waveform, copy: Waveform) -> tuple[float, float]:
    """Log-spectral distance, mean over frames with speech, and that of the average spectra; in dB."""
    own, other = (_STFT.spectrogram(x.astype(np.float64))[_STFT.f <= _TOP_HZ] for x in (recording, copy))
    loudness = own.mean(axis=0)
    speaks = loudness > loudness.max() / 10 ** (_SPEAKS_DB / 10)
    own, other = own[:, speaks], other[:, speaks]
    floor = own.max() / 10 ** (_RANGE_DB / 10)
    return float(_apart(own, other, floor).mean()), float(_apart(own.mean(axis=1), other.mean(axis=1), floor))


def _apart(own: FloatArray, other: FloatArray, floor: float) -> FloatArray:
    """RMS over frequency, the first axis, of the difference of two powers in dB."""
    decibels = [10 * np.log10(np.maximum(power, floor)) for power in (own, other)]
    return np.asarray(np.sqrt(np.mean((decibels[0] - decibels[1]) ** 2, axis=0)))


def table(suite: Suite, task: str) -> str:
    """Both distances by family, over the pairs of the test clips, as Markdown."""
    partners = partners_of(suite, task)
    by_family: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in suite.clip_lines(task):
        if line.label == "bonafide":
            index = int(line.clip_id.rsplit("-", 1)[1]) // 2
            pair = (suite.clip(task, clip_id).waveform for clip_id in (line.clip_id, *partners[line.clip_id]))
            by_family[family_of("test", index)].append(distances(*pair))
    rows = []
    for family, values in by_family.items():
        n = len(values)
        weights = clip_weights(n, (task, family))
        estimates = [
            from_draws(float(column.mean()), draws_of(column[:, np.newaxis], weights), n, n, (0.0, np.inf))
            for column in np.array(values).T
        ]
        rows.append([family, *map(format_estimate, estimates)])
    return markdown_table(["family", "log-spectral distance, dB", "of the average spectra, dB"], rows)
