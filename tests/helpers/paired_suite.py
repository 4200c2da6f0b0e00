"""A suite of pairs: original recordings, and copies that differ from them in one band alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness import audio
from harness.dataset import suites, writer
from harness.domains import fft
from harness.types import Clip, Mask, SufficientSignal, signal_id
from tests.helpers.families import HEADLINE, SURVIVAL, n_atoms
from tests.helpers.hand_made_signals import TASK, record_of

RATE = 16_000
N_SAMPLES = 8_000
BAND = (1_000, 1_200)
"""Bins that a copy has louder or quieter, of 4,001 of 2 Hz each: a twentieth of all."""


def pair_of(i: int, factor: float = 4.0) -> tuple[Clip, Clip]:
    """A recording and its copy, in which BAND is multiplied; the label of the copy is `spoof`."""
    rng = np.random.default_rng([4, i])
    original = 0.1 * rng.normal(size=N_SAMPLES)
    X = np.fft.rfft(original)
    X[BAND[0] : BAND[1]] *= factor
    copy = np.fft.irfft(X, N_SAMPLES)
    return (
        Clip(f"o{i:03}", "pairs", "bonafide", original.astype(np.float32), RATE, f"p{i:03}"),
        Clip(f"s{i:03}", "pairs", "spoof", copy.astype(np.float32), RATE, f"p{i:03}"),
    )


def clips_of(n_pairs: int, factor: float = 4.0) -> list[Clip]:
    """Clips of several pairs, one after the other."""
    return [clip for i in range(n_pairs) for clip in pair_of(i, factor)]


def mask_of(*runs: tuple[int, int]) -> Mask:
    """A mask of runs of bins, each with its first bin and its end."""
    mask = np.zeros(N_SAMPLES // 2 + 1, dtype=bool)
    for first, end in runs:
        mask[first:end] = True
    return mask


def signal_of(
    clip: Clip, mask: Mask, repo_id: str = "toys/a", expected: str | None = None, **changes: object
) -> SufficientSignal:
    """A signal of the headline family, of the clip's own class unless another is given."""
    waveform = fft.keep(fft.spectrum(clip.waveform), mask, len(clip.waveform))
    signal = SufficientSignal(
        signal_id=signal_id(clip.clip_id, repo_id.replace("/", "__"), HEADLINE, 0, 1),
        clip_id=clip.clip_id,
        family=HEADLINE,
        draw=1,
        reference=repo_id,
        truth=clip.label,
        expected=expected or str(clip.label),
        p_clip=(0.25, 0.75),
        n_samples=len(clip.waveform),
        sample_rate_hz=RATE,
        mask=mask,
        guarantee="prefix_minimal",
        n_atoms=n_atoms(HEADLINE, len(clip.waveform), RATE),
        p_whole=0.9,
        p_signal=0.7,
        margin=0.5,
        degenerate=False,
        search="responsibility()",
        n_queries=40,
        seed=0,
        sha256=audio.sha256(waveform),
        survival=SURVIVAL,
    )
    return dataclasses.replace(signal, **changes)  # type: ignore[arg-type]


def paired_suite(root: Path, clips: Sequence[Clip], repo_ids: Sequence[str] = ("toys/a",)) -> suites.Suite:
    """A suite of some clips, whose signals all lie in BAND."""
    for repo_id in repo_ids:
        signals = [signal_of(clip, mask_of((BAND[0] + 20, BAND[1] - 20)), repo_id) for clip in clips]
        record = record_of(repo_id, [HEADLINE], len(clips))
        writer.add_reference(root, TASK, dataclasses.replace(record, skipped=()), clips, signals)
    return suites.load(str(root))
