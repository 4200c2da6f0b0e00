"""Profile of a reference by its signals: how large and rich they are, and where in the spectrum they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from harness.dataset.clip_cache import domain_of
from harness.dataset.suites import Suite
from harness.families import parse_family
from harness.metrics.estimates import median
from harness.metrics.signal_measures import N_MEL, OfSignal, mel_use, of_signals
from harness.types import Estimate, FloatArray, ModelRef

_Measured = tuple[OfSignal, FloatArray]
"""Measures of a signal, and its use of mel bands."""


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
    """Median of every measure, by field of `signal_measures.OfSignal`."""
    mel: tuple[float, ...]
    """Distribution of kept coefficients over mel bands."""


def profiles_of(suite: Suite, task: str) -> tuple[ReferenceProfile, ...]:
    """Every reference in every family of a task, by family; each clip is read and transformed once."""
    references = suite.references(task)
    signals_of_clip = defaultdict(list)
    for reference in references:
        slug = reference.model.slug
        for line in suite.signal_lines(task, slug):
            if not line.degenerate:
                signals_of_clip[line.clip_id].append((slug, line.signal_id, line.family))
    measured: dict[str, _Measured] = {}
    for clip_id, signals in signals_of_clip.items():
        clip = suite.clip(task, clip_id)
        kept = {
            signal_id: (parse_family(family).resolution.domain, mask)
            for slug, signal_id, family in signals
            if (mask := suite.mask(task, slug, signal_id)).any()
        }
        measures = of_signals(clip, kept.values())
        for (signal_id, (domain, mask)), of_signal in zip(kept.items(), measures, strict=True):
            measured[signal_id] = of_signal, mel_use(mask, domain_of(clip, domain))
    return tuple(
        _summarise(
            reference.model,
            family,
            [
                measured[line.signal_id]
                for line in suite.signal_lines(task, reference.model.slug)
                if line.family == family and line.signal_id in measured
            ],
        )
        for family in suite.families(task)
        for reference in references
    )


def _summarise(model: ModelRef, family: str, measured: Sequence[_Measured]) -> ReferenceProfile:
    """The profile of the signals of one reference and family."""
    measures, mel = [measure for measure, _ in measured], np.zeros(N_MEL)
    for _, use in measured:
        mel += use
    return ReferenceProfile(
        model=model,
        family=family,
        n=len(measures),
        sizes=tuple(m.size for m in measures),
        entropies=tuple(m.entropy_bits for m in measures),
        medians={
            field.name: median([getattr(m, field.name) for m in measures]) for field in fields(OfSignal)
        },
        mel=tuple(float(x) for x in mel / max(len(measures), 1)),
    )
