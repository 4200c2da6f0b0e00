"""Whether signals lie where a copy differs from its original (method: Paired evidence).

Some corpora hold pairs: a recording, and what was made of it. Of such a clip it is known, bin by bin, what
was changed. For a signal whose class is the label of its clip, and not that of the clip's partner, the share
of its energy that lies in what changed is compared with the same share of its `matched` controls: the same
runs of bins, nearly as loud, elsewhere in the clip. A signal that has nothing to do with the change has a
difference of about 0. On either side of a pair the same bins count: there the copy has something that the
original lacks, or lacks something.

What changed: log power of each bin, averaged over WINDOW_HZ, of the clip minus that of its partner, minus
the median over the occupied band (a gain changes no place); of the bins of that band, CHANGED of them, those
where the absolute difference is largest. Partners of another length are read at the frequencies of the clip.

Draws of a clip are averaged, then the clips of a pair, and pairs are resampled: copies of one recording
depend on each other. Degenerate signals stay out, as everywhere, and so do all families but one: the
first one by responsibility of the domain `frequency`, which is the headline where that is such a family.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from harness import placements
from harness.dataset.card import format_estimate, markdown_table
from harness.dataset.clip_cache import energy_of, spectrum_of
from harness.dataset.suites import Suite
from harness.domains.frequency import Frequency
from harness.domains.masks import largest
from harness.families import RESPONSIBILITY, parse_family
from harness.metrics.estimates import ClipWeights, clip_weights, draws_of, from_draws, mean_of_references
from harness.types import Clip, Estimate, FloatArray, Mask, ModelRef

WINDOW_HZ = 8.0
"""Width over which log power is averaged: the level of a single bin of noise is chance."""

MIN_WINDOW = 5
"""Bins of that window, at least."""

CHANGED = 0.1
"""Share of the bins of the occupied band that count as changed."""

_FLOOR = 1e-10
"""Share of the power of the loudest bin below which a bin counts as this loud: 100 dB."""

Shares = tuple[float, float]
"""Share of the energy of a signal in what changed, and mean of the same share of its controls; in [0, 1]."""


@dataclass(frozen=True)
class PairedEvidence:
    """The signals of one reference on clips of one label that have a partner of another."""

    reference: ModelRef
    label: str
    """Label of the clips, and class of the signals."""
    share: Estimate
    """Share of a signal's energy that lies in what changed, in [0, 1]: mean over pairs, n counts them."""
    share_matched: Estimate
    """The same of its `matched` controls: mean over them, then as `share`."""
    difference: Estimate
    """`share` minus `share_matched`, paired by signal, in [-1, 1]."""
    n_signals: int
    """Signals that were compared."""
    n_left_out: int
    """Further signals, without a `matched` control."""


def evidence_of(suite: Suite, task: str) -> tuple[PairedEvidence, ...] | None:
    """Every reference and label of a task with signals of one family on clips of pairs.

    By reference, labels in the order of the task; None where no clip has a partner of another label, or no
    family is of that kind and domain.
    """
    partners = partners_of(suite, task)
    family = next(filter(_is_of_bins, suite.families(task)), None)
    if not partners or family is None:
        return None
    clip_of = {clip.clip_id: clip for clip in suite.clip_lines(task)}
    pairs = sorted({str(clip_of[clip_id].pair) for clip_id in partners})
    signals_of_clip = defaultdict(list)
    for record in suite.references(task):
        for signal in suite.signal_lines(task, record.model.slug):
            is_headline = signal.family == family and not signal.degenerate
            has_partner = signal.clip_id in partners
            if is_headline and has_partner and signal.expected == clip_of[signal.clip_id].label:
                signals_of_clip[signal.clip_id].append((record.model, signal.signal_id))
    shares: dict[tuple[ModelRef, str], dict[str, list[Shares | None]]] = defaultdict(dict)
    for clip_id, signals in sorted(signals_of_clip.items()):
        clip = suite.clip(task, clip_id)
        changed = [changed_bins(clip, suite.clip(task, partner)) for partner in partners[clip_id]]
        for model, signal_id in signals:
            mask = suite.mask(task, model.slug, signal_id)
            of_clip = shares[model, str(clip.label)].setdefault(clip_id, [])
            of_clip.append(shares_of(mask, signal_id, clip, changed))
    weights = clip_weights(len(pairs), (task, "pairs"))
    row_of_pair = {pair: row for row, pair in enumerate(pairs)}
    row_of_clip = {clip_id: row_of_pair[str(clip_of[clip_id].pair)] for clip_id in partners}
    return tuple(
        summarise(record.model, label, shares[record.model, label], row_of_clip, weights)
        for record in suite.references(task)
        for label in suite.task(task).labels
        if (record.model, label) in shares
    )


def evidence_table(suite: Suite, task: str) -> str | None:
    """The same as a table in Markdown, a row for each reference and label; None where there are no pairs."""
    evidence = evidence_of(suite, task)
    if evidence is None:
        return None
    rows = [
        [
            each.reference.repo_id.split("/")[-1],
            each.label,
            *map(format_estimate, (each.share, each.share_matched, each.difference)),
            f"{each.n_signals:,}",
        ]
        for each in evidence
    ]
    heads = ["reference", "label", "of its signals in what changed", "of matched controls", "difference"]
    return markdown_table([*heads, "signals"], rows)


def partners_of(suite: Suite, task: str) -> dict[str, list[str]]:
    """The clips of another label in the pair of each clip, sorted; of clips that have any, by id."""
    members = defaultdict(list)
    for line in suite.clip_lines(task):
        if line.pair is not None and line.label is not None:
            members[line.pair].append((line.clip_id, line.label))
    partners = {
        clip_id: sorted(other for other, other_label in pair if other_label != label)
        for pair in members.values()
        for clip_id, label in pair
    }
    return {clip_id: others for clip_id, others in partners.items() if others}


def changed_bins(clip: Clip, partner: Clip) -> Mask:
    """(N,) the CHANGED share of the bins of a clip's occupied band in which it differs most from another.

    None of them where the two do not differ.
    """
    energy = _energy(clip)
    mask = np.zeros(len(energy), dtype=bool)
    first, end = placements.occupied_band(energy)
    own, other = _smooth_log_power(clip), _smooth_log_power(partner)
    if len(partner.waveform) != len(clip.waveform):
        frequencies = [np.fft.rfftfreq(len(c.waveform), 1 / c.sample_rate_hz) for c in (clip, partner)]
        other = np.interp(frequencies[0], frequencies[1], other)
    difference = (own - other)[first:end]
    distance = np.abs(difference - np.median(difference))
    mask[first:end] = largest(distance, max(1, round(CHANGED * (end - first)))) & (distance > 0)
    return mask


def shares_of(mask: Mask, signal_id: str, clip: Clip, changed: Sequence[Mask]) -> Shares | None:
    """The shares of a signal, mean over the partners of its clip; None without a `matched` control.

    Args:
        mask: (N,) of the signal.
        signal_id: the signal; it seeds the controls.
        clip: its clip.
        changed: (N,) bins that differ from each partner.
    """
    energy = _energy(clip)
    controls = placements.matched(mask, energy, (1, len(mask)), signal_id)
    if not controls or energy[mask].sum() <= 0:
        return None

    def share(m: Mask) -> float:
        return float(np.mean([energy[m & bins].sum() for bins in changed]) / energy[m].sum())

    return share(mask), float(np.mean([share(m) for m in controls]))


def summarise(
    reference: ModelRef,
    label: str,
    shares: Mapping[str, Sequence[Shares | None]],
    row_of_clip: Mapping[str, int],
    weights: ClipWeights,
) -> PairedEvidence:
    """Average and resample.

    Args:
        reference: the reference.
        label: of the clips.
        shares: of each signal, by clip.
        row_of_clip: which pair a clip is in, from 0.
        weights: (draws, n_pairs), see `estimates.clip_weights`.
    """
    by_pair: dict[int, list[FloatArray]] = defaultdict(list)
    for clip_id, of_clip in shares.items():
        if values := [each for each in of_clip if each is not None]:
            by_pair[row_of_clip[clip_id]].append(np.mean(values, axis=0))
    table = np.full((weights.shape[1], 2), np.nan)
    for row, means in by_pair.items():
        table[row] = np.mean(means, axis=0)

    def estimate(values: FloatArray, least: float) -> Estimate:
        n, column = len(by_pair), values[:, np.newaxis]
        return from_draws(mean_of_references(column), draws_of(column, weights), n, n, (least, 1.0))

    signals = [each for of_clip in shares.values() for each in of_clip]
    n_left_out = signals.count(None)
    return PairedEvidence(
        reference=reference,
        label=label,
        share=estimate(table[:, 0], 0.0),
        share_matched=estimate(table[:, 1], 0.0),
        difference=estimate(table[:, 0] - table[:, 1], -1.0),
        n_signals=len(signals) - n_left_out,
        n_left_out=n_left_out,
    )


def _is_of_bins(family: str) -> bool:
    parsed = parse_family(family)
    return parsed.kind == RESPONSIBILITY and parsed.resolution.domain == Frequency.name


def _energy(clip: Clip) -> FloatArray:
    return energy_of(clip, Frequency.name)


def _smooth_log_power(clip: Clip) -> FloatArray:
    """(N,) natural logarithm of the power of each bin, averaged over WINDOW_HZ around it."""
    power = np.abs(spectrum_of(clip)) ** 2
    log_power = np.log(np.maximum(power, max(float(power.max()) * _FLOOR, np.finfo(np.float64).tiny)))
    n_bins = WINDOW_HZ * len(clip.waveform) / clip.sample_rate_hz
    return np.asarray(uniform_filter1d(log_power, max(MIN_WINDOW, 2 * int(n_bins / 2) + 1), mode="nearest"))
