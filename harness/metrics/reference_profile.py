"""Profile of a reference by its signals: how large and rich they are, and where in the spectrum they lie."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from harness.dataset.suites import Suite
from harness.families import atoms_of
from harness.metrics import information
from harness.metrics.estimates import median
from harness.types import Estimate, ModelRef


@dataclass(frozen=True)
class ReferenceProfile:
    """Measures of a reference's signals of one family: medians, and the use of mel bands."""

    model: ModelRef
    family: str
    n: int
    """Signals, degenerate ones left out."""
    sizes: tuple[float, ...]
    """Kept share of each signal."""
    entropies: tuple[float, ...]
    """Spectral entropy of each, in bits."""
    medians: dict[str, Estimate]
    """Median of every measure, by field of `information.OfSignal`."""
    mel: tuple[float, ...]
    """Distribution of kept coefficients over mel bands."""


def profile_of(suite: Suite, task: str, model: ModelRef, family: str) -> ReferenceProfile:
    """Measure every signal of a reference and family."""
    measures, mel = [], np.zeros(information.N_MEL)
    for line in suite.signal_lines(task, model.slug):
        if line.family != family or line.degenerate:
            continue
        signal = suite.signal_record(task, model.slug, line.signal_id)
        if not signal.mask.any():
            continue
        domain = atoms_of(signal).domain
        clip = suite.clip(task, signal.clip_id)
        measures.append(information.of_signal(clip, domain.name, signal.mask))
        mel += information.mel_use(signal.mask, domain)
    names = [field.name for field in fields(information.OfSignal)]
    return ReferenceProfile(
        model=model,
        family=family,
        n=len(measures),
        sizes=tuple(m.size for m in measures),
        entropies=tuple(m.entropy_bits for m in measures),
        medians={name: median([getattr(m, name) for m in measures]) for name in names},
        mel=tuple(float(x) for x in mel / max(len(measures), 1)),
    )
