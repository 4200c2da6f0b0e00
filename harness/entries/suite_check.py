"""An entry held against the suite it names: was everything asked, and nothing else?

`validate` can only count what an entry brings. Who leaves out the signals it rejects, or a whole reference,
brings a sound entry of another question: that shows here. So does who takes `swap` controls of other clips
than the suite calls for, and who says to be a near copy of a reference that is hard, or hides that he is one.

Public: check_against_suite.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.dataset.suites import Suite
from harness.entries import store
from harness.entries.differences import likeness_differences
from harness.evaluation.units import Unit, units_of
from harness.metrics.likeness import likeness_of
from harness.plurals import plural
from harness.types import PROTOCOL

if TYPE_CHECKING:
    import pandas as pd

CORRELATION_TOLERANCE = 1e-6
"""Largest difference of a correlation that is counted twice from the same verdicts."""


def check_against_suite(folder: Path, suite: Suite) -> list[str]:
    """What differs between a valid entry and a suite; empty when it answers the suite.

    Args:
        folder: of an entry in which `validate.problems` found nothing.
        suite: what it should have been asked.
    """
    entry = store.read(folder)
    if entry.protocol != PROTOCOL:
        return [
            f"protocol: {entry.protocol}, expected {PROTOCOL}; evaluate again with: goodenough evaluate MODEL"
        ]
    verdicts = store.verdicts(folder)
    if not suite.has_task(entry.task):
        return [f"task: {entry.task}, expected one of {suite.name}"]
    wanted = suite.ref(entry.task)
    if entry.signals.sha256 != wanted.sha256:
        return [
            f"signals.sha256: {entry.signals.sha256[:12]}, expected {wanted.sha256[:12]} of {suite.name};"
            " give the suite it was asked with --signals, or evaluate again with: goodenough evaluate MODEL"
        ]
    found = []
    if entry.references != suite.counts(entry.task):
        found.append(
            "references: not those of the suite, or with other numbers, bands, seeds or draws of signals,"
            f" expected those of {suite.name}; evaluate again with: goodenough evaluate MODEL"
        )
    asked = verdicts[verdicts["stimulus"] == "signal"]
    levels = asked["level"].fillna(0).astype(int)
    answered = set(zip(asked["signal_id"], levels, asked["expected"], strict=True))
    due = suite.expected_verdicts(entry.task)
    found += [f"verdicts: none on {some} of the suite, as {one}" for some, one in _told(due - answered)]
    found += [
        f"verdicts: some on {some} that the suite has not, as {one}" for some, one in _told(answered - due)
    ]
    units = units_of(suite, suite.task(entry.task))
    found += _swaps(verdicts, units)
    found += _silences(verdicts, units)
    run = entry.run
    if run.n_asked is not None and (n := run.n_asked + (run.n_known or 0)) != len(units):
        found.append(
            f"run.n_asked and run.n_known: {n} together, expected {len(units)}, a whole clip, a silence or a"
            " signal with its controls each"
        )
    whole = verdicts[verdicts["stimulus"] == "whole"]
    heard = {
        (str(clip_id), truth if isinstance(truth, str) else None, int(n_samples))
        for clip_id, truth, n_samples in zip(
            whole["clip_id"], whole["truth"], whole["n_samples"], strict=True
        )
    }
    clips = {(line.clip_id, line.label, line.n_samples) for line in suite.clip_lines(entry.task)}
    if wrong := sorted({clip_id for clip_id, *_ in heard ^ clips}):
        found.append(
            f"verdicts: {plural(len(wrong), 'whole clip')} not of the suite, or not as there, as {wrong[0]}"
        )
    if not found:
        counted = likeness_of(verdicts, suite.task(entry.task), entry.label_map, suite)
        lines = likeness_differences(entry.likeness, counted, CORRELATION_TOLERANCE)
        found += [f"{line}, as counted from the verdicts and the suite" for line in lines]
    return found


def _silences(verdicts: pd.DataFrame, units: Sequence[Unit]) -> Iterator[str]:
    """Silence is asked once for each length of a clip, and for no other."""
    due = {unit.n_samples for unit in units if unit.clip_id is None}
    asked = {int(n) for n in verdicts["n_samples"][verdicts["stimulus"] == "silence"]}
    if wrong := sorted(asked ^ due):
        lengths, first = plural(len(wrong), "length"), plural(wrong[0], "sample")
        yield f"verdicts: silence of {lengths} not of the suite, or not asked, as {first}"


def _swaps(verdicts: pd.DataFrame, units: Sequence[Unit]) -> Iterator[str]:
    """`swap` controls are of the clips, in the order, that the suite settles for each signal."""
    due: dict[str, tuple[str, ...]] = {
        unit.signal_id: unit.others for unit in units if unit.signal_id is not None
    }
    rows = verdicts[verdicts["stimulus"] == "swap"].sort_values(["signal_id", "replicate"])
    asked: dict[str, tuple[str, ...]] = {}
    for signal_id, other in rows[["signal_id", "other_clip"]].itertuples(index=False, name=None):
        asked[signal_id] = (*asked.get(signal_id, ()), other)
    # What is asked of signals that the suite has not is told already.
    wrong = sorted(signal_id for signal_id, others in due.items() if asked.get(signal_id, ()) != others)
    if wrong:
        found, expected = (", ".join(of.get(wrong[0], ())) or "no clip" for of in (asked, due))
        yield (
            f"verdicts: swap controls of {plural(len(wrong), 'signal')} are not those of the suite, as of"
            f" {wrong[0]}: {found}, expected {expected}"
        )


def _told(rows: set[tuple[str, int, str]]) -> Iterator[tuple[str, str]]:
    """How many signals, and how many whose level 0 is not among the rows, each with the first of them."""
    signals = {signal_id for signal_id, level, _ in rows if level == 0}
    nested = sorted({(signal_id, level) for signal_id, level, _ in rows if signal_id not in signals})
    if signals:
        yield plural(len(signals), "signal"), min(signals)
    if nested:
        n = len({signal_id for signal_id, _ in nested})
        yield f"levels of {plural(n, 'signal')}", f"{nested[0][0]} at level {nested[0][1]}"
