"""Compares an entry with the suite it names: was the model evaluated on everything, and nothing else?

`validate` can only check what an entry contains. An entry that leaves out the signals its model rejects, or
a whole reference, is valid by itself and is refused here. So is one with `swap` controls of other clips than
those of the suite, and one that claims to be a near copy of a hard reference, or hides that it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.dataset.suites import Suite
from harness.entries import store, validate_adapter
from harness.entries.record_differences import likeness_differences
from harness.evaluation.units import Unit, units_of
from harness.metrics.likeness import likeness_of
from harness.plurals import plural
from harness.types import PROTOCOL

if TYPE_CHECKING:
    import pandas as pd

CORRELATION_TOLERANCE = 1e-6
"""Largest difference of a correlation that is counted twice from the same verdicts."""


def check_against_suite(folder: Path, suite: Suite) -> list[str]:
    """What differs between a valid entry and a suite; empty when it answers the suite."""
    entry = store.read(folder)
    if entry.protocol != PROTOCOL:
        return [
            f"protocol: {entry.protocol}, expected {PROTOCOL}; evaluate again with: goodenough evaluate MODEL"
        ]
    verdicts = store.verdicts(folder)
    if not suite.has_task(entry.task):
        return [f"task: {entry.task}, expected one of {suite.name}"]
    suite_ref = suite.ref(entry.task)
    if entry.signals.sha256 != suite_ref.sha256:
        return [
            f"signals.sha256: {entry.signals.sha256[:12]}, expected {suite_ref.sha256[:12]} of {suite.name};"
            " give the suite it was asked with --signals, or evaluate again with: goodenough evaluate MODEL"
        ]
    corpora = sorted({reference.corpus.name for reference in suite.references(entry.task)})
    problems = validate_adapter.of_suite(entry, corpora)
    if entry.signals.headline != suite_ref.headline:
        problems.append(
            f"signals.headline: {entry.signals.headline}, expected {suite_ref.headline}, which ranks in"
            f" {suite.name}"
        )
    if entry.references != suite.counts(entry.task):
        problems.append(
            "references: not those of the suite, or with other numbers, families, seeds or draws of signals,"
            f" expected those of {suite.name}; evaluate again with: goodenough evaluate MODEL"
        )
    signal_rows = verdicts[verdicts["stimulus"] == "signal"]
    levels = signal_rows["level"].fillna(0).astype(int)
    answers = set(zip(signal_rows["signal_id"], levels, signal_rows["expected"], strict=True))
    due_answers = suite.expected_verdicts(entry.task)
    problems += [
        f"verdicts: none on {what} of the suite, as {example}"
        for what, example in _summaries(due_answers - answers)
    ]
    problems += [
        f"verdicts: some on {what} that the suite has not, as {example}"
        for what, example in _summaries(answers - due_answers)
    ]
    units = units_of(suite, suite.task(entry.task))
    problems += _swaps(verdicts, units)
    problems += _robust(verdicts, units)
    problems += _silences(verdicts, units)
    run = entry.run
    if run.n_asked is not None and (n := run.n_asked + (run.n_known or 0)) != len(units):
        problems.append(
            f"run.n_asked and run.n_known: {n} together, expected {len(units)}, a whole clip, a silence or a"
            " signal with its controls each"
        )
    whole = verdicts[verdicts["stimulus"] == "whole"]
    columns = [whole[name] for name in ("clip_id", "truth", "n_samples")]
    entry_clips = {
        (str(clip_id), truth if isinstance(truth, str) else None, int(n_samples))
        for clip_id, truth, n_samples in zip(*columns, strict=True)
    }
    suite_clips = {(line.clip_id, line.label, line.n_samples) for line in suite.clip_lines(entry.task)}
    if clip_ids := sorted({clip_id for clip_id, *_ in entry_clips ^ suite_clips}):
        problems.append(
            f"verdicts: {plural(len(clip_ids), 'whole clip')} not of the suite, or not as there, as"
            f" {clip_ids[0]}"
        )
    if not problems:
        likeness = likeness_of(verdicts, suite.task(entry.task), entry.label_map, suite)
        lines = likeness_differences(entry.likeness, likeness, CORRELATION_TOLERANCE)
        problems += [f"{line}, as counted from the verdicts and the suite" for line in lines]
    return problems


def _silences(verdicts: pd.DataFrame, units: Sequence[Unit]) -> Iterator[str]:
    """Silence is asked once for each length of a clip, and for no other."""
    suite_lengths = {unit.n_samples for unit in units if unit.clip_id is None}
    entry_lengths = {int(n) for n in verdicts["n_samples"][verdicts["stimulus"] == "silence"]}
    if mismatches := sorted(entry_lengths ^ suite_lengths):
        count, example = plural(len(mismatches), "length"), plural(mismatches[0], "sample")
        yield f"verdicts: silence of {count} not of the suite, or not asked, as {example}"


def _robust(verdicts: pd.DataFrame, units: Sequence[Unit]) -> Iterator[str]:
    """Which signals are robust is a fact of the suite."""
    suite_robust = {unit.signal_id: unit.robust for unit in units if unit.signal_id is not None}
    rows = verdicts.dropna(subset="signal_id").drop_duplicates("signal_id")
    pairs = zip(rows["signal_id"], rows["robust"], strict=True)
    differing = sorted(name for name, robust in pairs if suite_robust.get(name, robust) != robust)
    if differing:
        yield (
            f"verdicts: robust of {plural(len(differing), 'signal')} differs from the suite, as of"
            f" {differing[0]}"
        )


def _swaps(verdicts: pd.DataFrame, units: Sequence[Unit]) -> Iterator[str]:
    """`swap` controls are of the clips, in the order, that the suite settles for each signal."""
    suite_clips: dict[str, tuple[str, ...]] = {
        unit.signal_id: unit.others for unit in units if unit.signal_id is not None
    }
    rows = verdicts[verdicts["stimulus"] == "swap"].sort_values(["signal_id", "replicate"])
    entry_clips: dict[Any, tuple[str, ...]] = rows.groupby("signal_id")["other_clip"].agg(tuple).to_dict()
    # What is asked of signals that the suite has not is told already.
    signal_ids = sorted(name for name, clips in suite_clips.items() if entry_clips.get(name, ()) != clips)
    if signal_ids:
        first = signal_ids[0]
        both = (entry_clips, suite_clips)
        actual, expected = (", ".join(clips.get(first, ())) or "no clip" for clips in both)
        yield (
            f"verdicts: swap controls of {plural(len(signal_ids), 'signal')} are not those of the suite, as"
            f" of {first}: {actual}, expected {expected}"
        )


def _summaries(rows: set[tuple[str, int, str]]) -> Iterator[tuple[str, str]]:
    """How many signals, and how many whose level 0 is not among the rows, each with the first of them."""
    signals = {signal_id for signal_id, level, _ in rows if level == 0}
    other_levels = sorted({(signal_id, level) for signal_id, level, _ in rows if signal_id not in signals})
    if signals:
        yield plural(len(signals), "signal"), min(signals)
    if other_levels:
        n = len({signal_id for signal_id, _ in other_levels})
        yield f"levels of {plural(n, 'signal')}", f"{other_levels[0][0]} at level {other_levels[0][1]}"
