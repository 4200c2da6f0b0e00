"""What each column of the Parquet files of a suite holds, in a sentence.

Public: DESCRIPTIONS.
"""

from __future__ import annotations

from types import MappingProxyType

DESCRIPTIONS: MappingProxyType[str, str] = MappingProxyType(
    {
        "audio": "Sound file; missing where only masks are published.",
        "candidate": "Model that was asked.",
        "clip_id": "Name of the clip, unique within the task; missing for silence.",
        "corpus": "Where the clip came from.",
        "degenerate": "Whether the reference gives silence the same class, so that the signal says nothing.",
        "draw": "Which of the independent extractions of the clip, from 1.",
        "energy_seen": "Share of the energy of the stimulus that reached the model, 0 to 1.",
        "expected": "Class that the reference gives the whole clip; missing for a stimulus of no signal.",
        "family": "Kind of signal: responsibility or minimal.",
        "guarantee": "What was shown of the set of bins: one_minimal, prefix_minimal or budget_spent.",
        "kind": "Kind of the further set: disjoint, necessary or complete.",
        "label": "Label of the clip in its corpus; missing where it has none.",
        "level": "Nested level of a minimal signal, 0 for the signal itself; missing where there is none.",
        "levels": "One byte for each bin of rfft(clip): the first of eight nested levels that keeps it.",
        "margin": "Logit of the expected class minus the best other, on the signal.",
        "margin_alone": "Logit of the expected class minus the best other, on the set alone.",
        "margin_without": "Logit of the expected class minus the best other, on the clip without the set.",
        "mask": "Bins of rfft(clip) that are kept, as runs: first, length, first, length, ...",
        "n_kept": "Number of bins that are kept.",
        "n_queries": "Number of times the search asked the reference.",
        "n_samples": "Number of samples of the sound.",
        "ordinal": "Of a disjoint set 2, 3, ...; of all others 1.",
        "other_clip": "Clip that a swap was made of; missing for all else.",
        "p": "Probability that the candidate gives each label, in the order of the task.",
        "p_alone": "Probability of the expected class on the set alone.",
        "p_clip": "Probability that the reference gives each label it knows, in alphabetical order.",
        "p_expected": "Probability that the candidate gives the expected class.",
        "p_signal": "Probability of the expected class on the signal.",
        "p_whole": "Probability of the expected class on the whole clip.",
        "p_without": "Probability of the expected class on the clip without the set.",
        "predicted": "Label that the candidate gives the stimulus.",
        "predicted_raw": "The same in the candidate's own words.",
        "reference": "Model whose signal it is.",
        "replicate": "Which of several controls of the same kind, from 0; missing for all else.",
        "resolution": "Number of bands that the guarantee refers to.",
        "sample_rate_hz": "Sampling rate in Hz.",
        "search": "The search, with its settings.",
        "seconds_seen": "Seconds of the stimulus that reached the model.",
        "seed": "Seed of the search.",
        "set_id": "Name of the further set.",
        "sha256": "Hash of the samples.",
        "signal_id": "Name of the signal.",
        "stimulus": "What was heard: whole, signal, swap, matched, largest, silence or complement.",
        "task": "Name of the task.",
        "truth": "Label of the clip in its corpus; missing where it has none.",
    }
)
